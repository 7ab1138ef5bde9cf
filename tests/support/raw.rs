//! Test clients: one that speaks the protocol, and one that writes bytes as a test likes.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use subrosa::protocol::frame::read_server_frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::frame::{CLOSE, TEXT};
use super::keys::public_key;
use super::test_server::soon;

/// The request of the upgrade, with `more` lines in its head.
pub(crate) fn upgrade_request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
    )
}

/// A room and its creator.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) id: String,
    pub(crate) owner: String,
}

/// A client over TLS and WebSocket.
pub(crate) struct Client {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    /// `data` of the greeting.
    pub(crate) hello: Value,
    /// What came while another frame was waited for.
    waiting: VecDeque<Value>,
    asked: u64,
}

impl Client {
    pub(crate) async fn open(stream: TlsStream<TcpStream>) -> Self {
        let (socket, _) =
            soon("the upgrade", tokio_tungstenite::client_async("wss://localhost/v1", stream)).await.unwrap();
        let mut client = Self { socket, hello: Value::Null, waiting: VecDeque::new(), asked: 0 };
        client.hello = client.expect("hello").await["data"].take();
        client
    }

    pub(crate) fn token(&self) -> &str {
        self.hello["resume_token"].as_str().unwrap()
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        soon("room to write", self.socket.send(message)).await.unwrap();
    }

    /// The next text frame from the socket; `Err` is the close code and reason.
    async fn read(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match soon("a frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(close)))) => return Err((close.code.into(), close.reason.to_string())),
                Some(Ok(Message::Close(None))) | None | Some(Err(_)) => return Err((1006, String::new())),
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next text frame.
    pub(crate) async fn next(&mut self) -> Value {
        match self.waiting.pop_front() {
            Some(frame) => frame,
            None => self.read().await.unwrap_or_else(|close| panic!("closed: {close:?}")),
        }
    }

    /// The next text frame, which must be `cmd`.
    pub(crate) async fn expect(&mut self, cmd: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["cmd"], cmd, "{frame}");
        frame
    }

    /// Sends a command with an id of its own and returns the answer; what came before it stays to be read.
    pub(crate) async fn ask(&mut self, cmd: &str, data: Value) -> Value {
        self.asked += 1;
        let id = format!("test-{}", self.asked);
        self.send(json!({"cmd": cmd, "id": id, "data": data})).await;
        loop {
            let mut frame = self.read().await.unwrap_or_else(|close| panic!("closed: {close:?}"));
            if frame["id"] == *id {
                frame.as_object_mut().unwrap().remove("id");
                return frame;
            }
            self.waiting.push_back(frame);
        }
    }

    /// Asks, and the answer must be `answer`.
    pub(crate) async fn get(&mut self, cmd: &str, data: Value, answer: &str) -> Value {
        let frame = self.ask(cmd, data).await;
        assert_eq!(frame["cmd"], answer, "{frame}");
        frame
    }

    /// Asks, and must be refused with `code`.
    pub(crate) async fn refused(&mut self, cmd: &str, data: Value, code: &str) -> Value {
        let frame = self.get(cmd, data, &format!("{cmd}-error")).await;
        assert_eq!(frame["data"]["code"], code, "{frame}");
        frame
    }

    /// Everything sent before is carried out, and everything that was then waiting for this client is here. A command,
    /// since a pong may overtake events.
    pub(crate) async fn sync(&mut self) {
        self.get("ack", json!({"seq": 0}), "ack").await;
    }

    /// Nothing is here that was not read.
    pub(crate) fn has_read_all(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Nothing has come and nothing waits.
    pub(crate) async fn silent(&mut self) {
        self.sync().await;
        assert!(self.waiting.is_empty(), "{:?}", self.waiting);
    }

    /// Reads to the close frame: its code and reason, 1006 when there is none.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.read().await {
                Ok(frame) => self.waiting.push_back(frame),
                Err(close) => return close,
            }
        }
    }

    /// Reads to the end, and returns all frames on the way.
    pub(crate) async fn read_until_closed(&mut self) -> Vec<Value> {
        self.closed().await;
        self.waiting.drain(..).collect()
    }

    /// Keeps reading, and thereby answering pings, for this long; nothing may come.
    pub(crate) async fn hears_nothing_for(&mut self, time: std::time::Duration) {
        if let Ok(frame) = tokio::time::timeout(time, self.read()).await {
            panic!("{frame:?} came");
        }
    }

    /// Closes with a code, and reads to the end.
    pub(crate) async fn close(mut self, code: u16) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        soon("the close", self.socket.close(Some(CloseFrame { code: code.into(), reason: "".into() }))).await.unwrap();
        self.closed().await;
    }

    // ---- rooms ----

    pub(crate) async fn create(&mut self) -> Room {
        self.create_with(json!({})).await
    }

    /// Makes a room with more options.
    pub(crate) async fn create_with(&mut self, more: Value) -> Room {
        let mut data =
            json!({"name": "tea", "username": "alice", "client_room_id": "", "public_key_string": public_key(1)});
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        let mut made = self.get("create-room", data, "create-room").await;
        let mut text = |name: &str| made["room"][name].take().as_str().unwrap().to_owned();
        Room { id: text("room_id"), owner: text("owner_id") }
    }

    pub(crate) async fn onetime_key(&mut self, room: &Room) -> String {
        let answer = self.get("room-key-onetime", json!({"room_id": room.id}), "room-key-onetime").await;
        answer["data"]["one_time_key"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn forever_key(&mut self, room: &Room) -> String {
        let answer = self.get("room-key-forever", json!({"room_id": room.id}), "room-key-forever").await;
        answer["data"]["forever_join_key"].as_str().unwrap().to_owned()
    }

    /// Joins a room by a new one-time key of its owner, who reads the word of it; the joiner's user id and the owner's.
    pub(crate) async fn join(&mut self, owner: &mut Client, room: &Room) -> (String, String) {
        let key = owner.onetime_key(room).await;
        let joined = self.get("join-room-onetime", join_onetime(room, &key), "joined").await;
        let user = joined["data"]["user_id"].as_str().unwrap().to_owned();
        let told = owner.expect("user-joined-onetime").await;
        assert_eq!(told["data"]["user_id"], *user);
        (user, joined["data"]["owner_id"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn leave(&mut self, room: &Room) {
        self.get("leave-room", json!({"room_id": room.id}), "leave-room").await;
    }
}

pub(crate) fn join_onetime(room: &Room, key: &str) -> Value {
    json!({"room_id": room.id, "one_time_key": key, "username": "bob", "public_key": public_key(2)})
}

pub(crate) fn join_forever(room: &Room, key: &str) -> Value {
    json!({"room_id": room.id, "forever_key": key, "username": "bob", "public_key": public_key(2)})
}

/// A connection after the upgrade, frame by frame.
pub(crate) struct Wire {
    pub(crate) stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(mut stream: TlsStream<TcpStream>) -> Self {
        stream.write_all(upgrade_request("/v1", "").as_bytes()).await.unwrap();
        let mut wire = Self { stream, buffer: Vec::new() };
        loop {
            if let Some(end) = wire.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(wire.buffer.drain(..end + 4).collect()).unwrap();
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                return wire;
            }
            assert!(wire.fill().await, "the upgrade is answered");
        }
    }

    async fn fill(&mut self) -> bool {
        let read = soon("bytes", self.stream.read_buf(&mut self.buffer)).await;
        read.is_ok_and(|n| n > 0)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes where the other side may be gone already.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next frame: its first byte and its payload; none at the end.
    pub(crate) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, range)) = read_server_frame(&self.buffer) {
                let payload = self.buffer[range.clone()].to_vec();
                self.buffer.drain(..range.end);
                return Some((first, payload));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next text frame.
    pub(crate) async fn next(&mut self) -> Value {
        let (first, payload) = self.read().await.expect("a frame");
        assert_eq!(first, TEXT, "{payload:?}");
        serde_json::from_slice(&payload).unwrap()
    }

    pub(crate) async fn expect(&mut self, cmd: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["cmd"], cmd, "{frame}");
        frame
    }

    /// Reads to the end: the close frame's code, and the codes of all errors before it.
    pub(crate) async fn closed(&mut self) -> (Option<u16>, Vec<String>) {
        let (mut code, mut errors) = (None, Vec::new());
        while let Some((first, payload)) = self.read().await {
            match first {
                CLOSE => code = payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
                TEXT => {
                    let frame: Value = serde_json::from_slice(&payload).unwrap();
                    errors.extend(frame["data"]["code"].as_str().map(str::to_owned));
                }
                _ => {}
            }
        }
        (code, errors)
    }
}

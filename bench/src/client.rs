//! One client of this server that a script drives: it asks and waits, or it sends and does not read. For attacks and
//! for members that are away; what is measured under load goes over [`Connection`](super::connection::Connection)
//! instead.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use subrosa::protocol::PATH;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket, client::client_with_config};

use super::Failure;
use super::generator::Destination;

/// A server that does not answer for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks whether something came.
const LOOK_UP: Duration = Duration::from_micros(300);
/// Bytes that may wait to be written.
const MOST_UNWRITTEN: usize = 8 * 1024 * 1024;
/// The public key of every member: nobody kept its private part.
pub(super) const PUBLIC_KEY: &str = include_str!("wire/public_key.pem");

/// See the module.
pub(super) struct Client {
    socket: WebSocket<StreamOwned<ClientConnection, TcpStream>>,
    asked: u64,
    /// Resumes the session.
    pub(super) token: String,
    /// Events that came and are counted by the session.
    pub(super) seq: u64,
}

/// How events begin that a session does not count.
const UNCOUNTED: [&str; 4] = [r#"{"cmd":"hello""#, r#"{"cmd":"resumed""#, r#"{"cmd":"gap""#, r#"{"cmd":"restarting""#];

impl Client {
    /// Connects from an address of this machine and reads the greeting.
    pub(super) fn connect(to: &Destination, source: Ipv4Addr) -> Result<Self, Failure> {
        let stream = connect_tcp(to, source)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let tls = ClientConnection::new(Arc::clone(&to.tls), ServerName::try_from("localhost")?)?;
        let bounds = WebSocketConfig::default().max_write_buffer_size(MOST_UNWRITTEN).max_message_size(None);
        let url = format!("wss://localhost{PATH}");
        let (socket, _) = client_with_config(url, StreamOwned::new(tls, stream), Some(bounds))
            .map_err(|error| format!("the server opens no WebSocket: {error}"))?;
        socket.get_ref().sock.set_nonblocking(true)?;
        let mut client = Self { socket, asked: 0, token: String::new(), seq: 0 };
        let hello = client.wait(|event| event["cmd"] == "hello")?;
        client.token = text(&hello["data"]["resume_token"]);
        Ok(client)
    }

    /// Sends a command, or as much of it as the socket takes.
    pub(super) fn say(&mut self, frame: &str) -> Result<(), Failure> {
        match self.socket.write(Message::text(frame)) {
            // Enough is on its way.
            Err(tungstenite::Error::WriteBufferFull(_)) => Ok(()),
            other => passable(other),
        }?;
        self.flush()
    }

    /// Writes on.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        passable(self.socket.flush())
    }

    /// Sends a command and waits for its answer; other events that come meanwhile are dropped.
    pub(super) fn ask(&mut self, cmd: &str, data: Value) -> Result<Value, Failure> {
        self.asked += 1;
        let id = format!("q{}", self.asked);
        self.say(&json!({"cmd": cmd, "id": id, "data": data}).to_string())?;
        self.wait(|event| event["id"] == id.as_str())
    }

    fn wait(&mut self, is_it: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let Some(event) = self.next()? else {
                std::thread::sleep(LOOK_UP);
                continue;
            };
            let event: Value = serde_json::from_str(&event)?;
            if is_it(&event) {
                return Ok(event);
            }
        }
        Err("the server does not answer any more".into())
    }

    /// An event that has come.
    pub(super) fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.seq += u64::from(!UNCOUNTED.iter().any(|start| text.as_str().starts_with(start)));
                    return Ok(Some(text.as_str().to_owned()));
                }
                Ok(Message::Close(_)) => return Err("the server closed the connection".into()),
                Ok(_) => {}
                Err(error) => return passable(Err(error)).map(|()| None),
            }
        }
    }

    /// Drops what has come, `most` events at the most. How many there were.
    pub(super) fn drain(&mut self, most: usize) -> Result<usize, Failure> {
        for count in 0..most {
            if self.next()?.is_none() {
                self.flush()?;
                return Ok(count);
            }
        }
        Ok(most)
    }

    /// Makes a room; its id.
    pub(super) fn create(&mut self) -> Result<String, Failure> {
        let data = json!({"name": "", "username": "member", "public_key_string": PUBLIC_KEY, "max_members": 1024});
        let made = self.ask("create-room", data)?;
        Ok(text(given(&made, "create-room")?["room"].get("room_id").unwrap_or(&Value::Null)))
    }

    /// The key of a room that admits everybody.
    pub(super) fn forever_key(&mut self, room: &str) -> Result<String, Failure> {
        let answer = self.ask("room-key-forever", json!({"room_id": room}))?;
        Ok(text(&given(&answer, "room-key-forever")?["data"]["forever_join_key"]))
    }

    /// Joins a room; the own user id.
    pub(super) fn join(&mut self, room: &str, key: &str) -> Result<String, Failure> {
        let data = json!({"room_id": room, "forever_key": key, "username": "member", "public_key": PUBLIC_KEY});
        let joined = self.ask("join-room-forever", data)?;
        Ok(text(&given(&joined, "joined")?["data"]["user_id"]))
    }
}

/// The answer, when it is the one that is wanted and no refusal.
fn given<'a>(answer: &'a Value, cmd: &str) -> Result<&'a Value, Failure> {
    if answer["cmd"] == cmd { Ok(answer) } else { Err(format!("the server refused: {answer}").into()) }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A connection from an address of this machine.
pub(super) fn connect_tcp(to: &Destination, source: Ipv4Addr) -> Result<TcpStream, Failure> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &std::net::SocketAddr::from((source, 0)))?;
    rustix::net::connect(&socket, &to.address)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the socket takes or has later is no failure.
fn passable(done: tungstenite::Result<()>) -> Result<(), Failure> {
    match done {
        Err(tungstenite::Error::Io(error))
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
        {
            Ok(())
        }
        other => Ok(other?),
    }
}

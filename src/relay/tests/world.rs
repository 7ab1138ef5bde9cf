//! What the tests of the relay share: a relay, connections that are read when a test likes, and the words of the
//! protocol.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rsa::pkcs1::RsaPublicKeyRef;
use rsa::pkcs8::der::{Encode, asn1::UintRef};
use serde_json::{Value, json};

use crate::protocol::codes::{CloseReason, ErrorCode};
use crate::protocol::limits::Limits;
use crate::protocol::public_key::PublicKey;
use crate::relay::{Account, Attached, ConnectionId, Ending, Relay, Stats, Woken};
use crate::room::Millis;

/// Another key for every number.
pub(super) fn public_key(salt: u8) -> String {
    let mut modulus = [0xa5; 256];
    (modulus[0], modulus[1]) = (0xc3, salt);
    let (modulus, exponent) = (UintRef::new(&modulus).unwrap(), UintRef::new(&[1, 0, 1]).unwrap());
    let der = RsaPublicKeyRef { modulus, public_exponent: exponent }.to_der().unwrap();
    PublicKey::from_pkcs1_der(&der).unwrap().pkcs1_pem()
}

/// The connections that were woken and have not looked yet.
#[derive(Default)]
pub(super) struct Bell {
    woken: Mutex<HashSet<ConnectionId>>,
    /// Calls that began, and that are over: while one runs, what it woke is not known here yet.
    begun: AtomicU64,
    over: AtomicU64,
}

impl Bell {
    /// Runs something that may wake connections.
    fn hear<T>(&self, act: impl FnOnce(&mut Woken) -> T) -> T {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let mut woken = Woken::new();
        let done = act(&mut woken);
        self.woken.lock().unwrap().extend(woken.connections());
        self.over.fetch_add(1, Ordering::SeqCst);
        done
    }
}

/// A relay, and the connections that it woke.
pub(super) struct World {
    pub(super) relay: Arc<Relay>,
    bell: Arc<Bell>,
    connections: AtomicU64,
}

/// A connection.
pub(super) struct Peer {
    connection: ConnectionId,
    attached: Mutex<Attached>,
    /// The token of this connection's greeting.
    pub(super) token: String,
    bell: Arc<Bell>,
}

impl World {
    pub(super) fn new(limits: &[&str]) -> Self {
        // Fewer events than a host may set: tests fill a window sooner.
        let (few, others): (Vec<&str>, Vec<&str>) =
            limits.iter().partition(|setting| setting.starts_with("window_events="));
        let mut limits = Limits::from_settings(others).unwrap();
        for setting in few {
            limits.window_events = setting["window_events=".len()..].parse().unwrap();
        }
        Self::of(Relay::new(limits, String::new()))
    }

    pub(super) fn of(relay: Arc<Relay>) -> Self {
        Self { relay, bell: Arc::default(), connections: AtomicU64::new(1) }
    }

    /// A new connection that has read its greeting.
    pub(super) fn peer(&self) -> Peer {
        self.peer_of(self.relay.accounts().local())
    }

    /// The same from the address of this account.
    pub(super) fn peer_of(&self, account: Arc<Account>) -> Peer {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let attached = Mutex::new(self.relay.greet(connection, account));
        let mut peer = Peer { connection, attached, token: String::new(), bell: self.bell.clone() };
        self.bell.woken.lock().unwrap().insert(connection);
        let hello = peer.read();
        assert_eq!((hello.len(), &hello[0]["cmd"]), (1, &json!("hello")));
        peer.token = hello[0]["data"]["resume_token"].as_str().unwrap().to_owned();
        peer
    }

    /// A new connection whose session shall outlive it.
    pub(super) fn resumable(&self) -> Peer {
        let peer = self.peer();
        let answer = peer.ask("resume", json!({}));
        assert_eq!((&answer["cmd"], &answer["data"]["seq"]), (&json!("resumed"), &json!(0)));
        peer
    }

    /// Takes up the session of `token` on a new connection: that connection, or the code of the refusal.
    pub(super) fn resume(&self, token: &str, last_seq: u64) -> Result<Peer, String> {
        self.resume_from(token, last_seq, self.relay.accounts().local())
    }

    /// The same from the address of this account.
    pub(super) fn resume_from(&self, token: &str, last_seq: u64, account: Arc<Account>) -> Result<Peer, String> {
        let peer = self.peer_of(account);
        peer.say("resume", json!({"token": token, "last_seq": last_seq}));
        if peer.attached().has_session() {
            return Ok(peer);
        }
        let refusal = peer.read().remove(0);
        assert_eq!(refusal["cmd"], "resume-error");
        peer.drop();
        Err(refusal["data"]["code"].as_str().unwrap().to_owned())
    }

    /// What the warden does.
    pub(super) fn relieve(&self) {
        self.relay.accounts().pressure().relieve_server(&mut Vec::new());
    }

    /// Moves the clock to `now`.
    pub(super) fn expire(&self, now: Millis) {
        self.bell.hear(|woken| self.relay.expire(now, woken));
    }

    pub(super) fn stop(&self) {
        self.bell.hear(|woken| self.relay.stop(woken));
    }

    /// The end of every session's time to come back.
    pub(super) fn window_passes(&self) {
        self.expire(self.relay.now() + self.relay.limits().resume_window_s * 1_000 + 1);
    }

    pub(super) fn is_empty(&self) {
        assert_eq!(self.relay.stats(), Stats::default());
        self.relay.check_consistency().unwrap();
    }

    pub(super) fn was_woken(&self, peer: &Peer) -> bool {
        self.bell.woken.lock().unwrap().contains(&peer.connection)
    }
}

impl Peer {
    pub(super) fn attached(&self) -> MutexGuard<'_, Attached> {
        self.attached.lock().unwrap()
    }

    /// Sends a frame.
    pub(super) fn send(&self, frame: &Value) {
        self.send_text(&frame.to_string());
    }

    pub(super) fn send_text(&self, text: &str) {
        self.bell.hear(|woken| self.attached().handle(text, woken));
    }

    /// Sends a frame that cannot be read as text.
    pub(super) fn send_binary(&self) {
        self.bell.hear(|woken| self.attached().refuse_frame(ErrorCode::BinaryFrame, woken));
    }

    /// Sends a command without an id.
    pub(super) fn say(&self, cmd: &str, data: Value) {
        self.send(&json!({"cmd": cmd, "data": data}));
    }

    /// Takes everything that waits, or why the connection is to be closed. Nothing ever waits unheard of.
    pub(super) fn take(&self) -> Result<Vec<Value>, CloseReason> {
        let over = self.bell.over.load(Ordering::SeqCst);
        let woken = self.bell.woken.lock().unwrap().remove(&self.connection);
        let mut frames = Vec::new();
        self.attached().take(|frame| {
            let bytes = frame.parts().concat();
            let start = match bytes[1] {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            frames.push(serde_json::from_slice(&bytes[start..]).unwrap());
            true
        })?;
        let alone = self.bell.begun.load(Ordering::SeqCst) == over;
        assert!(woken || frames.is_empty() || !alone, "the writer must be woken for {frames:?}");
        Ok(frames)
    }

    pub(super) fn read(&self) -> Vec<Value> {
        self.take().unwrap()
    }

    /// The names of what waits.
    pub(super) fn names(&self) -> Vec<String> {
        self.read().iter().map(|frame| frame["cmd"].as_str().unwrap().to_owned()).collect()
    }

    /// Takes everything, which must be one frame without an id.
    pub(super) fn one(&self) -> Value {
        let mut frames = self.read();
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.remove(0)
    }

    /// Asks, and takes the answer, which must be all that waits.
    pub(super) fn ask(&self, cmd: &str, data: Value) -> Value {
        self.send(&json!({"cmd": cmd, "id": "x", "data": data}));
        let mut answer = self.one();
        assert_eq!(answer.as_object_mut().unwrap().remove("id"), Some(json!("x")));
        answer
    }

    pub(super) fn refused(&self, cmd: &str, data: Value) -> String {
        let answer = self.ask(cmd, data);
        assert_eq!(answer["cmd"], format!("{cmd}-error"), "{answer}");
        answer["data"]["code"].as_str().unwrap().to_owned()
    }

    /// Makes a room: its id and the creator's.
    pub(super) fn create(&self, more: &Value) -> (String, String) {
        let mut data = json!({"name": "tea", "username": "alice", "public_key_string": public_key(1)});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.ask("create-room", data);
        let text = |name: &str| made["room"][name].as_str().unwrap().to_owned();
        (text("room_id"), text("owner_id"))
    }

    pub(super) fn forever_key(&self, room: &str) -> String {
        let answer = self.ask("room-key-forever", json!({"room_id": room}));
        answer["data"]["forever_join_key"].as_str().unwrap().to_owned()
    }

    pub(super) fn onetime_key(&self, room: &str) -> String {
        let answer = self.ask("room-key-onetime", json!({"room_id": room}));
        answer["data"]["one_time_key"].as_str().unwrap().to_owned()
    }

    /// Joins with the forever key; the new user id.
    pub(super) fn join(&self, room: &str, key: &str) -> String {
        let joined = self.ask("join-room-forever", by_forever(room, key));
        assert_eq!(joined["cmd"], "joined", "{joined}");
        joined["data"]["user_id"].as_str().unwrap().to_owned()
    }

    pub(super) fn send_message(&self, room: &str, to: &str, content: &str) {
        self.say("send-message", json!({"room_id": room, "to_user_id": to, "content": content}));
    }

    /// The connection ends.
    pub(super) fn end(&self, ending: Ending) {
        self.bell.hear(|woken| self.attached().disconnected(ending, woken));
    }

    /// The connection breaks.
    pub(super) fn drop(&self) {
        self.end(Ending::Lost);
    }

    /// The client says goodbye.
    pub(super) fn leave(&self) {
        self.end(Ending::Goodbye);
    }
}

pub(super) fn by_forever(room: &str, key: &str) -> Value {
    json!({"room_id": room, "forever_key": key, "username": "bob", "public_key": public_key(2)})
}

pub(super) fn by_onetime(room: &str, key: &str) -> Value {
    json!({"room_id": room, "one_time_key": key, "username": "bob", "public_key": public_key(2)})
}

/// The contents of messages, and the names of everything else.
pub(super) fn told(frames: &[Value]) -> Vec<&str> {
    let word = |frame: &Value| frame["data"]["content"].is_string();
    frames.iter().map(|f| if word(f) { f["data"]["content"].as_str() } else { f["cmd"].as_str() }.unwrap()).collect()
}

//! Sessions on a relay, as their clients' bytes drive them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use subrosa::protocol::frame::{Opcode, read_client_frame, read_server_frame, unmask};
use subrosa::protocol::limits::Limits;
use subrosa::relay::{Attached, ConnectionId, Ending, Record, Relay, RestoreError, Stats, Woken};

/// Small bounds, so that few commands reach them.
fn limits() -> Limits {
    let limits = Limits::from_settings([
        "members_per_room=4",
        "rooms=6",
        "rooms_per_connection=3",
        "keys_per_room=6",
        "frame_bytes=65536",
        "first_frame_bytes=4096",
        "card_bytes=256",
        "queue_events=64",
    ])
    .expect("bounds that fit together");
    Limits { window_events: 24, ..limits }
}

/// Connections of one relay, and the words that they have learned from it.
struct Crowd {
    relay: Arc<Relay>,
    sessions: Vec<Attached>,
    /// Never looked at: the targets read by themselves.
    woken: Woken,
    connections: ConnectionId,
    words: HashMap<&'static str, Vec<String>>,
}

const PUBLIC_KEY: &str = include_str!("public-key.pem");

impl Crowd {
    fn new(relay: Arc<Relay>) -> Self {
        Self { relay, sessions: Vec::new(), woken: Woken::new(), connections: 0, words: HashMap::new() }
    }

    fn connect(&mut self) {
        self.connections += 1;
        self.sessions.push(self.relay.greet(self.connections, self.relay.accounts().local()));
        self.read(self.sessions.len() - 1);
    }

    /// Reads all that waits for a connection; every event must be JSON, and what it names can be said from now on.
    fn read(&mut self, index: usize) {
        let mut frames = Vec::new();
        let taken = self.sessions[index].take(|frame| {
            frames.push(frame.parts().concat());
            true
        });
        for frame in frames {
            let (_, payload) = read_server_frame(&frame).expect("a whole frame");
            let event: Value = serde_json::from_slice(&frame[payload]).expect("an event is JSON");
            self.learn(&event);
        }
        if taken.is_err() {
            self.sessions.swap_remove(index).disconnected(Ending::Lost, &mut self.woken);
        }
    }

    fn learn(&mut self, event: &Value) {
        let names = [
            ("$R", &["room_id"][..]),
            ("$U", &["user_id", "owner_id"]),
            ("$K", &["one_time_key"]),
            ("$F", &["forever_join_key"]),
            ("$T", &["resume_token"]),
        ];
        for part in [&event["data"], &event["room"]] {
            for (word, fields) in names {
                for field in fields {
                    if let Some(text) = part[field].as_str().filter(|text| text.len() == 32) {
                        let known = self.words.entry(word).or_default();
                        if !known.iter().any(|own| own == text) {
                            known.push(text.to_owned());
                        }
                    }
                }
            }
        }
    }

    /// `$R0` stands for the newest room, `$R1` for the one before; `$U`, `$K`, `$F` and `$T` for users, keys and
    /// tokens; `$P` for a public key.
    fn fill_in(&self, text: &str) -> String {
        let mut text = text.replace("$P", &PUBLIC_KEY.replace('\n', "\\n"));
        for (word, known) in &self.words {
            for (back, value) in known.iter().rev().take(8).enumerate() {
                text = text.replace(&format!("{word}{back}"), value);
            }
        }
        text
    }

    fn say(&mut self, index: usize, text: &str) {
        self.sessions[index].handle(text, &mut self.woken);
        self.woken.clear();
    }

    /// Everybody goes, and nothing may be left.
    fn end(mut self) {
        self.relay.check_consistency().unwrap_or_else(|fault| panic!("{fault}"));
        for mut connection in self.sessions.drain(..) {
            connection.disconnected(Ending::Goodbye, &mut self.woken);
        }
        self.relay.stop(&mut self.woken);
        self.relay.check_consistency().unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(Stats { scheduled: 0, ..self.relay.stats() }, Stats::default());
    }
}

/// Lines of text: the first character chooses the connection, or what happens to it; the rest is its frame.
pub(super) fn session(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        played(text).end();
    }
}

/// What a relay saves after such lines: input for [`takeover`].
pub fn saved(data: &[u8]) -> Vec<u8> {
    let crowd = played(std::str::from_utf8(data).expect("text"));
    let mut saved = Vec::new();
    let done: Result<(), ()> = crowd.relay.save(|record| {
        let record = postcard::to_allocvec(record).expect("a record can be written");
        saved.extend_from_slice(&(record.len() as u16).to_le_bytes());
        saved.extend_from_slice(&record);
        Ok(())
    });
    done.expect("nothing fails");
    crowd.end();
    saved
}

fn played(text: &str) -> Crowd {
    let mut crowd = Crowd::new(Relay::new(limits(), String::new()));
    for line in text.lines().take(200) {
        let Some(first) = line.bytes().next().filter(u8::is_ascii) else { continue };
        let rest = &line[1..];
        let count = crowd.sessions.len().max(1);
        match first {
            _ if crowd.sessions.is_empty() || first == b'+' => crowd.connect(),
            b'-' | b'!' => {
                let index = rest.bytes().next().map_or(0, usize::from) % count;
                let ending = if first == b'!' { Ending::Goodbye } else { Ending::Lost };
                crowd.sessions.swap_remove(index).disconnected(ending, &mut crowd.woken);
            }
            b'>' => {
                let now = crowd.relay.now() + rest.trim().parse::<u32>().map_or(0, u64::from);
                crowd.relay.expire(now, &mut crowd.woken);
            }
            b'?' => crowd.read(rest.bytes().next().map_or(0, usize::from) % count),
            index => {
                let index = usize::from(index) % count;
                let text = crowd.fill_in(rest);
                crowd.say(index, &text);
                crowd.read(index);
            }
        }
        crowd.relay.check_consistency().unwrap_or_else(|fault| panic!("{fault}"));
    }
    crowd
}

/// A client's bytes after the upgrade: frames, whole and broken, and what they make of a session.
pub(super) fn frames(data: &[u8]) {
    let limits = limits();
    let mut crowd = Crowd::new(Relay::new(limits.clone(), String::new()));
    crowd.connect();
    let mut buffer = data.to_vec();
    let mut at = 0;
    let mut message = Vec::new();
    while at < buffer.len() && !crowd.sessions.is_empty() {
        let rest = &mut buffer[at..];
        let most = limits.frame_bytes as usize;
        let frame = match read_client_frame(rest, most) {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(_) => break,
        };
        assert!(frame.payload.len() <= most && frame.payload.start <= 14);
        let Some(payload) = rest.get_mut(frame.payload.clone()) else { break };
        let masked = payload.to_vec();
        unmask(payload, frame.mask);
        if matches!(frame.opcode, Opcode::Text | Opcode::Continuation) {
            message.extend_from_slice(payload);
            if frame.fin {
                if let Ok(text) = std::str::from_utf8(&message) {
                    let text = crowd.fill_in(text);
                    crowd.say(0, &text);
                    crowd.read(0);
                }
                message.clear();
            }
        }
        // The mask is its own inverse.
        unmask(payload, frame.mask);
        assert_eq!(payload, masked);
        at += frame.payload.end;
    }
    crowd.end();
}

/// Records as another process sends them, each with two bytes of length before it. What can be taken over can be handed
/// on.
pub(super) fn takeover(data: &[u8]) {
    let mut rest = data;
    let relay = Relay::restore(limits(), String::new(), || -> Result<Record, RestoreError> {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(RestoreError::Broken)?;
        let (record, after) = after.split_at_checked(u16::from_le_bytes(*length).into()).ok_or(RestoreError::Broken)?;
        rest = after;
        postcard::from_bytes(record).map_err(|_| RestoreError::Broken)
    });
    let Ok(relay) = relay else { return };
    relay.check_consistency().unwrap_or_else(|fault| panic!("{fault}"));
    let mut records = Vec::new();
    let saved: Result<(), ()> = relay.save(|record| {
        records.push(postcard::to_allocvec(record).expect("a record can be written"));
        Ok(())
    });
    saved.expect("nothing fails");
    let mut again = records.iter();
    let restored = Relay::restore(limits(), String::new(), || {
        postcard::from_bytes(again.next().ok_or(RestoreError::Broken)?).map_err(|_| RestoreError::Broken)
    });
    let restored = restored.expect("what was saved can be restored");
    // What is paid for a member is not among the records.
    let told = |relay: &Relay| Stats { scheduled: 0, memory_bytes: 0, ..relay.stats() };
    assert_eq!(told(&restored), told(&relay));
    for relay in [relay, restored] {
        Crowd::new(relay).end();
    }
}

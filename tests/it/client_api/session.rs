//! The session of the document, line by line, against a server in this process. What is sealed in it is sealed and
//! opened for real.

use std::collections::HashMap;
use std::sync::OnceLock;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use subrosa::sealed::hand::{self, Between, Content, Position};
use subrosa::sealed::message::{self, Part, Shared};
use subrosa::sealed::plain::{self, Core, Extra};
use subrosa::sealed::step::ChainKey;
use subrosa::sealed::{
    Body, Card, Certificate, Identity, InviteKind, Leaf, OwnerChain, Plain, RoomSecret, SystemRandom, View,
};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use zeroize::Zeroizing;

use super::document::blocks;
use crate::support::test_server::{PATIENCE, TestServer};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

async fn connect(server: &TestServer) -> Socket {
    let url = format!("wss://localhost:{}/v1", server.address.port());
    tokio_tungstenite::client_async(url, server.tls().await).await.unwrap().0
}

struct Member {
    identity: Identity,
    leaf: Leaf,
    name: &'static str,
    /// The key that its chain begins with.
    chain: [u8; 32],
}

impl Member {
    fn new(name: &'static str, chain: u8) -> Self {
        let (identity, leaf) = (Identity::generate(&mut SystemRandom).unwrap(), Leaf::generate(0).unwrap());
        Self { identity, leaf, name, chain: [chain; 32] }
    }

    /// The chain key at an index.
    fn key_at(&self, index: u32) -> ChainKey {
        (0..index).fold(ChainKey::from_slice(&self.chain).unwrap(), |key, _| key.step().unwrap().0)
    }
}

/// What the members know and make.
struct Members {
    alice: Member,
    bob: Member,
    secret: RoomSecret,
}

fn members() -> &'static Members {
    static MEMBERS: OnceLock<Members> = OnceLock::new();
    MEMBERS.get_or_init(|| Members {
        alice: Member::new("alice", 1),
        bob: Member::new("bob", 2),
        secret: RoomSecret::generate(0, &mut SystemRandom),
    })
}

impl Members {
    fn card(&self, of: &Member, invite: Option<&Certificate>) -> String {
        let (root, keys) = (self.alice.identity.verifying_key(), self.secret.keys().unwrap());
        Card::seal(&of.identity, of.name, of.leaf.public(), invite, root, &keys, &mut SystemRandom).unwrap()
    }

    /// A value that a client makes up, by its name in the document; messages come in two parts.
    fn make(&self, name: &str) -> Vec<(String, String)> {
        let one = |value: String| vec![(name.to_owned(), value)];
        match name {
            "ALICE_CARD" => one(self.card(&self.alice, None)),
            "BOB_CARD" => {
                let (alice, chain) = (&self.alice.identity, OwnerChain::new(*self.alice.identity.verifying_key()));
                let invite = Certificate::issue(alice, &chain, 0, [7; 16], InviteKind::OneTime, 0).unwrap();
                one(self.card(&self.bob, Some(&invite)))
            }
            "TEA_SHARED" => self.say(("TEA", "tea?", 0), &self.alice, &self.bob),
            "YES_SHARED" => self.say(("YES", "yes", 0), &self.bob, &self.alice),
            "MILK_SHARED" => self.say(("MILK", "milk?", 1), &self.alice, &self.bob),
            other => panic!("nobody makes ${other}"),
        }
    }

    /// A room message at an index of its author's chain, and the hand for the other.
    fn say(&self, (name, text, index): (&str, &str, u32), from: &Member, to: &Member) -> Vec<(String, String)> {
        let keys = self.secret.keys().unwrap();
        let (root, at) = (self.alice.identity.verifying_key(), Position { generation: 0, index });
        let body = Body::Text { text: Zeroizing::new(text.to_owned()), re: None };
        let core =
            Core { n: index + 1, at: 1_790_000_000_000, body, to: None, gone: None, settings: None, quiet: false };
        let [alice, bob] = [&self.alice, &self.bob].map(|member| member.identity.fingerprint());
        let extra = Extra { view: View::of(alice, &keys, [alice, bob]), after: Vec::new() };
        let plain = plain::write(&core.to_json().unwrap(), &extra, None).unwrap();
        let key = from.key_at(index);
        let (_, step) = key.step().unwrap();
        let shared = message::seal_room(&from.identity, root, 0, at, step, &plain).unwrap();
        let between = Between { root, keys: &keys, from: from.identity.fingerprint(), to: to.identity.fingerprint() };
        let content = hand::seal_hand(&from.identity, &between, to.leaf.public(), at, 0, &key).unwrap();
        vec![(format!("{name}_SHARED"), shared), (format!("{name}_CONTENT"), content)]
    }

    /// What a delivered message says. Without a hand, the reader has the chain already.
    fn read(&self, event: &Value, me: &Member, from: &Member) -> String {
        let data = |field: &str| event["data"][field].as_str().unwrap();
        let (root, author, keys) =
            (self.alice.identity.verifying_key(), from.identity.verifying_key(), self.secret.keys().unwrap());
        let shared = Shared::parse(data("shared")).unwrap();
        let Part::Room(at) = shared.part else { panic!("a room message") };
        let key = match Content::parse(data("content")).unwrap() {
            Content::Hand(sealed) => {
                let between = Between { root, keys: &keys, from: author.fingerprint(), to: me.identity.fingerprint() };
                hand::open_hand(&sealed, &me.leaf, &between, author, at).unwrap().key
            }
            Content::Nothing => from.key_at(at.index),
            Content::Private(_) => panic!("a room message"),
        };
        let plain = shared.open_room(&key.step().unwrap().1, root, author).unwrap();
        match Plain::parse(author.fingerprint(), &plain).unwrap().core.body {
            Body::Text { text, .. } => text.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

/// The values of `$NAME`.
#[derive(Default)]
struct Values(HashMap<String, Value>);

impl Values {
    /// The frame that a client sends: every name has a value, or the client makes one.
    fn fill(&mut self, template: &Value) -> Value {
        match template {
            Value::String(text) if text.starts_with('$') => {
                let name = &text[1..];
                if !self.0.contains_key(name) {
                    self.0.extend(members().make(name).into_iter().map(|(name, value)| (name, json!(value))));
                }
                self.0[name].clone()
            }
            Value::Array(list) => list.iter().map(|value| self.fill(value)).collect(),
            Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect(),
            plain => plain.clone(),
        }
    }

    /// Compares a server's frame; a name that has no value yet takes what stands there.
    fn compare(&mut self, template: &Value, frame: &Value, line: &str) {
        match (template, frame) {
            (Value::String(text), _) if text.starts_with('$') => {
                let known = self.0.entry(text[1..].to_owned()).or_insert_with(|| frame.clone());
                assert_eq!(known, frame, "{text} in {line}");
            }
            (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
                wanted.iter().zip(got).for_each(|(wanted, got)| self.compare(wanted, got, line));
            }
            (Value::Object(wanted), Value::Object(got)) => {
                assert!(wanted.keys().eq(got.keys()), "{frame} is not {line}");
                wanted.iter().for_each(|(name, wanted)| self.compare(wanted, &got[name], line));
            }
            _ => assert_eq!(template, frame, "{line}"),
        }
    }
}

async fn next_frame(socket: &mut Socket) -> Value {
    loop {
        match socket.next().await.expect("the connection lives").expect("the connection is whole") {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(close) => panic!("closed: {close:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_session_goes_as_written() {
    tokio::time::timeout(PATIENCE, play()).await.expect("a frame of the session never came");
}

async fn play() {
    let server = TestServer::start(&[]).await;
    let mut sockets: HashMap<String, Socket> = HashMap::new();
    let mut values = Values::default();
    let mut said = Vec::new();
    for block in blocks("session") {
        for line in block.text.lines() {
            let [who, what, rest] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            if what == "!" {
                assert_eq!(rest, "cut", "{line}");
                drop(sockets.remove(who));
                // Without this the server might not have seen the cut yet and take the next message for one that
                // reached bob.
                while server.relay.stats().away == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            if !sockets.contains_key(who) {
                sockets.insert(who.to_owned(), connect(&server).await);
            }
            let socket = sockets.get_mut(who).unwrap();
            let template: Value = serde_json::from_str(rest).unwrap_or_else(|error| panic!("{error}: {line}"));
            match what {
                ">" => socket.send(Message::text(values.fill(&template).to_string())).await.unwrap(),
                "<" => {
                    let frame = next_frame(socket).await;
                    values.compare(&template, &frame, line);
                    if frame["cmd"] == "send-message" {
                        let (alice, bob) = (&members().alice, &members().bob);
                        let (me, from) = if who == "bob" { (bob, alice) } else { (alice, bob) };
                        said.push(members().read(&frame, me, from));
                    }
                }
                other => panic!("{other:?} in {line}"),
            }
        }
    }
    assert_eq!(said, ["tea?", "yes", "milk?"]);
    let stats = server.relay.stats();
    assert_eq!((stats.rooms, stats.members), (0, 0), "the room ended with its last member");
}

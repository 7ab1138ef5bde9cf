//! The session of the document, line by line, against a server in this process. What is sealed in it is sealed and
//! opened for real.

use std::collections::HashMap;
use std::sync::OnceLock;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use subrosa::protocol::public_key::PublicKey;
use subrosa::sealed::identity::RecipientKey;
use subrosa::sealed::message::{self, Signed};
use subrosa::sealed::{
    Body, Card, Certificate, Fingerprint, Identity, InviteKind, Plain, RoomSecret, SystemRandom, View,
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

/// What the members know and make. RSA keys take long to make, so both tests of this file would share them.
struct Members {
    alice: Identity,
    bob: Identity,
    secret: RoomSecret,
}

fn members() -> &'static Members {
    static MEMBERS: OnceLock<Members> = OnceLock::new();
    MEMBERS.get_or_init(|| Members {
        alice: Identity::generate(&mut SystemRandom).unwrap(),
        bob: Identity::generate(&mut SystemRandom).unwrap(),
        secret: RoomSecret::generate(0, &mut SystemRandom),
    })
}

impl Members {
    fn card(&self, of: &Identity, name: &str, invite: Option<&Certificate>) -> String {
        Card::seal(of, name, invite, self.alice.verifying_key(), &self.secret, &mut SystemRandom).unwrap()
    }

    fn view(&self) -> View {
        let members: [Fingerprint; 2] = [self.alice.fingerprint(), self.bob.fingerprint()];
        View::of(members[0], members)
    }

    /// A value that a client makes up, by its name in the document; messages come in two parts.
    fn make(&self, name: &str) -> Vec<(String, String)> {
        let root = self.alice.verifying_key();
        let one = |value: String| vec![(name.to_owned(), value)];
        match name {
            "ALICE_PEM" => one(self.alice.public_key().pkcs1_pem()),
            "BOB_PEM" => one(self.bob.public_key().pkcs1_pem()),
            // Whose key it is makes no difference to a spent invite.
            "EVE_PEM" => one(self.bob.public_key().pkcs1_pem()),
            "ALICE_CARD" => one(self.card(&self.alice, "alice", None)),
            "BOB_CARD" => {
                let invite = Certificate::issue(&self.alice, root, 0, [7; 16], InviteKind::OneTime, 0).unwrap();
                one(self.card(&self.bob, "bob", Some(&invite)))
            }
            "TEA_SHARED" => self.say(("TEA", "tea?", 1), &self.alice, self.bob.public_key()),
            "YES_SHARED" => self.say(("YES", "yes", 1), &self.bob, self.alice.public_key()),
            "MILK_SHARED" => self.say(("MILK", "milk?", 2), &self.alice, self.bob.public_key()),
            other => panic!("nobody makes ${other}"),
        }
    }

    fn say(&self, (name, text, n): (&str, &str, u64), from: &Identity, to: &PublicKey) -> Vec<(String, String)> {
        let body = Body::Text(Zeroizing::new(text.to_owned()));
        let plain = Plain { n, at: 1_790_000_000_000, body, view: self.view(), to: None };
        let root = self.alice.verifying_key();
        let signed = Signed::sign(from, root, &plain.to_json().unwrap()).unwrap();
        let sealed = signed.seal(root, &self.secret, &mut SystemRandom).unwrap();
        let content = sealed.content_for(&RecipientKey::new(to).unwrap()).unwrap();
        vec![(format!("{name}_SHARED"), sealed.shared().to_owned()), (format!("{name}_CONTENT"), content)]
    }

    /// What a delivered message says.
    fn read(&self, event: &Value, me: &Identity, from: &Identity) -> String {
        let data = |field: &str| event["data"][field].as_str().unwrap();
        let root = self.alice.verifying_key();
        let signed = message::open(data("content"), data("shared"), me, root, &self.secret).unwrap();
        let plain = Plain::parse(signed.verify(root, from.verifying_key()).unwrap()).unwrap();
        match plain.body {
            Body::Text(text) => text.to_string(),
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

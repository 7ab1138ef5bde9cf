//! The syntax matrix: each command, whole, with a field missing, with one too many, of a wrong type, from outside, from
//! who may not.

use serde_json::{Value, json};

use crate::support::keys::public_key;
use crate::support::raw::{Client, Room, join_onetime};
use crate::support::test_server::TestServer;

/// Who may ask.
#[derive(Clone, Copy, PartialEq)]
enum For {
    Owner,
    Member,
    Anybody,
}
use For::{Anybody, Member, Owner};

/// A command: its name, who may ask, the answer's name, the fields that it needs, the fields that it may have.
type Row = (&'static str, For, &'static str, Value, Value);

/// One line a command. `ROOM`, `BOB`, `ONCE`, `ALWAYS` and `KEY` stand for what each case has anew.
#[rustfmt::skip]
fn rows() -> Vec<Row> {
    vec![
        ("create-room", Anybody, "create-room", json!({"name": "n", "username": "u"}),
            json!({"public_key_string": "KEY", "client_room_id": "c", "card": "c", "max_members": 2, "expires_in_s": 60, "owner_leaves": "transfer"})),
        ("room-key-onetime", Owner, "room-key-onetime", json!({"room_id": "ROOM"}), json!({"count": 2, "expires_in_s": 60})),
        ("room-key-forever", Owner, "room-key-forever", json!({"room_id": "ROOM"}), json!({"expires_in_s": 60})),
        ("reset-room-keys", Owner, "reset-room-keys", json!({"room_id": "ROOM"}), json!({})),
        ("revoke-key", Owner, "revoke-key", json!({"room_id": "ROOM", "key": "ONCE"}), json!({})),
        ("join-room-onetime", Anybody, "joined",
            json!({"room_id": "ROOM", "one_time_key": "ONCE", "username": "u"}), json!({"public_key": "KEY", "card": "c"})),
        ("join-room-forever", Anybody, "joined",
            json!({"room_id": "ROOM", "forever_key": "ALWAYS", "username": "u"}), json!({"public_key": "KEY", "card": "c"})),
        ("send-message", Member, "sent", json!({"room_id": "ROOM", "to_user_id": "BOB", "content": "c"}), json!({})),
        ("send-messages", Member, "sent",
            json!({"room_id": "ROOM", "to": [{"to_user_id": "BOB", "content": "c"}]}), json!({"shared": "s"})),
        ("leave-room", Member, "leave-room", json!({"room_id": "ROOM"}), json!({})),
        ("close-room", Owner, "close-room", json!({"room_id": "ROOM"}), json!({})),
        ("remove-member", Owner, "remove-member", json!({"room_id": "ROOM", "user_id": "BOB"}), json!({})),
        ("transfer-owner", Owner, "transfer-owner", json!({"room_id": "ROOM", "user_id": "BOB"}), json!({})),
        ("list-members", Member, "list-members", json!({"room_id": "ROOM"}), json!({})),
        ("set-card", Member, "set-card", json!({"room_id": "ROOM", "card": "c"}), json!({})),
        ("ack", Anybody, "ack", json!({"seq": 0}), json!({})),
        ("resume", Anybody, "resumed", json!({}), json!({})),
    ]
}

/// A room with an owner and a member, and somebody outside; another room after every case that was not refused.
struct Stage {
    server: TestServer,
    alice: Client,
    bob: Client,
    carol: Client,
    words: Vec<(&'static str, String)>,
    room: Option<Room>,
    used: bool,
}

impl Stage {
    async fn new() -> Self {
        let server = TestServer::start(&[]).await;
        let (alice, bob, carol) = (server.client().await, server.client().await, server.client().await);
        Self { server, alice, bob, carol, words: Vec::new(), room: None, used: false }
    }

    async fn end(self) {
        let Self { server, alice, bob, carol, .. } = self;
        drop((alice, bob, carol));
        server.stop().await;
    }

    async fn set(&mut self) {
        if let Some(room) = self.room.take() {
            for client in [&mut self.alice, &mut self.bob, &mut self.carol] {
                client.ask("close-room", json!({"room_id": room.id})).await;
                client.ask("leave-room", json!({"room_id": room.id})).await;
            }
        }
        let room = self.alice.create().await;
        let key = self.alice.onetime_key(&room).await;
        let joined = self.bob.get("join-room-onetime", join_onetime(&room, &key), "joined").await;
        self.words = vec![
            ("ROOM", room.id.clone()),
            ("BOB", joined["data"]["user_id"].as_str().unwrap().to_owned()),
            ("ONCE", self.alice.onetime_key(&room).await),
            ("ALWAYS", self.alice.forever_key(&room).await),
            ("KEY", public_key(3)),
        ];
        self.room = Some(room);
    }

    /// Asks on a set stage, with the words put in; the answer's name, its code and its text.
    async fn case(&mut self, who: For, cmd: &str, data: &Value) -> (String, String, String) {
        if self.room.is_none() || self.used {
            self.set().await;
        }
        let mut text = data.to_string();
        for (word, value) in &self.words {
            text = text.replace(&format!("\"{word}\""), &json!(value).to_string());
        }
        let client = match who {
            Owner => &mut self.alice,
            Member => &mut self.bob,
            Anybody => &mut self.carol,
        };
        let answer = client.ask(cmd, serde_json::from_str(&text).unwrap()).await;
        self.used = answer["data"]["code"].is_null();
        let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (part(&answer["cmd"]), part(&answer["data"]["code"]), part(&answer["data"]["msg"]))
    }
}

fn with(data: &Value, name: &str, value: Value) -> Value {
    let mut data = data.clone();
    data[name] = value;
    data
}

#[tokio::test]
async fn every_command_is_in_the_matrix() {
    let named: Vec<_> = rows().iter().map(|row| row.0).collect();
    for name in subrosa::protocol::command::Command::NAMES {
        assert!(named.contains(name), "{name} has no row");
    }
}

#[tokio::test]
async fn whole_and_with_fields_that_nobody_knows() {
    let mut stage = Stage::new().await;
    for (cmd, who, answer, needed, optional) in rows() {
        let mut full = needed.clone();
        for (name, value) in optional.as_object().unwrap() {
            full = with(&full, name, value.clone());
            let (got, code, _) = stage.case(who, cmd, &with(&needed, name, value.clone())).await;
            assert_eq!(got, answer, "{cmd} with {name}: {code}");
        }
        let extra = with(&with(&full, "unknown", json!({"deep": [1, null]})), "", json!(""));
        for data in [&needed, &full, &extra] {
            let (got, code, _) = stage.case(who, cmd, data).await;
            assert_eq!(got, answer, "{cmd}: {code}");
        }
    }
    stage.end().await;
}

#[tokio::test]
async fn missing_or_of_a_wrong_type() {
    let mut stage = Stage::new().await;
    for (cmd, who, _, needed, optional) in rows() {
        let error = format!("{cmd}-error");
        for name in needed.as_object().unwrap().keys() {
            let mut data = needed.clone();
            data.as_object_mut().unwrap().remove(name);
            let (got, code, text) = stage.case(who, cmd, &data).await;
            assert_eq!((&*got, &*code), (&*error, "bad-request"), "{cmd} without {name}");
            assert!(text.ends_with(&format!(": {name}")), "{cmd} without {name}: {text}");
        }
        for name in needed.as_object().unwrap().keys().chain(optional.as_object().unwrap().keys()) {
            let wrong = [json!(true), json!({}), json!(-1), json!(1.5), json!([{}])];
            for value in wrong {
                let (got, code, text) = stage.case(who, cmd, &with(&needed, name, value.clone())).await;
                assert_eq!((&*got, &*code), (&*error, "bad-request"), "{cmd} with {name} = {value}: {text}");
            }
        }
        for data in [json!([]), json!(["ROOM"]), json!("ROOM"), json!(7)] {
            let (got, code, _) = stage.case(who, cmd, &data).await;
            assert_eq!((&*got, &*code), (&*error, "bad-request"), "{cmd} with data = {data}");
        }
    }
    stage.end().await;
}

#[tokio::test]
async fn from_outside_and_from_who_may_not() {
    let mut stage = Stage::new().await;
    for (cmd, who, _, needed, _) in rows() {
        if who == Anybody {
            continue;
        }
        let error = format!("{cmd}-error");
        let (got, code, _) = stage.case(Anybody, cmd, &needed).await;
        assert_eq!((&*got, &*code), (&*error, "denied"), "{cmd} from outside");
        if who == Owner {
            let (got, code, _) = stage.case(Member, cmd, &needed).await;
            assert_eq!((&*got, &*code), (&*error, "not-owner"), "{cmd} from a member");
        }
    }
    stage.end().await;
}

#[tokio::test]
async fn out_of_range_twice_or_absent() {
    let mut stage = Stage::new().await;
    let nobody = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let part = |to: &str| json!({"to_user_id": to, "content": ""});
    #[rustfmt::skip]
    let cases = [
        ("create-room", Anybody, with(&rows()[0].3, "max_members", json!(0)), "bad-request"),
        ("create-room", Anybody, with(&rows()[0].3, "max_members", json!(1_000_000)), "bad-request"),
        ("create-room", Anybody, with(&rows()[0].3, "expires_in_s", json!(0)), "bad-request"),
        ("create-room", Anybody, with(&rows()[0].3, "owner_leaves", json!("vanish")), "bad-request"),
        ("room-key-onetime", Owner, json!({"room_id": "ROOM", "count": 0}), "bad-request"),
        ("room-key-onetime", Owner, json!({"room_id": "ROOM", "count": 101}), "bad-request"),
        ("room-key-onetime", Owner, json!({"room_id": "ROOM", "expires_in_s": 0}), "bad-request"),
        ("room-key-forever", Owner, json!({"room_id": "ROOM", "expires_in_s": 0}), "bad-request"),
        ("revoke-key", Owner, json!({"room_id": "ROOM", "key": "no key"}), "denied"),
        ("revoke-key", Owner, json!({"room_id": "ROOM", "key": nobody}), "denied"),
        ("revoke-key", Member, json!({"room_id": "ROOM", "key": nobody}), "not-owner"),
        ("send-message", Member, json!({"room_id": "ROOM", "to_user_id": nobody, "content": ""}), ""),
        ("send-message", Member, json!({"room_id": "ROOM", "to_user_id": "x", "content": ""}), "bad-request"),
        ("send-messages", Member, json!({"room_id": "ROOM", "to": []}), "bad-request"),
        ("send-messages", Member, json!({"room_id": "ROOM", "to": [part("x")]}), "bad-request"),
        ("send-messages", Member, json!({"room_id": "ROOM", "to": [part("BOB"), part("BOB")]}), "duplicate-recipient"),
        ("send-messages", Member, json!({"room_id": "ROOM", "to": [part("BOB"), part(nobody)]}), ""),
        ("remove-member", Owner, json!({"room_id": "ROOM", "user_id": nobody}), "absent"),
        ("remove-member", Owner, json!({"room_id": "ROOM", "user_id": "x"}), "bad-request"),
        ("transfer-owner", Owner, json!({"room_id": "ROOM", "user_id": nobody}), "absent"),
        ("transfer-owner", Owner, json!({"room_id": "ROOM", "user_id": "x"}), "bad-request"),
        ("ack", Anybody, json!({"seq": u64::MAX}), ""),
        ("resume", Anybody, json!({"token": nobody}), "bad-request"),
        ("resume", Anybody, json!({"last_seq": 1}), "bad-request"),
        ("resume", Anybody, json!({"token": nobody, "last_seq": 0}), "denied"),
        ("resume", Anybody, json!({"token": "x", "last_seq": 0}), "denied"),
        ("join-room-onetime", Member,
            json!({"room_id": "ROOM", "one_time_key": "ONCE", "username": "", "public_key": "KEY"}), "already-member"),
    ];
    for (cmd, who, data, expected) in cases {
        let (_, code, _) = stage.case(who, cmd, &data).await;
        assert_eq!(code, expected, "{cmd} {data}");
    }
    stage.end().await;
}

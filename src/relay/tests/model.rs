//! One member on a bad line, against the log of what happened: everything arrives once and in order, or is named in a
//! gap.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Peer, World, by_forever, by_onetime, public_key};

#[derive(Clone, Debug)]
enum Step {
    /// Alice says something to bob.
    Say,
    /// Alice says something to everybody.
    SayAll,
    /// Carol comes in, or leaves.
    Pass,
    /// Bob's connection writes; so many frames arrive at him.
    Read(usize),
    /// Bob tells what has arrived.
    Acknowledge,
    Drop,
    /// Bob comes back, without having noticed that he was gone, or after it.
    Resume,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => Just(Step::Say),
        2 => Just(Step::SayAll),
        1 => Just(Step::Pass),
        4 => (0usize..30).prop_map(Step::Read),
        2 => Just(Step::Acknowledge),
        2 => Just(Step::Drop),
        2 => Just(Step::Resume),
    ];
    proptest::collection::vec(step, 1..200)
}

struct Story {
    world: World,
    alice: Peer,
    carol: Option<Peer>,
    room: String,
    key: String,
    bob_id: String,
    /// The room's version by what alice has heard.
    version: u64,
    /// Bob's connection, if it stands.
    bob: Option<Peer>,
    token: String,
    /// Everything that bob must hear, in order: the content of a message, or nothing for what may not be lost.
    log: Vec<Option<String>>,
    /// He was told who is in the room, in the place of joins and leaves.
    caught_up: bool,
    /// How much of it he knows.
    seen: usize,
    /// How much of it the server knows that he knows.
    acknowledged: usize,
    /// What was written to his connection and has not arrived.
    under_way: Vec<Value>,
}

impl Story {
    fn new() -> Self {
        let world = World::new(&["queue_events=24", "window_events=24"]);
        let (alice, bob) = (world.peer(), world.resumable());
        let (room, _) = alice.create(&json!({}));
        let key = alice.forever_key(&room);
        let bob_id = bob.join(&room, &key);
        let version = heard_version(&alice).unwrap();
        let token = bob.token.clone();
        let (carol, log) = (None, vec![None]);
        Self {
            world,
            alice,
            carol,
            room,
            key,
            bob_id,
            version,
            bob: Some(bob),
            token,
            log,
            caught_up: false,
            seen: 1,
            acknowledged: 0,
            under_way: vec![],
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Say => {
                let content = format!("message {}", self.log.len() + 1);
                let data = json!({"room_id": self.room, "to_user_id": self.bob_id, "content": content});
                let sent = self.alice.ask("send-message", data);
                // Whatever is not lost is his to hear, even if only as a gap.
                if sent["data"]["absent"] == json!([]) {
                    self.log.push(Some(content));
                }
            }
            Step::SayAll => {
                let content = format!("message {}", self.log.len() + 1);
                let data = json!({"room_id": self.room, "shared": content, "to": [], "rest": self.version});
                let sent = self.alice.ask("send-messages", data);
                if sent["data"]["absent"] == json!([]) {
                    self.log.push(Some(content));
                }
                if let Some(carol) = &self.carol {
                    assert_eq!(carol.read().pop().unwrap()["cmd"], "send-message", "carol is in the room as well");
                }
            }
            Step::Pass => {
                match self.carol.take() {
                    Some(carol) => carol.drop(),
                    None => {
                        let carol = self.world.peer();
                        carol.join(&self.room, &self.key);
                        self.carol = Some(carol);
                    }
                }
                self.log.push(None);
                self.hear_version();
            }
            Step::Read(count) => self.read(*count),
            Step::Acknowledge => {
                if let Some(bob) = &self.bob {
                    bob.say("ack", json!({"seq": self.seen}));
                    self.acknowledged = self.seen;
                }
            }
            Step::Drop => self.drop_bob(),
            Step::Resume => self.resume(),
        }
    }

    fn read(&mut self, count: usize) {
        let Some(bob) = &self.bob else { return };
        match bob.take() {
            Ok(frames) => self.under_way.extend(frames),
            Err(_) => return self.drop_bob(),
        }
        let arrived: Vec<_> = self.under_way.drain(..count.min(self.under_way.len())).collect();
        arrived.iter().for_each(|frame| self.hear(frame));
    }

    /// Checks a frame against the log.
    fn hear(&mut self, frame: &Value) {
        let text = |name: &str| frame["data"][name].as_str().map(str::to_owned);
        match frame["cmd"].as_str().unwrap() {
            "resumed" => assert_eq!(frame["data"]["seq"], self.seen),
            "gap" => {
                let number = |name: &str| frame["data"][name].as_u64().unwrap() as usize;
                assert_eq!(number("from"), self.seen + 1, "a gap begins where the known ends");
                let lost = &self.log[self.seen..number("to")];
                let all_said = self.caught_up || lost.iter().all(Option::is_some);
                assert!(all_said, "a join or a leave is in the gap {frame}");
                self.seen = number("to");
            }
            "members" => {
                let told = |list: &str| frame["data"][list].as_array().unwrap().len();
                assert!((1..=2).contains(&(told("users") + told("here"))), "alice, and carol at times: {frame}");
                self.caught_up = true;
                self.seen += 1;
            }
            "send-message" => {
                let word = text("shared").or(text("content"));
                assert_eq!(word, self.log[self.seen], "number {}", self.seen + 1);
                self.seen += 1;
            }
            "user-joined-forever" | "user-left" => {
                assert_eq!(self.log[self.seen], None, "number {}: {frame}", self.seen + 1);
                self.seen += 1;
            }
            other => panic!("{other}"),
        }
    }

    fn drop_bob(&mut self) {
        self.under_way.clear();
        if let Some(bob) = self.bob.take() {
            bob.drop();
            // A session that could not keep its window ends here.
            self.hear_version();
        }
    }

    /// Whether his session still lives afterwards.
    fn resume(&mut self) {
        let before = self.bob.take();
        self.under_way.clear();
        match self.world.resume(&self.token, self.seen as u64) {
            Ok(bob) => {
                self.token.clone_from(&bob.token);
                self.bob = Some(bob);
                self.acknowledged = self.seen;
                if let Some(before) = before {
                    assert!(before.take().is_err(), "the old connection is told to close");
                    before.drop();
                }
            }
            Err(code) => {
                assert_eq!(code, "denied");
                // Only joins and leaves that do not fit end a session; then it begins anew.
                let firm = self.log[self.acknowledged..].iter().filter(|entry| entry.is_none()).count();
                assert!(firm > 8, "{firm} joins and leaves, and the gaps between them, do not fill the window");
                if let Some(before) = before {
                    before.drop();
                }
                self.world.expire(self.world.relay.now());
                let bob = self.world.resumable();
                self.bob_id = bob.join(&self.room, &self.key);
                (self.token, self.bob) = (bob.token.clone(), Some(bob));
                (self.log, self.seen, self.acknowledged, self.caught_up) = (vec![None], 1, 0, false);
                self.hear_version();
                if let Some(carol) = &self.carol {
                    carol.read();
                }
            }
        }
    }

    fn hear_version(&mut self) {
        self.version = heard_version(&self.alice).unwrap_or(self.version);
    }

    /// In the end he comes back and hears all that is left.
    fn end(mut self) {
        self.resume();
        self.read(usize::MAX);
        assert_eq!(self.seen, self.log.len(), "nothing is missing");
        let Self { world, alice, carol, bob, .. } = self;
        for peer in [Some(alice), carol, bob].into_iter().flatten() {
            peer.leave();
        }
        world.window_passes();
        world.is_empty();
    }
}

/// The version of the room in the last event that brought one.
fn heard_version(peer: &Peer) -> Option<u64> {
    peer.read().iter().filter_map(|frame| frame["data"]["version"].as_u64()).next_back()
}

/// Frames that a client may send, and pieces to put into them.
fn frames(room: &str, user: &str, key: &str) -> Vec<Value> {
    vec![
        json!({"cmd": "create-room", "id": "1", "data": {"name": "n", "username": "u", "public_key_string": public_key(1), "max_members": 2}}),
        json!({"cmd": "join-room-onetime", "id": "1", "data": by_onetime(room, key)}),
        json!({"cmd": "join-room-forever", "id": "1", "data": by_forever(room, key)}),
        json!({"cmd": "send-message", "id": "1", "data": {"room_id": room, "to_user_id": user, "content": "c"}}),
        json!({"cmd": "send-messages", "id": "1", "data": {"room_id": room, "shared": "s", "to": [{"to_user_id": user, "content": "c"}]}}),
        json!({"cmd": "send-messages", "id": "1", "data": {"room_id": room, "shared": "s", "to": [{"to_user_id": user}], "rest": 2, "keep": false}}),
        json!({"cmd": "room-key-onetime", "id": "1", "data": {"room_id": room, "count": 3, "expires_in_s": 5}}),
        json!({"cmd": "remove-member", "id": "1", "data": {"room_id": room, "user_id": user}}),
        json!({"cmd": "revoke-key", "id": "1", "data": {"room_id": room, "key": key}}),
        json!({"cmd": "set-card", "id": "1", "data": {"room_id": room, "card": "c"}}),
        json!({"cmd": "resume", "id": "1", "data": {"token": key, "last_seq": 1}}),
        json!({"cmd": "resume", "id": "1", "data": {}}),
        json!({"cmd": "ack", "id": "1", "data": {"seq": 1}}),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn everything_arrives_once_and_in_order_or_is_named(steps in steps()) {
        let mut story = Story::new();
        steps.iter().for_each(|step| story.step(step));
        story.end();
    }

    /// A worker would catch a panic and drop the connection; here it fails. And every command with an id has exactly
    /// one answer.
    #[test]
    fn no_frame_makes_the_relay_panic(
        mutations in proptest::collection::vec((any::<usize>(), any::<usize>(), 0usize..9, "\\PC{0,4}"), 1..40),
    ) {
        let world = World::new(&["rooms=20", "rooms_per_connection=10"]);
        let (alice, bob) = (world.peer(), world.peer());
        let (room, user) = alice.create(&json!({}));
        let key = alice.forever_key(&room);
        bob.join(&room, &key);
        for (which, at, cut, put) in mutations {
            let all = frames(&room, &user, &key);
            let mut text = all[which % all.len()].to_string();
            let mut start = at % text.len();
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            text.replace_range(start..(start + cut).min(text.len()), &put);
            let whole = serde_json::from_str::<Value>(&text);
            bob.take().ok();
            bob.send_text(&text);
            let answers = bob.read();
            if whole.is_ok_and(|frame| frame["id"] == "1" && frame["cmd"].is_string()) {
                prop_assert_eq!(answers.iter().filter(|answer| answer["id"] == "1").count(), 1, "{}: {:?}", text, answers);
            }
            alice.read();
        }
        bob.drop();
        alice.leave();
        world.window_passes();
        world.relay.check_consistency().unwrap();
        prop_assert_eq!((world.relay.stats().rooms, world.relay.stats().members), (0, 0));
    }
}

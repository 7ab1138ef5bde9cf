//! A session outlives its connection: replayed in order, exactly once, or with a gap that says so.

use serde_json::{Value, json};

use super::world::{Peer, World, by_onetime, told};
use crate::protocol::codes::CloseReason;

/// A room of `alice`, and a resumable `bob` in it who has read everything: the room, their ids, and bob's last number.
struct Pair {
    world: World,
    alice: Peer,
    bob: Peer,
    room: String,
    alice_id: String,
    bob_id: String,
    key: String,
}

impl Pair {
    fn new(limits: &[&str]) -> Self {
        let world = World::new(limits);
        let (alice, bob) = (world.peer(), world.resumable());
        let (room, alice_id) = alice.create(&json!({}));
        let key = alice.forever_key(&room);
        let bob_id = bob.join(&room, &key);
        alice.read();
        Self { world, alice, bob, room, alice_id, bob_id, key }
    }

    /// Alice says the numbers to bob.
    fn say(&self, numbers: impl IntoIterator<Item = u64>) {
        for n in numbers {
            self.alice.send_message(&self.room, &self.bob_id, &n.to_string());
        }
    }

    /// How a message to bob ends.
    fn fate(&self) -> String {
        let data = json!({"room_id": self.room, "to_user_id": self.bob_id, "content": "?"});
        let sent = self.alice.ask("send-message", data);
        let fates: Vec<_> = ["reached", "held", "absent"]
            .into_iter()
            .filter(|fate| sent["data"][fate] == json!([self.bob_id]))
            .collect();
        assert_eq!(fates.len(), 1, "{sent}");
        fates[0].to_owned()
    }

    fn end(self) {
        let Self { world, alice, .. } = self;
        alice.drop();
        world.window_passes();
        world.is_empty();
    }
}

#[test]
fn only_who_opted_in_can_come_back() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.peer());
    let (room, _) = alice.create(&json!({}));
    let bob_id = bob.join(&room, &alice.forever_key(&room));
    alice.read();
    bob.drop();
    assert_eq!(alice.one()["data"], json!({"room_id": room, "user_id": bob_id, "reason": "lost", "version": 3}));
    assert_eq!(world.resume(&bob.token, 1).err().as_deref(), Some("denied"));
    alice.drop();
    world.is_empty();
}

#[test]
fn what_came_meanwhile_is_replayed_in_order_and_once() {
    let pair = Pair::new(&[]);
    pair.say(2..5);
    assert_eq!(told(&pair.bob.read()), ["2", "3", "4"]);
    pair.say(5..7);
    pair.bob.drop();
    assert_eq!(pair.fate(), "held");
    let carol = pair.world.peer();
    let carol_id = carol.join(&pair.room, &pair.key);
    pair.say(8..10);
    carol.drop();
    pair.say(11..12);
    assert_eq!(pair.alice.names(), ["user-joined-forever", "user-left"], "others see nothing of bob's absence");
    // 1 is `joined`; of 2 to 4 it remembers 3.
    let again = pair.world.resume(&pair.bob.token, 3).unwrap();
    let frames = again.read();
    let expected = ["resumed", "4", "5", "6", "?", "user-joined-forever", "8", "9", "user-left", "11"];
    assert_eq!(told(&frames), expected);
    assert_eq!(frames[0]["data"], json!({"seq": 3, "for_s": 7_200}));
    assert_eq!(frames[8]["data"]["user_id"], carol_id);
    assert!(again.read().is_empty());
    assert_eq!((pair.fate().as_str(), told(&again.read())), ("reached", vec!["?"]));
    assert!(pair.alice.read().is_empty());
    again.leave();
    assert_eq!(pair.alice.one()["data"]["user_id"], pair.bob_id);
    pair.end();
}

#[test]
fn a_token_works_once_and_the_next_is_in_the_new_greeting() {
    let pair = Pair::new(&[]);
    let mut token = pair.bob.token.clone();
    for n in 0..4 {
        let last = if n == 0 { &pair.bob } else { &pair.world.resume(&token, 1).unwrap() };
        if n > 0 {
            assert_eq!(pair.world.resume(&token, 1).err().as_deref(), Some("denied"), "used");
            token.clone_from(&last.token);
        }
        last.read();
        last.drop();
    }
    assert_eq!(pair.world.relay.stats().away, 1);
    pair.end();
}

#[test]
fn a_refused_resume_costs_neither_token() {
    let pair = Pair::new(&[]);
    pair.bob.drop();
    let fresh = pair.world.peer();
    for (token, last_seq, code) in
        [("?", 0, "denied"), (&"A".repeat(32), 0, "denied"), (&pair.bob.token, 99, "bad-request")]
    {
        fresh.say("resume", json!({"token": token, "last_seq": last_seq}));
        assert_eq!(fresh.one()["data"]["code"], code);
    }
    // The same connection, its token still to give up, takes the session.
    fresh.say("resume", json!({"token": pair.bob.token, "last_seq": 1}));
    assert_eq!(told(&fresh.read()), ["resumed"]);
    fresh.drop();
    let again = pair.world.resume(&fresh.token, 1).unwrap();
    again.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn who_is_in_a_room_or_resumable_itself_takes_up_no_other_session() {
    let pair = Pair::new(&[]);
    pair.bob.drop();
    assert_eq!(pair.alice.refused("resume", json!({"token": pair.bob.token, "last_seq": 1})), "already-member");
    let other = pair.world.resumable();
    assert_eq!(other.refused("resume", json!({"token": pair.bob.token, "last_seq": 1})), "denied");
    assert_eq!(other.refused("resume", json!({"token": other.token, "last_seq": 0})), "denied");
    other.leave();
    let again = pair.world.resume(&pair.bob.token, 1).unwrap();
    again.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn the_old_connection_is_told_to_close_and_harms_nothing() {
    let pair = Pair::new(&[]);
    pair.say(2..4);
    let again = pair.world.resume(&pair.bob.token, 1).unwrap();
    assert!(pair.world.was_woken(&pair.bob));
    assert_eq!(pair.bob.attached().closing(), Some(CloseReason::Replaced));
    assert_eq!(again.attached().closing(), None);
    assert_eq!(pair.bob.take().unwrap_err(), CloseReason::Replaced);
    assert_eq!(told(&again.read()), ["resumed", "2", "3"]);
    pair.bob.drop();
    pair.bob.leave();
    assert_eq!(pair.fate(), "reached");
    assert_eq!(told(&again.read()), ["?"]);
    assert!(pair.alice.read().is_empty());
    again.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn what_is_acknowledged_is_freed_and_cannot_be_asked_for() {
    let pair = Pair::new(&[]);
    pair.say(2..12);
    pair.bob.read();
    let held = pair.world.relay.stats().memory_bytes;
    assert_eq!(pair.bob.ask("ack", json!({"seq": 6}))["data"], json!({"seq": 6}));
    assert!(pair.world.relay.stats().memory_bytes < held);
    assert_eq!(pair.bob.refused("ack", json!({"seq": 99})), "bad-request");
    pair.bob.say("ack", json!({"seq": 13}));
    pair.bob.drop();
    assert_eq!(pair.world.resume(&pair.bob.token, 5).err().as_deref(), Some("bad-request"));
    assert_eq!(told(&pair.world.resume(&pair.bob.token, 13).unwrap().read()), ["resumed"]);
    pair.alice.drop();
    pair.world.stop();
}

#[test]
fn the_others_are_told_when_the_window_has_passed() {
    let pair = Pair::new(&["resume_window_s=7"]);
    pair.bob.drop();
    pair.say(2..20);
    let now = pair.world.relay.now();
    assert!(pair.world.relay.next_due().is_some_and(|due| (now + 6_000..now + 7_001).contains(&due)));
    pair.world.expire(now + 6_000);
    assert!(pair.alice.read().is_empty());
    pair.world.expire(now + 7_001);
    let expected = json!({"room_id": pair.room, "user_id": pair.bob_id, "reason": "lost", "version": 3});
    assert_eq!(pair.alice.one()["data"], expected);
    assert_eq!(pair.world.resume(&pair.bob.token, 1).err().as_deref(), Some("denied"));
    let stats = pair.world.relay.stats();
    assert_eq!((stats.away, stats.sessions, stats.scheduled), (0, 1, 0));
    pair.end();
}

#[test]
fn goodbye_is_for_good() {
    let pair = Pair::new(&[]);
    pair.bob.leave();
    assert_eq!(pair.alice.one()["cmd"], "user-left");
    assert_eq!(pair.world.resume(&pair.bob.token, 1).err().as_deref(), Some("denied"));
    pair.end();
}

#[test]
fn a_window_that_overflows_has_a_gap_and_keeps_joins_and_leaves() {
    let pair = Pair::new(&["window_events=16"]);
    pair.bob.drop();
    pair.say(2..10);
    let carol = pair.world.peer();
    carol.join(&pair.room, &pair.key);
    pair.say(11..20);
    carol.drop();
    let again = pair.world.resume(&pair.bob.token, 1).unwrap();
    let frames = again.read();
    let names = told(&frames);
    let mut next = 2;
    let (mut lost, mut joins, mut leaves) = (0, 0, 0);
    for frame in &frames[1..] {
        match frame["cmd"].as_str().unwrap() {
            "gap" => {
                let number = |name: &str| frame["data"][name].as_u64().unwrap();
                assert_eq!((number("from"), &frame["data"]["reason"]), (next, &json!("window")), "{names:?}");
                lost += number("to") - next + 1;
                next = number("to");
            }
            "send-message" => assert_eq!(frame["data"]["content"], next.to_string(), "{names:?}"),
            "user-joined-forever" => joins += next,
            "user-left" => leaves += next,
            other => panic!("{other}"),
        }
        next += 1;
    }
    assert!(lost > 0 && joins == 10 && leaves == 20 && next == 21, "{names:?}");
    again.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn joins_and_leaves_that_do_not_fit_are_told_as_who_is_there() {
    let pair = Pair::new(&["window_events=16"]);
    pair.bob.drop();
    pair.say([2]);
    let dave = pair.world.peer();
    let dave_id = dave.join(&pair.room, &pair.key);
    for _ in 0..20 {
        let carol = pair.world.peer();
        let carol_id = carol.join(&pair.room, &pair.key);
        carol.send_message(&pair.room, &pair.bob_id, "gone before anybody knew");
        carol.drop();
        dave.read();
        assert_ne!(carol_id, dave_id);
    }
    pair.alice.read();
    assert_eq!(pair.fate(), "held");
    let again = pair.world.resume(&pair.bob.token, 1).unwrap();
    let frames = again.read();
    assert_eq!(told(&frames).last(), Some(&"?"), "{frames:?}");
    let now = frames.iter().find(|frame| frame["cmd"] == "members").unwrap();
    assert_eq!(now["data"]["users"][0]["user_id"], dave_id);
    assert_eq!((&now["data"]["here"], &now["data"]["owner_id"]), (&json!([pair.alice_id]), &json!(pair.alice_id)));
    let words = told(&frames);
    assert!(!words.contains(&"gone before anybody knew"), "its sender is nobody to bob: {words:?}");
    again.leave();
    dave.drop();
    pair.alice.read();
    pair.end();
}

#[test]
fn a_room_that_ends_meanwhile_is_over_and_says_nothing_of_its_members() {
    let pair = Pair::new(&[]);
    pair.bob.drop();
    for _ in 0..40 {
        let carol = pair.world.peer();
        carol.join(&pair.room, &pair.key);
        carol.leave();
    }
    pair.alice.say("close-room", json!({"room_id": pair.room}));
    let again = pair.world.resume(&pair.bob.token, 1).unwrap();
    let frames = again.read();
    assert_eq!(told(&frames), ["resumed", "gap", "room-closed"]);
    assert_eq!(frames[1]["data"], json!({"from": 2, "to": 81, "reason": "members"}));
    again.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn the_heir_of_an_owner_is_a_member_who_is_connected() {
    let world = World::new(&[]);
    let (alice, bob, carol) = (world.resumable(), world.resumable(), world.resumable());
    let (room, _) = alice.create(&json!({"owner_leaves": "transfer"}));
    let key = alice.forever_key(&room);
    let bob_id = bob.join(&room, &key);
    let carol_id = carol.join(&room, &key);
    bob.drop();
    alice.leave();
    let told = carol.read();
    assert_eq!(told.last().unwrap()["data"], json!({"room_id": room, "owner_id": carol_id, "version": 4}));
    // With nobody else there it is the longest-standing one after all.
    let again = world.resume(&bob.token, 1).unwrap();
    again.read();
    again.drop();
    carol.drop();
    world.window_passes();
    world.is_empty();
    let _ = bob_id;
}

/// A client that reads but never acknowledges what cannot be forgotten must not fill the server's memory.
#[test]
fn a_connected_session_that_never_acknowledges_is_bounded() {
    let world = World::new(&["window_events=16"]);
    let peer = world.resumable();
    let mut closed = None;
    for n in 0..200 {
        peer.say("dance", json!({}));
        match peer.take() {
            Ok(_) => {}
            Err(reason) => {
                closed = Some((n, reason));
                break;
            }
        }
    }
    let (events, reason) = closed.expect("a bound");
    assert!(events <= 20, "{events} unacknowledged answers are held");
    assert_eq!(reason, CloseReason::SlowReader);
    peer.drop();
    world.window_passes();
    world.is_empty();
}

#[test]
fn messages_that_were_read_but_not_acknowledged_give_way() {
    let pair = Pair::new(&["window_events=16"]);
    for n in 2..100 {
        pair.say([n]);
        assert_eq!(told(&pair.bob.read()), [n.to_string()], "who reads gets everything");
    }
    pair.bob.drop();
    let again = pair.world.resume(&pair.bob.token, 95).unwrap();
    assert_eq!(told(&again.read()), ["resumed", "96", "97", "98", "99"]);
    again.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn a_slow_reader_that_can_come_back_loses_nothing_that_fits() {
    let pair = Pair::new(&["queue_events=16"]);
    pair.say(2..30);
    assert_eq!(pair.bob.take().unwrap_err(), CloseReason::SlowReader);
    assert_eq!(pair.fate(), "held");
    pair.bob.drop();
    let again = pair.world.resume(&pair.bob.token, 1).unwrap();
    let frames = again.read();
    let expected: Vec<_> = (2..30).map(|n: u64| n.to_string()).collect();
    assert_eq!(told(&frames)[1..29], expected);
    again.leave();
    pair.alice.read();
    pair.end();
}

fn send(pair: &Pair, id: &str, content: &str) -> Value {
    let data = json!({"room_id": pair.room, "to_user_id": pair.alice_id, "content": content});
    json!({"cmd": "send-message", "id": id, "data": data})
}

#[test]
fn a_send_that_is_retried_after_a_resume_is_answered_again_and_delivered_once() {
    let pair = Pair::new(&[]);
    let both = json!([{"to_user_id": pair.alice_id, "content": "packet"}]);
    let packet = json!({"cmd": "send-messages", "id": "p", "data": {"room_id": pair.room, "to": both}});
    pair.bob.send(&send(&pair, "a", "one"));
    pair.bob.send(&packet);
    pair.bob.drop();
    assert_eq!(told(&pair.alice.read()), ["one", "packet"]);
    let again = pair.world.resume(&pair.bob.token, 1).unwrap();
    let replayed = again.read();
    assert_eq!(told(&replayed), ["resumed", "sent", "sent"]);
    for frame in [send(&pair, "a", "one"), packet] {
        again.send(&frame);
        let answer = again.one();
        assert_eq!(replayed.iter().filter(|old| **old == answer).count(), 1, "the same answer: {answer}");
        assert!(pair.alice.read().is_empty(), "delivered once");
    }
    // Another id is another send.
    again.send(&send(&pair, "b", "two"));
    assert_eq!(told(&pair.alice.read()), ["two"]);
    // Once the answers are acknowledged the ids are free again.
    again.read();
    again.ask("ack", json!({"seq": 6}));
    again.send(&send(&pair, "a", "three"));
    assert_eq!(told(&pair.alice.read()), ["three"]);
    again.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn without_a_resume_the_same_id_is_another_send() {
    let pair = Pair::new(&[]);
    pair.bob.send(&send(&pair, "a", "one"));
    pair.bob.send(&send(&pair, "a", "two"));
    assert_eq!(told(&pair.alice.read()), ["one", "two"]);
    pair.bob.leave();
    pair.alice.read();
    pair.end();
}

#[test]
fn a_one_time_key_is_redeemed_again_by_the_resumed_session_alone() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.resumable());
    let (room, _) = alice.create(&json!({}));
    let key = alice.onetime_key(&room);
    let joined = bob.ask("join-room-onetime", by_onetime(&room, &key));
    bob.drop();
    alice.read();
    let stranger = world.peer();
    assert_eq!(stranger.refused("join-room-onetime", by_onetime(&room, &key)), "denied");
    let again = world.resume(&bob.token, 1).unwrap();
    assert_eq!(told(&again.read()), ["resumed"]);
    assert_eq!(again.ask("join-room-onetime", by_onetime(&room, &key)), joined);
    assert!(alice.read().is_empty());
    again.leave();
    stranger.drop();
    alice.drop();
    world.is_empty();
}

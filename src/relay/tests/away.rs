//! Being away is not leaving: how long a session waits, what becomes of its room and its keys, and what a token is told
//! later.

use serde_json::{Value, json};

use super::world::{Peer, World, by_onetime, told};
use crate::relay::{Ending, Record, Relay, RestoreError};

const HOUR: u64 = 3_600_000;

/// Bob in alice's room, who has read and acknowledged that he is in: the room, its forever key, and his id.
fn pair(world: &World, alice: &Peer, bob: &Peer) -> (String, String, String) {
    let (room, _) = alice.create(&json!({"owner_leaves": "transfer"}));
    let key = alice.forever_key(&room);
    let id = bob.join(&room, &key);
    bob.say("ack", json!({"seq": 1}));
    alice.read();
    assert_eq!(world.relay.stats().rooms, 1);
    (room, key, id)
}

fn asked(world: &World, data: &Value) -> Peer {
    let peer = world.peer();
    peer.ask("resume", data.clone());
    peer
}

#[test]
fn a_member_may_be_away_for_hours_and_misses_nothing() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.resumable());
    let (room, _, id) = pair(&world, &alice, &bob);
    bob.drop();
    for n in 0..100 {
        alice.send_message(&room, &id, &n.to_string());
    }
    world.expire(world.relay.now() + HOUR + 40 * 60_000);
    assert!(alice.read().is_empty(), "nobody is told that bob is gone");
    let again = world.resume(&bob.token, 1).unwrap();
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(told(&again.read())[1..], expected);
    again.leave();
    alice.drop();
    world.is_empty();
}

#[test]
fn an_owner_who_is_away_keeps_its_room_until_its_time_is_up() {
    let world = World::new(&[]);
    let (alice, bob) = (world.resumable(), world.peer());
    let (room, _, id) = pair(&world, &alice, &bob);
    alice.drop();
    let now = world.relay.now();
    world.expire(now + 2 * HOUR - 60_000);
    assert!(bob.read().is_empty(), "the room is as it was");
    world.expire(now + 2 * HOUR + 60_000);
    let frames = bob.read();
    assert_eq!(told(&frames), ["user-left", "owner-changed"]);
    assert_eq!(frames[1]["data"], json!({"room_id": room, "owner_id": id, "version": 3}));
    bob.drop();
    world.is_empty();
}

#[test]
fn a_client_may_ask_for_less_time_and_not_for_more() {
    let world = World::new(&["resume_window_s=100"]);
    let peer = world.peer();
    assert_eq!(peer.ask("resume", json!({}))["data"], json!({"seq": 0, "for_s": 100}));
    assert_eq!(peer.ask("resume", json!({"for_s": 7_000}))["data"]["for_s"], 100);
    assert_eq!(peer.ask("resume", json!({"for_s": 30}))["data"]["for_s"], 30);
    assert_eq!(peer.ask("resume", json!({}))["data"]["for_s"], 30, "what was said stays");
    peer.drop();
    let now = world.relay.now();
    world.expire(now + 29_000);
    assert_eq!(world.relay.stats().away, 1);
    let again = world.resume(&peer.token, 0).unwrap();
    again.read();
    again.drop();
    world.expire(world.relay.now() + 30_001);
    world.is_empty();
}

#[test]
fn a_page_that_is_gone_waits_a_short_time_and_then_has_left() {
    let world = World::new(&[]);
    for (keeps, wait_s, reason) in [(false, 90, "left"), (true, 7_200, "lost")] {
        let (alice, bob) = (world.peer(), asked(&world, &json!({"keeps": keeps})));
        let (room, _, id) = pair(&world, &alice, &bob);
        bob.end(Ending::PageGone);
        let now = world.relay.now();
        world.expire(now + wait_s * 1_000 - 1_000);
        assert!(alice.read().is_empty(), "it may still come back");
        world.expire(now + wait_s * 1_000 + 1_000);
        let left = json!({"room_id": room, "user_id": id, "reason": reason, "version": 3});
        assert_eq!(alice.one()["data"], left);
        alice.drop();
    }
    world.is_empty();
}

#[test]
fn a_refused_token_says_why() {
    let world = World::new(&["window_events=16"]);
    let refusal = |token: &str| {
        let peer = world.peer();
        peer.say("resume", json!({"token": token, "last_seq": 1}));
        let frame = peer.one();
        peer.drop();
        assert_eq!(frame["data"]["code"], "denied");
        frame["data"]["reason"].clone()
    };
    assert_eq!(refusal(&"A".repeat(32)), Value::Null);
    // Its time was up.
    let alice = world.peer();
    let late = world.resumable();
    let (room, key, _) = pair(&world, &alice, &late);
    late.drop();
    // Its owner removed it meanwhile.
    let removed = world.resumable();
    let id = removed.join(&room, &key);
    removed.say("ack", json!({"seq": 1}));
    removed.drop();
    alice.say("remove-member", json!({"room_id": room, "user_id": id}));
    world.window_passes();
    assert_eq!((refusal(&late.token), refusal(&removed.token)), (json!("time"), json!("removed")));
    // It never acknowledged its own answers.
    let greedy = world.resumable();
    while greedy.take().is_ok() {
        greedy.say("dance", json!({}));
    }
    greedy.drop();
    assert_eq!(refusal(&greedy.token), json!("memory"));
    // A token that was taken up is another matter.
    let peer = world.resumable();
    world.resume(&peer.token, 0).unwrap().leave();
    assert_eq!(refusal(&peer.token), Value::Null);
    alice.drop();
    world.is_empty();
}

#[test]
fn a_one_time_key_works_again_if_its_user_never_knew_that_it_was_in() {
    let world = World::new(&[]);
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let join = |key: &str| {
        let peer = world.resumable();
        peer.say("join-room-onetime", by_onetime(&room, key));
        peer
    };
    let works = |key: &str| {
        let peer = world.peer();
        let answer = peer.ask("join-room-onetime", by_onetime(&room, key));
        peer.leave();
        alice.read();
        answer["cmd"] == "joined"
    };
    // Lost before it acknowledged anything: its place is free after a minute, and not before.
    let key = alice.onetime_key(&room);
    let ghost = join(&key);
    ghost.drop();
    let now = world.relay.now();
    world.expire(now + 59_000);
    assert_eq!(world.relay.stats().members, 2);
    assert!(!works(&key), "at no time are there two members of one key");
    world.expire(now + 61_000);
    assert_eq!(world.relay.stats().members, 1);
    assert!(works(&key));
    // An acknowledgement, a resume or a command in the room confirms.
    type Confirm = fn(&World, Peer, &str) -> Peer;
    let confirms: [Confirm; 3] = [
        |_, peer, _| {
            peer.read();
            peer.say("ack", json!({"seq": 1}));
            peer
        },
        |_, peer, room| {
            peer.say("list-members", json!({"room_id": room}));
            peer
        },
        |world, peer, _| {
            peer.read();
            peer.drop();
            world.resume(&peer.token, 1).unwrap()
        },
    ];
    for confirm in confirms {
        let key = alice.onetime_key(&room);
        let peer = confirm(&world, join(&key), &room);
        peer.drop();
        world.expire(world.relay.now() + 61_000);
        assert_eq!(world.relay.stats().members, 2, "it waits as long as any other");
        world.window_passes();
        assert_eq!(world.relay.stats().members, 1);
        alice.read();
        assert!(!works(&key));
    }
    // A goodbye, a reset, a revocation or a removal leaves nothing to work again.
    let key = alice.onetime_key(&room);
    join(&key).leave();
    alice.read();
    assert!(!works(&key));
    let keys: Vec<_> = (0..3).map(|_| alice.onetime_key(&room)).collect();
    let ghosts: Vec<_> = keys.iter().map(|key| join(key)).collect();
    ghosts.iter().for_each(Peer::drop);
    let last = alice.read().pop().unwrap();
    alice.say("remove-member", json!({"room_id": room, "user_id": last["data"]["user_id"]}));
    alice.read();
    assert_eq!(alice.ask("revoke-key", json!({"room_id": room, "key": keys[0]}))["cmd"], "revoke-key");
    alice.ask("reset-room-keys", json!({"room_id": room}));
    world.window_passes();
    alice.read();
    assert!(keys.iter().all(|key| !works(key)));
    alice.drop();
    world.window_passes();
    world.is_empty();
}

/// The state of a relay, as another one takes it over.
fn taken_over(world: &World) -> std::sync::Arc<Relay> {
    let mut records = Vec::new();
    let saved: Result<(), RestoreError> = world.relay.save(|record| {
        records.push(postcard::to_allocvec(record).unwrap());
        Ok(())
    });
    saved.unwrap();
    let mut records = records.into_iter();
    let read = || -> Result<Record, RestoreError> { Ok(postcard::from_bytes(&records.next().unwrap()).unwrap()) };
    Relay::restore(world.relay.limits().clone(), String::new(), read).unwrap()
}

#[test]
fn a_takeover_keeps_how_long_a_session_has_been_away() {
    let world = World::new(&["resume_window_s=100"]);
    let (alice, bob) = (asked(&world, &json!({"for_s": 100})), asked(&world, &json!({"for_s": 80, "keeps": true})));
    let (_, key, _) = pair(&world, &alice, &bob);
    let carol = world.resumable();
    carol.say("join-room-forever", super::world::by_forever(&key, &key));
    bob.drop();
    let then = World::of(taken_over(&world));
    assert_eq!(then.relay.stats().away, 3);
    let due = |world: &World| world.relay.next_due().unwrap();
    let now = then.relay.now();
    assert!((now + 78_000..=now + 80_000).contains(&due(&then)), "bob has what was left: {}", due(&then) - now);
    then.expire(now + 80_001);
    assert_eq!(then.relay.stats().away, 2);
    then.expire(now + 100_001);
    then.is_empty();
    // However little was left, there is a minute to come back.
    let short = World::new(&["resume_window_s=100"]);
    let peer = asked(&short, &json!({"for_s": 5}));
    peer.drop();
    let then = World::of(taken_over(&short));
    let now = then.relay.now();
    then.expire(now + 59_000);
    assert_eq!(then.relay.stats().away, 1);
    then.expire(now + 60_001);
    then.is_empty();
    for peer in [alice, carol] {
        peer.leave();
    }
}

//! What clients may make the server hold: the account of their address pays, and past its bound the largest loses
//! first.

use serde_json::json;

use super::world::{Peer, World, public_key, told};
use crate::protocol::codes::CloseReason;

/// All connections of these tests count as one address, which may have 1 MiB.
const ONE_ADDRESS: [&str; 2] = ["connections_from_loopback=256", "memory_per_address_bytes=1048576"];
const BOUND: usize = 1_048_576;

/// A room with `members` members that can come back and have read everything.
fn room_of(world: &World, members: usize) -> (Peer, String, String, Vec<(Peer, String)>) {
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    let peers: Vec<_> = (0..members).map(|_| world.resumable()).collect();
    let peers: Vec<_> = peers.into_iter().map(|peer| (peer.join(&room, &key), peer)).map(|(id, p)| (p, id)).collect();
    for (n, (peer, _)) in peers.iter().enumerate() {
        peer.read();
        peer.say("ack", json!({"seq": members - n}));
    }
    alice.read();
    (alice, room, key, peers)
}

#[test]
fn messages_for_absent_members_stay_within_the_bound_of_their_address() {
    let world = World::new(&ONE_ADDRESS);
    let (alice, room, _, members) = room_of(&world, 8);
    let (carol, quiet_room, _, quiet) = room_of(&world, 1);
    for (peer, _) in members.iter().chain(&quiet) {
        peer.drop();
    }
    carol.send_message(&quiet_room, &quiet[0].1, "rare");
    for n in 0..2_000 {
        alice.send_message(&room, &members[n % members.len()].1, &"m".repeat(1_000));
        alice.read();
        let held = world.relay.stats().memory_bytes;
        assert!(held <= BOUND, "{held} bytes after {n} messages");
    }
    assert_eq!(world.relay.stats().away, 9, "messages are dropped, and no session ends");
    let mut lost = 0;
    for (n, (peer, _)) in members.iter().enumerate() {
        let again = world.resume(&peer.token, (members.len() - n) as u64).unwrap();
        lost += again.read().iter().filter(|frame| frame["data"]["reason"] == "memory").count();
        again.leave();
    }
    assert!(lost > 0);
    // The window that is smaller than the others lost nothing.
    let back = world.resume(&quiet[0].0.token, 1).unwrap();
    assert_eq!(told(&back.read()), ["resumed", "rare"]);
    back.leave();
    alice.drop();
    carol.drop();
    world.is_empty();
}

#[test]
fn a_reader_that_leaves_its_answers_unread_is_closed_and_no_other() {
    let world = World::new(&ONE_ADDRESS);
    let (alice, room, _, members) = room_of(&world, 30);
    let (greedy, others) = members.split_first().unwrap();
    for (peer, _) in &members {
        peer.ask("set-card", json!({"room_id": room, "card": "c".repeat(4_000)}));
    }
    for _ in 0..20 {
        greedy.0.say("list-members", json!({"room_id": room}));
        assert!(world.relay.stats().memory_bytes <= BOUND + 130_000, "at most one answer too many");
    }
    assert_eq!(greedy.0.take().unwrap_err(), CloseReason::SlowReader);
    for (peer, _) in others {
        assert!(peer.take().is_ok());
    }
    greedy.0.drop();
    for (peer, _) in others {
        peer.leave();
    }
    alice.drop();
    world.window_passes();
    world.is_empty();
}

#[test]
fn a_part_that_recipients_share_is_charged_once_and_to_its_sender() {
    let world = World::new(&[]);
    let (alice, room, _, members) = room_of(&world, 50);
    members.iter().for_each(|(peer, _)| peer.drop());
    let before = world.relay.stats().memory_bytes;
    let to: Vec<_> = members.iter().map(|(_, id)| json!({"to_user_id": id, "content": "c"})).collect();
    alice.say("send-messages", json!({"room_id": room, "to": to, "shared": "s".repeat(100_000)}));
    let held = world.relay.stats().memory_bytes - before;
    assert!((100_000..140_000).contains(&held), "{held} bytes for one text of 100,000 in 50 windows");
    alice.drop();
    world.window_passes();
    world.is_empty();
}

#[test]
fn rooms_and_keys_take_half_of_a_bound_at_most() {
    let world = World::new(&[ONE_ADDRESS[0], ONE_ADDRESS[1], "rooms_per_connection=1000"]);
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let mut rooms = 1;
    let refused = loop {
        let answer = alice.ask("create-room", json!({"name": "", "username": "", "public_key_string": public_key(1)}));
        if answer["cmd"] != "create-room" {
            break answer;
        }
        rooms += 1;
        assert!(rooms < 1_000);
    };
    assert_eq!(refused["data"]["code"], "server-full");
    assert!(rooms > 100, "{rooms} rooms");
    let held = world.relay.stats().memory_bytes;
    assert!(held <= BOUND / 2 + 4_096, "{held} bytes");
    assert_eq!(alice.refused("room-key-onetime", json!({"room_id": room, "count": 100})), "server-full");
    assert_eq!(alice.refused("set-card", json!({"room_id": room, "card": "c".repeat(4_000)})), "server-full");
    // There is room for what members tell each other.
    alice.drop();
    world.is_empty();
}

#[test]
fn an_address_has_so_many_rooms_and_sessions_and_others_find_some() {
    let world = World::new(&["rooms_per_address=2", "sessions_per_address=2"]);
    let greedy = world.relay.account_of([192, 0, 2, 1].into());
    let peers: Vec<_> = (0..3).map(|_| world.peer_of(greedy.clone())).collect();
    let create = json!({"name": "", "username": "", "public_key_string": public_key(1)});
    assert_eq!(peers[0].ask("create-room", create.clone())["cmd"], "create-room");
    assert_eq!(peers[1].ask("create-room", create.clone())["cmd"], "create-room");
    assert_eq!(peers[1].refused("create-room", create.clone()), "server-full");
    assert_eq!(peers[2].refused("resume", json!({})), "server-full", "no third session");
    let other = world.peer_of(world.relay.account_of([192, 0, 2, 2].into()));
    assert_eq!(other.ask("create-room", create)["cmd"], "create-room");
    peers.iter().chain([&other]).for_each(Peer::drop);
    drop((peers, other));
    world.is_empty();
}

#[test]
fn a_session_is_paid_for_by_the_address_that_it_is_used_from() {
    let world = World::new(&[]);
    let [home, cafe] = [1, 2].map(|n| world.relay.account_of([192, 0, 2, n].into()));
    let bob = world.peer_of(home.clone());
    bob.ask("resume", json!({}));
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let id = bob.join(&room, &alice.forever_key(&room));
    bob.drop();
    for _ in 0..20 {
        alice.send_message(&room, &id, &"x".repeat(1_000));
    }
    assert!(home.held() > 20_000 && cafe.held() == 0);
    let away = home.held();
    let again = world.resume_from(&bob.token, 1, cafe.clone()).unwrap();
    assert!(cafe.held() > 20_000 && home.held() < away / 2, "{} and {}", home.held(), cafe.held());
    again.leave();
    alice.drop();
    assert_eq!((home.held(), cafe.held()), (0, 0));
    world.is_empty();
}

#[test]
fn a_full_server_takes_from_the_address_that_holds_most() {
    let world = World::new(&["memory_bytes=1048576", "loopback_share=100"]);
    let [small, large] = [1, 2].map(|n| world.relay.account_of([192, 0, 2, n].into()));
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    let absent = |account: &std::sync::Arc<crate::relay::Account>| {
        let peer = world.peer_of(account.clone());
        peer.ask("resume", json!({}));
        let id = peer.join(&room, &key);
        peer.drop();
        (peer, id)
    };
    let (modest, heavy) = (absent(&small), [absent(&large), absent(&large)]);
    for n in 0..600 {
        if n % 10 == 0 {
            alice.send_message(&room, &modest.1, &"x".repeat(1_000));
        }
        alice.send_message(&room, &heavy[n % 2].1, &"x".repeat(1_000));
        alice.send_message(&room, &heavy[n % 2].1, &"x".repeat(1_000));
        world.relieve();
    }
    let held = world.relay.stats().memory_bytes;
    assert!(held <= 1_048_576 + 16_384, "{held} bytes");
    let frames = world.resume(&modest.0.token, 1).unwrap().read();
    assert!(frames.iter().all(|frame| frame["cmd"] != "gap"), "the address that holds little loses nothing");
    let frames = world.resume(&heavy[0].0.token, 1).unwrap().read();
    assert!(frames.iter().any(|frame| frame["data"]["reason"] == "memory"));
}

/// A holder of the forever key cannot end the sessions of members who are away by joining and leaving.
#[test]
fn nobody_is_ended_by_the_joins_and_leaves_of_others() {
    const BUDGET: usize = 262_144;
    let pairs = if std::env::var_os("SUBROSA_SOAK").is_some() { 100_000 } else { 300 };
    let world = World::new(&[ONE_ADDRESS[0], "memory_per_address_bytes=262144"]);
    let (alice, room, key, peers) = room_of(&world, 20);
    peers.iter().for_each(|(peer, _)| peer.drop());
    let guest = world.peer();
    for n in 0..pairs {
        guest.say("join-room-forever", super::world::by_forever(&room, &key));
        guest.say("leave-room", json!({"room_id": room}));
        guest.read();
        if n % 100 == 0 {
            alice.read();
            world.expire(world.relay.now());
            let held = world.relay.stats().memory_bytes;
            assert!(held <= BUDGET + BUDGET / 8, "{held} bytes");
        }
    }
    let last = world.peer();
    let last_id = last.join(&room, &key);
    alice.send_message(&room, &peers[0].1, "hello");
    assert_eq!(world.relay.stats().away, peers.len());
    for (n, (peer, _)) in peers.iter().enumerate() {
        let back = world.resume(&peer.token, (peers.len() - n) as u64).unwrap();
        let frames = back.read();
        let expected =
            if n == 0 { &["resumed", "members", "gap", "hello"][..] } else { &["resumed", "members", "gap"] };
        assert_eq!(told(&frames), expected);
        let now = &frames[1]["data"];
        assert_eq!((&now["room_id"], &now["users"][0]["user_id"]), (&json!(room), &json!(last_id)));
        assert_eq!(now["users"].as_array().unwrap().len(), 1, "the guest has left");
        assert_eq!(now["here"].as_array().unwrap().len(), peers.len() - n, "alice and the others");
        assert_eq!(now["away"].as_array().unwrap().len(), peers.len() - 1 - n);
        assert_eq!(frames[2]["data"]["reason"], "members");
        back.leave();
        alice.read();
        last.read();
    }
    [alice, guest, last].iter().for_each(Peer::drop);
    world.window_passes();
    world.is_empty();
}

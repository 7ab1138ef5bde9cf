//! What all windows may hold together, and whose commands a session carries out.

use serde_json::json;

use super::world::{Peer, World, told};

#[test]
fn commands_of_a_connection_that_lost_its_session_do_nothing() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.resumable());
    let (room, alice_id) = alice.create(&json!({}));
    bob.join(&room, &alice.forever_key(&room));
    alice.read();
    let frame = json!({
        "cmd": "send-message", "id": "1", "data": {"room_id": room, "to_user_id": alice_id, "content": "once"}
    });
    let again = world.resume(&bob.token, 1).unwrap();
    // The client repeats on the new connection what it had sent on the old one, where it lies unread.
    again.send(&frame);
    bob.send(&frame);
    bob.say("leave-room", json!({"room_id": room}));
    bob.send_binary();
    assert_eq!(told(&alice.read()), ["once"]);
    assert_eq!(told(&again.read()), ["resumed", "sent"]);
    assert!(again.attached().is_member());
    again.leave();
    alice.drop();
    world.is_empty();
}

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
fn full_queues_count_from_the_moment_their_readers_drop() {
    const BUDGET: usize = 65_536;
    let world = World::new(&["windows_bytes=65536"]);
    let (alice, room, _, peers) = room_of(&world, 10);
    for (_, id) in &peers {
        for _ in 0..20 {
            alice.send_message(&room, id, &"x".repeat(1_000));
        }
    }
    // Nobody was away: what waits to be written is bounded by the queues.
    assert!(world.relay.stats().window_bytes > BUDGET);
    for (peer, _) in &peers {
        peer.drop();
    }
    assert!(world.relay.stats().window_bytes <= BUDGET);
    assert_eq!(world.relay.stats().away, peers.len());
    let back = world.resume(&peers[0].0.token, 10).unwrap();
    let frames = back.read();
    assert_eq!(told(&frames), ["resumed", "gap"]);
    assert_eq!(frames[1]["data"], json!({"from": 11, "to": 30, "reason": "memory"}));
    back.leave();
    alice.drop();
    world.window_passes();
    world.is_empty();
}

/// A holder of the forever key cannot end the sessions of members who are away by joining and leaving.
#[test]
fn nobody_is_ended_by_the_joins_and_leaves_of_others() {
    const BUDGET: usize = 65_536;
    let pairs = if std::env::var_os("SUBROSA_SOAK").is_some() { 100_000 } else { 300 };
    let world = World::new(&["windows_bytes=65536"]);
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
            let held = world.relay.stats().window_bytes;
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

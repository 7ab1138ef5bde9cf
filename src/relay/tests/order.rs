//! One order for all that happens in a room; answers and errors in the order of the commands; ends of rooms and
//! memberships.

use serde_json::json;

use super::world::{World, by_forever, by_onetime, told};
use crate::protocol::codes::CloseReason;

#[test]
fn everybody_sees_its_part_of_one_order() {
    let world = World::new(&[]);
    let (alice, bob, carol) = (world.peer(), world.peer(), world.peer());
    let (room, alice_id) = alice.create(&json!({"owner_leaves": "transfer"}));
    let key = alice.forever_key(&room);
    let bob_id = bob.join(&room, &key);
    let carol_id = carol.join(&room, &key);
    alice.read();
    bob.read();
    carol.send_message(&room, &bob_id, "1");
    alice.send_message(&room, &bob_id, "2");
    alice.say("remove-member", json!({"room_id": room, "user_id": carol_id}));
    alice.say("transfer-owner", json!({"room_id": room, "user_id": bob_id}));
    alice.send_message(&room, &bob_id, "3");
    alice.say("leave-room", json!({"room_id": room}));
    let frames = bob.read();
    assert_eq!(told(&frames), ["1", "2", "user-left", "owner-changed", "3", "user-left"]);
    assert_eq!((&frames[0]["data"]["user_id"], &frames[1]["data"]["user_id"]), (&json!(carol_id), &json!(alice_id)));
    assert_eq!(frames[2]["data"], json!({"room_id": room, "user_id": carol_id, "reason": "removed", "version": 4}));
    assert_eq!(frames[5]["data"]["reason"], "left");
    let last = carol.one();
    assert_eq!(
        last["data"],
        json!({"room_id": room, "user_id": carol_id, "reason": "removed", "version": 4}),
        "told itself"
    );
    carol.send_message(&room, &bob_id, "late");
    assert_eq!(carol.one()["data"]["code"], "denied");
    assert!(bob.read().is_empty());
    bob.drop();
    alice.drop();
    carol.drop();
    world.is_empty();
}

#[test]
fn commands_are_answered_in_their_order_and_repeat_their_id() {
    let world = World::new(&["id_bytes=4"]);
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let mut expected = Vec::new();
    for n in 0..50 {
        let id = n.to_string();
        let (cmd, data, answer) = match n % 5 {
            0 => ("list-members", json!({"room_id": room}), "list-members"),
            1 => ("room-key-onetime", json!({"room_id": room}), "room-key-onetime"),
            2 => ("set-card", json!({"room_id": room, "card": ""}), "set-card"),
            3 => ("remove-member", json!({"room_id": room, "user_id": "?"}), "remove-member-error"),
            _ => ("dance", json!({}), "error"),
        };
        alice.send(&json!({"cmd": cmd, "id": id, "data": data}));
        expected.push((id, answer));
    }
    let frames = alice.read();
    let got: Vec<_> =
        frames.iter().map(|f| (f["id"].as_str().unwrap().to_owned(), f["cmd"].as_str().unwrap())).collect();
    assert_eq!(got, expected);
    // Ids that are none are not repeated; without one, a command without news of its own has no answer.
    for id in [json!(7), json!("12345"), json!({}), json!(["x"])] {
        alice.send(&json!({"cmd": "list-members", "id": id, "data": {"room_id": room}}));
        let refusal = alice.one();
        assert_eq!((&refusal["data"]["code"], refusal.get("id")), (&json!("bad-request"), None));
        assert_eq!(refusal["data"]["room_id"], room);
    }
    alice.send(&json!({"cmd": "list-members", "id": null, "data": {"room_id": room}}));
    assert_eq!(alice.one().get("id"), None);
    alice.say("set-card", json!({"room_id": room, "card": ""}));
    alice.say("ack", json!({"seq": 1}));
    alice.say("leave-room", json!({"room_id": room}));
    assert!(alice.read().is_empty());
    alice.drop();
    world.is_empty();
}

#[test]
fn a_packet_is_all_or_nothing_and_hides_its_other_recipients() {
    let world = World::new(&[]);
    let (alice, bob, carol) = (world.peer(), world.peer(), world.peer());
    let (room, alice_id) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    let (bob_id, carol_id) = (bob.join(&room, &key), carol.join(&room, &key));
    alice.read();
    bob.read();
    let part = |to: &str, content: &str| json!({"to_user_id": to, "content": content});
    for bad in [
        json!([part(&bob_id, "b"), part(&bob_id, "c")]),
        json!([part(&bob_id, "b"), part("nobody", "c")]),
        json!([part(&bob_id, "b"), {"to_user_id": carol_id, "content": 7}]),
        json!([part(&bob_id, "b"), {"to_user_id": carol_id}]),
        json!([]),
    ] {
        alice.refused("send-messages", json!({"room_id": room, "to": bad}));
        assert!(bob.read().is_empty(), "{bad}");
    }
    let nobody = "A".repeat(32);
    for shared in ["s".to_owned(), "s".repeat(5_000)] {
        let to = json!([part(&bob_id, "b"), part(&carol_id, "c"), part(&nobody, "n")]);
        let answer = alice.ask("send-messages", json!({"room_id": room, "shared": shared, "to": to}));
        let expected = json!({"room_id": room, "reached": [bob_id, carol_id], "held": [], "absent": [nobody]});
        assert_eq!(answer, json!({"cmd": "sent", "data": expected}));
        for (peer, content) in [(&bob, "b"), (&carol, "c")] {
            let data = json!({"room_id": room, "user_id": alice_id, "username": "alice", "content": content, "shared": shared});
            assert_eq!(peer.one(), json!({"cmd": "send-message", "data": data}));
        }
    }
    bob.drop();
    carol.drop();
    alice.read();
    alice.drop();
    world.is_empty();
}

#[test]
fn a_room_ends_with_its_owner_its_time_or_its_last_member() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.peer());
    // With its owner.
    let (room, _) = alice.create(&json!({}));
    bob.join(&room, &alice.forever_key(&room));
    alice.read();
    alice.say("leave-room", json!({"room_id": room}));
    assert_eq!(bob.one()["data"], json!({"room_id": room, "reason": "owner-left"}));
    assert!(!bob.attached().is_member() && world.relay.stats().rooms == 0);
    // With its time.
    let (room, _) = alice.create(&json!({"expires_in_s": 5}));
    bob.join(&room, &alice.forever_key(&room));
    alice.read();
    world.expire(world.relay.now() + 4_000);
    assert_eq!(world.relay.stats().rooms, 1);
    world.expire(world.relay.now() + 5_000);
    for peer in [&alice, &bob] {
        assert_eq!(peer.one()["data"], json!({"room_id": room, "reason": "expired"}));
    }
    // When its owner closes it.
    let (room, _) = alice.create(&json!({}));
    bob.join(&room, &alice.forever_key(&room));
    alice.read();
    alice.say("close-room", json!({"room_id": room}));
    for peer in [&alice, &bob] {
        assert_eq!(peer.one()["data"], json!({"room_id": room, "reason": "closed"}));
    }
    // With its last member, and then nobody is told.
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    alice.ask("leave-room", json!({"room_id": room}));
    assert_eq!(bob.refused("join-room-forever", by_forever(&room, &key)), "denied");
    alice.drop();
    bob.drop();
    world.is_empty();
}

#[test]
fn a_key_that_expires_is_wiped_on_time() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.peer());
    let (room, _) = alice.create(&json!({}));
    let keys = alice.ask("room-key-onetime", json!({"room_id": room, "count": 3, "expires_in_s": 5}));
    let keys = keys["data"]["one_time_keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    bob.ask("join-room-onetime", by_onetime(&room, keys[0].as_str().unwrap()));
    alice.read();
    assert_eq!(world.relay.stats().scheduled, 1);
    world.expire(world.relay.now() + 5_001);
    assert_eq!(world.relay.stats().scheduled, 0);
    alice.drop();
    bob.drop();
    world.is_empty();
}

#[test]
fn a_slow_reader_ends_alone() {
    let world = World::new(&["queue_events=16"]);
    let (alice, bob, carol) = (world.peer(), world.peer(), world.peer());
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    let (bob_id, carol_id) = (bob.join(&room, &key), carol.join(&room, &key));
    alice.read();
    bob.read();
    let both = json!([{"to_user_id": bob_id, "content": "b"}, {"to_user_id": carol_id, "content": "c"}]);
    for n in 1..=17 {
        let answer = alice.ask("send-messages", json!({"room_id": room, "to": both}));
        let reached = if n <= 16 { json!([bob_id, carol_id]) } else { json!([carol_id]) };
        assert_eq!(answer["data"]["reached"], reached, "message {n}");
        assert_eq!(carol.one()["data"]["content"], "c");
    }
    // What waited for it is wiped at once, and its connection is told why.
    assert_eq!(bob.take().unwrap_err(), CloseReason::SlowReader);
    bob.drop();
    for peer in [&alice, &carol] {
        assert_eq!(peer.one()["data"], json!({"room_id": room, "user_id": bob_id, "reason": "lost", "version": 4}));
    }
    carol.drop();
    alice.drop();
    world.is_empty();
}

#[test]
fn a_stopping_server_takes_nobody_new() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.peer());
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    world.stop();
    assert_eq!(bob.refused("join-room-forever", by_forever(&room, &key)), "stopping");
    let data = json!({"name": "", "username": "", "public_key_string": super::world::public_key(1)});
    assert_eq!(bob.refused("create-room", data), "stopping");
    alice.drop();
    bob.drop();
    world.is_empty();
}

#[test]
fn two_relays_share_nothing() {
    let (one, two) = (World::new(&[]), World::new(&[]));
    let (alice, bob) = (one.peer(), two.peer());
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    assert_eq!(bob.refused("join-room-forever", by_forever(&room, &key)), "denied");
    assert_eq!(two.resume(&one.resumable().token, 0).err().as_deref(), Some("denied"));
    assert_eq!((one.relay.stats().rooms, two.relay.stats().rooms), (1, 0));
}

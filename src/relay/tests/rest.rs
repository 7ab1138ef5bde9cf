//! Packets to everybody who was there at a version of the room, packets that are not kept, and members without a public
//! key.

use serde_json::{Value, json};

use super::world::{Peer, World, by_forever, by_onetime, public_key};
use crate::protocol::public_key::PublicKey;

fn packet(room: &str, more: &Value) -> Value {
    let mut data = json!({"room_id": room, "shared": "all", "to": []});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    data
}

/// What `send-messages` was answered: whom it reached, whom it is held for, who is absent, and how many others it
/// reached.
fn sent(peer: &Peer, room: &str, more: &Value) -> (Value, Value, Value, Value) {
    let answer = peer.ask("send-messages", packet(room, more));
    let mut data = answer["data"].clone();
    assert_eq!(answer["cmd"], "sent", "{answer}");
    (data["reached"].take(), data["held"].take(), data["absent"].take(), data["rest"].take())
}

#[test]
fn the_rest_is_who_was_there_at_that_version_and_is_not_named() {
    let world = World::new(&[]);
    let (alice, bob, carol, dave) = (world.peer(), world.peer(), world.peer(), world.peer());
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    let bob_id = bob.join(&room, &key);
    carol.join(&room, &key);
    let joined = alice.read();
    assert_eq!((&joined[0]["data"]["version"], &joined[1]["data"]["version"]), (&json!(2), &json!(3)));
    let dave_joined = dave.ask("join-room-forever", by_forever(&room, &key));
    assert_eq!(dave_joined["data"]["version"], 4);
    for peer in [&alice, &bob, &carol] {
        peer.read();
    }
    let answer = sent(&alice, &room, &json!({"to": [{"to_user_id": bob_id, "content": "yours"}], "rest": 3}));
    assert_eq!(answer, (json!([bob_id]), json!([]), json!([]), json!(1)));
    let (to_bob, to_carol) = (bob.one(), carol.one());
    assert_eq!((&to_bob["data"]["content"], &to_bob["data"]["shared"]), (&json!("yours"), &json!("all")));
    assert_eq!((&to_carol["data"]["content"], &to_carol["data"]["shared"]), (&json!(""), &json!("all")));
    assert!(dave.read().is_empty() && alice.read().is_empty(), "who came later, and the sender");
    // A long payload that all share is sent as well, and a packet may name somebody without a payload of its own.
    let long = "x".repeat(5_000);
    let answer = sent(&alice, &room, &json!({"shared": long, "to": [{"to_user_id": bob_id}], "rest": 4}));
    assert_eq!(answer, (json!([bob_id]), json!([]), json!([]), json!(2)));
    for peer in [&bob, &carol, &dave] {
        let message = peer.one();
        assert_eq!((&message["data"]["content"], &message["data"]["shared"]), (&json!(""), &json!(long)));
    }
    for peer in [alice, bob, carol, dave] {
        peer.drop();
    }
    world.is_empty();
}

#[test]
fn a_packet_that_makes_no_sense_is_refused_whole() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.peer());
    let (room, _) = alice.create(&json!({}));
    let bob_id = bob.join(&room, &alice.forever_key(&room));
    alice.read();
    let bad = [
        (json!({}), "to"),
        (json!({"rest": 0}), "rest"),
        (json!({"rest": 3}), "rest"),
        (json!({"rest": u64::MAX}), "rest"),
        (json!({"rest": 2, "shared": null}), "shared"),
        (json!({"shared": null, "to": [{"to_user_id": bob_id}]}), "content"),
    ];
    for (more, field) in bad {
        let answer = alice.ask("send-messages", packet(&room, &more));
        assert_eq!(answer["data"]["code"], "bad-request", "{more}");
        assert!(answer["data"]["msg"].as_str().unwrap().ends_with(&format!(": {field}")), "{answer}");
    }
    for more in [json!({"rest": -1}), json!({"rest": "2"}), json!({"rest": 2, "keep": "no"})] {
        assert_eq!(alice.ask("send-messages", packet(&room, &more))["data"]["code"], "bad-request", "{more}");
    }
    assert!(bob.read().is_empty());
    alice.drop();
    bob.drop();
    world.is_empty();
}

#[test]
fn who_is_away_is_named_and_gets_it_later_unless_it_is_not_kept() {
    let world = World::new(&[]);
    let (alice, bob, carol) = (world.peer(), world.resumable(), world.peer());
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    let bob_id = bob.join(&room, &key);
    carol.join(&room, &key);
    bob.read();
    alice.read();
    let token = bob.token.clone();
    bob.drop();
    assert_eq!(sent(&alice, &room, &json!({"rest": 3})), (json!([]), json!([bob_id]), json!([]), json!(1)));
    let not_kept = json!({"shared": "gone", "rest": 3, "keep": false});
    assert_eq!(sent(&alice, &room, &not_kept), (json!([]), json!([]), json!([bob_id]), json!(1)));
    let named = json!({"shared": "gone", "to": [{"to_user_id": bob_id}], "keep": false});
    assert_eq!(sent(&alice, &room, &named), (json!([]), json!([]), json!([bob_id]), json!(null)));
    let bob = world.resume(&token, 2).unwrap();
    let shared: Vec<_> =
        bob.read().iter().filter_map(|frame| frame["data"]["shared"].as_str().map(str::to_owned)).collect();
    assert_eq!(shared, ["all"]);
    assert_eq!(sent(&alice, &room, &not_kept), (json!([]), json!([]), json!([]), json!(2)), "who is there gets it");
    for peer in [alice, bob, carol] {
        peer.leave();
    }
    world.is_empty();
}

#[test]
fn versions_count_joins_and_departures_and_nothing_else() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.peer());
    let made = alice.ask("create-room", json!({"name": "", "username": "", "owner_leaves": "transfer"}));
    assert_eq!(made["room"]["version"], 1);
    let room = made["room"]["room_id"].as_str().unwrap();
    let key = alice.forever_key(room);
    let bob_id = bob.join(room, &key);
    alice.say("transfer-owner", json!({"room_id": room, "user_id": bob_id}));
    let versions: Vec<_> = alice.read().iter().map(|frame| frame["data"]["version"].clone()).collect();
    assert_eq!(versions, [2, 2]);
    bob.read();
    assert_eq!(bob.ask("list-members", json!({"room_id": room}))["data"]["version"], 2);
    bob.say("leave-room", json!({"room_id": room}));
    bob.read();
    let versions: Vec<_> = alice.read().iter().map(|frame| frame["data"]["version"].clone()).collect();
    assert_eq!(versions, [3, 3], "the departure, and the owner that follows from it");
    let joined = bob.ask("join-room-forever", json!({"room_id": room, "forever_key": key, "username": ""}));
    assert_eq!(joined["data"]["version"], 4);
    alice.drop();
    bob.drop();
    world.is_empty();
}

#[test]
fn a_public_key_may_be_left_out_and_who_gave_one_reads_one_everywhere() {
    let world = World::new(&[]);
    let (alice, bob, carol) = (world.peer(), world.peer(), world.peer());
    let (room, alice_id) = alice.create(&json!({}));
    let (key, once) = (alice.forever_key(&room), alice.onetime_key(&room));
    let without = |data: Value| {
        let mut data = data;
        data.as_object_mut().unwrap().remove("public_key");
        data
    };
    let joined = bob.ask("join-room-onetime", without(by_onetime(&room, &once)));
    assert_eq!(joined["data"]["users"][0]["public_key_string"], public_key(1), "a key that was given is for all");
    let placeholder = alice.one()["data"]["public_key"].as_str().unwrap().to_owned();
    assert!(PublicKey::from_pem(&placeholder).is_ok(), "the reader with a key finds one");
    let again = bob.ask("join-room-onetime", without(by_onetime(&room, &once)));
    assert_eq!(again["data"]["user_id"], joined["data"]["user_id"], "the same absence of a key");
    assert_eq!(bob.ask("join-room-onetime", by_onetime(&room, &once))["data"]["code"], "denied");
    carol.ask("join-room-forever", without(by_forever(&room, &key)));
    assert!(bob.one()["data"].get("public_key").is_none(), "the reader without a key finds none");
    assert_eq!(alice.one()["data"]["public_key"], placeholder);
    let list = bob.ask("list-members", json!({"room_id": room}));
    let users = list["data"]["users"].as_array().unwrap();
    assert_eq!((&users[0]["user_id"], &users[0]["public_key_string"]), (&json!(alice_id), &json!(public_key(1))));
    assert!(users[1].get("public_key_string").is_none());
    let list = alice.ask("list-members", json!({"room_id": room}));
    assert!(list["data"]["users"].as_array().unwrap().iter().all(|user| user["public_key_string"] == placeholder));
    let bad = json!({"room_id": room, "forever_key": key, "username": "", "public_key": "no key"});
    assert_eq!(
        world.peer().ask("join-room-forever", bad)["data"]["code"],
        "bad-public-key",
        "one that is given is checked"
    );
    for peer in [alice, bob, carol] {
        peer.drop();
    }
}

#[test]
fn the_placeholder_is_the_hash_that_it_is_said_to_be() {
    use aws_lc_rs::digest::{SHA256, digest};
    let mut modulus: Vec<u8> = (0..8u8)
        .flat_map(|count| {
            digest(&SHA256, &[b"subrosa placeholder key".as_slice(), &[count]].concat()).as_ref().to_vec()
        })
        .collect();
    modulus[0] |= 0x80;
    modulus[255] |= 1;
    let key = PublicKey::from_pem(crate::relay::members::PLACEHOLDER_KEY).unwrap();
    assert_eq!(key.pkcs1_der()[9..265], modulus);
    assert_eq!(key.pkcs1_pem(), crate::relay::members::PLACEHOLDER_KEY);
}

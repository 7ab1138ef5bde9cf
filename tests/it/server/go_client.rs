//! The Go client of resolute v1: what it sends, and to the field what it gets. It ignores events that it does not know,
//! and so does this.

use serde_json::{Value, json};

use crate::support::keys::public_key;
use crate::support::pem::{armour, public_key_spki};
use crate::support::raw::Client;
use crate::support::test_server::TestServer;

/// Sends a frame as that client does, without an id.
async fn say(client: &mut Client, cmd: &str, data: Value) {
    client.send(json!({"cmd": cmd, "data": data})).await;
}

/// Creates a room; its id and the creator's user id.
async fn create(alice: &mut Client) -> (Value, Value) {
    let data = json!({"name": "tea", "username": "alice", "client_room_id": "c-1", "public_key_string": public_key(1)});
    say(alice, "create-room", data).await;
    let made = alice.next().await;
    let (room_id, owner_id) = (made["room"]["room_id"].clone(), made["room"]["owner_id"].clone());
    for id in [&room_id, &owner_id] {
        assert_eq!(id.as_str().unwrap().len(), 32);
    }
    let expected = json!({
        "cmd": "create-room",
        "room": {
            "room_id": room_id, "owner_id": owner_id, "name": "tea",
            "one_time_join_keys": [], "forever_join_key": "", "users": {}, "version": 1,
        },
        "client_room_id": "c-1",
    });
    assert_eq!(made, expected);
    (room_id, owner_id)
}

async fn onetime_key(alice: &mut Client, room_id: &Value) -> Value {
    say(alice, "room-key-onetime", json!({"room_id": room_id})).await;
    let answer = alice.next().await;
    let key = answer["data"]["one_time_key"].clone();
    assert_eq!(key.as_str().unwrap().len(), 32);
    assert_eq!(answer, json!({"cmd": "room-key-onetime", "data": {"room_id": room_id, "one_time_key": key}}));
    key
}

async fn forever_key(alice: &mut Client, room_id: &Value) -> Value {
    say(alice, "room-key-forever", json!({"room_id": room_id})).await;
    let answer = alice.next().await;
    let key = answer["data"]["forever_join_key"].clone();
    assert_eq!(key.as_str().unwrap().len(), 32);
    assert_eq!(answer, json!({"cmd": "room-key-forever", "data": {"room_id": room_id, "forever_join_key": key}}));
    key
}

/// The refusal of a join. Its code tells nothing; all its values are strings, since that client reads them into
/// strings.
async fn is_refused(client: &mut Client, cmd: &str, room_id: &Value) {
    let refusal = client.next().await;
    assert_eq!(refusal["cmd"], format!("{cmd}-error"));
    let data = refusal["data"].as_object().unwrap();
    assert!(data.values().all(Value::is_string), "{refusal}");
    assert_eq!((&data["room_id"], &data["code"]), (room_id, &json!("denied")));
    assert!(!data["msg"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_room_is_made_joined_by_both_keys_and_talked_in() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob, mut carol) = (server.client().await, server.client().await, server.client().await);
    let (room_id, alice_id) = create(&mut alice).await;

    // By a one-time key, with the public key in SPKI: it goes out in PKCS#1.
    let key = onetime_key(&mut alice, &room_id).await;
    let join = json!({"room_id": room_id, "one_time_key": key, "username": "bob", "public_key": public_key_spki(2)});
    say(&mut bob, "join-room-onetime", join.clone()).await;
    let joined = bob.next().await;
    let bob_id = joined["data"]["user_id"].clone();
    let mut first = json!({"user_id": alice_id, "username": "alice", "public_key_string": public_key(1)});
    let expected = json!({"cmd": "joined", "data": {
        "user_id": bob_id, "room_id": room_id, "room_name": "tea", "owner_id": alice_id, "users": [first], "version": 2,
    }});
    assert_eq!(joined, expected);
    let expected = json!({"cmd": "user-joined-onetime", "data": {
        "room_id": room_id, "room_name": "tea", "user_id": bob_id, "username": "bob", "public_key": public_key(2), "version": 2,
    }});
    assert_eq!(alice.next().await, expected);
    assert!(public_key(2).starts_with("-----BEGIN RSA PUBLIC KEY-----\n"));

    // By the forever key, which stays the same.
    let forever = forever_key(&mut alice, &room_id).await;
    assert_eq!(forever_key(&mut alice, &room_id).await, forever);
    let data = json!({"room_id": room_id, "forever_key": forever, "username": "carol", "public_key": public_key(3)});
    say(&mut carol, "join-room-forever", data).await;
    let joined = carol.next().await;
    let carol_id = joined["data"]["user_id"].clone();
    let second = json!({"user_id": bob_id, "username": "bob", "public_key_string": public_key(2)});
    assert_eq!(joined["data"]["users"], json!([first.take(), second]));
    let expected = json!({"cmd": "user-joined-forever", "data": {
        "room_id": room_id, "room_name": "tea", "user_id": carol_id, "username": "carol", "public_key": public_key(3), "version": 3,
    }});
    assert_eq!(alice.next().await, expected);
    assert_eq!(bob.next().await, expected);

    // Messages name their sender, and nobody else gets them.
    let data = json!({"room_id": room_id, "to_user_id": bob_id, "content": "cGF5bG9hZA=="});
    say(&mut carol, "send-message", data).await;
    let expected = json!({"cmd": "send-message", "data": {
        "room_id": room_id, "user_id": carol_id, "username": "carol", "content": "cGF5bG9hZA==",
    }});
    assert_eq!(bob.next().await, expected);
    carol.silent().await;
    alice.silent().await;

    // Somebody who is in the room already is no stranger: the same frame gets the same answer.
    say(&mut bob, "join-room-onetime", join).await;
    let again = bob.next().await;
    assert_eq!((&again["cmd"], &again["data"]["user_id"]), (&json!("joined"), &bob_id));
    drop((alice, bob, carol));
    server.stop().await;
}

#[tokio::test]
async fn spent_and_reset_keys_are_refused() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob, mut carol) = (server.client().await, server.client().await, server.client().await);
    let (room_id, _) = create(&mut alice).await;
    let (spent, left) = (onetime_key(&mut alice, &room_id).await, onetime_key(&mut alice, &room_id).await);
    let forever = forever_key(&mut alice, &room_id).await;
    let by_key =
        |key: &Value| json!({"room_id": room_id, "one_time_key": key, "username": "x", "public_key": public_key(2)});
    say(&mut bob, "join-room-onetime", by_key(&spent)).await;
    bob.expect("joined").await;
    alice.expect("user-joined-onetime").await;

    say(&mut carol, "join-room-onetime", by_key(&spent)).await;
    is_refused(&mut carol, "join-room-onetime", &room_id).await;

    say(&mut alice, "reset-room-keys", json!({"room_id": room_id})).await;
    assert_eq!(alice.next().await, json!({"cmd": "reset-room-keys", "data": {"room_id": room_id}}));
    say(&mut carol, "join-room-onetime", by_key(&left)).await;
    is_refused(&mut carol, "join-room-onetime", &room_id).await;
    let data = json!({"room_id": room_id, "forever_key": forever, "username": "x", "public_key": public_key(3)});
    say(&mut carol, "join-room-forever", data).await;
    is_refused(&mut carol, "join-room-forever", &room_id).await;

    // Members stay, and a new key opens again.
    let key = onetime_key(&mut alice, &room_id).await;
    assert_ne!(forever_key(&mut alice, &room_id).await, forever);
    say(&mut carol, "join-room-onetime", by_key(&key)).await;
    assert_eq!(carol.expect("joined").await["data"]["users"].as_array().unwrap().len(), 2);
    drop((alice, bob, carol));
    server.stop().await;
}

#[tokio::test]
async fn only_the_owner_gets_keys() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob) = (server.client().await, server.client().await);
    let room = alice.create().await;
    bob.join(&mut alice, &room).await;
    for cmd in ["room-key-onetime", "room-key-forever", "reset-room-keys"] {
        say(&mut bob, cmd, json!({"room_id": room.id})).await;
        let refusal = bob.next().await;
        assert_eq!((&refusal["cmd"], &refusal["data"]["code"]), (&json!(format!("{cmd}-error")), &json!("not-owner")));
        assert!(refusal["data"].as_object().unwrap().values().all(Value::is_string));
    }
    drop((alice, bob));
    server.stop().await;
}

#[tokio::test]
async fn names_may_be_empty_and_fields_absent() {
    let server = TestServer::start(&[]).await;
    let mut alice = server.client().await;
    say(&mut alice, "create-room", json!({"name": "", "username": "", "public_key_string": public_key(1)})).await;
    let made = alice.expect("create-room").await;
    assert_eq!((&made["client_room_id"], &made["room"]["name"]), (&json!(""), &json!("")));
    drop(alice);
    server.stop().await;
}

#[tokio::test]
async fn a_bad_public_key_is_an_answer_and_spends_nothing() {
    use crate::support::keys::der;
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob) = (server.client().await, server.client().await);
    let room = alice.create().await;
    let (onetime, forever) = (alice.onetime_key(&room).await, alice.forever_key(&room).await);
    let good = public_key(2);
    let usual: &[u8] = &[1, 0, 1];
    let bad = [
        ("empty", String::new()),
        ("not PEM", "ssh-rsa AAAA".to_owned()),
        ("half", good[..good.len() / 2].to_owned()),
        ("8192 bits", armour("RSA PUBLIC KEY", &der(8192, 1, usual))),
        ("1024 bits", armour("RSA PUBLIC KEY", &der(1024, 1, usual))),
        ("e = 3", armour("RSA PUBLIC KEY", &der(2048, 1, &[3]))),
        ("e = 1", armour("RSA PUBLIC KEY", &der(2048, 1, &[1]))),
        ("a private key's label", armour("RSA PRIVATE KEY", &der(2048, 1, usual))),
        ("PKCS#8", armour("PRIVATE KEY", &der(2048, 1, usual))),
        ("PKCS#1 called SPKI", armour("PUBLIC KEY", &der(2048, 1, usual))),
        ("garbage inside", armour("RSA PUBLIC KEY", &[0x30; 200])),
        ("too long", format!("{good}{}", "\n".repeat(2048))),
    ];
    for (what, key) in &bad {
        let data = json!({"name": "", "username": "", "public_key_string": key});
        let by_onetime = json!({"room_id": room.id, "one_time_key": onetime, "username": "", "public_key": key});
        let by_forever = json!({"room_id": room.id, "forever_key": forever, "username": "", "public_key": key});
        for (cmd, data) in [("create-room", data), ("join-room-onetime", by_onetime), ("join-room-forever", by_forever)]
        {
            say(&mut bob, cmd, data).await;
            let refusal = bob.next().await;
            assert_eq!(refusal["cmd"], format!("{cmd}-error"), "{what}");
            assert_eq!(refusal["data"]["code"], "bad-public-key", "{what}");
        }
    }
    let data = json!({"room_id": room.id, "one_time_key": onetime, "username": "bob", "public_key": good});
    say(&mut bob, "join-room-onetime", data).await;
    bob.expect("joined").await;
    assert_eq!(alice.next().await["cmd"], "user-joined-onetime");
    alice.silent().await;
    assert_eq!(server.relay.stats().members, 2);
    server.serves().await;
    drop((alice, bob));
    server.stop().await;
}

#[tokio::test]
async fn the_others_are_told_when_a_connection_ends() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob) = (server.client().await, server.client().await);
    let room = alice.create().await;
    let (bob_id, _) = bob.join(&mut alice, &room).await;
    drop(bob);
    let expected =
        json!({"cmd": "user-left", "data": {"room_id": room.id, "user_id": bob_id, "reason": "lost", "version": 3}});
    assert_eq!(alice.next().await, expected);
    drop(alice);
    server.empty().await;
    server.stop().await;
}

//! Refusals that look alike: nobody learns from one whether a room exists.

use serde_json::{Value, json};

use crate::support::raw::{Client, Room, join_forever, join_onetime};
use crate::support::test_server::{TestServer, until};

const NOWHERE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The refusal without what the client itself said.
async fn refusal(client: &mut Client, cmd: &str, data: Value) -> Value {
    let mut frame = client.refused(cmd, data.clone(), "denied").await;
    assert_eq!(frame["data"]["room_id"].take(), data["room_id"], "{frame}");
    frame
}

#[tokio::test]
async fn every_key_that_does_not_open_is_refused_alike() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob, mut mallory) = (server.client().await, server.client().await, server.client().await);
    let room = alice.create().await;
    let nowhere = Room { id: NOWHERE.to_owned(), owner: String::new() };
    let closed = alice.create().await;
    let key_of_closed = alice.onetime_key(&closed).await;
    alice.get("close-room", json!({"room_id": closed.id}), "close-room").await;
    alice.expect("room-closed").await;

    let spent = alice.onetime_key(&room).await;
    bob.get("join-room-onetime", join_onetime(&room, &spent), "joined").await;
    let reset = (alice.onetime_key(&room).await, alice.forever_key(&room).await);
    alice.get("reset-room-keys", json!({"room_id": room.id}), "reset-room-keys").await;
    let revoked = (alice.onetime_key(&room).await, alice.forever_key(&room).await);
    for key in [&revoked.0, &revoked.1] {
        alice.get("revoke-key", json!({"room_id": room.id, "key": key}), "revoke-key").await;
    }
    let expiring = json!({"room_id": room.id, "expires_in_s": 1});
    let expired = alice.get("room-key-onetime", expiring.clone(), "room-key-onetime").await;
    let expired_forever = alice.get("room-key-forever", expiring, "room-key-forever").await;
    until("the keys' end", || server.relay.next_due().is_none()).await;
    let living = (alice.onetime_key(&room).await, alice.forever_key(&room).await);
    let text = |key: &Value| key.as_str().unwrap().to_owned();

    let mut seen = Vec::new();
    let expired = text(&expired["data"]["one_time_key"]);
    for key in [NOWHERE, "", "short", &spent, &reset.0, &revoked.0, &expired, &living.1, &key_of_closed] {
        for room in [&room, &nowhere, &closed] {
            seen.push(refusal(&mut mallory, "join-room-onetime", join_onetime(room, key)).await);
        }
    }
    seen.push(refusal(&mut mallory, "join-room-onetime", join_onetime(&nowhere, &living.0)).await);
    assert!(seen.iter().all(|frame| *frame == seen[0]), "{seen:?}");

    let mut seen = Vec::new();
    let expired = text(&expired_forever["data"]["forever_join_key"]);
    for key in [NOWHERE, "", "short", &reset.1, &revoked.1, &expired, &living.0] {
        for room in [&room, &nowhere, &closed] {
            seen.push(refusal(&mut mallory, "join-room-forever", join_forever(room, key)).await);
        }
    }
    seen.push(refusal(&mut mallory, "join-room-forever", join_forever(&nowhere, &living.1)).await);
    assert!(seen.iter().all(|frame| *frame == seen[0]), "{seen:?}");

    // None of this spent or broke the keys that do open.
    mallory.get("join-room-onetime", join_onetime(&room, &living.0), "joined").await;
    drop((alice, bob, mallory));
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_in_the_room_learns_nothing_of_it() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut mallory) = (server.client().await, server.client().await);
    let room = alice.create().await;
    let key = alice.onetime_key(&room).await;
    let user = &room.owner;
    for (cmd, data) in [
        ("room-key-onetime", json!({})),
        ("room-key-forever", json!({})),
        ("reset-room-keys", json!({})),
        ("revoke-key", json!({"key": key})),
        ("send-message", json!({"to_user_id": user, "content": ""})),
        ("send-messages", json!({"to": [{"to_user_id": user, "content": ""}]})),
        ("leave-room", json!({})),
        ("close-room", json!({})),
        ("remove-member", json!({"user_id": user})),
        ("transfer-owner", json!({"user_id": user})),
        ("list-members", json!({})),
        ("set-card", json!({"card": ""})),
    ] {
        let mut seen = Vec::new();
        for id in [room.id.as_str(), NOWHERE] {
            let mut data = data.clone();
            data["room_id"] = json!(id);
            seen.push(refusal(&mut mallory, cmd, data).await);
        }
        assert_eq!(seen[0], seen[1], "{cmd}");
    }
    // A name that cannot be a room's is not repeated.
    let frame = mallory.refused("leave-room", json!({"room_id": "<script>"}), "denied").await;
    assert_eq!(frame["data"]["room_id"], "");
    alice.silent().await;
    drop((alice, mallory));
    server.stop().await;
}

#[tokio::test]
async fn a_full_room_tells_only_who_has_a_key() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob) = (server.client().await, server.client().await);
    let room = alice.create_with(json!({"max_members": 1})).await;
    let key = alice.onetime_key(&room).await;
    bob.refused("join-room-onetime", join_onetime(&room, NOWHERE), "denied").await;
    let full = bob.refused("join-room-onetime", join_onetime(&room, &key), "room-full").await;
    assert_eq!(full["data"]["retry"], "later");
    drop((alice, bob));
    server.stop().await;
}

//! Every bound of the server is hit once. A bound without a test fails this file.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use subrosa::protocol::limits::Limits;

use super::{resume, slow, stalls};
use crate::support::frame::frame;
use crate::support::keys::{der, public_key};
use crate::support::pem::armour;
use crate::support::raw::{Client, join_forever, join_onetime};
use crate::support::test_server::TestServer;

/// Declares tests named after the bounds that they hit.
macro_rules! bounds {
    ($(async fn $name:ident() $body:block)*) => {
        /// Hit by the test of that name, here.
        const HERE: &[&str] = &[$(stringify!($name),)*];

        $(#[tokio::test] async fn $name() $body)*
    };
}

/// A test elsewhere, or where it is when it cannot be named from here.
type Elsewhere = Result<fn(), &'static str>;

/// Hit by a test elsewhere.
const ELSEWHERE: &[(&str, Elsewhere)] = &[
    ("connections_per_address", Err("server::admission, since all tests come from this machine")),
    ("queue_bytes", Ok(slow::a_frozen_reader_is_closed_when_its_queue_is_full)),
    ("queue_events", Ok(slow::a_slow_reader_is_told_why)),
    ("write_timeout_s", Ok(slow::nothing_written_for_too_long)),
    ("pong_timeout_s", Ok(slow::a_ping_that_is_not_answered)),
    ("ping_interval_s", Ok(slow::a_ping_that_is_not_answered)),
    ("first_command_s", Ok(stalls::whoever_stops_on_the_way_is_dropped)),
    ("resume_window_s", Ok(resume::the_others_are_told_when_nobody_came_back)),
    ("parked_s", Ok(resume::a_page_that_was_closed_is_waited_for_shortly)),
    ("window_bytes", Ok(resume::what_the_window_cannot_hold_is_a_gap)),
    ("window_events", Ok(resume::what_the_window_cannot_count_is_a_gap)),
    ("memory_bytes", Ok(resume::what_the_server_cannot_hold_is_a_gap)),
    ("memory_per_address_bytes", Ok(resume::what_an_address_cannot_hold_is_a_gap)),
    ("sessions_per_address", Err("relay::tests::memory, since all tests come from this machine")),
    ("rooms_per_address", Err("relay::tests::memory, since all tests come from this machine")),
    ("commands_per_address_per_s", Err("relay::digest and relay::rate, since all tests come from this machine")),
    ("loopback_share", Err("relay::digest")),
];

#[test]
fn every_bound_is_hit() {
    for (name, ..) in Limits::TABLE {
        let here = HERE.iter().filter(|hit| *hit == name).count();
        let elsewhere = ELSEWHERE.iter().filter(|(hit, _)| hit == name).count();
        assert_eq!(here + elsewhere, 1, "{name}");
    }
    for (name, test) in ELSEWHERE {
        assert!(Limits::TABLE.iter().any(|row| row.0 == *name), "{name}");
        assert!(test.is_ok_and(|test| test as usize != 0) || test.is_err_and(|place| !place.is_empty()));
    }
}

#[tokio::test]
async fn all_bounds_are_told_in_the_greeting() {
    let server = TestServer::start(&["rooms=17", "ping_interval_s=9"]).await;
    let client = server.client().await;
    assert_eq!(client.hello["limits"], serde_json::to_value(server.relay.limits()).unwrap());
    assert_eq!((&client.hello["limits"]["rooms"], &client.hello["ping_interval_s"]), (&json!(17), &json!(9)));
    assert_eq!((&client.hello["protocol"], &client.hello["notice"]), (&json!(1), &json!("")));
    drop(client);
    server.stop().await;
}

/// A frame of exactly this many bytes.
fn padded(frame: &Value, bytes: usize) -> String {
    let text = frame.to_string();
    format!("{text}{}", " ".repeat(bytes - text.len()))
}

fn create(more: &Value) -> Value {
    let mut data = json!({"name": "", "username": "", "public_key_string": public_key(1)});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    data
}

/// Sends `count` commands at once and says how long the answers took.
async fn time_of(client: &mut Client, count: usize) -> Duration {
    let start = Instant::now();
    for n in 0..count {
        client.send(json!({"cmd": "ack", "id": n.to_string(), "data": {"seq": 0}})).await;
    }
    for n in 0..count {
        assert_eq!(client.expect("ack").await["id"], n.to_string());
    }
    start.elapsed()
}

bounds! {
    async fn first_frame_bytes() {
        let server = TestServer::start(&["first_frame_bytes=2048", "frame_bytes=4096"]).await;
        let mut client = server.client().await;
        client.send_text(&padded(&json!({"cmd": "create-room", "data": create(&json!({}))}), 2048)).await;
        let room = client.expect("create-room").await["room"]["room_id"].clone();
        // In a room the other bound holds, and out of it again still.
        client.send_text(&padded(&json!({"cmd": "leave-room", "id": "1", "data": {"room_id": room}}), 4096)).await;
        client.expect("leave-room").await;
        let mut other = server.client().await;
        other.send_text(&padded(&json!({"cmd": "create-room", "data": create(&json!({}))}), 2049)).await;
        assert_eq!(other.expect("error").await["data"]["code"], "too-large");
        assert_eq!(other.closed().await, (1009, "too-large".to_owned()));
        server.serves().await;
        drop((client, other));
        server.stop().await;
    }

    async fn frame_bytes() {
        let server = TestServer::start(&["frame_bytes=20000"]).await;
        let (mut alice, mut bob) = (server.client().await, server.client().await);
        let room = alice.create().await;
        let (bob_id, _) = bob.join(&mut alice, &room).await;
        let message = json!({"cmd": "send-message", "data": {"room_id": room.id, "to_user_id": bob_id, "content": ""}});
        alice.send_text(&padded(&message, 20_000)).await;
        bob.expect("send-message").await;
        alice.send_text(&padded(&message, 20_001)).await;
        assert_eq!(alice.expect("error").await["data"]["code"], "too-large");
        assert_eq!(alice.closed().await.0, 1009);
        assert_eq!(bob.expect("room-closed").await["data"]["reason"], "owner-left");
        drop((alice, bob));
        server.stop().await;
    }

    async fn commands_per_s() {
        let server = TestServer::start(&["commands_per_s=40", "commands_burst=1"]).await;
        let mut client = server.client().await;
        let took = time_of(&mut client, 21).await;
        assert!(took >= Duration::from_millis(450), "{took:?}");
        // So does a command in twenty pieces.
        let mut wire = server.wire().await;
        wire.expect("hello").await;
        let start = Instant::now();
        let pieces: Vec<u8> = (0..20).flat_map(|n| frame(if n == 0 { 0x01 } else { 0x00 }, b" ")).collect();
        wire.write(&[pieces, frame(0x80, b" ")].concat()).await;
        wire.expect("error").await;
        assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
        drop(wire);
        // What a command hands out costs, too: 40 KiB as much as ten commands.
        let room = client.create().await;
        let mut bob = server.client().await;
        let (bob_id, _) = bob.join(&mut client, &room).await;
        let start = Instant::now();
        client.get("send-message", json!({"room_id": room.id, "to_user_id": bob_id, "content": "m".repeat(40_960)}), "sent").await;
        client.sync().await;
        assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
        drop((client, bob));
        server.stop().await;
    }

    async fn commands_burst() {
        let server = TestServer::start(&["commands_per_s=1", "commands_burst=50"]).await;
        let mut client = server.client().await;
        // At one a second this would take longer than anything here is waited for; but what is left of a token lets one more in.
        let took = time_of(&mut client, 52).await;
        assert!(took >= Duration::from_millis(900), "{took:?}");
        drop(client);
        server.stop().await;
    }

    async fn connections() {
        let server = TestServer::start(&["connections=1"]).await;
        let client = server.client().await;
        assert!(server.http("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.starts_with("HTTP/1.1 503 "));
        drop(client);
        server.stop().await;
    }

    async fn connections_from_loopback() {
        let server = TestServer::start(&["connections_from_loopback=1"]).await;
        let client = server.client().await;
        assert!(server.http("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.starts_with("HTTP/1.1 503 "));
        drop(client);
        server.stop().await;
    }

    async fn rooms() {
        let server = TestServer::start(&["rooms=1"]).await;
        let (mut alice, mut bob) = (server.client().await, server.client().await);
        let room = alice.create().await;
        let refused = bob.refused("create-room", create(&json!({})), "server-full").await;
        assert_eq!(refused["data"]["retry"], "later");
        alice.leave(&room).await;
        bob.create().await;
        drop((alice, bob));
        server.stop().await;
    }

    async fn sessions() {
        let server = TestServer::start(&["sessions=1"]).await;
        let (mut alice, mut bob) = (server.client().await, server.client().await);
        let room = alice.create().await;
        bob.refused("create-room", create(&json!({})), "server-full").await;
        // With the session its place is free again.
        alice.leave(&room).await;
        drop(alice);
        server.empty().await;
        bob.create().await;
        drop(bob);
        server.stop().await;
    }

    async fn rooms_per_connection() {
        let server = TestServer::start(&["rooms_per_connection=1"]).await;
        let (mut alice, mut bob) = (server.client().await, server.client().await);
        let (room, own) = (alice.create().await, bob.create().await);
        bob.refused("create-room", create(&json!({})), "too-many-rooms").await;
        let key = alice.onetime_key(&room).await;
        bob.refused("join-room-onetime", join_onetime(&room, &key), "too-many-rooms").await;
        bob.leave(&own).await;
        bob.get("join-room-onetime", join_onetime(&room, &key), "joined").await;
        // Who is in may ask again: that is no other room.
        bob.get("join-room-onetime", join_onetime(&room, &key), "joined").await;
        drop((alice, bob));
        server.stop().await;
    }

    async fn members_per_room() {
        let server = TestServer::start(&["members_per_room=2"]).await;
        let (mut alice, mut bob, mut carol) = (server.client().await, server.client().await, server.client().await);
        alice.refused("create-room", create(&json!({"max_members": 3})), "bad-request").await;
        let room = alice.create().await;
        let (onetime, forever) = (alice.onetime_key(&room).await, alice.forever_key(&room).await);
        bob.join(&mut alice, &room).await;
        carol.refused("join-room-onetime", join_onetime(&room, &onetime), "room-full").await;
        carol.refused("join-room-forever", join_forever(&room, &forever), "room-full").await;
        bob.leave(&room).await;
        carol.get("join-room-onetime", join_onetime(&room, &onetime), "joined").await;
        drop((alice, bob, carol));
        server.stop().await;
    }

    async fn keys_per_room() {
        let server = TestServer::start(&["keys_per_room=3"]).await;
        let (mut alice, mut bob) = (server.client().await, server.client().await);
        let room = alice.create().await;
        let keys = |count: u64| json!({"room_id": room.id, "count": count});
        alice.refused("room-key-onetime", keys(4), "too-many-keys").await;
        alice.get("room-key-onetime", keys(2), "room-key-onetime").await;
        let key = alice.onetime_key(&room).await;
        let refused = alice.refused("room-key-onetime", keys(1), "too-many-keys").await;
        assert_eq!(refused["data"]["retry"], "later");
        bob.get("join-room-onetime", join_onetime(&room, &key), "joined").await;
        alice.get("room-key-onetime", keys(1), "room-key-onetime").await;
        drop((alice, bob));
        server.stop().await;
    }

    async fn name_bytes() {
        let server = TestServer::start(&["name_bytes=4"]).await;
        let (mut alice, mut bob) = (server.client().await, server.client().await);
        for name in ["name", "username", "client_room_id"] {
            alice.get("create-room", create(&json!({name: "éé"})), "create-room").await;
            let refused = alice.refused("create-room", create(&json!({name: "ééx"})), "too-long").await;
            assert!(refused["data"]["msg"].as_str().unwrap().ends_with(name));
        }
        let room = alice.create_with(json!({"name": "", "username": ""})).await;
        let key = alice.onetime_key(&room).await;
        let mut join = join_onetime(&room, &key);
        join["username"] = json!("five5");
        bob.refused("join-room-onetime", join.clone(), "too-long").await;
        join["username"] = json!("four");
        bob.get("join-room-onetime", join, "joined").await;
        drop((alice, bob));
        server.stop().await;
    }

    async fn id_bytes() {
        let server = TestServer::start(&["id_bytes=4"]).await;
        let mut client = server.client().await;
        client.send(json!({"cmd": "ack", "id": "éé", "data": {"seq": 0}})).await;
        assert_eq!(client.expect("ack").await["id"], "éé");
        client.send(json!({"cmd": "ack", "id": "ééx", "data": {"seq": 0}})).await;
        let refused = client.expect("ack-error").await;
        assert_eq!((&refused["data"]["code"], refused.get("id")), (&json!("bad-request"), None));
        drop(client);
        server.stop().await;
    }

    async fn public_key_bytes() {
        let server = TestServer::start(&["public_key_bytes=1024"]).await;
        let mut client = server.client().await;
        let largest = armour("RSA PUBLIC KEY", &der(4096, 1, &[1, 0, 1]));
        let fits = format!("{}{largest}", "\n".repeat(1024 - largest.len()));
        client.get("create-room", create(&json!({"public_key_string": fits})), "create-room").await;
        client.refused("create-room", create(&json!({"public_key_string": format!("\n{fits}")})), "bad-public-key").await;
        drop(client);
        server.stop().await;
    }

    async fn card_bytes() {
        let server = TestServer::start(&["card_bytes=10"]).await;
        let (mut alice, mut bob) = (server.client().await, server.client().await);
        let room = alice.create_with(json!({"card": "x".repeat(10)})).await;
        let key = alice.onetime_key(&room).await;
        // As it stands in JSON: an escaped character counts as what it is written with.
        for card in ["x".repeat(11), "\n".repeat(6), "\u{1}xxxxx".to_owned()] {
            alice.refused("create-room", create(&json!({"card": card})), "card-too-large").await;
            alice.refused("set-card", json!({"room_id": room.id, "card": card}), "card-too-large").await;
            let mut join = join_onetime(&room, &key);
            join["card"] = json!(card);
            bob.refused("join-room-onetime", join, "card-too-large").await;
        }
        alice.get("set-card", json!({"room_id": room.id, "card": "\n".repeat(5)}), "set-card").await;
        let joined = bob.get("join-room-onetime", join_onetime(&room, &key), "joined").await;
        assert_eq!(joined["data"]["users"][0]["card"], "\n\n\n\n\n");
        drop((alice, bob));
        server.stop().await;
    }

    async fn room_expires_s() {
        let server = TestServer::start(&["room_expires_s=1"]).await;
        let mut alice = server.client().await;
        let rooms = [alice.create().await, alice.create_with(json!({"expires_in_s": 3_600})).await];
        for _ in &rooms {
            let closed = alice.expect("room-closed").await;
            assert_eq!(closed["data"]["reason"], "expired");
            assert!(rooms.iter().any(|room| closed["data"]["room_id"] == *room.id));
        }
        assert_eq!(server.relay.stats().rooms, 0);
        drop(alice);
        server.stop().await;
    }
}

/// The largest `joined` that the bounds allow fits what `event_bytes` promises, and the queues.
#[tokio::test]
async fn the_largest_event_is_as_large_as_told() {
    let limits = ["members_per_room=12", "card_bytes=300", "name_bytes=20", "frame_bytes=4096", "queue_bytes=65536"];
    let server = TestServer::start(&limits).await;
    let mut members = Vec::new();
    let (nasty, card) = ("\u{1}".repeat(20), "c".repeat(300));
    let key = armour("RSA PUBLIC KEY", &der(4096, 1, &[1, 0, 1]));
    let mut alice = server.client().await;
    let options = json!({"name": nasty, "username": nasty, "card": card, "public_key_string": key});
    let room = alice.create_with(options).await;
    let forever = alice.forever_key(&room).await;
    let mut largest = 0;
    for _ in 0..11 {
        let mut client = server.client().await;
        let mut join = join_forever(&room, &forever);
        (join["username"], join["card"], join["public_key"]) = (json!(nasty), json!(card), json!(key));
        let joined = client.get("join-room-forever", join, "joined").await;
        largest = joined.to_string().len();
        members.push(client);
    }
    let told = server.relay.limits().event_bytes as usize;
    assert!(largest <= told && largest * 4 > told * 2, "{largest} of {told}");
    drop((alice, members));
    server.stop().await;
}

/// A message as large as a frame may be is an event as well: no queue may lie below it.
#[test]
fn the_largest_message_is_an_event_that_every_queue_takes() {
    let limits = Limits::from_settings(["members_per_room=2", "frame_bytes=16777216"]).unwrap();
    assert!(limits.queue_bytes > limits.frame_bytes, "{}", limits.queue_bytes);
    assert!(limits.window_bytes > limits.frame_bytes, "{}", limits.window_bytes);
    assert!(Limits::from_settings(["members_per_room=2", "queue_bytes=65536"]).is_err());
}

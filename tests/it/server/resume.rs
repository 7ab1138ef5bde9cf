//! Coming back over real sockets.

use serde_json::{Value, json};

use crate::support::raw::{Client, Room};
use crate::support::test_server::{TestServer, until};

/// A room of alice with bob in it, whose session outlives its connection.
async fn pair(server: &TestServer) -> (Client, Client, Room, String) {
    let (mut alice, mut bob) = (server.client().await, server.client().await);
    bob.get("resume", json!({}), "resumed").await;
    let room = alice.create().await;
    let (bob_id, _) = bob.join(&mut alice, &room).await;
    (alice, bob, room, bob_id)
}

async fn say(alice: &mut Client, room: &Room, to: &str, content: &str) {
    alice.get("send-message", json!({"room_id": room.id, "to_user_id": to, "content": content}), "sent").await;
}

/// Waits until the server knows that a connection broke.
async fn away(server: &TestServer) {
    until("a session that is away", || server.relay.stats().away == 1).await;
}

/// Takes up the session of `token` on a new connection.
async fn resume(server: &TestServer, token: &str, last_seq: u64) -> Client {
    let mut client = server.client().await;
    let resumed = client.get("resume", json!({"token": token, "last_seq": last_seq}), "resumed").await;
    assert_eq!(resumed["data"]["seq"], last_seq);
    client
}

async fn contents(client: &mut Client, count: usize) -> Vec<Value> {
    let mut contents = Vec::new();
    for _ in 0..count {
        contents.push(client.expect("send-message").await["data"]["content"].take());
    }
    contents
}

#[tokio::test]
async fn what_was_missed_comes_in_order_and_once() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob, room, bob_id) = pair(&server).await;
    for n in 0..5 {
        say(&mut alice, &room, &bob_id, &n.to_string()).await;
    }
    // `joined` is number 1. Two messages are known, one is read and not known, two are not even read.
    assert_eq!(contents(&mut bob, 3).await, ["0", "1", "2"]);
    let token = bob.token().to_owned();
    drop(bob);
    away(&server).await;
    for n in 5..8 {
        let sent = alice
            .get("send-message", json!({"room_id": room.id, "to_user_id": bob_id, "content": n.to_string()}), "sent")
            .await;
        assert_eq!(sent["data"]["held"], json!([bob_id]));
    }
    let mut again = resume(&server, &token, 3).await;
    assert_eq!(contents(&mut again, 6).await, ["2", "3", "4", "5", "6", "7"]);
    say(&mut alice, &room, &bob_id, "8").await;
    assert_eq!(contents(&mut again, 1).await, ["8"]);
    again.silent().await;
    alice.silent().await;
    // It is the same member: it can be removed under its old id, and it can speak.
    let data = json!({"room_id": room.id, "to_user_id": room.owner, "content": "back"});
    again.get("send-message", data, "sent").await;
    assert_eq!(alice.expect("send-message").await["data"]["user_id"], bob_id);
    again.close(1000).await;
    assert_eq!(alice.expect("user-left").await["data"]["reason"], "left");
    drop(alice);
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
async fn the_old_connection_is_closed_and_the_session_goes_on() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut bob, room, bob_id) = pair(&server).await;
    let mut last = bob.token().to_owned();
    for _ in 0..3 {
        let again = resume(&server, &last, 1).await;
        assert_eq!(bob.closed().await, (4500, "replaced".to_owned()));
        // Each token works once.
        let mut thief = server.client().await;
        thief.refused("resume", json!({"token": last, "last_seq": 1}), "denied").await;
        last = again.token().to_owned();
        bob = again;
    }
    say(&mut alice, &room, &bob_id, "still").await;
    assert_eq!(contents(&mut bob, 1).await, ["still"]);
    alice.silent().await;
    drop((alice, bob));
    server.empty_but_for_windows().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn the_others_are_told_when_nobody_came_back() {
    let server = TestServer::start(&["resume_window_s=1"]).await;
    let (mut alice, bob, room, bob_id) = pair(&server).await;
    let token = bob.token().to_owned();
    drop(bob);
    assert_eq!(
        alice.expect("user-left").await["data"],
        json!({"room_id": room.id, "user_id": bob_id, "reason": "lost", "version": 3})
    );
    let mut late = server.client().await;
    late.refused("resume", json!({"token": token, "last_seq": 1}), "denied").await;
    drop((alice, late));
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
async fn a_goodbye_is_not_waited_for() {
    let server = TestServer::start(&["resume_window_s=3600"]).await;
    let (mut alice, bob, ..) = pair(&server).await;
    bob.close(1000).await;
    assert_eq!(alice.expect("user-left").await["data"]["reason"], "left");
    drop(alice);
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_page_that_was_closed_is_waited_for_shortly() {
    let server = TestServer::start(&["parked_s=1"]).await;
    let (mut alice, mut bob, room, bob_id) = pair(&server).await;
    bob.get("list-members", json!({"room_id": room.id}), "list-members").await;
    bob.close(1001).await;
    let left = alice.expect("user-left").await;
    assert_eq!((&left["data"]["user_id"], &left["data"]["reason"]), (&json!(bob_id), &json!("left")));
    assert_eq!(left["data"]["room_id"], room.id);
    drop(alice);
    server.empty().await;
    server.stop().await;
}

/// Sends more than fits to somebody who is away: what it gets afterwards is numbered without a hole.
async fn overflow(limits: &[&str], end: u64, payload: &str, reason: &str) {
    let server = TestServer::start(limits).await;
    let (mut alice, bob, room, bob_id) = pair(&server).await;
    let token = bob.token().to_owned();
    drop(bob);
    away(&server).await;
    for n in 2..end {
        say(&mut alice, &room, &bob_id, &format!("{n} {payload}")).await;
    }
    let mut again = resume(&server, &token, 1).await;
    let (mut next, mut lost) = (2, 0);
    while next < end {
        let frame = again.next().await;
        if frame["cmd"] == "gap" {
            assert_eq!((frame["data"]["from"].as_u64(), &frame["data"]["reason"]), (Some(next), &json!(reason)));
            let end = frame["data"]["to"].as_u64().unwrap();
            lost += end + 1 - next;
            next = end;
        } else {
            let content = frame["data"]["content"].as_str().unwrap();
            assert!(content.starts_with(&format!("{next} ")), "{next}: {content:.10}");
        }
        next += 1;
    }
    assert!(lost > 0, "nothing was lost: the bound was not hit");
    drop((alice, again));
    server.empty_but_for_windows().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn what_the_window_cannot_hold_is_a_gap() {
    // The largest event must fit, so the bound cannot lie below a frame.
    let limits = ["members_per_room=2", "frame_bytes=16384", "window_bytes=65536"];
    overflow(&limits, 42, &"x".repeat(8_000), "window").await;
}

#[tokio::test]
pub(crate) async fn what_the_window_cannot_count_is_a_gap() {
    overflow(&["window_events=256"], 400, "", "window").await;
}

#[tokio::test]
pub(crate) async fn what_an_address_cannot_hold_is_a_gap() {
    // Where loopback connections are bounded as those of one address, they share its memory.
    let limits = ["connections_from_loopback=256", "memory_per_address_bytes=65536"];
    overflow(&limits, 42, &"x".repeat(8_000), "memory").await;
}

#[tokio::test]
pub(crate) async fn what_the_server_cannot_hold_is_a_gap() {
    overflow(&["memory_bytes=65536"], 42, &"x".repeat(8_000), "memory").await;
}

#[tokio::test]
async fn a_slow_reader_comes_back_and_misses_nothing() {
    let server = TestServer::start(&["queue_events=16", "write_timeout_s=3600"]).await;
    let (mut alice, mut bob, room, bob_id) = pair(&server).await;
    // Bob does not read. The system's buffers hold some megabytes, then his queue is full.
    let payload = "x".repeat(300_000);
    let mut count = 0;
    loop {
        let content = format!("{count} {payload}");
        let sent = alice
            .get("send-message", json!({"room_id": room.id, "to_user_id": bob_id, "content": content}), "sent")
            .await;
        count += 1;
        if sent["data"]["held"] == json!([bob_id]) {
            break;
        }
        assert_eq!(sent["data"]["reached"], json!([bob_id]));
        assert!(count < 1_000, "its queue has no bound");
    }
    let token = bob.token().to_owned();
    let got = bob.read_until_closed().await;
    let mut again = resume(&server, &token, 1 + got.len() as u64).await;
    // Unless more was written than the window keeps, nothing is missing.
    let (mut next, mut lost) = (got.len(), 0);
    while next < count {
        let frame = again.next().await;
        if frame["cmd"] == "gap" {
            lost += 1;
            next = frame["data"]["to"].as_u64().unwrap() as usize - 2;
        } else {
            assert!(frame["data"]["content"].as_str().unwrap().starts_with(&format!("{next} ")));
        }
        next += 1;
    }
    assert_eq!(lost, 0);
    alice.silent().await;
    drop((alice, again));
    server.empty_but_for_windows().await;
    server.stop().await;
}

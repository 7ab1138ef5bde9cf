//! Readers that are slow, frozen or gone: they end alone, in bounded time and memory, and nobody waits for them.

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::frame::{PING, TEXT, frame};
use crate::support::raw::{Client, Room, Wire, join_onetime};
use crate::support::test_server::TestServer;
use crate::support::tls::tls_over;

/// A member who reads nothing after `joined`, with as little as possible in the system's buffers.
async fn frozen(server: &TestServer, owner: &mut Client, room: &Room) -> (Wire, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let mut wire = Wire::open(tls_over(stream, server.trust()).await.unwrap()).await;
    wire.expect("hello").await;
    let key = owner.onetime_key(room).await;
    let join = json!({"cmd": "join-room-onetime", "data": join_onetime(room, &key)});
    wire.write(&frame(TEXT, join.to_string().as_bytes())).await;
    let joined = wire.expect("joined").await;
    owner.expect("user-joined-onetime").await;
    (wire, joined["data"]["user_id"].as_str().unwrap().to_owned())
}

fn packet(room: &Room, to: &[&str], payload: &str) -> Value {
    let to: Vec<_> = to.iter().map(|user| json!({"to_user_id": user, "content": ""})).collect();
    json!({"room_id": room.id, "shared": payload, "to": to})
}

/// Alice sends packets to both until the frozen one is absent. Carol gets every one of them at once; how many there
/// were.
async fn flood(
    alice: &mut Client,
    carol: &mut Client,
    room: &Room,
    (frozen, carol_id): (&str, &str),
    payload: &str,
) -> usize {
    for n in 1..10_000 {
        let sent = alice.get("send-messages", packet(room, &[frozen, carol_id], payload), "sent").await;
        carol.expect("send-message").await;
        if sent["data"]["absent"] == json!([frozen]) {
            return n;
        }
        assert!(sent["data"]["reached"].as_array().unwrap().contains(&json!(carol_id)));
    }
    panic!("its queue has no bound");
}

#[tokio::test]
pub(crate) async fn a_frozen_reader_is_closed_when_its_queue_is_full() {
    // Nothing but the queue's bound can end it.
    let server = TestServer::start(&["queue_bytes=8388608", "write_timeout_s=3600", "ping_interval_s=3600"]).await;
    let (mut alice, mut carol) = (server.client().await, server.client().await);
    let room = alice.create().await;
    let (carol_id, _) = carol.join(&mut alice, &room).await;
    let (wire, frozen_id) = frozen(&server, &mut alice, &room).await;
    carol.expect("user-joined-onetime").await;
    let payload = "x".repeat(500_000);
    let packets = flood(&mut alice, &mut carol, &room, (&frozen_id, &carol_id), &payload).await;
    assert!(packets < 200, "{packets} packets were taken in");
    for client in [&mut alice, &mut carol] {
        assert_eq!(
            client.expect("user-left").await["data"],
            json!({"room_id": room.id, "user_id": frozen_id, "reason": "lost", "version": 4})
        );
    }
    drop((wire, alice, carol));
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_slow_reader_is_told_why() {
    let server = TestServer::start(&["queue_events=16", "write_timeout_s=3600", "ping_interval_s=3600"]).await;
    let (mut alice, mut carol) = (server.client().await, server.client().await);
    let room = alice.create().await;
    let (carol_id, _) = carol.join(&mut alice, &room).await;
    let (mut wire, slow_id) = frozen(&server, &mut alice, &room).await;
    carol.expect("user-joined-onetime").await;
    let payload = "x".repeat(10_000);
    let sent = flood(&mut alice, &mut carol, &room, (&slow_id, &carol_id), &payload).await;
    // It reads on: first what was written, in order, then why it ends.
    let mut got = 0;
    let code = loop {
        match wire.read().await {
            Some((TEXT, _)) => got += 1,
            Some((_, close)) => break close.first_chunk().map(|code| u16::from_be_bytes(*code)),
            None => break None,
        }
    };
    assert_eq!(code, Some(4001));
    assert!(got < sent, "what did not fit is lost to who cannot resume");
    alice.expect("user-left").await;
    drop((wire, alice, carol));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn nothing_written_for_too_long() {
    let server = TestServer::start(&["write_timeout_s=1", "queue_bytes=1000000000", "ping_interval_s=3600"]).await;
    let (mut alice, mut carol) = (server.client().await, server.client().await);
    let room = alice.create().await;
    carol.join(&mut alice, &room).await;
    let (wire, frozen_id) = frozen(&server, &mut alice, &room).await;
    let payload = "x".repeat(1_000_000);
    // More than the system's buffers take. On a busy machine the time may be up before all of it is sent.
    for _ in 0..20 {
        alice.get("send-messages", packet(&room, &[&frozen_id], &payload), "sent").await;
    }
    assert_eq!(alice.expect("user-left").await["data"]["user_id"], frozen_id);
    drop((wire, alice, carol));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_ping_that_is_not_answered() {
    let server = TestServer::start(&["ping_interval_s=1", "pong_timeout_s=1"]).await;
    let (mut mute, mut lively) = (server.wire().await, server.client().await);
    mute.expect("hello").await;
    mute.write(&frame(TEXT, br#"{"cmd":"ack","data":{"seq":0}}"#)).await;
    lively.sync().await;
    let mut pings = 0;
    // Another client answers (its library does, while it waits), and lives on.
    let (code, _) = tokio::join!(
        async {
            loop {
                match mute.read().await {
                    Some((PING, _)) => pings += 1,
                    Some((_, close)) => break close.first_chunk().map(|code| u16::from_be_bytes(*code)),
                    None => break None,
                }
            }
        },
        lively.hears_nothing_for(std::time::Duration::from_millis(2_500)),
    );
    assert_eq!((pings, code), (1, Some(4002)));
    lively.sync().await;
    drop((mute, lively));
    server.stop().await;
}

/// Who is made to wait by `commands_per_s` cannot answer pings meanwhile, since the server reads none; that is not its
/// fault.
#[tokio::test]
async fn a_pause_for_too_many_commands_is_no_ping_timeout() {
    let limits = ["commands_per_s=4", "commands_burst=12", "ping_interval_s=1", "pong_timeout_s=1"];
    let server = TestServer::start(&limits).await;
    let (mut alice, mut bob) = (server.client().await, server.client().await);
    let room = alice.create().await;
    let (bob_id, _) = bob.join(&mut alice, &room).await;
    alice.get("send-messages", packet(&room, &[&bob_id], &"x".repeat(96 * 1024)), "sent").await;
    // Handing out 96 KiB costs 24 tokens, twelve more than there are: three seconds.
    alice.sync().await;
    drop((alice, bob));
    server.stop().await;
}

/// The drain has a deadline, and then everything is wiped all the same.
#[tokio::test]
async fn a_frozen_reader_does_not_hold_up_the_end() {
    let limits = ["write_timeout_s=3600", "queue_bytes=1000000000", "ping_interval_s=3600"];
    let server = TestServer::start(&limits).await;
    let mut alice = server.client().await;
    let room = alice.create().await;
    let (wire, frozen_id) = frozen(&server, &mut alice, &room).await;
    let payload = "x".repeat(1_000_000);
    for _ in 0..20 {
        alice.get("send-messages", packet(&room, &[&frozen_id], &payload), "sent").await;
    }
    let stopping = server.begin_stop();
    assert_eq!(alice.closed().await.0, 4000);
    drop(alice);
    stopping.stopped().await;
    drop(wire);
}

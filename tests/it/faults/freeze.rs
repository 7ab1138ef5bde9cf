//! A member who stops reading delays nobody, and can come back for what it missed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::raw::{Client, Room};
use crate::support::test_server::TestServer;
use crate::support::tls::tls_over;

const READERS: usize = 8;

/// A member who can come back, with little room for what it does not read.
async fn sluggish(server: &TestServer) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    Client::open(tls_over(stream, server.trust()).await.unwrap()).await
}

/// Alice sends a packet to all; how long it takes until every reader has it, and the answer.
async fn round(
    alice: &mut Client,
    readers: &mut [Client],
    room: &Room,
    to: &[String],
    payload: &str,
) -> (Duration, Value) {
    let to: Vec<_> = to.iter().map(|user| json!({"to_user_id": user, "content": ""})).collect();
    let began = Instant::now();
    let sent = alice.get("send-messages", json!({"room_id": room.id, "shared": payload, "to": to}), "sent").await;
    for reader in readers {
        reader.expect("send-message").await;
    }
    (began.elapsed(), sent)
}

fn figures(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

#[tokio::test]
async fn a_frozen_reader_delays_nobody_and_misses_nothing_that_fits() {
    let limits = ["queue_events=64", "write_timeout_s=3600", "ping_interval_s=3600", "pong_timeout_s=3600"];
    let server = TestServer::start(&limits).await;
    let mut alice = server.client().await;
    let room = alice.create().await;
    let (mut readers, mut to) = (Vec::new(), Vec::new());
    for _ in 0..READERS {
        let mut reader = server.client().await;
        to.push(reader.join(&mut alice, &room).await.0);
        for other in &mut readers {
            Client::expect(other, "user-joined-onetime").await;
        }
        readers.push(reader);
    }
    let payload = "x".repeat(32_768);
    let mut before = Vec::new();
    for _ in 0..100 {
        before.push(round(&mut alice, &mut readers, &room, &to, &payload).await.0);
    }
    let mut frozen = sluggish(&server).await;
    frozen.get("resume", json!({}), "resumed").await;
    let frozen_id = frozen.join(&mut alice, &room).await.0;
    for reader in &mut readers {
        reader.expect("user-joined-onetime").await;
    }
    to.push(frozen_id.clone());
    // It reads nothing: the system's buffers fill, then its queue, then it is closed and away. Nothing else ends its
    // connection, and a test that waits for it would wait for ever.
    let (mut during, mut held) = (Vec::new(), 0);
    while held < 50 {
        let (time, sent) = round(&mut alice, &mut readers, &room, &to, &payload).await;
        during.push(time);
        held += usize::from(sent["data"]["held"] == json!([frozen_id]));
        assert_eq!(sent["data"]["absent"], json!([]));
    }
    eprintln!(
        "until {READERS} readers have 32 KiB: median and most {:?}; while another stands still {:?}",
        figures(before),
        figures(during.clone())
    );
    let token = frozen.token().to_owned();
    let got = frozen.read_until_closed().await.len();
    let mut back = server.client().await;
    back.get("resume", json!({"token": token, "last_seq": 1 + got}), "resumed").await;
    for _ in got..during.len() {
        back.expect("send-message").await;
    }
    back.silent().await;
    drop((alice, readers, back));
    server.stop().await;
}

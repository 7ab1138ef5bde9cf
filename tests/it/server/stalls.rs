//! A client that stops at some step of its set-up is dropped at the one deadline over all steps.

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::support::frame::{BINARY, PING, TEXT, frame};
use crate::support::raw::{Wire, upgrade_request};
use crate::support::test_server::{TestServer, soon};

/// Reads until the server ends the connection.
async fn ended(mut stream: impl AsyncRead + Unpin) {
    let mut bytes = Vec::new();
    let _ = soon("the end of a stalled connection", stream.read_to_end(&mut bytes)).await;
}

/// After the upgrade the client is told why.
async fn told(mut wire: Wire) {
    assert_eq!(wire.closed().await.0, Some(4003));
}

#[tokio::test]
pub(crate) async fn whoever_stops_on_the_way_is_dropped() {
    // As many places as there are stalls: all of them must be given back.
    let server = TestServer::start(&["first_command_s=1", "connections=10"]).await;
    let mut lively = server.client().await;
    lively.sync().await;

    let silent = server.tcp().await;
    let mut half_hello = server.tcp().await;
    half_hello.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
    let secured = server.tls().await;
    let mut half_request = server.tls().await;
    half_request.write_all(&upgrade_request("/v1", "").as_bytes()[..40]).await.unwrap();
    let mut kept_alive = server.tls().await;
    kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let upgraded = server.wire().await;
    let mut half_frame = server.wire().await;
    half_frame.write(&frame(TEXT, br#"{"cmd":"ack","data":{"seq":0}}"#)[..20]).await;
    let mut no_command = server.wire().await;
    no_command.write(&frame(PING, b"hello")).await;
    no_command.write(&frame(0x01, b"{")).await;

    // A frame that is no command counts as one.
    let mut binary = server.wire().await;
    binary.write(&frame(BINARY, b"hello")).await;

    tokio::join!(
        ended(silent),
        ended(half_hello),
        ended(secured),
        ended(half_request),
        ended(kept_alive),
        told(upgraded),
        told(half_frame),
        told(no_command),
    );
    // Who was quick enough is not concerned.
    lively.sync().await;
    binary.expect("hello").await;
    assert_eq!(binary.expect("error").await["data"]["code"], "binary-frame");
    binary.write(&frame(TEXT, br#"{"cmd":"dance"}"#)).await;
    assert_eq!(binary.expect("error").await["data"]["code"], "unknown-command");
    let room = lively.create().await;
    let mut others = Vec::new();
    soon("all places", async {
        while others.len() < 8 {
            if server
                .http("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await
                .contains(" 200 ")
            {
                others.push(server.client().await);
            }
        }
    })
    .await;
    lively.get("list-members", json!({"room_id": room.id}), "list-members").await;
    drop((lively, binary, others));
    server.stop().await;
}

//! What the port says to those who do not speak WebSocket, or not TLS.

use serde_json::Value;
use subrosa::server::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::raw::upgrade_request;
use crate::support::test_server::{TestServer, soon};

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[tokio::test]
async fn pages_and_errors() {
    let server = TestServer::start(&[]).await;
    for (request, expected) in [
        (get("/", ""), "200"),
        (get("/healthz", ""), "200"),
        (get("/nothing", ""), "404"),
        (get("/v2", ""), "404"),
        (get("/v1/", ""), "404"),
        (get("/../etc/passwd", ""), "404"),
        (get("/v1", ""), "426"),
        (get("/", "").replacen("GET", "POST", 1), "405"),
        (get("/v1", "").replacen("GET", "POST", 1), "405"),
        (get("/", "").replacen("GET", "HEAD", 1), "200"),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), "400"),
        (get("/", "Host: example.org\r\n"), "400"),
        (get("/", "Host: localhost\r\n"), "400"),
        (get("/", &format!("X-Long: {}\r\n", "x".repeat(20_000))), "431"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = server.http(&request).await;
        assert_eq!(status(&answer), expected, "{request:.60}");
    }
    let post = server.http(&get("/v1", "").replacen("GET", "POST", 1)).await;
    assert_eq!(header(&post, "allow"), Some("GET"));
    let health = server.http(&get("/healthz", "")).await;
    assert!(health.ends_with("\r\n\r\nok\n"), "{health}");
    assert_eq!(header(&health, "cache-control"), Some("no-store"));
    let page = server.http(&get("/", "Accept: text/html,*/*\r\n")).await;
    assert!(page.contains("<html") && header(&page, "content-security-policy").is_some(), "{page:.200}");
    let information = server.http(&get("/", "Accept: application/json\r\n")).await;
    let information: Value = serde_json::from_str(information.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&information["server"], &information["protocol"]), (&"subrosa".into(), &1.into()));
    assert_eq!(information["limits"]["rooms"], server.relay.limits().rooms);
    server.serves().await;
    server.stop().await;
}

/// Asks for the upgrade and reads the answer's head.
async fn upgrade(server: &TestServer, request: &str) -> String {
    let mut stream = server.tls().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        assert!(soon("an answer", stream.read_buf(&mut answer)).await.unwrap() > 0);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_upgrade_is_for_programs_and_for_pages_that_may() {
    let allowed = "https://chat.example.org".to_owned();
    let options = Options::default().allow_origin(allowed);
    let server = TestServer::with(&[], options).await;
    let good = upgrade_request("/v1", "");
    for (what, request, expected) in [
        ("no origin", good.clone(), "101"),
        ("its own origin", upgrade_request("/v1", "Origin: https://localhost\r\n"), "101"),
        ("an allowed origin", upgrade_request("/v1", "Origin: https://chat.example.org\r\n"), "101"),
        ("another origin", upgrade_request("/v1", "Origin: https://evil.example.org\r\n"), "403"),
        ("its own name in plaintext", upgrade_request("/v1", "Origin: http://localhost\r\n"), "403"),
        ("a longer name", upgrade_request("/v1", "Origin: https://chat.example.org.evil.org\r\n"), "403"),
        ("two origins", upgrade_request("/v1", "Origin: https://localhost\r\nOrigin: https://evil.org\r\n"), "403"),
        ("no name", upgrade_request("/v1", "Origin: null\r\n"), "403"),
        ("another path", upgrade_request("/v2", ""), "404"),
        ("another version", good.replace("Version: 13", "Version: 8"), "400"),
        ("no key", good.replace("Sec-WebSocket-Key", "X-Key"), "400"),
        ("no connection", good.replace("Connection: Upgrade", "Connection: keep-alive"), "400"),
        ("another protocol", good.replace("Upgrade: websocket", "Upgrade: h2c"), "426"),
    ] {
        let answer = upgrade(&server, &request).await;
        assert_eq!(status(&answer), expected, "{what}: {answer}");
    }
    // The key's echo of RFC 6455 §4.2.2, for the key that the test client sends.
    let answer = upgrade(&server, &good).await;
    assert_eq!(header(&answer, "sec-websocket-accept"), Some("ICX+Yqv66kxgM0FcWaLWlFLwTAI="));
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
async fn plaintext_is_told_that_this_port_speaks_tls() {
    let server = TestServer::start(&[]).await;
    for request in [get("/", ""), upgrade_request("/v1", ""), "EHLO example.org\r\n".to_owned()] {
        let mut stream = server.tcp().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("an answer", stream.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(status(&answer), "400");
        assert!(answer.contains("TLS"), "{answer}");
        let length: usize = header(&answer, "content-length").unwrap().parse().unwrap();
        assert_eq!(answer.split("\r\n\r\n").nth(1).unwrap().len(), length);
    }
    server.serves().await;
    server.stop().await;
}

/// A ClientHello of TLS 1.2: no `supported_versions`, and cipher suites of its time.
fn tls12_hello() -> Vec<u8> {
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..],  // supported_groups: secp256r1
        &[0, 11, 0, 2, 1, 0],             // ec_point_formats
        &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4], // signature_algorithms
        &[0, 23, 0, 0],                   // extended_master_secret
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}

#[tokio::test]
async fn tls_1_2_and_noise_are_refused() {
    let server = TestServer::start(&[]).await;
    let mut stream = server.tcp().await;
    stream.write_all(&tls12_hello()).await.unwrap();
    let mut answer = Vec::new();
    soon("an alert", stream.read_to_end(&mut answer)).await.unwrap();
    // A fatal alert: protocol_version (RFC 8446 §6.2).
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
    for noise in [&[0; 600][..], &[22, 3, 1, 0xff, 0xff], &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0], b"\x80\x01"] {
        let mut stream = server.tcp().await;
        let _ = stream.write_all(noise).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = soon("the end", stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"));
    }
    server.serves().await;
    server.stop().await;
}

#[tokio::test]
async fn another_application_protocol_is_refused() {
    let server = TestServer::start(&[]).await;
    let mut config = server.trust();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let refused = crate::support::tls::tls_over(server.tcp().await, config).await;
    assert!(refused.is_err());
    server.serves().await;
    server.stop().await;
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    let server = TestServer::start(&["connections=2"]).await;
    let (one, _two) = (server.client().await, server.client().await);
    let answer = server.http(&upgrade_request("/v1", "")).await;
    assert_eq!(status(&answer), "503");
    assert!(header(&answer, "retry-after").is_some());
    one.close(1000).await;
    // The place is given back in the moment in which the connection is dropped.
    let third = soon("a place", async {
        loop {
            let answer = server.http(&get("/healthz", "")).await;
            if status(&answer) == "200" {
                return server.client().await;
            }
        }
    })
    .await;
    drop(third);
}

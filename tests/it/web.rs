//! The web client as a server hands it out: what it says, under which rules, and whether `web-check` can tell.

use std::process::{Command, Output};

use crate::support::test_server::TestServer;
use crate::support::tls::{certificate, server_config};
use subrosa::server::web::{HASH_PATH, release};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Head and body of the answer to one request.
async fn get(server: &TestServer, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = server.tls().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
}

async fn web_check(port: u16, pin: &str) -> Output {
    let arguments = ["web-check".to_owned(), format!("https://localhost:{port}"), "--pin".to_owned(), pin.to_owned()];
    let run = move || Command::new(env!("CARGO_BIN_EXE_subrosa")).args(arguments).output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_under_its_rules() {
    let server = TestServer::start(&[]).await;
    let (head, body) = get(&server, "/", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, release().get("/").unwrap().plain);
    for expected in [
        "content-type: text/html; charset=utf-8",
        "cache-control: no-cache",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-embedder-policy: require-corp",
        "permissions-policy: camera=(self)",
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self';",
        "require-trusted-types-for 'script'; trusted-types 'none'",
        // This server's certificate counts as one that was given.
        "strict-transport-security: max-age=",
    ] {
        assert!(head.contains(expected), "{expected} in {head}");
    }
    assert!(!head.contains("unsafe"), "{head}");
    let (head, _) = get(&server, "/ui/main.js", "").await;
    assert!(head.contains("content-type: text/javascript; charset=utf-8"), "{head}");
    let (head, _) = get(&server, "/ui/", "").await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    let (head, _) = get(&server, "/../Cargo.toml", "").await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_browser_has_already_is_not_sent_again() {
    let server = TestServer::start(&[]).await;
    for (path, asset) in release().assets() {
        let (head, _) = get(&server, path, "Accept-Encoding: gzip\r\n").await;
        assert!(head.contains(&format!("etag: {}", asset.tag.to_lowercase())), "{path}: {head}");
    }
    let tag = release().get("/style.css").unwrap().tag;
    for (known, status) in [
        (tag.to_owned(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"other\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let (head, body) = get(&server, "/style.css", &format!("If-None-Match: {known}\r\n")).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{known}: {head}");
        assert_eq!(body.is_empty(), status == 304, "{known}");
        // The rules of the page hold for what it has kept, too.
        assert!(head.contains("content-security-policy: "), "{head}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_only_where_the_browser_takes_it() {
    let server = TestServer::start(&[]).await;
    let plain = release().get("/style.css").unwrap().plain.len();
    for (headers, compressed) in [
        ("Accept-Encoding: gzip, br\r\n", true),
        ("Accept-Encoding: br;q=1.0, gzip;q=0.5\r\n", true),
        ("Accept-Encoding: gzip;q=0\r\n", false),
        ("Accept-Encoding: identity\r\n", false),
        ("", false),
    ] {
        let (head, body) = get(&server, "/style.css", headers).await;
        assert_eq!(head.contains("content-encoding: gzip"), compressed, "{headers}");
        assert_eq!(body.len() < plain, compressed, "{headers}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_information_and_the_hash() {
    let server = TestServer::start(&[]).await;
    let (_, body) = get(&server, "/", "Accept: application/json\r\n").await;
    let information: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(information["server"], "subrosa");
    assert!(information["pin"].is_null());
    let (_, hash) = get(&server, HASH_PATH, "").await;
    assert_eq!(hash, format!("{}\n", release().hash()).as_bytes());
    let printed = Command::new(env!("CARGO_BIN_EXE_subrosa")).arg("web-hash").output().unwrap();
    assert_eq!(printed.stdout, hash);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_check_knows_the_released_page() {
    let server = TestServer::start(&[]).await;
    let done = web_check(server.address.port(), &server.pin().to_string()).await;
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.contains("are the same"), "{said}");
    server.stop().await;
}

/// A server that claims the right hash and serves the right files but for one.
#[tokio::test(flavor = "multi_thread")]
async fn web_check_finds_one_changed_file() {
    let (certificate, key) = certificate();
    let pin = subrosa::client::pin_of(&certificate).unwrap().to_string();
    let tls = TlsAcceptor::from(server_config(certificate, key));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tls.accept(stream).await.unwrap();
            let mut request = [0; 2048];
            let n = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..n]).into_owned();
            let path = request.split(' ').nth(1).unwrap();
            let body = match path {
                HASH_PATH => release().hash().as_bytes().to_vec(),
                "/ui/main.js" => b"// something else".to_vec(),
                path => release().get(path).unwrap().plain.to_vec(),
            };
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let done = web_check(port, &pin).await;
    server.abort();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success(), "{said}");
    assert!(said.contains("does NOT serve") && said.contains("/ui/main.js: another content"), "{said}");
    assert_eq!(said.matches("another").count(), 1, "{said}");
}

//! The relay inside other programs: the examples for hyper and axum, with real clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::json;
use subrosa::protocol::limits::Limits;
use subrosa::relay::{Relay, Stats};
use subrosa::server::{Adopter, Identity, Options, Server, TakeoverError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::raw::{Client, upgrade_request};
use crate::support::test_server::{folder, soon};
use crate::support::tls::tls_to;

#[path = "../../../examples/embedded_axum.rs"]
#[expect(dead_code, reason = "the example's main function is for people")]
mod embedded_axum;
#[path = "../../../examples/embedded_hyper.rs"]
#[expect(dead_code, reason = "the example's main function is for people")]
mod embedded_hyper;

/// A program that accepts connections, and the relay in it.
struct Program {
    address: SocketAddr,
    folder: PathBuf,
    relay: Arc<Relay>,
    accepting: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), TakeoverError>>,
}

impl Program {
    async fn start<F: Future<Output = ()> + Send + 'static>(
        limits: &[&str],
        accept: impl FnOnce(TcpListener, Arc<ServerConfig>, Adopter) -> F,
    ) -> Self {
        let folder = folder();
        let identity = Identity::development(&folder).unwrap().identity;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::embedded(Limits::from_settings(limits).unwrap(), Options::default().workers(2));
        assert!(server.local_addr().is_err() && server.shown_identity().is_none());
        let accepting = tokio::spawn(accept(listener, identity.server_config(), server.adopter()));
        let ((serves, serving), (stop, stopped)) = (oneshot::channel(), oneshot::channel::<()>());
        let relay = server.relay();
        let server = server.on_serving(move || serves.send(()).unwrap());
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        soon("a server that serves", serving).await.unwrap();
        Self { address, folder, relay, accepting, stop, running }
    }

    async fn hyper(limits: &[&str]) -> Self {
        Self::start(limits, embedded_hyper::serve).await
    }

    async fn client(&self) -> Client {
        Client::open(tls_to(self.address, &self.folder).await).await
    }

    /// Sends a request as it stands and reads the answer's head, and its body where that is short.
    async fn http(&self, request: &str) -> String {
        let mut stream = tls_to(self.address, &self.folder).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = soon("an answer", stream.read(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    async fn stop(self) {
        let stats = self.relay;
        self.stop.send(()).unwrap();
        soon("the server's end", self.running).await.unwrap().unwrap();
        assert_eq!(Stats { scheduled: 0, ..stats.stats() }, Stats::default());
        self.accepting.abort();
    }
}

/// Two members meet, and the program's own pages are there beside them.
async fn strangers_meet_in(program: Program) {
    let page = program.http("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("a page of the program\n"), "{page}");
    let (mut alice, mut bob) = (program.client().await, program.client().await);
    let room = alice.create().await;
    let (from, to) = bob.join(&mut alice, &room).await;
    let message = json!({"room_id": room.id, "to_user_id": from, "content": "hi"});
    alice.send(json!({"cmd": "send-message", "data": message})).await;
    let got = bob.expect("send-message").await;
    assert_eq!((&got["data"]["user_id"], &got["data"]["content"]), (&json!(to), &json!("hi")));
    drop((alice, bob));
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_hyper_serves_rooms() {
    strangers_meet_in(Program::hyper(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_axum_serves_rooms() {
    let accept = |listener, tls, adopter| embedded_axum::serve(listener, tls, embedded_axum::app(adopter));
    strangers_meet_in(Program::start(&[], accept).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_connection_is_judged_like_one_of_the_servers_own() {
    let program = Program::hyper(&["connections_from_loopback=1"]).await;
    for (request, status) in [
        ("GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "426"),
        (upgrade_request("/v1", "Origin: https://evil.example\r\n"), "403"),
        ("GET /v1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = program.http(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    // The refused ones gave their places back; the second one finds none.
    let only = program.client().await;
    let answer = program.http(&upgrade_request("/v1", "")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Too many connections"), "{answer}");
    drop(only);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stopped_adopts_nobody() {
    let mut program = Program::hyper(&[]).await;
    let (stop, _) = oneshot::channel();
    std::mem::replace(&mut program.stop, stop).send(()).unwrap();
    soon("the server's end", &mut program.running).await.unwrap().unwrap();
    let answer = program.http(&upgrade_request("/v1", "")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("does not run"), "{answer}");
    program.accepting.abort();
}

/// A proxy that takes TLS away could read which client is in which room.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_tls_is_closed() {
    let accept = async |listener: TcpListener, _, adopter: Adopter| {
        let (stream, peer) = listener.accept().await.unwrap();
        let service = service_fn(move |mut request| {
            let answer = adopter.adopt(&mut request, peer.ip());
            async { Ok::<_, Infallible>(answer) }
        });
        let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        serving.with_upgrades().await.unwrap();
    };
    let program = Program::start(&[], accept).await;
    let mut stream = TcpStream::connect(program.address).await.unwrap();
    stream.write_all(upgrade_request("/v1", "").as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the end", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"), "no frame follows: {answer}");
    program.stop().await;
}

#[tokio::test]
async fn a_server_without_a_port_cannot_be_taken_over() {
    let server = Server::embedded(Limits::default(), Options::default().takeover(folder().join("takeover")));
    assert!(matches!(server.run(std::future::pending()).await, Err(TakeoverError::NoPort)));
}

//! A real server on a free port, with shrunken limits, that must be empty when a test is done with it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::json;
use subrosa::client::{Address, Config, Pin, Trust, pin_of};
use subrosa::protocol::limits::Limits;
use subrosa::relay::{Relay, Stats};
use subrosa::server::{DEV_CERT, DEV_KEY, Identity, Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use super::raw::{Client, Wire};
use super::tls::{TLS13, certificate_in, tls_to, trusting};

/// Nothing that a test waits for takes this long unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(done) => done,
        Err(_) => panic!("this did not come: {what}"),
    }
}

/// Waits for a state that no event tells of.
pub(crate) async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    soon(what, async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A new empty folder below the build's own.
pub(crate) fn folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// These limits; `window_events` may be lower than a host may set it, so that a test fills a window sooner.
fn small(settings: &[&str]) -> Limits {
    let (few, others): (Vec<&str>, Vec<&str>) =
        settings.iter().partition(|setting| setting.starts_with("window_events="));
    let mut limits = Limits::from_settings(others).unwrap();
    for setting in few {
        limits.window_events = setting["window_events=".len()..].parse().unwrap();
    }
    limits
}

/// One development certificate for all servers of a test binary.
static CERTIFICATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = folder();
    Identity::development(&folder).unwrap();
    folder
});

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Arc<Relay>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl TestServer {
    /// A server with these limits, each as `NAME=VALUE`.
    pub(crate) async fn start(limits: &[&str]) -> Self {
        Self::with(limits, Options::default()).await
    }

    pub(crate) async fn with(limits: &[&str], options: Options) -> Self {
        let (cert, key) = (CERTIFICATE.join(DEV_CERT), CERTIFICATE.join(DEV_KEY));
        let identity = Identity::from_pem_files(&cert, &key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = if options.workers == 0 { options.workers(2) } else { options };
        let server = Server::new(listener, &identity, small(limits), options);
        let relay = server.relay();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async { server.run(async { drop(stopped.await) }).await.unwrap() });
        Self { address, relay, stop, running }
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// TLS settings that trust this server alone.
    pub(crate) fn trust(&self) -> ClientConfig {
        trusting(&CERTIFICATE, TLS13)
    }

    /// The pin of the server's certificate.
    pub(crate) fn pin(&self) -> Pin {
        pin_of(&certificate_in(&CERTIFICATE)).unwrap()
    }

    /// The server's address as the Rust client takes it.
    pub(crate) fn client_address(&self) -> Address {
        Address::new("127.0.0.1", self.address.port()).unwrap()
    }

    /// The Rust client's settings for this server.
    pub(crate) fn config(&self) -> Config {
        Config::new(self.client_address(), Trust::Pin(self.pin()))
    }

    pub(crate) async fn tls(&self) -> TlsStream<TcpStream> {
        soon("a TLS handshake", tls_to(self.address, &CERTIFICATE)).await
    }

    /// A connected client that was greeted.
    pub(crate) async fn client(&self) -> Client {
        Client::open(self.tls().await).await
    }

    /// A connection after the upgrade, byte for byte, with the greeting still to come.
    pub(crate) async fn wire(&self) -> Wire {
        Wire::open(self.tls().await).await
    }

    /// Sends one HTTP request as it stands and reads the answer to its end.
    pub(crate) async fn http(&self, request: &str) -> String {
        let mut stream = self.tls().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // After a refused upgrade the end comes without TLS's own farewell; the length tells whether the answer is
        // whole.
        let _ = soon("the end of an HTTP answer", stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()
    }

    /// Two strangers can still meet here and talk.
    pub(crate) async fn serves(&self) {
        let (mut alice, mut bob) = (self.client().await, self.client().await);
        let room = alice.create().await;
        let (from, to) = bob.join(&mut alice, &room).await;
        alice
            .send(json!({"cmd": "send-message", "data": {"room_id": room.id, "to_user_id": from, "content": "hi"}}))
            .await;
        let got = bob.expect("send-message").await;
        assert_eq!((&got["data"]["user_id"], &got["data"]["content"]), (&json!(to), &json!("hi")));
        bob.leave(&room).await;
        alice.expect("user-left").await;
        alice.leave(&room).await;
    }

    /// Waits until nothing is held any more; the clients must be gone.
    pub(crate) async fn empty(&self) {
        let relay = &self.relay;
        until("an empty relay", || Stats { scheduled: 0, ..relay.stats() } == Stats::default()).await;
        relay.check_consistency().unwrap();
    }

    /// Waits until only sessions that may come back are left; the clients must be gone.
    pub(crate) async fn empty_but_for_windows(&self) {
        until("sessions that are away alone", || {
            let stats = self.relay.stats();
            stats.sessions == stats.away
        })
        .await;
        self.relay.check_consistency().unwrap();
    }

    /// Stops the server. Clients should be gone: those that are not are waited for.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        soon("the server's end", self.running).await.unwrap();
        assert_eq!(Stats { scheduled: 0, ..self.relay.stats() }, Stats::default());
        self.relay.check_consistency().unwrap();
    }

    /// Tells the server to stop, without waiting for it.
    pub(crate) fn begin_stop(self) -> Stopping {
        let _ = self.stop.send(());
        Stopping { relay: self.relay, running: self.running }
    }
}

/// A server that was told to stop.
pub(crate) struct Stopping {
    relay: Arc<Relay>,
    running: JoinHandle<()>,
}

impl Stopping {
    pub(crate) async fn stopped(self) {
        soon("the server's end", self.running).await.unwrap();
        assert_eq!(Stats { scheduled: 0, ..self.relay.stats() }, Stats::default());
        self.relay.check_consistency().unwrap();
    }
}

//! A real server on a free port, with shrunken limits, that must be empty when a test is done with it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use serde_json::json;
use subrosa::protocol::limits::Limits;
use subrosa::relay::{Relay, Stats};
use subrosa::server::tls::{DEV_CERT, DEV_KEY, Identity};
use subrosa::server::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::raw::{Client, Wire};

/// Nothing that a test waits for takes this long unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must come.
pub async fn soon<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(done) => done,
        Err(_) => panic!("this did not come: {what}"),
    }
}

/// Waits for a state that no event tells of.
pub async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    soon(what, async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A new empty folder below the build's own.
pub fn folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// One development certificate for all servers of a test binary.
static CERTIFICATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = folder();
    Identity::development(&folder).unwrap();
    folder
});

/// A client's TLS settings that trust the certificate in `folder` alone.
pub fn trusting(folder: &Path, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let pem = std::fs::read(folder.join(DEV_CERT)).unwrap();
    let mut roots = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut &pem[..]) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// A TLS 1.3 connection to whoever listens at `address` with the certificate in `folder`.
pub async fn tls_to(address: SocketAddr, folder: &Path) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    tls_over(stream, trusting(folder, &[&rustls::version::TLS13])).await.unwrap()
}

pub async fn tls_over(stream: TcpStream, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

pub struct TestServer {
    pub address: SocketAddr,
    pub relay: Arc<Relay>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl TestServer {
    /// A server with these limits, each as `NAME=VALUE`.
    pub async fn start(limits: &[&str]) -> Self {
        Self::with(limits, Options::default()).await
    }

    pub async fn with(limits: &[&str], options: Options) -> Self {
        let (cert, key) = (CERTIFICATE.join(DEV_CERT), CERTIFICATE.join(DEV_KEY));
        let tls = Identity::from_pem_files(&cert, &key).unwrap().server_config().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = if options.workers == 0 { Options { workers: 2, ..options } } else { options };
        let server = Server::new(listener, tls, Limits::from_settings(limits).unwrap(), options);
        let relay = server.relay();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async { server.run(async { drop(stopped.await) }).await.unwrap() });
        Self { address, relay, stop, running }
    }

    pub async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub fn trust(&self) -> ClientConfig {
        trusting(&CERTIFICATE, &[&rustls::version::TLS13])
    }

    pub async fn tls(&self) -> TlsStream<TcpStream> {
        soon("a TLS handshake", tls_to(self.address, &CERTIFICATE)).await
    }

    /// A connected client that was greeted.
    pub async fn client(&self) -> Client {
        Client::open(self.tls().await).await
    }

    /// A connection after the upgrade, byte for byte, with the greeting still to come.
    pub async fn wire(&self) -> Wire {
        Wire::open(self.tls().await).await
    }

    /// Sends one HTTP request as it stands and reads the answer to its end.
    pub async fn http(&self, request: &str) -> String {
        let mut stream = self.tls().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // After a refused upgrade the end comes without TLS's own farewell; the length tells whether the answer is whole.
        let _ = soon("the end of an HTTP answer", stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()
    }

    /// Two strangers can still meet here and talk.
    pub async fn serves(&self) {
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
    pub async fn empty(&self) {
        let relay = &self.relay;
        until("an empty relay", || Stats { scheduled: 0, ..relay.stats() } == Stats::default()).await;
        relay.check_consistency().unwrap();
    }

    /// Waits until only sessions that may come back are left; the clients must be gone.
    pub async fn empty_but_for_windows(&self) {
        until("sessions that are away alone", || {
            let stats = self.relay.stats();
            stats.sessions == stats.away
        })
        .await;
        self.relay.check_consistency().unwrap();
    }

    /// Stops the server. Clients should be gone: those that are not are waited for.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        soon("the server's end", self.running).await.unwrap();
        assert_eq!(Stats { scheduled: 0, ..self.relay.stats() }, Stats::default());
        self.relay.check_consistency().unwrap();
    }

    /// Tells the server to stop, without waiting for it.
    pub fn begin_stop(self) -> Stopping {
        let _ = self.stop.send(());
        Stopping { relay: self.relay, running: self.running }
    }
}

/// A server that was told to stop.
pub struct Stopping {
    relay: Arc<Relay>,
    running: JoinHandle<()>,
}

impl Stopping {
    pub async fn stopped(self) {
        soon("the server's end", self.running).await.unwrap();
        assert_eq!(Stats { scheduled: 0, ..self.relay.stats() }, Stats::default());
        self.relay.check_consistency().unwrap();
    }
}

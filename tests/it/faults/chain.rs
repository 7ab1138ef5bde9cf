//! Servers that take over from each other, in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustls::ClientConfig;
use subrosa::protocol::limits::Limits;
use subrosa::relay::Relay;
use subrosa::server::{Identity, Inheritance, Options, Server, TakeoverError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::raw::Client;
use crate::support::test_server::{folder, soon, until};
use crate::support::tls::{TLS13, tls_to, trusting};

pub(crate) struct Chain {
    pub(crate) address: SocketAddr,
    /// The takeover socket.
    pub(crate) path: PathBuf,
    /// The relay of the server that serves.
    pub(crate) relay: Arc<Relay>,
    /// The relays of those before.
    pub(crate) before: Vec<Weak<Relay>>,
    /// The bounds of the next.
    pub(crate) limits: Limits,
    identity: Identity,
    folder: PathBuf,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), TakeoverError>>,
    /// Those that were taken over from.
    ended: Vec<JoinHandle<Result<(), TakeoverError>>>,
}

fn options(path: &std::path::Path, within: Option<Duration>) -> Options {
    let options = Options::default().workers(2).takeover(path);
    within.into_iter().fold(options, Options::takeover_patience)
}

/// Runs a server; once it serves: the word that stops it, and its end.
async fn run(server: Server) -> (oneshot::Sender<()>, JoinHandle<Result<(), TakeoverError>>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (serves, serving) = oneshot::channel();
    let server = server.on_serving(move || serves.send(()).unwrap());
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
    soon("a server that serves", serving).await.unwrap();
    (stop, running)
}

impl Chain {
    pub(crate) async fn start(limits: &[&str]) -> Self {
        Self::with(limits, None).await
    }

    /// The first server gives successors only so much time.
    pub(crate) async fn with(limits: &[&str], within: Option<Duration>) -> Self {
        let folder = folder();
        let identity = Identity::development(&folder).unwrap().identity;
        let limits = Limits::from_settings(limits).unwrap();
        let path = folder.join("takeover");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(listener, &identity, limits.clone(), options(&path, within));
        let relay = server.relay();
        let (stop, running) = run(server).await;
        Self { address, path, relay, before: Vec::new(), limits, identity, folder, stop, running, ended: Vec::new() }
    }

    pub(crate) fn trust(&self) -> ClientConfig {
        trusting(&self.folder, TLS13)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::open(tls_to(self.address, &self.folder).await).await
    }

    /// Another server takes over.
    pub(crate) async fn hand_over(&mut self) {
        let (path, limits) = (self.path.clone(), self.limits.clone());
        let received = tokio::task::spawn_blocking(move || Inheritance::receive(&path, limits, String::new()));
        let inheritance = received.await.unwrap().unwrap().expect("a server to take over from");
        let server = Server::inherit(inheritance, &self.identity, options(&self.path, None)).unwrap();
        assert_eq!(server.local_addr().unwrap(), self.address);
        let relay = server.relay();
        let (stop, running) = run(server).await;
        let old = std::mem::replace(&mut self.relay, relay);
        self.before.push(Arc::downgrade(&old));
        self.stop = stop;
        self.ended.push(std::mem::replace(&mut self.running, running));
    }

    /// Waits until all that were taken over from have ended, and hold nothing any more.
    pub(crate) async fn old_ones_end(&mut self) {
        for ended in self.ended.drain(..) {
            soon("the end of a server that was taken over from", ended).await.unwrap().unwrap();
        }
        // Connections that were being set up have their time.
        let before = &self.before;
        until("relays without a server to be freed", || before.iter().all(|relay| relay.strong_count() == 0)).await;
    }

    pub(crate) async fn stop(mut self) {
        self.old_ones_end().await;
        let _ = self.stop.send(());
        soon("the server's end", self.running).await.unwrap().unwrap();
        assert!(!self.path.exists());
        self.relay.check_consistency().unwrap();
    }
}

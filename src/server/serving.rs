//! One server: what it needs to run, and its life from the first connection to the last.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::accept::Acceptor;
use super::admission::Admission;
use super::adopt::{Adopter, Door};
use super::http::Site;
use super::mailbox::WorkersHandle;
use super::memory;
use super::options::Options;
use super::succession::{DRAIN, Succession};
use super::takeover::{Claim, Inheritance};
use super::takeover_error::TakeoverError;
use super::tls::{Identity, ShownIdentity};
use super::warden::Warden;
use super::worker::Workers;
use crate::protocol::limits::Limits;
use crate::relay::{Relay, Woken};
use crate::secret::wipe;

/// A server that is about to run: set it up, then [`Server::run`] it.
pub struct Server {
    /// `None`: all connections are adopted.
    port: Option<Port>,
    adopter: Adopter,
    relay: Arc<Relay>,
    options: Options,
    /// Decides whether this process or the previous one serves.
    claim: Option<Claim>,
    on_serving: Box<dyn FnOnce() + Send>,
}

/// The source of connections.
struct Port {
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    shown: ShownIdentity,
}

impl Port {
    fn new(listener: TcpListener, identity: &Identity) -> Self {
        let (shown, tls) = ShownIdentity::new(identity);
        Self { listener, tls, shown }
    }
}

impl Server {
    /// A server on a bound listener. It accepts no connection before [`Server::run`].
    pub fn new(listener: TcpListener, identity: &Identity, limits: Limits, options: Options) -> Self {
        let relay = Relay::new(memory::bounded(limits), options.notice.clone());
        Self::with(Some(Port::new(listener, identity)), relay, options, None)
    }

    /// A server without a port, inside a program that accepts the connections: see [`Server::adopter`]. No other
    /// process can take over from it, so [`Options::takeover`] makes [`Server::run`] fail.
    pub fn embedded(limits: Limits, options: Options) -> Self {
        let relay = Relay::new(memory::bounded(limits), options.notice.clone());
        Self::with(None, relay, options, None)
    }

    /// A server that continues another process, with its listening socket, its rooms and its sessions.
    ///
    /// # Errors
    /// The socket cannot be used by this runtime.
    pub fn inherit(inheritance: Inheritance, identity: &Identity, options: Options) -> io::Result<Self> {
        let Inheritance { listener, relay, claim } = inheritance;
        listener.set_nonblocking(true)?;
        let port = Port::new(TcpListener::from_std(listener)?, identity);
        Ok(Self::with(Some(port), relay, options, Some(claim)))
    }

    fn with(port: Option<Port>, relay: Arc<Relay>, options: Options, claim: Option<Claim>) -> Self {
        Self { port, adopter: Adopter::default(), relay, options, claim, on_serving: Box::new(|| {}) }
    }

    /// Calls `tell` when this process begins to serve.
    pub fn on_serving(mut self, tell: impl FnOnce() + Send + 'static) -> Self {
        self.on_serving = Box::new(tell);
        self
    }

    /// Serves connections that another program accepted, from the moment that [`Server::on_serving`] reports until the
    /// server stops.
    pub fn adopter(&self) -> Adopter {
        self.adopter.clone()
    }

    /// The certificate that this server shows, to put a renewed one in its place. `None` for a server without a port.
    pub fn shown_identity(&self) -> Option<ShownIdentity> {
        self.port.as_ref().map(|port| port.shown.clone())
    }

    /// The relay's shared state, to watch.
    #[doc(hidden)]
    pub fn relay(&self) -> Arc<Relay> {
        self.relay.clone()
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system does not say, or the server has no port.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.port.as_ref().ok_or(io::ErrorKind::NotConnected)?.listener.local_addr()
    }

    /// Serves until `shutdown` is ready or another process has taken over.
    ///
    /// Then it stops accepting, tells every client when to reconnect, sends what waits, closes all connections and
    /// wipes its memory.
    ///
    /// # Errors
    /// The server could not begin to serve. An error of one connection ends only that connection.
    ///
    /// # Cancel safety
    /// Not cancel safe: if the future is dropped, the event loops continue without a port and without a clock. Make
    /// `shutdown` ready instead.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), TakeoverError> {
        let Self { port, adopter, relay, options, claim, on_serving } = self;
        if port.is_none() && options.takeover.is_some() {
            return Err(TakeoverError::NoPort);
        }
        let count = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let workers = Workers::start(count, relay.clone())?;
        let _warden = Warden::start(&relay, workers.handle())?;
        let (succession, settled) = match Succession::begin(claim, &options).await {
            Ok(begun) => begun,
            Err(error) => {
                relay.forget();
                workers.stop(Duration::ZERO);
                return Err(error);
            }
        };
        let door = Arc::new(Door {
            site: Site::new(relay.clone(), options.allowed_origins, options.development_pin),
            admission: Admission::new(relay.clone()),
            workers: workers.handle(),
            set_up: Duration::from_secs(relay.limits().first_command_s),
        });
        let acceptor = port.as_ref().map(|port| Acceptor::new(port.tls.clone(), door.clone()));
        adopter.open(door.clone());
        on_serving();
        drop(settled);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let successor = tokio::select! {
                () = accept(port.as_ref().zip(acceptor.as_ref())) => continue,
                () = watch_clock(&relay, &door.workers) => continue,
                () = &mut shutdown => break,
                successor = succession.successor(port.as_ref().map(|port| &port.listener), &relay) => successor,
            };
            // During this time nothing accepts connections, and no clock runs.
            match succession.give_way(successor, relay.clone(), workers.handle()).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "the takeover failed; this process continues to serve"),
            }
        }
        adopter.close();
        let taken_over = relay.is_taken_over();
        succession.end(taken_over);
        // Waiting for threads blocks, and connections in their set-up still need this runtime.
        let stopped = tokio::task::spawn_blocking(move || {
            if taken_over {
                workers.join();
                return relay.forget();
            }
            let mut woken = Woken::new();
            relay.stop(&mut woken);
            workers.handle().wake(&mut woken);
            workers.stop(DRAIN);
        });
        Ok(stopped.await.map_err(io::Error::other)?)
    }
}

/// Accepts connections for ever, if there is a port.
async fn accept(port: Option<(&Port, &Arc<Acceptor>)>) {
    match port {
        Some((port, acceptor)) => acceptor.accept(&port.listener).await,
        None => std::future::pending().await,
    }
}

/// Ends rooms, keys and absent sessions when they expire.
async fn watch_clock(relay: &Relay, workers: &WorkersHandle) {
    loop {
        let next = relay.next_due();
        let wait = async {
            match next {
                Some(at) => tokio::time::sleep(Duration::from_millis(at.saturating_sub(relay.now()))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {
                let mut woken = Woken::new();
                relay.expire(relay.now(), &mut woken);
                workers.wake(&mut woken);
                wipe::stack::<{ wipe::DEEP }>();
            }
            () = relay.earlier_due() => {}
        }
    }
}

//! A running server: one TLS port that serves HTTPS and upgrades to WebSocket.
//!
//! ```text
//! accept → admission → TLS → HTTP → 101 ─┐            async tasks, one deadline (accept, http)
//!                                         ▼
//! socket → TLS → frames → relay → windows → TLS → socket     event loops, one a core (worker, connection)
//! ```
//!
//! Setting up a connection is rare and has many ways to fail, so it is written as tasks over well-kept libraries. Once it speaks
//! WebSocket it moves to a worker: a thread with an epoll loop that owns its connections' buffers, reads whole batches, lets the relay
//! carry them out, and then writes to each recipient once.

mod accept;
mod admission;
mod bucket;
mod connection;
mod http;
mod lanes;
mod mailbox;
mod output;
mod takeover;
pub mod tls;
pub mod web;
mod worker;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::protocol::limits::Limits;
use crate::relay::{Relay, Woken};
use crate::secret::wipe;
use accept::Acceptor;
use http::Site;
use mailbox::WorkersHandle;
use takeover::{Claim, Settled, Successor, TakeoverSocket, UnnamedSocket};
pub use takeover::{Inheritance, TakeoverError};
use worker::Workers;

/// The default port.
pub const DEFAULT_PORT: u16 = 5656;

/// A server that is about to run: set it up, then [`Server::run`] it.
pub struct Server {
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    relay: Arc<Relay>,
    options: Options,
    /// The question whether this process or the one before serves.
    claim: Option<Claim>,
    on_serving: Box<dyn FnOnce() + Send>,
}

/// Settings that are not bounds.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The host's word to its users, told to every client in `hello`; may be empty.
    pub notice: String,
    /// Origins of web pages that may connect, as `https://HOST[:PORT]`, beside the server's own.
    pub allowed_origins: Vec<String>,
    /// The pin of a development certificate: the web client puts it into its links, and browsers are not told to insist on TLS here.
    pub development_pin: Option<String>,
    /// Event loops; 0 means one for each processor that this process may use.
    pub workers: usize,
    /// Where another process can take over from this one: the path of a Unix socket.
    pub takeover: Option<PathBuf>,
    /// How long a takeover may take, from its greeting on, before this process goes on serving. Clients wait meanwhile. 10 s if not given.
    pub takeover_within: Option<Duration>,
}

/// How long clients have to read what waits for them when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

impl Server {
    /// A server on a bound listener. Nothing is accepted before [`Server::run`].
    pub fn new(listener: TcpListener, tls: Arc<rustls::ServerConfig>, limits: Limits, options: Options) -> Self {
        let relay = Relay::new(limits, options.notice.clone());
        Self { listener, tls, relay, options, claim: None, on_serving: Box::new(|| {}) }
    }

    /// A server that goes on where another process leaves off, with its listening socket, its rooms and its sessions.
    ///
    /// # Errors
    /// The socket cannot be used by this runtime.
    pub fn inherit(inheritance: Inheritance, tls: Arc<rustls::ServerConfig>, options: Options) -> io::Result<Self> {
        let Inheritance { listener, relay, claim } = inheritance;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { listener, tls, relay, options, claim: Some(claim), on_serving: Box::new(|| {}) })
    }

    /// Calls `tell` at the moment from which on this process serves.
    pub fn on_serving(mut self, tell: impl FnOnce() + Send + 'static) -> Self {
        self.on_serving = Box::new(tell);
        self
    }

    /// The relay's shared state, to watch.
    pub fn relay(&self) -> Arc<Relay> {
        self.relay.clone()
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is ready or another process has taken over.
    ///
    /// Then it says goodbye: stops accepting, tells every client when to come back, writes out what waits, closes, and wipes.
    ///
    /// # Errors
    /// It could not begin to serve. What goes wrong with one connection ends that one alone.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), TakeoverError> {
        let Self { listener, tls, relay, options, claim, on_serving } = self;
        let count = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let workers = Workers::start(count, relay.clone())?;
        let site = Site::new(relay.clone(), options.allowed_origins.clone(), options.development_pin.clone());
        let acceptor = Acceptor::new(tls, site, relay.limits(), workers.handle());
        let (socket, settled) = match begin(claim, &options).await {
            Ok(begun) => begun,
            Err(error) => {
                relay.forget();
                workers.stop(Duration::ZERO);
                return Err(error);
            }
        };
        on_serving();
        drop(settled);
        let clock_workers = workers.handle();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let successor = async {
                match &socket {
                    Some(socket) => socket.successor().await,
                    None => std::future::pending().await,
                }
            };
            let successor = tokio::select! {
                () = acceptor.accept(&listener) => continue,
                () = watch_clock(&relay, &clock_workers) => continue,
                () = &mut shutdown => break,
                successor = successor => successor,
            };
            // Nobody accepts and nobody watches the clock meanwhile.
            match hand_over(successor, &listener, relay.clone(), workers.handle()).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "the take-over failed; this process continues to serve"),
            }
        }
        let taken_over = relay.is_taken_over();
        if let Some(socket) = socket
            && !taken_over
        {
            socket.remove();
        }
        // Waiting for threads blocks, and connections still being set up need this runtime meanwhile.
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

/// Settles which process serves, and opens the door for the next one.
async fn begin(
    claim: Option<Claim>,
    options: &Options,
) -> Result<(Option<TakeoverSocket>, Option<Settled>), TakeoverError> {
    let unnamed = options.takeover.as_deref().map(UnnamedSocket::open).transpose()?;
    let settled = match claim {
        Some(claim) => Some(tokio::task::spawn_blocking(|| claim.settle()).await.map_err(io::Error::other)??),
        None => None,
    };
    let socket = match unnamed.map(|socket| socket.name(options.takeover_within)).transpose() {
        // The other process is gone, and everybody is here now.
        Err(error) if settled.is_some() => {
            tracing::error!(%error, "serving, but no other process can take over from this one");
            None
        }
        other => other?,
    };
    Ok((socket, settled))
}

/// Every step blocks, with one deadline over all. After an error everything is as before.
async fn hand_over(
    mut successor: Successor,
    listener: &TcpListener,
    relay: Arc<Relay>,
    workers: WorkersHandle,
) -> Result<(), TakeoverError> {
    let listener = listener.as_fd().try_clone_to_owned()?;
    let steps = tokio::task::spawn_blocking(move || {
        let frozen = workers.freeze(DRAIN).ok_or(io::ErrorKind::TimedOut).map_err(io::Error::from)?;
        let handed_over = successor.hand_over(&listener, &relay);
        // All keys of all rooms went over this stack, and after a failure this process goes on.
        wipe::stack::<{ wipe::DEEP }>();
        handed_over?;
        relay.set_taken_over();
        frozen.leave(DRAIN);
        successor.dismissed(DRAIN);
        Ok(())
    });
    steps.await.map_err(io::Error::other)?
}

/// Ends rooms, keys and absent sessions when their time is up.
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

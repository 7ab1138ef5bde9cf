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
mod connection;
mod http;
mod mailbox;
mod output;
pub mod tls;
mod worker;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::protocol::limits::Limits;
use crate::relay::Relay;
use accept::Acceptor;
use worker::Workers;

/// The default port.
pub const DEFAULT_PORT: u16 = 5656;

/// A server that is about to run: set it up, then [`Server::run`] it.
pub struct Server {
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    relay: Arc<Relay>,
    allowed_origins: Vec<String>,
    workers: usize,
    drain: Duration,
}

/// The host's word to its users and other settings that are not bounds.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Told to every client in `hello`; may be empty.
    pub notice: String,
    /// Origins of web pages that may connect, as `https://HOST[:PORT]`, beside the server's own.
    pub allowed_origins: Vec<String>,
    /// Event loops; 0 means one for each processor that this process may use.
    pub workers: usize,
}

impl Server {
    /// A server on a bound listener. Nothing is accepted before [`Server::run`].
    pub fn new(listener: TcpListener, tls: Arc<rustls::ServerConfig>, limits: Limits, options: Options) -> Self {
        let Options { notice, allowed_origins, workers } = options;
        let workers = match workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        Self {
            listener,
            tls,
            relay: Relay::new(limits, notice),
            allowed_origins,
            workers,
            drain: Duration::from_secs(10),
        }
    }

    /// The relay's shared state, to watch.
    pub fn relay(&self) -> Arc<Relay> {
        self.relay.clone()
    }

    /// Serves until `shutdown` is ready, then says goodbye: stops accepting, tells every client when to come back, writes out what waits,
    /// closes, and wipes.
    ///
    /// # Errors
    /// An event loop could not be made. What goes wrong with one connection ends that one alone.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listener, tls, relay, allowed_origins, workers, drain } = self;
        let workers = Workers::start(workers, relay.clone())?;
        let acceptor = Acceptor::new(tls, relay.clone(), allowed_origins, workers.handle());
        tokio::select! {
            () = acceptor.accept(listener) => {}
            () = watch_clock(relay.clone()) => {}
            () = shutdown => {}
        }
        relay.stop();
        // Joining threads blocks, and connections still being set up need this runtime meanwhile.
        tokio::task::spawn_blocking(move || workers.stop(drain)).await.map_err(io::Error::other)
    }
}

/// Ends rooms, keys and absent sessions when their time is up.
async fn watch_clock(relay: Arc<Relay>) {
    loop {
        let next = relay.next_due();
        let wait = async {
            match next {
                Some(at) => tokio::time::sleep(Duration::from_millis(at.saturating_sub(relay.now()))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => relay.expire(relay.now()),
            () = relay.earlier_due() => {}
        }
    }
}

//! A running server: one TLS port that serves HTTPS and upgrades to WebSocket.
//!
//! ```text
//! accept → admission → TLS → HTTP → 101 ─┐            async tasks, one deadline (accept, http)
//!                                         ▼
//! socket → TLS → frames → relay → windows → TLS → socket     event loops, one a core (worker, connection)
//! ```
//!
//! Setting up a connection is rare and has many ways to fail, so it is written as tasks over well-kept libraries. Once
//! it speaks WebSocket it moves to a worker: a thread with an epoll loop that owns its connections' buffers, reads
//! whole batches, lets the relay carry them out, and then writes to each recipient once.

mod accept;
mod admission;
mod adopt;
mod bucket;
mod complaint;
mod connection;
mod dev_certificate;
mod http;
mod lanes;
mod mailbox;
mod memory;
mod options;
mod output;
mod serving;
mod succession;
mod takeover;
mod takeover_error;
mod tls;
mod transfer;
mod warden;
#[doc(hidden)]
pub mod web;
mod worker;

pub use adopt::Adopter;
pub use dev_certificate::{DEV_CERT, DEV_KEY, Development, Origin};
pub use options::Options;
pub use serving::Server;
pub use takeover::Inheritance;
pub use takeover_error::TakeoverError;
pub use tls::{Identity, ShownIdentity, TlsError};

/// The default port.
pub const DEFAULT_PORT: u16 = 5656;

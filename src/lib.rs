//! Subrosa: a private, ephemeral room server, its Rust client, and the end-to-end scheme between them.
//!
//! The modules stand in the order in which they may use each other, ground floor first:
//!
//! - `sync`: locking
//! - [`secret`]: values that wipe themselves
//! - [`protocol`]: what goes over the wire, as types
//! - [`room`]: rooms, members, join keys and resume windows as pure data; time is passed in
//! - [`relay`]: the shared state of a running server; carries out what a room decides
//! - [`server`]: sockets, TLS, HTTP and the event loops
//! - [`sealed`]: end-to-end encryption; the server side never imports it
//! - [`client`]: the Rust client
//!
//! The `subrosa` program (`src/main.rs` and `src/cli`) uses this library as any other program can. The feature `client`
//! compiles the client, on every system; the feature `server` compiles room, relay and server, on Linux alone. Without
//! features there is the end-to-end scheme.

#[cfg(all(feature = "server", not(target_os = "linux")))]
compile_error!(
    "the Subrosa server runs on Linux only; for the client alone, depend on subrosa with default-features = false and features = [\"client\"]"
);

#[cfg(feature = "client")]
pub mod client;
pub mod protocol;
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod relay;
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod room;
pub mod sealed;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
mod sync;

/// The README's example, which the documentation tests run.
#[cfg(all(doctest, feature = "client", feature = "server"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

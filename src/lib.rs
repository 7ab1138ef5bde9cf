//! Subrosa: a private, ephemeral room server, its Rust client, and the end-to-end scheme between them.
//!
//! A module may use only the modules above it in this list:
//!
//! - `sync`: locking
//! - [`secret`]: values that wipe themselves
//! - [`protocol`]: the frames of the protocol, as types
//! - [`room`]: rooms, members, join keys and resume windows as pure data; the caller passes in the time
//! - [`relay`]: the shared state of a running server; executes the decisions of rooms
//! - [`server`]: sockets, TLS, HTTP and the event loops
//! - [`sealed`]: end-to-end encryption; the server never imports it
//! - [`client`]: the Rust client
//!
//! The `subrosa` program (`src/main.rs` and `src/cli`) uses this library as any other program can. The feature `client`
//! compiles the client, on every system; the feature `server` compiles room, relay and server, on Linux only. Without
//! features the library contains the protocol and the end-to-end scheme.

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

//! Subrosa: a private, ephemeral room server, its Rust client, and the end-to-end scheme between them.
//!
//! The modules stand in the order in which they may use each other, ground floor first:
//!
//! - [`secret`]: values that wipe themselves
//! - [`protocol`]: what goes over the wire, as types
//! - [`room`]: rooms, members, join keys and resume windows as pure data; time is passed in
//! - [`relay`]: the shared state of a running server; carries out what a room decides
//! - [`server`]: sockets, TLS, HTTP and the event loops
//! - [`sealed`]: end-to-end encryption; the server side never imports it
//! - [`client`]: the Rust client
//! - [`cli`]: the command line
pub mod cli;
pub mod client;
pub mod protocol;
pub mod relay;
pub mod room;
pub mod sealed;
pub mod secret;
pub mod server;

/// The README's example, which the documentation tests run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

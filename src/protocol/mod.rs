//! The protocol as types: frames, commands, events, codes and limits. No state, no sockets.
//!
//! [`frame`] reads a client's text frame. It becomes a [`command::Request`], which borrows from the read buffer.
//! [`event`] writes the answer. [`codes`] contains the tables of errors and close codes, and [`limits`] all limits with
//! their names and defaults. [`authority`] and [`pin`] name a server's address and its key. `Client-API.md` describes
//! all of it for client authors.

pub mod authority;
pub mod codes;
pub mod command;
pub mod event;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod pin;
pub mod public_key;

/// The version of the protocol that this library speaks; `hello` contains it.
pub const VERSION: u32 = 1;

/// The path of the WebSocket end point.
pub const PATH: &str = "/v1";

//! What goes over the wire, as types: frames, commands, events, codes and bounds. No state, no sockets.
//!
//! A client's text frame is unwrapped by [`frame`], becomes a [`command::Request`] that borrows from the read buffer,
//! and is answered by text that [`event`] writes. [`codes`] holds the closed tables of errors and close codes,
//! [`limits`] every bound with its name and default. [`authority`] and [`pin`] say where a server is and which key it
//! has. `Client-API.md` describes all of it for client authors.

pub mod authority;
pub mod codes;
pub mod command;
pub mod event;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod pin;
pub mod public_key;

/// The version of the protocol that this library speaks, as told in `hello`.
pub const VERSION: u32 = 1;

/// The path of the WebSocket end point.
pub const PATH: &str = "/v1";

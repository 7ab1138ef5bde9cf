//! The server as its clients meet it: over TLS, on a port, by its frames.

#[path = "../support/mod.rs"]
mod support;

mod go_client;
mod matrix;
mod refusals;

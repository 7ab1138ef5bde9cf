//! The server as its clients meet it: over TLS, on a port, by its frames.

#[path = "../support/mod.rs"]
mod support;

mod bounds;

mod frames;
mod go_client;
mod http;
mod matrix;

mod races;
mod refusals;
mod resume;

mod slow;
mod stalls;

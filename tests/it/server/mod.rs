//! The server as its clients meet it: over TLS, on a port, by its frames.

mod adopt;
mod bounds;
mod certificates;
mod frames;
mod go_client;
mod http;
mod matrix;
mod process;
mod races;
mod refusals;
mod resume;
mod secrets;
mod slow;
mod stalls;

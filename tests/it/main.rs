//! The integration tests, in one program: the library is linked once for all of them, and what no test uses is found by
//! the compiler.
//!
//! Only `tests/memory.rs` is a program of its own, since it looks at the memory of its own process.

#[path = "../support/mod.rs"]
mod support;

mod architecture;
mod bad_cable;
mod chat;
mod client_api;
mod client_connection;
mod faults;
#[cfg(target_os = "linux")]
mod forget;
mod fuzz;
#[cfg(target_os = "linux")]
mod hardening;
mod hostile_relay;
mod hosting;
mod sealed_client;
mod sealed_objects;
mod sealed_room;
mod server;
mod vectors;
mod web;
mod whole_program;

//! What integration tests share.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

pub mod process;
pub mod script;
pub mod server;

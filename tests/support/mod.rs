//! What integration tests share.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

pub mod cable;
pub mod evil;
pub mod keys;
pub mod process;
pub mod raw;
pub mod room;
pub mod script;
pub mod server;
pub mod test_server;

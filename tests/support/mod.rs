//! What the integration tests share.

pub(crate) mod cable;
pub(crate) mod evil;
pub(crate) mod frame;
pub(crate) mod keys;
pub(crate) mod pem;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod room;
pub(crate) mod script;
pub(crate) mod test_server;
pub(crate) mod tls;

//! The name of a connection.

/// Names a connection to the threads that write.
pub type ConnectionId = u64;

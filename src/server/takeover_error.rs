//! Why a takeover failed, for both sides and all steps of it.

use std::io;
use std::path::PathBuf;

use crate::relay::RestoreError;

/// Why a takeover failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// Another kind of file has the path.
    #[error("{0}: this is not a socket; choose another path for --takeover")]
    NotASocket(PathBuf),
    /// The socket for the next process cannot be made.
    #[error(
        "cannot make the takeover socket {0}: {1}; its folder must exist, and this user must be able to write to it"
    )]
    Socket(PathBuf, io::Error),
    /// The server has no port of its own that another process could take over.
    #[error("a server without a port of its own cannot be taken over; leave Options::takeover away")]
    NoPort,
    /// The other process belongs to another user.
    #[error("the process at the other end of the takeover socket belongs to another user")]
    Stranger,
    /// The other process does not speak this version.
    #[error("the other process speaks another version of the takeover")]
    Version,
    /// The received data is not a relay's state.
    #[error(transparent)]
    State(#[from] RestoreError),
    /// The conversation broke off.
    #[error("the takeover was interrupted: {0}")]
    Io(#[from] io::Error),
}

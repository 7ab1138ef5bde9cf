//! Why a room could not be entered, or something asked of it was not done.

use super::super::dial::ConnectError;
use super::super::request::{End, RequestError};
use crate::sealed::SealedError;
use crate::sealed::room::IntentError;

/// Why there is no membership.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnterError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The name is not allowed.
    #[error(
        "that name is not allowed: 1 to 64 bytes (a room's may be empty), no control characters, composed letters (NFC)"
    )]
    Name,
    /// A key that could not be made, or a link that does not fit.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The server does not take the invite.
    #[error(
        "the server did not accept the invite: it was used already, has expired or was revoked, or the room has ended"
    )]
    InviteRefused,
    /// The server refused for another reason.
    #[error("the server refused: {0}")]
    Refused(RequestError),
    /// The session ended before there was a membership.
    #[error("{0}")]
    Ended(End),
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The system has no thread for the room's cryptography.
    #[error("the system gives no thread for the room: {0}")]
    Thread(std::io::ErrorKind),
    /// The server answered something else.
    #[error("the server sent an unexpected answer")]
    Unexpected,
}

/// Why something asked of a room was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// It cannot be done now, or not by this member.
    #[error(transparent)]
    Intent(#[from] IntentError),
    /// The server gave no key for the invite.
    #[error("the server issued no key for the invite")]
    NoInvite,
    /// The membership is over.
    #[error("you are not in the room any more")]
    Over,
    /// Not done in time.
    #[error("it took too long; the connection may be lost")]
    Timeout,
}

//! The interface between an application and its connection: requests, their errors, and incoming events.

use crate::protocol::codes::{ErrorCode, GoneReason};
use crate::protocol::command::Command;
use crate::protocol::event::{Event, Gap, RefusalData};

/// Names a command of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }

    /// Reads the form on the wire; `None` for ids that are not of this kind.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number: u64 = text.parse().ok()?;
        // One number has one writing.
        (number.to_string() == text).then_some(Self(number))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a command has no answer, or a refusal for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused.
    #[error("{}", said(.0))]
    Refused(RefusalData),
    /// No answer came in time. The command may still be carried out.
    #[error("the server did not answer in time")]
    Timeout,
    /// The command exceeds `frame_bytes`; it was not sent.
    #[error("the command exceeds the server's limit")]
    TooLarge,
    /// The answer was among events that the server could not keep while the connection was away. Whether the command
    /// was carried out is not known, and repeating it could do harm.
    #[error("the answer was lost while the connection was away")]
    Uncertain,
    /// The session is over.
    #[error("{0}")]
    Ended(End),
}

/// The text of a refusal, in words of this client: the server's own text is not trusted.
fn said(refusal: &RefusalData) -> String {
    match ErrorCode::ALL.iter().find(|code| code.as_str() == refusal.code) {
        Some(code) => code.message().to_owned(),
        None => format!("refused ({})", printable(&refusal.code)),
    }
}

/// Why the server gave a session up, in a sentence for people.
fn gone(reason: &Option<GoneReason>) -> &'static str {
    match reason {
        Some(GoneReason::Time) => "the connection was away for too long; the server has given up your membership",
        Some(GoneReason::Removed) => "the owner removed you from the room",
        Some(GoneReason::Memory) => "too much waited for you; the server has given up your membership",
        None => "the server does not know your membership any more; it may have been started anew",
    }
}

/// The printable ASCII of a server's text, at most 64 characters of it.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(64).collect()
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// This side closed it.
    #[error("the connection is closed")]
    Closed,
    /// The server does not know the session any more. The reason is the server's, if it still knows one.
    #[error("{}", gone(.0))]
    SessionLost(Option<GoneReason>),
    /// The server closed the connection for good.
    #[error("the server closed the connection for good ({reason}, code {code})")]
    ServerClosed {
        /// The WebSocket close code.
        code: u16,
        /// What the server says; checked to be printable.
        reason: String,
    },
    /// The server broke the protocol.
    #[error("the server sent an invalid frame")]
    Protocol,
}

/// Incoming events, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming {
    /// An event.
    Event(Event),
    /// The answer to a [submitted](super::Client::submit) command, in its place among the events.
    Answer {
        /// The command.
        id: RequestId,
        /// Its answer; never [`RequestError::Timeout`] or [`RequestError::Ended`].
        answer: Result<Event, RequestError>,
    },
    /// Events are missing: the server could not keep all that happened while the connection was away.
    Gap(Gap),
    /// The connection is lost, and the client reconnects. No event is lost yet.
    Away,
    /// The connection is back and everything that was missed came before this.
    Resumed,
    /// The end. No event follows.
    Ended(End),
}

/// Whether the client may repeat the command. The server recognises a repeated send by its id; repeating the others has
/// the same result, or makes a spare key.
pub(crate) fn repeats(command: &Command<'_>) -> bool {
    !matches!(command, Command::CreateRoom(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_our_own_words() {
        let refused = |code: &str| {
            let msg = "\x1b[2Jlies".to_owned();
            let data =
                RefusalData { room_id: String::new(), code: code.to_owned(), msg, retry: String::new(), reason: None };
            RequestError::Refused(data).to_string()
        };
        assert_eq!(refused("room-full"), ErrorCode::RoomFull.message());
        assert_eq!(refused("\x1b[2Jnew\n"), "refused ([2Jnew)");
    }

    #[test]
    fn ids_have_one_writing() {
        assert_eq!(RequestId::parse("7"), Some(RequestId(7)));
        for other in ["", "07", "+7", "-7", "sync-7", "99999999999999999999999"] {
            assert_eq!(RequestId::parse(other), None, "{other}");
        }
    }
}

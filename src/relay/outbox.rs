//! What waits for one session, and where it goes.

use super::answered::Answered;
use crate::protocol::codes::CloseReason;
use crate::room::{Millis, Window};
use crate::secret::Tag;

/// Names a connection to the threads that write.
pub type ConnectionId = u64;

/// The connections for which something waits since a call. The caller passes them to the threads that write for them.
///
/// A connection is named once until its thread has looked ([`Attached::take`](super::Attached::take)).
pub type Woken = Vec<ConnectionId>;

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for a connection.
    Reached,
    /// It waits for the session to come back.
    Held,
    /// It is dropped.
    Lost,
}

/// Where a session's events go.
pub(super) enum Line {
    Connected(ConnectionId),
    Away { until: Millis },
    Ended,
}

/// The outgoing side of a session.
pub(super) struct Outbox {
    pub(super) window: Window,
    pub(super) answered: Answered,
    pub(super) line: Line,
    /// The connection was named in a [`Woken`] and its thread has not looked yet.
    pub(super) woken: bool,
    /// The connection is to be closed for this reason.
    pub(super) closing: Option<CloseReason>,
    /// Bytes of this window in the relay's account of all windows.
    pub(super) accounted: usize,
    /// The tag of the token that resumes this session, once the client asked for it.
    pub(super) token: Option<Tag>,
    /// The tag of the token in its connection's `hello`, until the client asks.
    pub(super) offered: Option<Tag>,
}

impl Outbox {
    pub(super) fn new(window: Window, line: Line) -> Self {
        let answered = Answered::default();
        Self { window, answered, line, woken: false, closing: None, accounted: 0, token: None, offered: None }
    }

    /// Why `connection` is to be closed, if it is. A session that moved to another connection closes the old one.
    pub(super) fn closing_of(&self, connection: ConnectionId) -> Option<CloseReason> {
        match self.line {
            Line::Connected(own) if own == connection => self.closing,
            _ => Some(self.closing.unwrap_or(CloseReason::Replaced)),
        }
    }

    /// Names the session's connection in `woken`, unless its thread knows already.
    pub(super) fn wake(&mut self, woken: &mut Woken) {
        if let Line::Connected(connection) = self.line
            && !self.woken
        {
            self.woken = true;
            woken.push(connection);
        }
    }

    /// Asks for the connection to be closed, if there is one and it is not being closed already.
    pub(super) fn close(&mut self, reason: CloseReason, woken: &mut Woken) {
        if let Line::Connected(connection) = self.line
            && self.closing.is_none()
        {
            self.closing = Some(reason);
            self.woken = true;
            woken.push(connection);
        }
    }
}

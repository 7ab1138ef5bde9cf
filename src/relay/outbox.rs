//! What waits for one session, and where it goes.

use super::account::{Place, Taken};
use super::answered::Answered;
use super::connection_id::ConnectionId;
use super::woken::Woken;
use crate::protocol::codes::{CloseReason, LeaveReason};
use crate::room::{Millis, Window};
use crate::secret::Tag;

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
    Away(Absence),
    Ended,
}

/// How long a session waits for its client.
#[derive(Clone, Copy)]
pub(super) struct Absence {
    /// When its time is up.
    pub(super) until: Millis,
    /// What the other members are then told: a page that was closed has left.
    pub(super) reason: LeaveReason,
}

/// What a client said of its absences.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// For how many seconds its session waits for it.
    pub(super) for_s: u64,
    /// The client can come back although its page is closed.
    pub(super) keeps: bool,
}

/// Bytes of a session that has nothing to do, its places in the registry included.
const SESSION_BYTES: usize = 1_024;
/// A difference of less than this many bytes, or a sixteenth of what is charged, is not worth an atomic operation.
const WORTH_SETTLING: usize = 1_024;

/// A session's place at the account of its address.
pub(super) struct Seat {
    pub(super) place: Place,
    pub(super) _taken: Taken,
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
    /// The account that pays; `None` once the session has ended.
    seat: Option<Seat>,
    /// Bytes that are charged to it.
    charged: usize,
    /// Bytes of the connection's own buffers.
    pub(super) buffers: usize,
    /// The tag of the token that resumes this session, once the client asked for it.
    pub(super) token: Option<Tag>,
    /// The tag of the token in its connection's `hello`, until the client asks.
    pub(super) offered: Option<Tag>,
    pub(super) terms: Terms,
    /// It was removed from a room while it was away.
    pub(super) removed: bool,
}

impl Outbox {
    pub(super) fn new(window: Window, line: Line, terms: Terms) -> Self {
        let answered = Answered::default();
        Self {
            window,
            answered,
            line,
            woken: false,
            closing: None,
            token: None,
            offered: None,
            seat: None,
            charged: 0,
            buffers: 0,
            terms,
            removed: false,
        }
    }

    // ---- what is paid for it ----

    /// Bytes that the session holds.
    fn held(&self) -> usize {
        SESSION_BYTES + self.window.memory() + self.buffers
    }

    /// Bytes that are charged to its account.
    pub(super) fn charged(&self) -> usize {
        self.charged
    }

    /// Moves everything to another account.
    pub(super) fn seat_at(&mut self, seat: Seat) {
        self.leave_seat();
        self.seat = Some(seat);
        self.settle_wholly();
    }

    /// Nothing is charged any more.
    pub(super) fn leave_seat(&mut self) {
        if let Some(seat) = self.seat.take() {
            seat.place.account().subtract(std::mem::take(&mut self.charged));
        }
    }

    /// Brings what is charged up to date, if it differs by much.
    pub(super) fn settle(&mut self) {
        if self.held().abs_diff(self.charged) >= WORTH_SETTLING.max(self.charged / 16) {
            self.settle_wholly();
        }
    }

    /// Brings what is charged up to date.
    pub(super) fn settle_wholly(&mut self) {
        let held = self.held();
        if let Some(seat) = &self.seat {
            let account = seat.place.account();
            match held >= self.charged {
                true => account.add(held - self.charged),
                false => account.subtract(self.charged - held),
            }
            self.charged = held;
        }
    }

    // ---- its connection ----

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

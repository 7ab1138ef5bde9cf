//! A session: one client's memberships and the window of what it must be told. A connection serves it; with `resume` it
//! outlives the connection.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::lock;
use super::registry::{Relay, RoomCell};
use super::resume::Answered;
use crate::protocol::codes::{CloseReason, GapReason, LeaveReason};
use crate::protocol::event::{Event, Gap, Hello, MessageHead, Restarting};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::{RoomId, UserId};
use crate::room::{Bounds, Delivery, Millis, Window};
use crate::secret::{Tag, Token};

/// Names a connection to whoever writes for it.
pub type ConnectionId = u64;

/// How a session tells the thread that writes for its connection that there is something to do.
pub trait Wake: Send + Sync {
    /// Something waits for this connection, or it is to be closed. Must not block.
    fn wake(&self, connection: ConnectionId);
}

/// What handling a frame asks of the connection.
#[derive(Default)]
pub struct Outcome {
    /// Go on with this session: it was resumed here.
    pub resumed: Option<Arc<Session>>,
    /// Bytes handed to other members, for the rate limit.
    pub bytes_out: usize,
}

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Reached,
    Held,
    Lost,
}

/// Where a session's events go.
pub(super) enum Line {
    Connected { connection: ConnectionId, wake: Arc<dyn Wake> },
    Away { until: Millis },
    Ended,
}

pub(super) struct Outbox {
    pub(super) window: Window,
    /// Sends whose answer may not have arrived.
    pub(super) answered: Answered,
    pub(super) line: Line,
    /// Whoever writes was woken and has not looked yet.
    pub(super) woken: bool,
    /// The connection is to be closed for this reason.
    pub(super) closing: Option<CloseReason>,
    /// Bytes of this window in the relay's account of all windows.
    accounted: usize,
    /// The token that resumes this session, by its tag, once the client asked for it.
    pub(super) token: Option<Tag>,
    /// The token told in this connection's `hello`, until then.
    pub(super) offered: Option<Tag>,
}

impl Outbox {
    pub(super) fn new(window: Window, line: Line) -> Self {
        let answered = Answered::default();
        Self { window, answered, line, woken: true, closing: None, accounted: 0, token: None, offered: None }
    }

    fn closing_of(&self, connection: ConnectionId) -> Option<CloseReason> {
        match &self.line {
            Line::Connected { connection: own, .. } if *own == connection => self.closing,
            _ => Some(self.closing.unwrap_or(CloseReason::Replaced)),
        }
    }
}

/// A session. Made by [`Relay::connect`].
pub struct Session {
    id: u64,
    pub(super) relay: Arc<Relay>,
    /// The connection whose commands are carried out; locked while one is, and while the session moves to another connection: what the old one
    /// had sent is then either done before or never, and not once more beside the new one's repetition.
    pub(super) serves: Mutex<ConnectionId>,
    pub(super) outbox: Mutex<Outbox>,
    /// `None` once the session ended: nothing can be joined any more.
    memberships: Mutex<Option<Vec<Membership>>>,
}

/// A room's way to a session.
pub(super) struct SessionHandle(pub(super) Arc<Session>);

impl PartialEq for SessionHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// One membership. Dropping it takes the member out of the room, on every path.
pub(super) struct Membership {
    relay: Arc<Relay>,
    pub(super) room_id: RoomId,
    acting: Arc<Acting>,
}

/// What a command needs to know of the membership under which it acts.
///
/// Commands share it rather than the room's cell: a count that all members' event loops change would wander between the processors.
pub(super) struct Acting {
    pub(super) user: UserId,
    pub(super) cell: Arc<RoomCell>,
    pub(super) head: MessageHead,
}

impl Membership {
    pub(super) fn new(relay: Arc<Relay>, room_id: RoomId, user: UserId, cell: Arc<RoomCell>, username: &str) -> Self {
        relay.members.fetch_add(1, Ordering::AcqRel);
        let head = MessageHead::new(room_id, user, username);
        Self { relay, room_id, acting: Arc::new(Acting { user, cell, head }) }
    }

    /// Takes the member out of the room. Locks the room.
    pub(super) fn end(self, reason: LeaveReason) {
        self.relay.depart(&self.acting.cell, &self.acting.user, reason);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.relay.depart(&self.acting.cell, &self.acting.user, LeaveReason::Lost);
        self.relay.members.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Relay {
    /// Starts a session for a new connection and greets it.
    pub fn connect(self: &Arc<Self>, connection: ConnectionId, wake: Arc<dyn Wake>) -> Arc<Session> {
        let token = Token::random();
        let offered = Some(self.tags.tag(&token));
        let hello = Event::Hello(Hello {
            protocol: crate::protocol::VERSION,
            server: concat!("subrosa/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: self.limits.clone(),
            ping_interval_s: self.limits.ping_interval_s,
            notice: self.notice.clone(),
            resume_token: token,
        });
        let mut window = Window::default();
        window.push_unnumbered(TextFrame::text(&hello.to_json(None)));
        self.open_sessions.fetch_add(1, Ordering::AcqRel);
        let line = Line::Connected { connection, wake: wake.clone() };
        let mut outbox = Outbox::new(window, line);
        outbox.offered = offered;
        let session = Session::with(self, self.next_session_id(), outbox, Some(Vec::new()));
        *lock(&session.serves) = connection;
        wake.wake(connection);
        session
    }
}

impl Session {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether the session is no more.
    pub(super) fn has_ended(&self) -> bool {
        lock(&self.memberships).is_none()
    }

    pub(super) fn with(relay: &Arc<Relay>, id: u64, outbox: Outbox, memberships: Option<Vec<Membership>>) -> Arc<Self> {
        Arc::new(Self {
            id,
            relay: relay.clone(),
            serves: Mutex::default(),
            outbox: Mutex::new(outbox),
            memberships: Mutex::new(memberships),
        })
    }

    // ---- what it is in ----

    /// How many rooms the session is in.
    pub fn rooms(&self) -> usize {
        lock(&self.memberships).as_ref().map_or(0, Vec::len)
    }

    pub(super) fn acting(&self, room_id: &str) -> Option<Arc<Acting>> {
        let memberships = lock(&self.memberships);
        let membership = memberships.as_ref()?.iter().find(|membership| membership.room_id.is_written(room_id))?;
        Some(membership.acting.clone())
    }

    /// Records a membership. Given back when the session has ended meanwhile: drop it without a lock held.
    pub(super) fn add_membership(&self, membership: Membership) -> Option<Membership> {
        match lock(&self.memberships).as_mut() {
            Some(memberships) => {
                // Most sessions are in one room, and there are many sessions.
                memberships.reserve_exact(1);
                memberships.push(membership);
                None
            }
            None => Some(membership),
        }
    }

    /// Takes a membership out; drop it without a lock held.
    pub(super) fn take_membership(&self, room_id: &RoomId) -> Option<Membership> {
        let mut memberships = lock(&self.memberships);
        let memberships = memberships.as_mut()?;
        let index = memberships.iter().position(|membership| membership.room_id == *room_id)?;
        let membership = memberships.swap_remove(index);
        // The place that became free still holds its ids; it goes back to the allocator, which wipes it.
        memberships.shrink_to_fit();
        Some(membership)
    }

    // ---- what it is told ----

    /// Pushes an event; `message` says that it may be forgotten for want of room.
    pub(super) fn push(self: &Arc<Self>, frame: TextFrame, message: bool) -> Fate {
        self.push_into(&mut lock(&self.outbox), frame, message)
    }

    /// The same when the outbox is locked already.
    pub(super) fn push_into(self: &Arc<Self>, outbox: &mut Outbox, frame: TextFrame, message: bool) -> Fate {
        if matches!(outbox.line, Line::Ended) || self.relay.is_handed_over() {
            return Fate::Lost;
        }
        outbox.window.push(frame, message);
        self.keep_bounds(outbox, message)
    }

    pub(super) fn push_event(self: &Arc<Self>, event: &Event, id: Option<&str>) {
        self.push(TextFrame::text(&event.to_json(id)), false);
    }

    pub(super) fn push_unnumbered(self: &Arc<Self>, event: &Event, id: Option<&str>) {
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.line, Line::Ended) {
            return;
        }
        outbox.window.push_unnumbered(TextFrame::text(&event.to_json(id)));
        self.keep_bounds(&mut outbox, false);
    }

    /// After something was added: wakes the writer, and sees to it that the bounds hold. Says what became of the addition.
    fn keep_bounds(self: &Arc<Self>, outbox: &mut Outbox, message: bool) -> Fate {
        let away = matches!(outbox.line, Line::Away { .. });
        if !away && outbox.window.waits_beyond(self.relay.queue_bounds()) {
            self.ask_to_close(outbox, CloseReason::SlowReader);
            if !outbox.window.retains() {
                outbox.window = Window::default();
                outbox.line = Line::Ended;
                return Fate::Lost;
            }
        }
        let mut fate = if away || outbox.closing.is_some() { Fate::Held } else { Fate::Reached };
        if outbox.window.retains() {
            let written_only = fate == Fate::Reached;
            let forgotten = self.keep_window(outbox, written_only);
            if matches!(outbox.line, Line::Ended) || forgotten && message && !written_only {
                fate = Fate::Lost;
            }
        }
        if let Line::Connected { connection, wake } = &outbox.line
            && !outbox.woken
        {
            outbox.woken = true;
            wake.wake(*connection);
        }
        fate
    }

    /// Sees to it that what is retained keeps the bounds of one window and of all together, by forgetting messages. With `written_only`,
    /// what is still being written does not count. A session that cannot keep them is over. Returns whether all messages were forgotten.
    fn keep_window(self: &Arc<Self>, outbox: &mut Outbox, written_only: bool) -> bool {
        let relay = &self.relay;
        if !outbox.window.keep_within(relay.window_bounds(), GapReason::Window, written_only) {
            // Not even joins and leaves fit, or a client never says that it got them.
            self.lose(outbox);
        }
        self.account(outbox);
        if !relay.windows_exceed() {
            return false;
        }
        let none = Bounds { bytes: 0, events: usize::MAX };
        outbox.window.keep_within(none, GapReason::Memory, written_only);
        self.account(outbox);
        // Joins and leaves alone can fill the memory of all; then those go who have more than their part of it.
        let away = matches!(outbox.line, Line::Away { .. });
        if away && relay.windows_exceed() && outbox.window.bytes() as u64 > relay.window_share() {
            self.lose(outbox);
        }
        true
    }

    /// The client could not be told everything any more. A session that is away is ended by the schedule, since the caller may hold a room;
    /// one that is connected by the closing of its connection.
    fn lose(self: &Arc<Self>, outbox: &mut Outbox) {
        match outbox.line {
            Line::Connected { .. } => self.ask_to_close(outbox, CloseReason::SlowReader),
            Line::Away { until } => self.relay.end_soon(self.id, until),
            Line::Ended => {}
        }
        outbox.line = Line::Ended;
    }

    /// Brings the relay's account of window bytes up to date.
    pub(super) fn account(&self, outbox: &mut Outbox) {
        let held = if outbox.window.retains() { outbox.window.bytes() } else { 0 };
        let account = &self.relay.window_bytes;
        if held >= outbox.accounted {
            account.fetch_add(held - outbox.accounted, Ordering::AcqRel);
        } else {
            account.fetch_sub(outbox.accounted - held, Ordering::AcqRel);
        }
        outbox.accounted = held;
    }

    /// Tells the client that the server restarts, and when to come back.
    pub fn announce_restart(self: &Arc<Self>, reconnect_in_ms: u64) {
        self.push_unnumbered(&Event::Restarting(Restarting { reconnect_in_ms }), None);
    }

    fn ask_to_close(&self, outbox: &mut Outbox, reason: CloseReason) {
        if let Line::Connected { connection, wake } = &outbox.line
            && outbox.closing.is_none()
        {
            outbox.closing = Some(reason);
            outbox.woken = true;
            wake.wake(*connection);
        }
    }

    // ---- whoever serves the connection ----

    /// Hands over what waits, frame by frame, until `write` says that it has enough; whether there may be more. An error says that the
    /// connection is to be closed, which includes that the session goes on elsewhere.
    pub fn take(
        &self,
        connection: ConnectionId,
        mut write: impl FnMut(TextFrame) -> bool,
    ) -> Result<bool, CloseReason> {
        let mut guard = lock(&self.outbox);
        let outbox = &mut *guard;
        if let Some(reason) = outbox.closing_of(connection) {
            return Err(reason);
        }
        outbox.woken = false;
        while let Some(delivery) = outbox.window.take() {
            let enough = match delivery {
                Delivery::Frame(frame) => !write(frame),
                Delivery::Gap { from, to, reason } => {
                    !write(TextFrame::text(&Event::Gap(Gap { from, to, reason }).to_json(None)))
                }
            };
            if enough {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why the connection is to be closed, if it is.
    pub fn closing(&self, connection: ConnectionId) -> Option<CloseReason> {
        lock(&self.outbox).closing_of(connection)
    }

    /// The connection is gone. The session ends with it, unless it was made resumable and the client did not say goodbye (`left`).
    pub fn disconnected(self: &Arc<Self>, connection: ConnectionId, left: bool) {
        if self.relay.is_handed_over() {
            return;
        }
        let away = {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            match &outbox.line {
                Line::Connected { connection: own, .. } if *own != connection => return,
                Line::Connected { .. } if outbox.token.is_some() && !left && !self.relay.is_stopping() => {
                    let until = self.relay.resume_deadline();
                    outbox.line = Line::Away { until };
                    outbox.closing = None;
                    // Under this lock, so that a resumption at the same moment comes wholly before or after.
                    self.relay.send_away(self.clone(), until);
                    self.keep_window(outbox, false);
                    true
                }
                Line::Away { .. } => return,
                _ => false,
            }
        };
        if !away {
            self.end(if left { LeaveReason::Left } else { LeaveReason::Lost });
        } else if self.relay.is_stopping() {
            // It began to stop in between, and may have looked for those that are away before this one was.
            self.end_away(Millis::MAX);
        }
    }

    /// Ends the session if it is away and its time is up at `now`, or if nothing true can be told to it any more.
    pub(super) fn end_away(self: &Arc<Self>, now: Millis) {
        {
            let mut outbox = lock(&self.outbox);
            match outbox.line {
                Line::Away { until } if until <= now => self.relay.call_back(self.id, until),
                Line::Ended => self.relay.call_back(self.id, 0),
                // It came back in this very moment.
                Line::Connected { .. } | Line::Away { .. } => return,
            }
            // From here on it cannot be taken up.
            outbox.line = Line::Ended;
        }
        self.end(LeaveReason::Lost);
    }

    /// Ends the session: it is out of its rooms for this reason, and what it held is wiped.
    pub fn end(self: &Arc<Self>, reason: LeaveReason) {
        let token = {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            outbox.line = Line::Ended;
            outbox.window = Window::default();
            outbox.answered = Answered::default();
            self.account(outbox);
            outbox.token.take()
        };
        if let Some(tag) = token {
            self.relay.drop_token(&tag);
        }
        let memberships = lock(&self.memberships).take();
        if let Some(memberships) = memberships {
            for membership in memberships {
                membership.end(reason);
            }
            self.relay.open_sessions.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

//! A session: one client's memberships and the events that wait for it. A connection serves it; a resumable session
//! outlives the connection.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::account::{Charge, Part, Taken};
use super::connection_id::ConnectionId;
use super::cost::Cost;
use super::outbox::{Absence, Fate, Line, Outbox, Seat};
use super::registry::{Handle, Registry, RoomCell};
use super::woken::Woken;
use crate::protocol::codes::{CloseReason, GapReason, GoneReason};
use crate::protocol::event::{Event, Gap, MessageHead};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::{RoomId, UserId};
use crate::room::{Delivery, Kind, Millis, Room, Scope, Source, Window};
use crate::sync::lock;

/// The shared state of a running server.
pub type Relay = Registry<Session>;
pub(super) type SharedRoom = Room<Handle<Session>>;
pub(super) type SharedCell = RoomCell<Session>;

/// In the place of a time: the session has a connection.
const HERE: Millis = Millis::MAX;

/// The server's record of one client: its memberships and its undelivered events.
pub struct Session {
    id: u64,
    pub(super) relay: Arc<Relay>,
    /// The connection that this session serves. Held while a command runs and while the session moves to a new
    /// connection. A command from the old connection therefore either finishes before the move or is ignored; it cannot
    /// run again next to the client's retry.
    pub(super) serves: Mutex<ConnectionId>,
    pub(super) outbox: Mutex<Outbox>,
    /// The account that pays for what it sends.
    source: AtomicU64,
    /// When its connection ended; [`HERE`] while it has one.
    away_since: AtomicU64,
    /// How many of its memberships are unconfirmed.
    unconfirmed: AtomicUsize,
    /// `None` once the session has ended: nothing can be joined any more.
    memberships: Mutex<Option<Vec<Membership>>>,
}

/// A session's record of one room that it is in.
pub(super) struct Membership {
    pub(super) room_id: RoomId,
    pub(super) acting: Arc<Acting>,
}

/// What a command needs to know of the membership under which it acts.
///
/// Commands share it rather than the room's cell: a count that all members' event loops change would wander between the
/// processors.
pub(super) struct Acting {
    room_id: RoomId,
    pub(super) user: UserId,
    pub(super) cell: Arc<SharedCell>,
    pub(super) head: MessageHead,
    /// The number of the answer that told the client that it is in, until the client confirms it; 0 afterwards.
    unconfirmed: AtomicU64,
    /// What is paid for the member.
    charge: Mutex<Option<Charge>>,
}

impl Acting {
    /// Whether the account that pays for the member may have `bytes` more.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        lock(&self.charge).as_ref().is_none_or(|charge| charge.account().has_room_for(bytes))
    }

    /// Changes what is paid for the member.
    pub(super) fn charge(&self, bytes: usize) {
        if let Some(charge) = lock(&self.charge).as_mut() {
            charge.set(bytes);
        }
    }
}

impl Acting {
    /// Whether the client has yet to confirm that it is in.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed) != 0
    }

    pub(super) fn room_id(&self) -> RoomId {
        self.room_id
    }
}

impl Membership {
    pub(super) fn new(
        room_id: RoomId,
        user: UserId,
        cell: Arc<SharedCell>,
        username: &str,
        charge: Option<Charge>,
    ) -> Self {
        let head = MessageHead::new(room_id, user, username);
        let charge = Mutex::new(charge);
        let unconfirmed = AtomicU64::new(0);
        Self { room_id, acting: Arc::new(Acting { room_id, user, cell, head, unconfirmed, charge }) }
    }
}

impl Session {
    /// A session with no rooms. It counts among the relay's sessions until it ends.
    pub(super) fn open(relay: &Arc<Relay>, id: u64, outbox: Outbox, taken: Taken) -> Arc<Self> {
        let session = Self::with(relay, id, outbox, Some(Vec::new()));
        session.move_to(&mut lock(&session.outbox), taken);
        session
    }

    /// A session that has ended, in the place of one that did not come along from the process before.
    pub(super) fn ended(relay: &Arc<Relay>, id: u64) -> Arc<Self> {
        Self::with(relay, id, Outbox::new(Window::default(), Line::Ended, relay.usual_terms()), None)
    }

    /// Charges the session to another account: that of the address from which its connection comes now.
    pub(super) fn move_to(self: &Arc<Self>, outbox: &mut Outbox, taken: Taken) {
        let part: Weak<Self> = Arc::downgrade(self);
        let place = taken.account().file(part);
        self.source.store(taken.account().source().0, Ordering::Relaxed);
        outbox.seat_at(Seat { place, _taken: taken });
    }

    fn with(relay: &Arc<Relay>, id: u64, outbox: Outbox, memberships: Option<Vec<Membership>>) -> Arc<Self> {
        let serves = match outbox.line {
            Line::Connected(connection) => connection,
            Line::Away(_) | Line::Ended => ConnectionId::default(),
        };
        Arc::new(Self {
            id,
            relay: relay.clone(),
            serves: Mutex::new(serves),
            outbox: Mutex::new(outbox),
            source: AtomicU64::default(),
            away_since: AtomicU64::new(HERE),
            unconfirmed: AtomicUsize::new(0),
            memberships: Mutex::new(memberships),
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The account that pays for what the session sends: that of its latest connection.
    pub(super) fn source(&self) -> Source {
        Source(self.source.load(Ordering::Relaxed))
    }

    /// When its connection ended, if it is away.
    pub(super) fn away_since(&self) -> Option<Millis> {
        Some(self.away_since.load(Ordering::Acquire)).filter(|since| *since != HERE)
    }

    pub(super) fn set_away(&self, since: Option<Millis>) {
        self.away_since.store(since.unwrap_or(HERE), Ordering::Release);
    }

    /// Whether the session is no more.
    pub(super) fn has_ended(&self) -> bool {
        lock(&self.memberships).is_none()
    }

    // ---- what it is in ----

    /// How many rooms the session is in.
    pub(super) fn rooms(&self) -> usize {
        lock(&self.memberships).as_ref().map_or(0, Vec::len)
    }

    pub(super) fn acting(&self, room_id: &str) -> Option<Arc<Acting>> {
        let memberships = lock(&self.memberships);
        let membership = memberships.as_ref()?.iter().find(|membership| membership.room_id.is_written(room_id))?;
        Some(membership.acting.clone())
    }

    /// Records a membership; whether the session still lives. If it does not, the caller takes the member out again.
    #[must_use]
    pub(super) fn add_membership(&self, membership: Membership) -> bool {
        match lock(&self.memberships).as_mut() {
            Some(memberships) => {
                // Most sessions are in one room, and there are many sessions.
                memberships.reserve_exact(1);
                memberships.push(membership);
                true
            }
            None => false,
        }
    }

    /// Takes the record of a room out. The room is told by [`Relay::depart`].
    pub(super) fn take_membership(&self, room_id: &RoomId) -> Option<Membership> {
        let mut memberships = lock(&self.memberships);
        let memberships = memberships.as_mut()?;
        let index = memberships.iter().position(|membership| membership.room_id == *room_id)?;
        let membership = memberships.swap_remove(index);
        if membership.acting.is_unconfirmed() {
            self.unconfirmed.fetch_sub(1, Ordering::AcqRel);
        }
        // The place that became free still has its ids; it goes back to the allocator, which wipes it.
        memberships.shrink_to_fit();
        Some(membership)
    }

    /// The records of all rooms.
    pub(super) fn all_acting(&self) -> Vec<Arc<Acting>> {
        lock(&self.memberships).iter().flatten().map(|membership| membership.acting.clone()).collect()
    }

    /// The answer number `seq` tells the client that it is in a room; the client confirms that by an acknowledgement,
    /// or by its next command there.
    pub(super) fn await_confirmation(&self, acting: &Acting, seq: u64) {
        if acting.unconfirmed.swap(seq, Ordering::AcqRel) == 0 {
            self.unconfirmed.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The client has all events up to number `seq`: it knows the rooms that these told it. Takes locks of its own.
    pub(super) fn confirm(&self, seq: u64) {
        if self.unconfirmed.load(Ordering::Acquire) == 0 {
            return;
        }
        for acting in self.all_acting() {
            if (1..=seq).contains(&acting.unconfirmed.load(Ordering::Acquire)) {
                self.confirm_one(&acting);
            }
        }
    }

    /// The client knows that it is in this room. Locks the room.
    pub(super) fn confirm_one(&self, acting: &Acting) {
        if acting.unconfirmed.swap(0, Ordering::AcqRel) != 0 {
            self.unconfirmed.fetch_sub(1, Ordering::AcqRel);
            if let Some(room) = lock(&acting.cell.room).as_mut() {
                room.confirm(&acting.user);
            }
        }
    }

    /// Whether the client has confirmed none of its rooms, and there are some.
    pub(super) fn confirmed_nothing(&self) -> bool {
        let unconfirmed = self.unconfirmed.load(Ordering::Acquire);
        unconfirmed > 0 && unconfirmed >= self.rooms()
    }

    /// Takes all records out: from now on the session has ended. `None` when it had before.
    pub(super) fn take_memberships(&self) -> Option<Vec<Membership>> {
        lock(&self.memberships).take()
    }

    // ---- what it is told ----

    /// Pushes a counted event.
    pub(super) fn push(&self, frame: TextFrame, kind: Kind, woken: &mut Woken) -> Fate {
        self.push_into(&mut lock(&self.outbox), frame, kind, woken)
    }

    /// The same for what is worth nothing later: it is lost if the connection is away.
    pub(super) fn push_if_here(&self, frame: TextFrame, kind: Kind, woken: &mut Woken) -> Fate {
        let mut outbox = lock(&self.outbox);
        match outbox.line {
            Line::Away { .. } => Fate::Lost,
            Line::Connected(_) | Line::Ended => self.push_into(&mut outbox, frame, kind, woken),
        }
    }

    /// The same when the outbox is locked already.
    pub(super) fn push_into(&self, outbox: &mut Outbox, frame: TextFrame, kind: Kind, woken: &mut Woken) -> Fate {
        if matches!(outbox.line, Line::Ended) || self.relay.is_taken_over() {
            return Fate::Lost;
        }
        woken.cost(Cost::RECIPIENT);
        outbox.window.push(frame, kind);
        self.keep_bounds(outbox, woken)
    }

    pub(super) fn push_event(&self, event: &Event, id: Option<&str>, woken: &mut Woken) {
        let frame = TextFrame::text(&event.to_json(id));
        woken.cost(Cost::bytes(frame.len()));
        self.push(frame, Kind::Firm, woken);
    }

    /// The same; the event's number, if the client is to acknowledge it.
    pub(super) fn push_counted(&self, event: &Event, id: Option<&str>, woken: &mut Woken) -> Option<u64> {
        let frame = TextFrame::text(&event.to_json(id));
        woken.cost(Cost::bytes(frame.len()));
        let mut outbox = lock(&self.outbox);
        self.push_into(&mut outbox, frame, Kind::Firm, woken);
        outbox.window.retains().then(|| outbox.window.last())
    }

    /// Whether the client asked for a session that outlives its connection, and so acknowledges what arrives.
    pub(super) fn is_resumable(&self) -> bool {
        lock(&self.outbox).window.retains()
    }

    pub(super) fn push_unnumbered(&self, event: &Event, id: Option<&str>, woken: &mut Woken) {
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.line, Line::Ended) {
            return;
        }
        outbox.window.push_unnumbered(TextFrame::text(&event.to_json(id)));
        self.keep_bounds(&mut outbox, woken);
    }

    /// After an event was added: wakes the writer and enforces the bounds. Returns what became of the event.
    fn keep_bounds(&self, outbox: &mut Outbox, woken: &mut Woken) -> Fate {
        let away = matches!(outbox.line, Line::Away(_));
        if !away && outbox.window.waits_beyond(self.relay.queue_bounds()) {
            outbox.close(CloseReason::SlowReader, woken);
            if !outbox.window.retains() {
                outbox.window = Window::default();
                outbox.line = Line::Ended;
                return Fate::Lost;
            }
        }
        let mut fate = if away || outbox.closing.is_some() { Fate::Held } else { Fate::Reached };
        if outbox.window.retains() {
            let scope = if fate == Fate::Reached { Scope::Written } else { Scope::All };
            self.keep_window(outbox, scope, woken);
            if matches!(outbox.line, Line::Ended) {
                fate = Fate::Lost;
            }
        }
        outbox.settle();
        outbox.wake(woken);
        fate
    }

    /// Enforces the bounds of the window: drops messages, and compacts joins and leaves if nobody reads the window now.
    /// A session whose own answers exceed the bounds has to end.
    pub(super) fn keep_window(&self, outbox: &mut Outbox, scope: Scope, woken: &mut Woken) {
        let bounds = self.relay.window_bounds();
        if scope == Scope::All {
            outbox.window.compact(false);
        }
        if !outbox.window.keep_within(bounds, GapReason::Window, scope) {
            if scope == Scope::All {
                outbox.window.compact(true);
            }
            if !outbox.window.keep_within(bounds, GapReason::Window, scope) {
                self.lose(outbox, woken);
            }
        }
    }

    /// This session has lost events that may not be lost, so it must end. If it is away, the clock ends it (the caller
    /// may hold a room lock, so we cannot). If it is connected, closing the connection ends it.
    fn lose(&self, outbox: &mut Outbox, woken: &mut Woken) {
        match outbox.line {
            Line::Connected(_) => outbox.close(CloseReason::SlowReader, woken),
            Line::Away(Absence { until, .. }) => self.relay.end_soon(self.id, until),
            Line::Ended => {}
        }
        outbox.line = Line::Ended;
    }

    /// Brings what is charged to the session's account up to date.
    pub(super) fn account(&self, outbox: &mut Outbox) {
        outbox.settle();
        self.check(outbox);
    }

    /// The invariants of a session, in debug builds.
    pub(super) fn check(&self, outbox: &Outbox) {
        let ended = matches!(outbox.line, Line::Ended);
        debug_assert!(
            ended || outbox.token.is_none() || outbox.window.retains(),
            "session {} can be resumed and keeps nothing",
            self.id
        );
        debug_assert!(
            !matches!(outbox.line, Line::Away(_)) || outbox.token.is_some(),
            "session {} is away and cannot be resumed",
            self.id
        );
    }

    // ---- its connection ----

    /// Passes what waits to `write`, frame by frame, until that returns `false`. Returns whether there may be more. An
    /// error means that the connection is to be closed; the session may go on elsewhere.
    pub(super) fn take(
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
        let mut more = false;
        while let Some(delivery) = outbox.window.take() {
            let frame = match delivery {
                Delivery::Frame(frame) => frame,
                Delivery::Gap { from, to, reason } => {
                    TextFrame::text(&Event::Gap(Gap { from, to, reason }).to_json(None))
                }
            };
            if !write(frame) {
                more = true;
                break;
            }
        }
        outbox.settle();
        Ok(more)
    }

    /// The connection's own buffers take this many bytes now.
    pub(super) fn hold_buffers(&self, bytes: usize) {
        let mut outbox = lock(&self.outbox);
        outbox.buffers = bytes;
        outbox.settle();
    }

    /// Why the connection is to be closed, if it is.
    pub(super) fn closing(&self, connection: ConnectionId) -> Option<CloseReason> {
        lock(&self.outbox).closing_of(connection)
    }

    /// Wipes what waits. From here on the session cannot be taken up; a client that tries is told why, where there is a
    /// reason.
    pub(super) fn wipe_outbox(&self, reason: Option<GoneReason>) {
        let token = {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            outbox.line = Line::Ended;
            let garbage = (std::mem::take(&mut outbox.window), std::mem::take(&mut outbox.answered));
            outbox.leave_seat();
            self.relay.discard(garbage.0.memory(), garbage);
            outbox.token.take()
        };
        if let Some(tag) = token {
            self.relay.drop_token(&tag);
            if let Some(reason) = reason {
                self.relay.note_gone(tag, reason);
            }
        }
    }
}

impl Part for Session {
    fn held(&self) -> usize {
        lock(&self.outbox).charged()
    }

    fn shrink_to(&self, level: usize, closing: &mut Vec<ConnectionId>) {
        let mut woken = Woken::new();
        let mut guard = lock(&self.outbox);
        let outbox = &mut *guard;
        let beside = outbox.charged().saturating_sub(outbox.window.memory());
        let dropped = outbox.window.shrink_to(level.saturating_sub(beside), GapReason::Memory);
        if matches!(outbox.line, Line::Away { .. }) && outbox.window.memory() > level.saturating_sub(beside) {
            outbox.window.compact(true);
        }
        self.relay.discard(dropped.bytes, dropped);
        outbox.settle_wholly();
        if outbox.charged() > level {
            // What is left may not be dropped: a client that does not read its answers, or does not acknowledge them.
            self.lose(outbox, &mut woken);
        }
        drop(guard);
        closing.extend(woken.connections());
    }
}

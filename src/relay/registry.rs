//! The registry of one server: its rooms, its resumable sessions, and the times at which they expire.
//!
//! It knows nothing of what a session is (`S`).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use foldhash::fast::RandomState;

use super::account::{Account, Charge, Count, Taken};
use super::digest::Accounts;
use super::outbox::Terms;
use super::pressure::DROPPED_HERE;
use crate::protocol::codes::GoneReason;
use crate::protocol::ids::RoomId;
use crate::protocol::limits::Limits;
use crate::room::{Bounds, Millis, Room};
use crate::secret::{Tag, TagKey};
use crate::sync::lock;

/// A room's way to a session.
pub(super) struct Handle<S>(pub(super) Arc<S>);

impl<S> PartialEq for Handle<S> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Bytes of a room that has neither keys nor members, its places in the registry included.
pub(super) const ROOM_BYTES: usize = 1_024;
/// Bytes of a join key.
pub(super) const KEY_BYTES: usize = 128;

/// A room behind its lock; `None` once it has ended.
pub(super) struct RoomCell<S> {
    pub(super) room: Mutex<Option<Room<Handle<S>>>>,
    /// What the address that created the room pays for it; given back when the room ends.
    pub(super) paid: Mutex<Option<RoomAccount>>,
}

impl<S> RoomCell<S> {
    /// Whether the account that pays for the room may have `bytes` more.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        lock(&self.paid).as_ref().is_none_or(|paid| paid.charge.account().has_room_for(bytes))
    }

    /// Nothing is paid any more: the room has ended.
    pub(super) fn give_back(&self) {
        drop(lock(&self.paid).take());
    }

    /// Brings what is paid for the room up to date. Its lock is held.
    pub(super) fn charge(&self, room: &Room<Handle<S>>) {
        if let Some(paid) = lock(&self.paid).as_mut() {
            paid.charge.set(room_bytes(room));
        }
    }
}

/// Bytes of a room without its members.
pub(super) fn room_bytes<S>(room: &Room<Handle<S>>) -> usize {
    ROOM_BYTES + room.keys.len() * KEY_BYTES
}

/// A room at the account of the address that created it.
pub(super) struct RoomAccount {
    pub(super) _taken: Taken,
    pub(super) charge: Charge,
}

/// Boxed, so that removing an entry frees the id and the allocator wipes it. A map does not clear the slots of removed
/// keys.
type FiledId = Box<RoomId>;
type Rooms<S> = HashMap<FiledId, Arc<RoomCell<S>>, RandomState>;

/// What a moment of the clock can end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Room(FiledId),
    Session(u64),
}

/// What expires when. A room or session has at most one entry.
#[derive(Default)]
struct Schedule {
    by_time: BTreeSet<(Millis, Due)>,
    rooms: HashMap<FiledId, Millis, RandomState>,
}

/// The tokens of sessions that are over, so that a refusal can say why. The oldest are forgotten first.
#[derive(Default)]
struct Gone {
    reasons: HashMap<Tag, GoneReason>,
    by_time: VecDeque<(Millis, Tag)>,
}

/// Most tokens of sessions that are over.
const MAX_GONE: usize = 65_536;
/// How long a session waits at least that another process has taken over, in milliseconds.
pub(super) const LEAST_AFTER_TAKEOVER: Millis = 60_000;
/// How long a session waits whose client never confirmed that it is in a room, in seconds.
pub(super) const UNCONFIRMED_S: u64 = 60;

/// The sessions that outlive, or may outlive, their connections.
struct Sessions<S> {
    by_token: HashMap<Tag, Arc<S>>,
    away: HashMap<u64, Arc<S>>,
}

impl Gone {
    fn forget_before(&mut self, then: Millis) {
        while self.by_time.len() >= MAX_GONE || self.by_time.front().is_some_and(|(at, _)| *at < then) {
            let Some((_, tag)) = self.by_time.pop_front() else { return };
            self.reasons.remove(&tag);
        }
    }
}

impl<S> Default for Sessions<S> {
    fn default() -> Self {
        Self { by_token: HashMap::new(), away: HashMap::new() }
    }
}

/// The shared state of one server. Two in one process share nothing.
pub struct Registry<S> {
    // Fixed at start.
    pub(super) limits: Limits,
    pub(super) notice: String,
    pub(super) tags: TagKey,
    pub(super) accounts: Arc<Accounts>,
    started: Instant,
    // Under their locks.
    rooms: Mutex<Rooms<S>>,
    sessions: Mutex<Sessions<S>>,
    gone: Mutex<Gone>,
    schedule: Mutex<Schedule>,
    // Counters.
    pub(super) next_session: AtomicU64,
    pub(super) members: AtomicUsize,
    stopping: AtomicBool,
    taken_over: AtomicBool,
    /// Rings when something becomes due earlier than anything before.
    earlier: tokio::sync::Notify,
}

/// What a relay holds at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rooms that have not ended.
    pub rooms: usize,
    /// Memberships of all rooms.
    pub members: usize,
    /// Sessions, connected or away.
    pub sessions: usize,
    /// Of these, sessions whose connection ended and may come back.
    pub away: usize,
    /// Bytes that clients make the server hold.
    pub memory_bytes: usize,
    /// Entries of the schedule of what expires.
    pub scheduled: usize,
}

impl<S> Registry<S> {
    /// An empty registry. `notice` is the host's message to its users, sent in `hello`.
    pub fn new(limits: Limits, notice: String) -> Arc<Self> {
        Self::with_tags(limits, notice, TagKey::random())
    }

    pub(super) fn with_tags(limits: Limits, notice: String, tags: TagKey) -> Arc<Self> {
        let accounts = Arc::new(Accounts::new(&limits));
        Arc::new(Self {
            accounts,
            limits,
            notice,
            tags,
            started: Instant::now(),
            rooms: Mutex::default(),
            sessions: Mutex::default(),
            gone: Mutex::default(),
            schedule: Mutex::default(),
            next_session: AtomicU64::new(0),
            members: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            taken_over: AtomicBool::new(false),
            earlier: tokio::sync::Notify::new(),
        })
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The accounts of its clients' addresses.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// The account of a new connection from this address.
    pub fn account_of(&self, address: IpAddr) -> Arc<Account> {
        self.accounts.of(address, self.now())
    }

    /// Milliseconds since this relay was made.
    pub fn now(&self) -> Millis {
        self.started.elapsed().as_millis() as Millis
    }

    /// What [`Registry::now`] was at another moment.
    pub fn time_of(&self, moment: Instant) -> Millis {
        moment.saturating_duration_since(self.started).as_millis() as Millis
    }

    /// What is held now.
    pub fn stats(&self) -> Stats {
        let away = lock(&self.sessions).away.len();
        Stats {
            rooms: lock(&self.rooms).len(),
            members: self.members.load(Ordering::Acquire),
            sessions: self.accounts.root().count(Count::Sessions) as usize,
            away,
            memory_bytes: self.accounts.root().held(),
            scheduled: lock(&self.schedule).by_time.len(),
        }
    }

    pub(super) fn next_session_id(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    /// How long a session waits if its client says nothing else.
    pub(super) fn usual_terms(&self) -> Terms {
        Terms { for_s: self.limits.resume_window_s, keeps: false }
    }

    pub(super) fn queue_bounds(&self) -> Bounds {
        Bounds { bytes: self.limits.queue_bytes as usize, events: self.limits.queue_events as usize }
    }

    pub(super) fn window_bounds(&self) -> Bounds {
        Bounds { bytes: self.limits.window_bytes as usize, events: self.limits.window_events as usize }
    }

    /// Drops what `bytes` are about; much of it on the warden's thread.
    pub(super) fn discard(&self, bytes: usize, garbage: impl Send + 'static) {
        if bytes > DROPPED_HERE {
            self.accounts.pressure().discard(Box::new(garbage));
        }
    }

    // ---- rooms ----

    pub(super) fn room(&self, id: &RoomId) -> Option<Arc<RoomCell<S>>> {
        lock(&self.rooms).get(id).cloned()
    }

    /// Files a new room.
    pub(super) fn open_room(&self, id: RoomId, room: Room<Handle<S>>, taken: Taken) -> Arc<RoomCell<S>> {
        let charge = taken.account().charge(room_bytes(&room));
        let paid = Mutex::new(Some(RoomAccount { _taken: taken, charge }));
        let cell = Arc::new(RoomCell { room: Mutex::new(Some(room)), paid });
        lock(&self.rooms).insert(Box::new(id), cell.clone());
        cell
    }

    /// Forgets a room that ended.
    pub(super) fn forget_room(&self, id: &RoomId) {
        lock(&self.rooms).remove(id);
        self.schedule_room(*id, None);
    }

    pub(super) fn all_rooms(&self) -> Vec<Arc<RoomCell<S>>> {
        lock(&self.rooms).values().cloned().collect()
    }

    // ---- sessions ----

    pub(super) fn resumable_sessions(&self) -> Vec<Arc<S>> {
        lock(&self.sessions).by_token.values().cloned().collect()
    }

    pub(super) fn away_session(&self, id: u64) -> Option<Arc<S>> {
        lock(&self.sessions).away.get(&id).cloned()
    }

    pub(super) fn away_sessions(&self) -> Vec<Arc<S>> {
        lock(&self.sessions).away.values().cloned().collect()
    }

    pub(super) fn file_token(&self, tag: Tag, session: Arc<S>) {
        lock(&self.sessions).by_token.insert(tag, session);
    }

    pub(super) fn knows_token(&self, tag: &Tag) -> bool {
        lock(&self.sessions).by_token.contains_key(tag)
    }

    pub(super) fn drop_token(&self, tag: &Tag) -> Option<Arc<S>> {
        lock(&self.sessions).by_token.remove(tag)
    }

    /// Remembers why the session with this token is over, for as long as a client may come back.
    pub(super) fn note_gone(&self, tag: Tag, reason: GoneReason) {
        let now = self.now();
        let mut gone = lock(&self.gone);
        gone.forget_before(now.saturating_sub(self.limits.resume_window_s * 1_000));
        if gone.reasons.insert(tag, reason).is_none() {
            gone.by_time.push_back((now, tag));
        }
    }

    /// Why the session with this token is over, if that is known.
    pub(super) fn why_gone(&self, tag: &Tag) -> Option<GoneReason> {
        lock(&self.gone).reasons.get(tag).copied()
    }

    /// The connection of session number `id` ended: it has until `until` to come back.
    pub(super) fn send_away(&self, id: u64, session: Arc<S>, until: Millis) {
        lock(&self.sessions).away.insert(id, session);
        self.add_due(&mut lock(&self.schedule), until, Due::Session(id));
    }

    /// The time of a session that is away until `until` is up at another moment.
    pub(super) fn reschedule(&self, id: u64, until: Millis, at: Millis) {
        let mut schedule = lock(&self.schedule);
        schedule.by_time.remove(&(until, Due::Session(id)));
        self.add_due(&mut schedule, at, Due::Session(id));
    }

    /// A session that is away until then has lost what it must be told: it ends at the next look at the clock.
    pub(super) fn end_soon(&self, id: u64, until: Millis) {
        self.reschedule(id, until, 0);
    }

    /// A session came back, or ends. Like [`Registry::send_away`] it is called under the session's lock, so that the
    /// two agree.
    pub(super) fn call_back(&self, id: u64, until: Millis) {
        lock(&self.schedule).by_time.remove(&(until, Due::Session(id)));
        // The caller has the session, so it is not dropped here.
        drop(lock(&self.sessions).away.remove(&id));
    }

    // ---- the schedule ----

    /// Sets when a room, or a key of it, expires next.
    pub(super) fn schedule_room(&self, id: RoomId, at: Option<Millis>) {
        let mut schedule = lock(&self.schedule);
        let old = match at {
            Some(at) => schedule.rooms.insert(Box::new(id), at),
            None => schedule.rooms.remove(&id),
        };
        if old == at {
            return;
        }
        if let Some(old) = old {
            schedule.by_time.remove(&(old, Due::Room(Box::new(id))));
        }
        if let Some(at) = at {
            self.add_due(&mut schedule, at, Due::Room(Box::new(id)));
        }
    }

    fn add_due(&self, schedule: &mut Schedule, at: Millis, due: Due) {
        let before = schedule.by_time.first().map(|(at, _)| *at);
        schedule.by_time.insert((at, due));
        if before.is_none_or(|before| at < before) {
            self.earlier.notify_one();
        }
    }

    /// When the clock has something to do next.
    pub fn next_due(&self) -> Option<Millis> {
        lock(&self.schedule).by_time.first().map(|(at, _)| *at)
    }

    /// Waits until something becomes due earlier than what [`Registry::next_due`] said before.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn earlier_due(&self) {
        self.earlier.notified().await;
    }

    /// Takes the first entry of the schedule whose time is up at `now`.
    pub(super) fn take_due(&self, now: Millis) -> Option<Due> {
        let mut schedule = lock(&self.schedule);
        if schedule.by_time.first().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let (_, due) = schedule.by_time.pop_first()?;
        if let Due::Room(id) = &due {
            schedule.rooms.remove(id);
        }
        Some(due)
    }

    // ---- the end ----

    /// From now on no new rooms or members are taken.
    pub(super) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Another process has taken over the state: nothing changes here any more, and nobody is told anything.
    pub fn set_taken_over(&self) {
        self.taken_over.store(true, Ordering::Release);
    }

    /// Whether another process has taken over the state.
    pub fn is_taken_over(&self) -> bool {
        self.taken_over.load(Ordering::Acquire)
    }

    /// Takes everything out: the rooms, which are wiped here, and the sessions that may outlive their connections.
    pub(super) fn clear(&self) -> Vec<Arc<S>> {
        let rooms = std::mem::take(&mut *lock(&self.rooms));
        for cell in rooms.into_values() {
            let room = lock(&cell.room).take();
            drop(room);
        }
        self.members.store(0, Ordering::Release);
        let Sessions { by_token, away } = std::mem::take(&mut *lock(&self.sessions));
        *lock(&self.schedule) = Schedule::default();
        by_token.into_values().chain(away.into_values()).collect()
    }
}

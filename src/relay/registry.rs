//! The registry: all rooms, all resumable sessions, and what expires when.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use foldhash::fast::RandomState;

use super::lock;
use super::session::{Session, SessionHandle};
use crate::protocol::codes::{LeaveReason, RoomClosedReason};
use crate::protocol::ids::RoomId;
use crate::protocol::limits::Limits;
use crate::room::{Bounds, Millis, Room};
use crate::secret::{Tag, TagKey};

/// An id on the heap: what a map or set removes it does not overwrite, but what is freed is wiped.
type FiledId = Box<RoomId>;
type Rooms = HashMap<FiledId, Arc<RoomCell>, RandomState>;

fn file(rooms: &mut Rooms, id: RoomId, room: Room<SessionHandle>) -> Arc<RoomCell> {
    let cell = Arc::new(RoomCell { room: Mutex::new(Some(room)) });
    rooms.insert(Box::new(id), cell.clone());
    cell
}

/// A room behind its lock; `None` once it ended, and then everything in it is wiped.
pub(super) struct RoomCell {
    pub(super) room: Mutex<Option<Room<SessionHandle>>>,
}

/// What a moment of the clock can end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Room(FiledId),
    Session(u64),
}

/// When what is due. A room or session stands in it at most once.
#[derive(Default)]
struct Schedule {
    by_time: BTreeSet<(Millis, Due)>,
    rooms: HashMap<FiledId, Millis, RandomState>,
}

/// The shared state of one server. Two in one process share nothing.
pub struct Relay {
    // Fixed at start.
    pub(super) limits: Limits,
    pub(super) notice: String,
    pub(super) tags: TagKey,
    started: Instant,
    // Under their locks.
    rooms: Mutex<Rooms>,
    sessions: Mutex<Sessions>,
    schedule: Mutex<Schedule>,
    // Counters.
    pub(super) next_session: AtomicUsize,
    pub(super) members: AtomicUsize,
    pub(super) open_sessions: AtomicUsize,
    pub(super) window_bytes: AtomicUsize,
    pub(super) stopping: AtomicBool,
    /// Another process goes on with the state: nothing may change here any more, and nobody is told anything.
    handed_over: AtomicBool,
    /// Rings when something becomes due earlier than anything before.
    pub(super) earlier: tokio::sync::Notify,
}

/// The sessions that outlive, or may outlive, their connections.
#[derive(Default)]
struct Sessions {
    by_token: HashMap<Tag, Arc<Session>>,
    away: HashMap<u64, Arc<Session>>,
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
    /// Bytes in the windows of resumable sessions.
    pub window_bytes: usize,
    /// Entries of the schedule of what expires.
    pub scheduled: usize,
}

impl Relay {
    /// An empty relay. `notice` is the host's word to its users, told in `hello`.
    pub fn new(limits: Limits, notice: String) -> Arc<Self> {
        Self::with_tags(limits, notice, TagKey::random())
    }

    pub(super) fn with_tags(limits: Limits, notice: String, tags: TagKey) -> Arc<Self> {
        Arc::new(Self {
            limits,
            notice,
            tags,
            started: Instant::now(),
            rooms: Mutex::default(),
            sessions: Mutex::default(),
            schedule: Mutex::default(),
            next_session: AtomicUsize::new(0),
            members: AtomicUsize::new(0),
            open_sessions: AtomicUsize::new(0),
            window_bytes: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            handed_over: AtomicBool::new(false),
            earlier: tokio::sync::Notify::new(),
        })
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Milliseconds since this relay was made.
    pub fn now(&self) -> Millis {
        self.started.elapsed().as_millis() as Millis
    }

    /// What is held now.
    pub fn stats(&self) -> Stats {
        let away = lock(&self.sessions).away.len();
        Stats {
            rooms: lock(&self.rooms).len(),
            members: self.members.load(Ordering::Acquire),
            sessions: self.open_sessions.load(Ordering::Acquire),
            away,
            window_bytes: self.window_bytes.load(Ordering::Acquire),
            scheduled: lock(&self.schedule).by_time.len(),
        }
    }

    /// Compares the gauges with what the rooms really hold.
    ///
    /// # Errors
    /// A sentence that says what differs. Only meaningful while nothing is under way.
    pub fn check_consistency(&self) -> Result<(), String> {
        let counted: usize = self.all_rooms().iter().map(|cell| lock(&cell.room).as_ref().map_or(0, Room::len)).sum();
        let told = self.members.load(Ordering::Acquire);
        if counted != told {
            return Err(format!("the gauge says {told} members, the rooms hold {counted}"));
        }
        let sessions = lock(&self.sessions);
        if let Some(ended) =
            sessions.by_token.values().chain(sessions.away.values()).find(|session| session.has_ended())
        {
            return Err(format!("session number {} has ended and is still held", ended.id()));
        }
        Ok(())
    }

    pub(super) fn next_session_id(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed) as u64
    }

    /// When a session whose connection ends now must be back.
    pub(super) fn resume_deadline(&self) -> Millis {
        self.now() + self.limits.resume_window_s * 1_000
    }

    pub(super) fn queue_bounds(&self) -> Bounds {
        Bounds { bytes: self.limits.queue_bytes as usize, events: self.limits.queue_events as usize }
    }

    /// Whether all windows together hold more than they may.
    pub(super) fn windows_exceed(&self) -> bool {
        self.window_bytes.load(Ordering::Acquire) as u64 > self.limits.windows_bytes
    }

    /// What every resumable session may hold if all hold the same, in bytes.
    pub(super) fn window_share(&self) -> u64 {
        self.limits.windows_bytes / (lock(&self.sessions).by_token.len() as u64).max(1)
    }

    pub(super) fn window_bounds(&self) -> Bounds {
        Bounds { bytes: self.limits.window_bytes as usize, events: self.limits.window_events as usize }
    }

    // ---- rooms ----

    pub(super) fn room(&self, id: &RoomId) -> Option<Arc<RoomCell>> {
        lock(&self.rooms).get(id).cloned()
    }

    /// Files a new room, unless the server is full.
    pub(super) fn open_room(&self, id: RoomId, room: Room<SessionHandle>) -> Option<Arc<RoomCell>> {
        let mut rooms = lock(&self.rooms);
        if rooms.len() as u64 >= self.limits.rooms {
            return None;
        }
        Some(file(&mut rooms, id, room))
    }

    /// Files a room that another process hands over: it stays, even where the bounds are lower here.
    pub(super) fn reopen_room(&self, id: RoomId, room: Room<SessionHandle>) -> Arc<RoomCell> {
        file(&mut lock(&self.rooms), id, room)
    }

    /// Forgets a room that ended.
    pub(super) fn forget_room(&self, id: &RoomId) {
        lock(&self.rooms).remove(id);
        self.schedule_room(*id, None);
    }

    /// Says when a room, or a key of it, expires next.
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

    pub(super) fn all_rooms(&self) -> Vec<Arc<RoomCell>> {
        lock(&self.rooms).values().cloned().collect()
    }

    // ---- sessions ----

    pub(super) fn resumable_sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).by_token.values().cloned().collect()
    }

    pub(super) fn away_session(&self, id: u64) -> Option<Arc<Session>> {
        lock(&self.sessions).away.get(&id).cloned()
    }

    pub(super) fn file_token(&self, tag: Tag, session: Arc<Session>) {
        lock(&self.sessions).by_token.insert(tag, session);
    }

    pub(super) fn knows_token(&self, tag: &Tag) -> bool {
        lock(&self.sessions).by_token.contains_key(tag)
    }

    pub(super) fn drop_token(&self, tag: &Tag) -> Option<Arc<Session>> {
        lock(&self.sessions).by_token.remove(tag)
    }

    /// A session's connection ended: it has until `until` to come back.
    pub(super) fn send_away(&self, session: Arc<Session>, until: Millis) {
        let id = session.id();
        lock(&self.sessions).away.insert(id, session);
        self.add_due(&mut lock(&self.schedule), until, Due::Session(id));
    }

    /// A session that is away until then can be told nothing true any more: it ends at the next look at the clock.
    pub(super) fn end_soon(&self, id: u64, until: Millis) {
        let mut schedule = lock(&self.schedule);
        schedule.by_time.remove(&(until, Due::Session(id)));
        self.add_due(&mut schedule, 0, Due::Session(id));
    }

    /// A session came back, or ends. Like [`Relay::send_away`] it is called under the session's lock, so that the two agree.
    pub(super) fn call_back(&self, id: u64, until: Millis) {
        lock(&self.schedule).by_time.remove(&(until, Due::Session(id)));
        // The caller holds the session, so it is not dropped here.
        drop(lock(&self.sessions).away.remove(&id));
    }

    // ---- the clock ----

    /// When [`Relay::expire`] has something to do next.
    pub fn next_due(&self) -> Option<Millis> {
        lock(&self.schedule).by_time.first().map(|(at, _)| *at)
    }

    /// Waits until something becomes due earlier than what [`Relay::next_due`] said before.
    pub async fn earlier_due(&self) {
        self.earlier.notified().await;
    }

    /// Ends everything whose time is up at `now`: rooms, keys, sessions that did not come back.
    pub fn expire(&self, now: Millis) {
        loop {
            let due = {
                let mut schedule = lock(&self.schedule);
                if schedule.by_time.first().is_none_or(|(at, _)| *at > now) {
                    return;
                }
                let Some((_, due)) = schedule.by_time.pop_first() else { return };
                if let Due::Room(id) = &due {
                    schedule.rooms.remove(id);
                }
                due
            };
            match due {
                Due::Room(id) => self.expire_room(*id, now),
                Due::Session(id) => {
                    if let Some(session) = self.away_session(id) {
                        session.end_away(now);
                    }
                }
            }
        }
    }

    fn expire_room(&self, id: RoomId, now: Millis) {
        let Some(cell) = self.room(&id) else { return };
        let next = {
            let mut guard = lock(&cell.room);
            let Some(room) = guard.as_mut() else { return };
            room.keys.expire(now);
            if room.is_over(now) { None } else { Some(room.next_expiry()) }
        };
        match next {
            None => self.close_room(&cell, RoomClosedReason::Expired),
            Some(at) => self.schedule_room(id, at),
        }
    }

    /// Ends all sessions that are away, and says that no new rooms or members are taken.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let away: Vec<_> = lock(&self.sessions).away.values().cloned().collect();
        for session in away {
            session.end_away(Millis::MAX);
        }
    }

    /// Another process goes on with the state.
    pub fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Release);
    }

    /// Wipes everything without a word to anybody: it lives in another process, or was never used. Rooms and sessions hold each other and
    /// would stay otherwise.
    pub fn forget(&self) {
        self.hand_over();
        let rooms = std::mem::take(&mut *lock(&self.rooms));
        for cell in rooms.into_values() {
            let room = lock(&cell.room).take();
            drop(room);
        }
        let Sessions { by_token, away } = std::mem::take(&mut *lock(&self.sessions));
        for session in by_token.into_values().chain(away.into_values()) {
            session.end(LeaveReason::Lost);
        }
        *lock(&self.schedule) = Schedule::default();
    }

    /// Whether another process goes on with the state.
    pub fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Acquire)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

//! The events that wait for one session, and those that were written but may be lost on the way.
//!
//! Events are numbered from 1 in the order in which they were pushed. Without retention an event is dropped when it is
//! taken for writing. With retention it stays until it is acknowledged, so that [`Window::rewind`] can deliver it
//! again.
//!
//! A retained window that grows past its bounds drops messages and keeps their numbers as a gap. It takes them from the
//! source that has most, oldest first. It never drops answers. Joins, leaves and changes of the owner are **compacted**
//! when there are many of one room: a mark takes their place, and when the client comes back the mark becomes one event
//! that says who is in the room ([`Window::settle`]).

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::level::level;
use crate::protocol::codes::GapReason;
use crate::protocol::frame::TextFrame;

/// The account of a sender: everything that is sent from one address counts as one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source(pub u64);

/// Where a message comes from. Rooms and users are named by the short form of their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The room.
    pub room: u64,
    /// The sender.
    pub sender: u64,
    /// The sender's account.
    pub source: Source,
}

/// A change of a room's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The short form of the room's id.
    pub room: u64,
    /// The first place in the order of joining that was free before the change: all members before it were there.
    pub place: u64,
}

/// What a window may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of frames.
    pub bytes: usize,
    /// Events.
    pub events: usize,
}

/// What an event is, for the window: which of them may be dropped when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message from another member may be dropped.
    Message(Origin),
    /// A join, a leave or a change of the owner may be compacted.
    Members(Change),
    /// Everything else is kept.
    Firm,
}

/// Most joins, leaves and changes of the owner of one room that a window keeps, and their bytes.
const MEMBERS: Bounds = Bounds { bytes: 64 * 1024, events: 64 };

/// Which part of a window a bound is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All events.
    All,
    /// Those that were written once and are not acknowledged.
    Written,
}

/// Messages that a window dropped.
pub struct Dropped {
    /// Bytes that are freed when this is dropped.
    pub bytes: usize,
    _entries: Vec<Entry>,
}

/// Something to write.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A frame.
    Frame(TextFrame),
    /// The numbers of events that are lost.
    Gap {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
        /// Why.
        reason: GapReason,
    },
}

/// The number is not one that was sent and is still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

pub(super) enum Entry {
    /// A counted event.
    Event { frame: TextFrame, kind: Kind },
    /// Belongs to this connection alone, has no number and is not delivered again.
    Unnumbered(TextFrame),
    /// Stands for the first of the changes that were compacted, and will be the event that says who is in the room.
    Mark(Change),
    /// Dropped events.
    Gap(Missing),
}

impl Entry {
    fn count(&self) -> u64 {
        match self {
            Self::Event { .. } | Self::Mark(_) => 1,
            Self::Unnumbered(_) => 0,
            Self::Gap(missing) => missing.count,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event { frame, .. } | Self::Unnumbered(frame) => frame.len(),
            Self::Mark(_) | Self::Gap(_) => 0,
        }
    }

    /// Bytes that are this window's alone, as the allocator counts them. What recipients share is charged to its
    /// sender.
    fn owned(&self) -> usize {
        match self {
            Self::Event { frame, .. } | Self::Unnumbered(frame) => allocated(frame.own_len()),
            Self::Mark(_) | Self::Gap { .. } => 0,
        }
    }

    /// 1 for a message, which may be dropped.
    fn messages(&self) -> usize {
        usize::from(self.origin().is_some())
    }

    /// Where it comes from, if it is a message.
    fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Event { kind: Kind::Message(origin), .. } => Some(origin),
            _ => None,
        }
    }

    /// The change of a room's members that it tells.
    fn change(&self) -> Option<Change> {
        match self {
            Self::Event { kind: Kind::Members(change), .. } => Some(*change),
            _ => None,
        }
    }
}

/// What the allocator takes for a buffer of this many bytes: it rounds up to 16 and keeps 16 of its own.
fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.next_multiple_of(16) + 16 }
}

/// Entries for which an empty window keeps its memory: a trickle of messages should not allocate each time.
const IDLE_ENTRIES: usize = 4;

/// Events that were dropped side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Missing {
    pub(super) count: u64,
    /// How many of them are changes of a room's members, which a mark tells.
    pub(super) changes: u64,
    /// Why the others are missing.
    pub(super) reason: GapReason,
}

impl Missing {
    /// One change.
    const CHANGE: Self = Self { count: 1, changes: 1, reason: GapReason::Members };

    fn add(&mut self, more: Self) {
        if self.reason == GapReason::Members {
            self.reason = more.reason;
        }
        self.count += more.count;
        self.changes += more.changes;
    }

    /// What the client is told: of changes alone it misses nothing, of messages it does.
    fn told(&self) -> GapReason {
        if self.changes == self.count { GapReason::Members } else { self.reason }
    }
}

/// The changes of one room's members in a window.
struct RoomChanges {
    room: u64,
    events: usize,
    bytes: usize,
    /// Earlier ones were compacted: the mark stands for all that follow, too.
    marked: bool,
}

/// A session's numbered events, from the first that is not acknowledged on.
#[derive(Default)]
pub struct Window {
    pub(super) entries: VecDeque<Entry>,
    /// How many of the entries were taken for writing; always 0 without retention.
    pub(super) taken: usize,
    /// Number of the last event before the first entry.
    pub(super) before: u64,
    /// Number of the last event in the entries.
    last: u64,
    /// Number of the last event taken for writing.
    pub(super) last_taken: u64,
    /// Messages among the entries, and among those that were taken: what could be forgotten.
    messages: usize,
    taken_messages: usize,
    bytes: usize,
    untaken_bytes: usize,
    /// Bytes of frames that are this window's alone, as the allocator counts them.
    owned: usize,
    retain: bool,
    /// The rooms of which there are changes or marks among the entries.
    changes: Vec<RoomChanges>,
}

impl Window {
    /// An empty window whose first event has the number after `before`.
    pub fn starting_after(before: u64) -> Self {
        Self { before, last: before, last_taken: before, ..Self::default() }
    }

    /// From now on events stay until they are acknowledged.
    pub fn retain(&mut self) {
        self.retain = true;
    }

    /// Whether events stay until they are acknowledged.
    pub fn retains(&self) -> bool {
        self.retain
    }

    /// Number of the last event pushed.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Bytes of all frames held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that belong to this window alone.
    pub fn memory(&self) -> usize {
        self.owned + self.entries.capacity() * size_of::<Entry>()
    }

    /// Whether what waits to be written exceeds the bounds.
    pub fn waits_beyond(&self, bounds: Bounds) -> bool {
        self.untaken_bytes > bounds.bytes || self.entries.len() - self.taken > bounds.events
    }

    /// Bytes and entries within the scope.
    pub fn held(&self, scope: Scope) -> (usize, usize) {
        match scope {
            Scope::All => (self.bytes, self.entries.len()),
            Scope::Written => (self.bytes - self.untaken_bytes, self.taken),
        }
    }

    /// Whether what is within the scope exceeds the bounds.
    pub(super) fn holds_beyond(&self, bounds: Bounds, scope: Scope) -> bool {
        let (bytes, events) = self.held(scope);
        bytes > bounds.bytes || events > bounds.events
    }

    /// Adds an event behind the others.
    pub fn push(&mut self, frame: TextFrame, kind: Kind) {
        if let Kind::Members(change) = kind
            && self.changes.iter().any(|room| room.room == change.room && room.marked)
        {
            // The mark will tell it.
            self.merge(Entry::Gap(Missing::CHANGE));
            return self.check();
        }
        self.add(Entry::Event { frame, kind });
    }

    /// Adds a frame that belongs to this connection alone.
    pub fn push_unnumbered(&mut self, frame: TextFrame) {
        self.add(Entry::Unnumbered(frame));
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.append(entry);
        self.check();
    }

    fn append(&mut self, entry: Entry) {
        self.last += entry.count();
        self.bytes += entry.bytes();
        self.untaken_bytes += entry.bytes();
        self.owned += entry.owned();
        self.messages += entry.messages();
        self.note_change(&entry);
        self.entries.push_back(entry);
    }

    /// Adds an entry; a gap behind another gap becomes one with it, unless the other was taken.
    fn merge(&mut self, entry: Entry) {
        let alone = self.entries.len() == self.taken;
        match (&entry, self.entries.back_mut()) {
            (Entry::Gap(missing), Some(Entry::Gap(before))) if !alone => {
                self.last += missing.count;
                before.add(*missing);
            }
            _ => self.append(entry),
        }
    }

    /// Counts what an entry that was added says of a room's members.
    fn note_change(&mut self, entry: &Entry) {
        let (change, marked) = match entry {
            Entry::Event { kind: Kind::Members(change), .. } => (change, false),
            Entry::Mark(change) => (change, true),
            _ => return,
        };
        let room = match self.changes.iter_mut().position(|room| room.room == change.room) {
            Some(at) => &mut self.changes[at],
            None => {
                self.changes.push(RoomChanges { room: change.room, events: 0, bytes: 0, marked: false });
                let last = self.changes.len() - 1;
                &mut self.changes[last]
            }
        };
        room.marked |= marked;
        room.events += usize::from(!marked);
        room.bytes += entry.bytes();
    }

    /// Counts that an entry is gone.
    fn note_gone(&mut self, entry: &Entry) {
        let Some(change) = entry.change() else { return };
        let Some(at) = self.changes.iter().position(|room| room.room == change.room) else { return };
        let room = &mut self.changes[at];
        room.events -= 1;
        room.bytes -= entry.bytes();
        if room.events == 0 && !room.marked {
            self.changes.swap_remove(at);
            if self.changes.is_empty() {
                self.changes = Vec::new();
            }
        }
    }

    /// Takes the next thing to write.
    pub fn take(&mut self) -> Option<Delivery> {
        let entry = self.entries.get(self.taken)?;
        let (count, bytes, messages) = (entry.count(), entry.bytes(), entry.messages());
        self.last_taken += count;
        self.untaken_bytes -= bytes;
        if self.retain {
            self.taken += 1;
            self.taken_messages += messages;
            let delivery = match entry {
                Entry::Event { frame, .. } | Entry::Unnumbered(frame) => Delivery::Frame(frame.clone()),
                // A mark is settled before anything is written; one that is not says at least that something is
                // missing.
                Entry::Mark(_) => self.gap(Missing::CHANGE),
                Entry::Gap(missing) => self.gap(*missing),
            };
            self.check();
            return Some(delivery);
        }
        self.before += count;
        self.bytes -= bytes;
        self.messages -= messages;
        let entry = self.entries.pop_front()?;
        self.owned -= entry.owned();
        self.note_gone(&entry);
        self.release_idle_memory();
        self.check();
        Some(match entry {
            Entry::Event { frame, .. } | Entry::Unnumbered(frame) => Delivery::Frame(frame),
            Entry::Mark(_) => self.gap(Missing::CHANGE),
            Entry::Gap(missing) => self.gap(missing),
        })
    }

    /// A session that has read everything holds little memory for what it once had to queue.
    fn release_idle_memory(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > IDLE_ENTRIES {
            self.entries = VecDeque::new();
        }
    }

    fn gap(&self, missing: Missing) -> Delivery {
        Delivery::Gap { from: self.last_taken - missing.count + 1, to: self.last_taken, reason: missing.told() }
    }

    /// Forgets all events up to number `seq`: they have arrived.
    ///
    /// # Errors
    /// Nothing with that number was sent. A number that was acknowledged before is no error.
    pub fn acknowledge(&mut self, seq: u64) -> Result<(), OutOfRange> {
        if seq > self.last_taken {
            return Err(OutOfRange);
        }
        let mut moved = Vec::new();
        while self.taken > 0 {
            let Some(entry) = self.entries.front_mut() else { break };
            let end = self.before + entry.count();
            if end > seq {
                // A gap can be acknowledged in part: the client may have known some of what was then forgotten.
                if let Entry::Gap(missing) = entry
                    && seq > self.before
                {
                    missing.count = end - seq;
                    missing.changes = missing.changes.min(missing.count);
                    self.before = seq;
                }
                break;
            }
            self.bytes -= entry.bytes();
            self.owned -= entry.owned();
            self.messages -= entry.messages();
            self.taken_messages -= entry.messages();
            self.before = end;
            self.taken -= 1;
            if let Some(entry) = self.entries.pop_front() {
                self.note_gone(&entry);
                if let Entry::Mark(change) = entry {
                    moved.push(change);
                }
            }
        }
        moved.into_iter().for_each(|mark| self.move_mark(mark));
        self.release_idle_memory();
        self.check();
        Ok(())
    }

    /// Gives again, from the event after number `seq` on, what a lost connection may not have delivered.
    ///
    /// # Errors
    /// Nothing with that number was sent, or it was acknowledged beyond: the caller speaks of another session.
    pub fn rewind(&mut self, seq: u64) -> Result<(), OutOfRange> {
        if seq < self.before {
            return Err(OutOfRange);
        }
        self.acknowledge(seq)?;
        self.entries.retain(|entry| !matches!(entry, Entry::Unnumbered(_)));
        self.bytes = self.entries.iter().map(Entry::bytes).sum();
        self.owned = self.entries.iter().map(Entry::owned).sum();
        self.untaken_bytes = self.bytes;
        self.taken = 0;
        self.taken_messages = 0;
        self.last_taken = self.before;
        self.check();
        Ok(())
    }

    /// Puts a frame that belongs to this connection alone before everything that is still to be written.
    pub fn push_unnumbered_first(&mut self, frame: TextFrame) {
        self.bytes += frame.len();
        self.untaken_bytes += frame.len();
        self.owned += allocated(frame.own_len());
        self.entries.insert(self.taken, Entry::Unnumbered(frame));
        self.check();
    }

    /// Drops messages when what is within the scope exceeds the bounds, until a quarter of them is free, so that this
    /// happens seldom. The source that has most loses first, oldest first, down to what the next source has, and so on.
    /// Returns whether the bounds are kept now.
    pub fn keep_within(&mut self, bounds: Bounds, reason: GapReason, scope: Scope) -> bool {
        let target = Bounds { bytes: bounds.bytes - bounds.bytes / 4, events: bounds.events - bounds.events / 4 };
        let (bytes, _) = self.held(scope);
        if bytes > bounds.bytes {
            self.drop_messages(bytes - target.bytes, Entry::bytes, reason, scope);
        }
        // Single messages between other entries leave a gap each, which is an entry, too.
        let beyond_target = |window: &Self| window.held(scope).1.saturating_sub(target.events);
        let mut excess = if self.held(scope).1 > bounds.events { beyond_target(self) } else { 0 };
        while excess > 0 && self.droppable(scope) > 0 {
            let before = beyond_target(self);
            self.drop_messages(excess, Entry::messages, reason, scope);
            let left = beyond_target(self);
            // Where only gaps came of it, twice as much goes next: the rounds are few, however the entries lie.
            excess = if left < before { left } else { 2 * excess };
        }
        self.check();
        !self.holds_beyond(bounds, scope)
    }

    fn droppable(&self, scope: Scope) -> usize {
        match scope {
            Scope::All => self.messages,
            Scope::Written => self.taken_messages,
        }
    }

    /// Drops messages until the window's own memory is at most `memory` bytes, with a quarter to spare; the source that
    /// has most loses first. Returns what was dropped: to free much takes time.
    pub fn shrink_to(&mut self, memory: usize, reason: GapReason) -> Dropped {
        let before = self.memory();
        let mut dropped = Vec::new();
        if before > memory {
            dropped = self.drop_messages(before - (memory - memory / 4), Entry::owned, reason, Scope::All);
            self.check();
        }
        Dropped { bytes: before.saturating_sub(self.memory()), _entries: dropped }
    }

    /// Drops messages that together weigh at least `excess`, or all of them, and returns them.
    fn drop_messages(
        &mut self,
        excess: usize,
        weight: fn(&Entry) -> usize,
        reason: GapReason,
        scope: Scope,
    ) -> Vec<Entry> {
        let mut dropped = Vec::new();
        if self.droppable(scope) == 0 {
            return dropped;
        }
        let within = match scope {
            Scope::All => self.entries.len(),
            Scope::Written => self.taken,
        };
        let mut held: HashMap<Source, usize, RandomState> = HashMap::default();
        for entry in self.entries.range(..within) {
            if let Some(origin) = entry.origin() {
                *held.entry(origin.source).or_default() += weight(entry);
            }
        }
        let level = level(held.values().copied(), excess);
        let mut goes: HashMap<_, _, RandomState> =
            held.into_iter().map(|(source, held)| (source, held.saturating_sub(level))).collect();
        self.rewrite(|index, entry| {
            let left = entry.origin().filter(|_| index < within).and_then(|origin| goes.get_mut(&origin.source));
            match left {
                Some(left) if *left > 0 => {
                    *left = left.saturating_sub(weight(&entry));
                    dropped.push(entry);
                    Entry::Gap(Missing { count: 1, changes: 0, reason })
                }
                _ => entry,
            }
        });
        dropped
    }

    /// Changes every entry, in order, and counts anew. Neighbouring gaps become one.
    fn rewrite(&mut self, mut change: impl FnMut(usize, Entry) -> Entry) {
        let (entries, taken) = (std::mem::take(&mut self.entries), self.taken);
        let mut window = Self {
            entries: VecDeque::with_capacity(entries.len()),
            before: self.before,
            last: self.before,
            last_taken: self.last_taken,
            retain: self.retain,
            ..Self::default()
        };
        for (index, entry) in entries.into_iter().enumerate() {
            if index == taken {
                window.all_taken();
            }
            window.merge(change(index, entry));
        }
        if taken > 0 && window.taken == 0 {
            window.all_taken();
        }
        window.entries.shrink_to(2 * window.entries.len());
        *self = window;
    }

    /// What is there counts as taken.
    fn all_taken(&mut self) {
        self.taken = self.entries.len();
        self.taken_messages = self.messages;
        self.untaken_bytes = 0;
    }

    // ---- changes of rooms' members ----

    /// Compacts the changes of the rooms of which there are more than a window keeps, or of all rooms. Only for a
    /// window that nobody reads: its marks must be settled before anything is taken.
    pub fn compact(&mut self, all: bool) {
        let beyond = |room: &&RoomChanges| all || room.events > MEMBERS.events || room.bytes > MEMBERS.bytes;
        let mut rooms: Vec<_> = self
            .changes
            .iter()
            .filter(beyond)
            .filter(|room| room.events > 0)
            .map(|room| (room.room, room.marked))
            .collect();
        if rooms.is_empty() {
            return;
        }
        self.rewrite(|_, entry| {
            let Some(change) = entry.change() else { return entry };
            match rooms.iter_mut().find(|(room, _)| *room == change.room) {
                None => entry,
                Some((_, true)) => Entry::Gap(Missing::CHANGE),
                Some((_, marked)) => {
                    *marked = true;
                    Entry::Mark(change)
                }
            }
        });
        self.check();
    }

    /// The marks: of which rooms changes were compacted, and since when.
    pub fn marks(&self) -> Vec<Change> {
        let mark = |entry: &Entry| if let Entry::Mark(change) = entry { Some(*change) } else { None };
        if self.changes.iter().any(|room| room.marked) {
            self.entries.iter().filter_map(mark).collect()
        } else {
            Vec::new()
        }
    }

    /// The client knows the event that a mark took the place of, but not all that the mark stands for: the mark moves
    /// to the first event that is missing. If none is, the client knows everything.
    fn move_mark(&mut self, mark: Change) {
        let missing = self.entries.iter().position(|entry| matches!(entry, Entry::Gap(missing) if missing.changes > 0));
        let Some(at) = missing else {
            return self.changes.retain_mut(|room| {
                room.marked &= room.room != mark.room;
                room.marked || room.events > 0
            });
        };
        match &mut self.entries[at] {
            Entry::Gap(missing) if missing.count > 1 => {
                missing.count -= 1;
                missing.changes -= 1;
                self.entries.insert(at, Entry::Mark(mark));
                self.taken += usize::from(at < self.taken);
            }
            entry => *entry = Entry::Mark(mark),
        }
    }

    /// Settles the mark of a room: `frame` says who is in it now. Messages behind the mark whose sender `is_here`
    /// denies are dropped, since the client does not know the sender any more. Without a frame the room is over for the
    /// client, and the mark becomes a gap.
    pub fn settle(&mut self, room: u64, mut frame: Option<TextFrame>, is_here: impl Fn(u64) -> bool) {
        let mut behind = false;
        self.rewrite(|_, entry| match &entry {
            Entry::Mark(change) if change.room == room => {
                behind = true;
                match frame.take() {
                    Some(frame) => Entry::Event { frame, kind: Kind::Members(*change) },
                    None => Entry::Gap(Missing::CHANGE),
                }
            }
            Entry::Event { kind: Kind::Message(origin), .. }
                if behind && origin.room == room && !is_here(origin.sender) =>
            {
                Entry::Gap(Missing { count: 1, changes: 0, reason: GapReason::Members })
            }
            _ => entry,
        });
        self.check();
    }

    /// The invariants, in debug builds: every counter is what the entries say. A long window is looked at now and then.
    fn check(&self) {
        let len = self.entries.len();
        if !cfg!(debug_assertions) || len > 64 && !len.is_power_of_two() {
            return;
        }
        let sum = |from: usize, to: usize, of: fn(&Entry) -> u64| self.entries.range(from..to).map(of).sum::<u64>();
        let bytes: fn(&Entry) -> u64 = |entry| entry.bytes() as u64;
        let messages: fn(&Entry) -> u64 = |entry| entry.messages() as u64;
        assert!(self.taken <= len && (self.retain || self.taken == 0), "{} of {len} entries are taken", self.taken);
        assert_eq!(self.last, self.before + sum(0, len, Entry::count), "number of the last event");
        assert_eq!(self.last_taken, self.before + sum(0, self.taken, Entry::count), "number of the last event taken");
        assert_eq!(self.bytes as u64, sum(0, len, bytes), "bytes");
        assert_eq!(self.owned as u64, sum(0, len, |entry| entry.owned() as u64), "own bytes");
        assert_eq!(self.untaken_bytes as u64, sum(self.taken, len, bytes), "bytes that wait");
        assert_eq!(self.messages as u64, sum(0, len, messages), "messages");
        assert_eq!(self.taken_messages as u64, sum(0, self.taken, messages), "messages that were taken");
        for room in &self.changes {
            let of_room = self.entries.iter().filter(|entry| entry.change().is_some_and(|c| c.room == room.room));
            let (events, bytes) = of_room.fold((0, 0), |(events, bytes), entry| (events + 1, bytes + entry.bytes()));
            assert_eq!((room.events, room.bytes), (events, bytes), "changes of a room's members");
            assert!(room.events > 0 || room.marked, "a room without changes is forgotten");
        }
    }
}

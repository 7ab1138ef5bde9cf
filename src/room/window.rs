//! The events that wait for one session, and those that were written but may be lost on the way.
//!
//! Events are numbered from 1 in the order in which they were pushed. Without retention an event is dropped when it is
//! taken for writing. With retention it stays until it is acknowledged, so that [`Window::rewind`] can deliver it again. A
//! retained window that grows past its bounds drops messages, oldest first, and keeps their numbers as a gap. It never drops
//! joins, leaves and answers.

use std::collections::VecDeque;

use crate::protocol::codes::GapReason;
use crate::protocol::frame::TextFrame;

/// What a window may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of frames.
    pub bytes: usize,
    /// Events.
    pub events: usize,
}

/// Whether an event may be dropped for lack of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message from another member may.
    Message,
    /// Everything else may not: joins, leaves, answers.
    Firm,
}

/// Which part of a window a bound is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All events.
    All,
    /// Those that were written once and are not acknowledged.
    Written,
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
    /// Dropped events.
    Gap { count: u64, reason: GapReason },
}

impl Entry {
    fn count(&self) -> u64 {
        match self {
            Self::Event { .. } => 1,
            Self::Unnumbered(_) => 0,
            Self::Gap { count, .. } => *count,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event { frame, .. } | Self::Unnumbered(frame) => frame.len(),
            Self::Gap { .. } => 0,
        }
    }

    /// 1 for a message, which may be dropped.
    fn messages(&self) -> usize {
        usize::from(matches!(self, Self::Event { kind: Kind::Message, .. }))
    }
}

/// Entries for which an empty window keeps its memory: a trickle of messages should not allocate each time.
const IDLE_ENTRIES: usize = 4;

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
    retain: bool,
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

    /// Whether what waits to be written exceeds the bounds.
    pub fn waits_beyond(&self, bounds: Bounds) -> bool {
        self.untaken_bytes > bounds.bytes || self.entries.len() - self.taken > bounds.events
    }

    /// Bytes and entries within the scope.
    fn held(&self, scope: Scope) -> (usize, usize) {
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
        self.add(Entry::Event { frame, kind });
    }

    /// Adds a frame that belongs to this connection alone.
    pub fn push_unnumbered(&mut self, frame: TextFrame) {
        self.add(Entry::Unnumbered(frame));
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.last += entry.count();
        self.bytes += entry.bytes();
        self.untaken_bytes += entry.bytes();
        self.messages += entry.messages();
        self.entries.push_back(entry);
        self.check();
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
                Entry::Gap { count, reason } => self.gap(*count, *reason),
            };
            self.check();
            return Some(delivery);
        }
        self.before += count;
        self.bytes -= bytes;
        self.messages -= messages;
        let entry = self.entries.pop_front()?;
        self.release_idle_memory();
        self.check();
        Some(match entry {
            Entry::Event { frame, .. } | Entry::Unnumbered(frame) => Delivery::Frame(frame),
            Entry::Gap { count, reason } => self.gap(count, reason),
        })
    }

    /// A session that has read everything holds little memory for what it once had to queue.
    fn release_idle_memory(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > IDLE_ENTRIES {
            self.entries = VecDeque::new();
        }
    }

    fn gap(&self, count: u64, reason: GapReason) -> Delivery {
        Delivery::Gap { from: self.last_taken - count + 1, to: self.last_taken, reason }
    }

    /// Forgets all events up to number `seq`: they have arrived.
    ///
    /// # Errors
    /// Nothing with that number was sent. A number that was acknowledged before is no error.
    pub fn acknowledge(&mut self, seq: u64) -> Result<(), OutOfRange> {
        if seq > self.last_taken {
            return Err(OutOfRange);
        }
        while self.taken > 0 {
            let Some(entry) = self.entries.front_mut() else { break };
            let end = self.before + entry.count();
            if end > seq {
                // A gap can be acknowledged in part: the client may have known some of what was then forgotten.
                if let Entry::Gap { count, .. } = entry
                    && seq > self.before
                {
                    *count = end - seq;
                    self.before = seq;
                }
                break;
            }
            self.bytes -= entry.bytes();
            self.messages -= entry.messages();
            self.taken_messages -= entry.messages();
            self.before = end;
            self.taken -= 1;
            self.entries.pop_front();
        }
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
        self.entries.insert(self.taken, Entry::Unnumbered(frame));
        self.check();
    }

    /// Drops messages, oldest first, when what is within the scope exceeds the bounds, until a quarter of them is free, so that
    /// this happens seldom. Returns whether the bounds are kept now.
    pub fn keep_within(&mut self, bounds: Bounds, reason: GapReason, scope: Scope) -> bool {
        let droppable = match scope {
            Scope::All => self.messages,
            Scope::Written => self.taken_messages,
        };
        if self.holds_beyond(bounds, scope) && droppable > 0 {
            self.drop_messages(bounds, reason, scope);
            self.check();
        }
        !self.holds_beyond(bounds, scope)
    }

    fn drop_messages(&mut self, bounds: Bounds, reason: GapReason, scope: Scope) {
        let target = Bounds { bytes: bounds.bytes - bounds.bytes / 4, events: bounds.events - bounds.events / 4 };
        let taken = self.taken;
        let (mut bytes, mut events) = self.held(scope);
        let mut kept: VecDeque<Entry> = VecDeque::with_capacity(self.entries.len());
        let entries = std::mem::take(&mut self.entries);
        self.taken = 0;
        for (index, entry) in entries.into_iter().enumerate() {
            let may = entry.messages() > 0 && (index < taken || scope == Scope::All);
            let entry = if may && (bytes > target.bytes || events > target.events) {
                bytes -= entry.bytes();
                self.bytes -= entry.bytes();
                self.messages -= 1;
                if index < taken {
                    self.taken_messages -= 1;
                } else {
                    self.untaken_bytes -= entry.bytes();
                }
                Entry::Gap { count: 1, reason }
            } else {
                entry
            };
            match (&entry, kept.back_mut()) {
                // Two gaps side by side are one, but one that is taken and one that is not stay apart.
                (Entry::Gap { count, .. }, Some(Entry::Gap { count: before, .. })) if index != taken => {
                    *before += count;
                    events -= 1;
                }
                _ => {
                    kept.push_back(entry);
                    if index < taken {
                        self.taken += 1;
                    }
                }
            }
        }
        self.entries = kept;
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
        assert_eq!(self.untaken_bytes as u64, sum(self.taken, len, bytes), "bytes that wait");
        assert_eq!(self.messages as u64, sum(0, len, messages), "messages");
        assert_eq!(self.taken_messages as u64, sum(0, self.taken, messages), "messages that were taken");
    }
}

//! What waits for one session to read it, and what was written but may yet be lost on the way.
//!
//! Events are numbered from 1 in the order in which they were pushed. Without retention an event is forgotten when it is
//! taken for writing. With retention it stays until it is acknowledged, so that [`Window::rewind`] can give it again. A retained
//! window that grows past its bounds forgets messages, oldest first, and remembers the numbers it forgot as a gap; joins, leaves and answers it
//! never forgets.

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
    /// An event. Messages may be forgotten, everything else not.
    Event { frame: TextFrame, message: bool },
    /// Belongs to this connection alone, has no number and is not given again.
    Unnumbered(TextFrame),
    /// Forgotten events.
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

    /// 1 for a message, which may be forgotten.
    fn messages(&self) -> usize {
        usize::from(matches!(self, Self::Event { message: true, .. }))
    }
}

/// Entries for which an empty window keeps its memory: a trickle of messages should not allocate each time.
const IDLE_ENTRIES: usize = 4;

/// See the module.
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
    pub(super) fn starting_after(before: u64) -> Self {
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

    /// Whether what is held exceeds the bounds; with `written_only`, of that only what was already written once.
    pub(super) fn holds_beyond(&self, bounds: Bounds, written_only: bool) -> bool {
        let (bytes, events) =
            if written_only { (self.bytes - self.untaken_bytes, self.taken) } else { (self.bytes, self.entries.len()) };
        bytes > bounds.bytes || events > bounds.events
    }

    /// Adds an event behind the others. `message` says that it may be forgotten for want of room.
    pub fn push(&mut self, frame: TextFrame, message: bool) {
        self.add(Entry::Event { frame, message });
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
            return Some(match entry {
                Entry::Event { frame, .. } | Entry::Unnumbered(frame) => Delivery::Frame(frame.clone()),
                Entry::Gap { count, reason } => self.gap(*count, *reason),
            });
        }
        self.before += count;
        self.bytes -= bytes;
        self.messages -= messages;
        let entry = self.entries.pop_front()?;
        self.release_idle_memory();
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
        Ok(())
    }

    /// Puts a frame that belongs to this connection alone before everything that is still to be written.
    pub fn push_unnumbered_first(&mut self, frame: TextFrame) {
        self.bytes += frame.len();
        self.untaken_bytes += frame.len();
        self.entries.insert(self.taken, Entry::Unnumbered(frame));
    }

    /// Forgets messages, oldest first, when the bounds are exceeded, until they hold with a quarter to spare, so that the work is done
    /// seldom. With `written_only`, what was not yet written neither counts nor is forgotten. Returns whether the bounds hold now.
    pub fn keep_within(&mut self, bounds: Bounds, reason: GapReason, written_only: bool) -> bool {
        let forgettable = if written_only { self.taken_messages } else { self.messages };
        if self.holds_beyond(bounds, written_only) && forgettable > 0 {
            self.forget_messages(bounds, reason, written_only);
        }
        !self.holds_beyond(bounds, written_only)
    }

    fn forget_messages(&mut self, bounds: Bounds, reason: GapReason, written_only: bool) {
        let target = Bounds { bytes: bounds.bytes - bounds.bytes / 4, events: bounds.events - bounds.events / 4 };
        let taken = self.taken;
        let mut kept: VecDeque<Entry> = VecDeque::with_capacity(self.entries.len());
        let entries = std::mem::take(&mut self.entries);
        let (mut bytes, mut events) =
            if written_only { (self.bytes - self.untaken_bytes, taken) } else { (self.bytes, entries.len()) };
        self.taken = 0;
        for (index, entry) in entries.into_iter().enumerate() {
            let may = entry.messages() > 0 && (index < taken || !written_only);
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
}

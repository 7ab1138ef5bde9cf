//! The work that waits in an event loop, in two lanes: the small work of many connections, and the large work of a few.
//!
//! The small lane is emptied before each piece of the large lane. A flood, or a fan-out to thousands, therefore delays
//! other conversations by at most one piece. A piece is one read of at most 64 KiB or a group of writes. Every turn
//! also serves the large lane, for longer if the small lane took longer, so that neither starves the other. The large
//! lane reads before it writes, so that many events become one system call.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// How long one batch of one connection may take, and the reads of the small lane in one turn. Past it the server
/// counts as saturated.
pub(super) const TURN: Duration = Duration::from_millis(1);
/// Reads (of one connection each) in the large lane before everything that then waits is written.
const READS_TOGETHER: usize = 64;
/// Writes in a piece of the large lane, and that are encrypted for before the first of them.
pub(super) const WRITES_TOGETHER: usize = 32;
/// Connections of the small lane that take about as long as a piece of the large one.
const SMALL_FOR_A_PIECE: usize = 64;
/// More connections than this, woken by one read, are much.
const FEW: usize = 64;

/// Which lane something goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Small,
    Large,
}

impl Lane {
    /// For the `count` connections that one read woke, by a read of this lane.
    pub(super) fn of_woken(read: Lane, count: usize) -> Self {
        if count > FEW { Self::Large } else { read }
    }
}

/// How many pieces of the large lane follow a turn in which the small one had this many connections.
pub(super) fn pieces_after(small: usize) -> usize {
    1 + small / SMALL_FOR_A_PIECE
}

/// Slots of connections that wait to be read, the connection whose address was served least first.
#[derive(Default)]
struct ByUsage {
    heap: BinaryHeap<Reverse<(u32, u64, usize)>>,
    /// Equals wait in the order in which they came.
    next: u64,
}

impl ByUsage {
    fn push(&mut self, usage: u32, slot: usize) {
        self.heap.push(Reverse((usage, self.next, slot)));
        self.next += 1;
    }

    fn pop(&mut self) -> Option<usize> {
        self.heap.pop().map(|Reverse((_, _, slot))| slot)
    }
}

/// A piece of the large lane.
pub(super) enum Piece {
    /// To read from one connection.
    Read(usize),
    /// To write to some, now in the list that was given.
    Write,
}

/// See the module.
#[derive(Default)]
pub(super) struct Lanes {
    small_reads: VecDeque<usize>,
    small_writes: VecDeque<usize>,
    /// Reads of the small lane for which the turn was too short.
    deferred: ByUsage,
    large_reads: ByUsage,
    large_writes: VecDeque<usize>,
    /// Reads, or else writes, before the large lane changes over.
    reads_left: usize,
    writes_left: usize,
}

impl Lanes {
    /// Whether nothing waits.
    pub(super) fn are_empty(&self) -> bool {
        let reads = self.small_reads.is_empty() && self.deferred.heap.is_empty() && self.large_reads.heap.is_empty();
        reads && self.small_writes.is_empty() && self.large_writes.is_empty()
    }

    /// A connection waits to be read. `usage` tells how much its address was served lately.
    pub(super) fn read(&mut self, lane: Lane, slot: usize, usage: impl FnOnce() -> u32) {
        match lane {
            Lane::Small => self.small_reads.push_back(slot),
            Lane::Large => self.large_reads.push(usage(), slot),
        }
    }

    pub(super) fn write(&mut self, lane: Lane, slot: usize) {
        match lane {
            Lane::Small => self.small_writes.push_back(slot),
            Lane::Large => self.large_writes.push_back(slot),
        }
    }

    /// Moves what waits to be read in the small lane behind `slots`.
    pub(super) fn take_small_reads(&mut self, slots: &mut Vec<usize>) {
        slots.extend(self.small_reads.drain(..));
    }

    /// The same for what waits to be written.
    pub(super) fn take_small_writes(&mut self, slots: &mut Vec<usize>) {
        slots.extend(self.small_writes.drain(..));
    }

    /// The turn was too short for this read of the small lane.
    pub(super) fn defer(&mut self, slot: usize, usage: u32) {
        self.deferred.push(usage, slot);
    }

    /// Whether reads of the small lane were deferred: the server is saturated.
    pub(super) fn has_deferred(&self) -> bool {
        !self.deferred.heap.is_empty()
    }

    /// The next read that was deferred, of the address that was served least.
    pub(super) fn take_deferred(&mut self) -> Option<usize> {
        self.deferred.pop()
    }

    /// The next piece of the large lane; what is to be written goes behind `slots`.
    pub(super) fn take_large_piece(&mut self, slots: &mut Vec<usize>) -> Option<Piece> {
        if self.reads_left == 0 && self.writes_left == 0 {
            self.reads_left = READS_TOGETHER.max(self.large_reads.heap.len());
        }
        if self.reads_left > 0 {
            if let Some(slot) = self.large_reads.pop() {
                self.reads_left -= 1;
                if self.reads_left == 0 {
                    self.writes_left = self.large_writes.len();
                }
                return Some(Piece::Read(slot));
            }
            self.reads_left = 0;
            self.writes_left = self.large_writes.len();
        }
        let count = WRITES_TOGETHER.min(self.writes_left).min(self.large_writes.len());
        self.writes_left = if count == 0 { 0 } else { self.writes_left - count };
        slots.extend(self.large_writes.drain(..count));
        (count > 0).then_some(Piece::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves the large lane until nothing waits: `r` and `w` for each piece.
    fn pieces(lanes: &mut Lanes) -> String {
        let mut served = String::new();
        let mut slots = Vec::new();
        while !lanes.are_empty() {
            match lanes.take_large_piece(&mut slots) {
                Some(Piece::Read(_)) => served.push('r'),
                Some(Piece::Write) => served.push('w'),
                None => {}
            }
        }
        served
    }

    #[test]
    fn the_large_lane_reads_on_before_it_writes() {
        let mut lanes = Lanes::default();
        (0..3).for_each(|slot| lanes.read(Lane::Large, slot, || 0));
        (0..2 * WRITES_TOGETHER + 1).for_each(|slot| lanes.write(Lane::Large, slot));
        assert_eq!(pieces(&mut lanes), "rrrwww");
    }

    #[test]
    fn neither_readers_nor_writers_keep_the_others_waiting_for_ever() {
        let mut lanes = Lanes::default();
        let mut slots = Vec::new();
        lanes.write(Lane::Large, 0);
        let (mut read, mut written) = (0, 0);
        for _ in 0..10_000 {
            // Each piece brings more of both.
            lanes.read(Lane::Large, 1, || 0);
            lanes.write(Lane::Large, 2);
            match lanes.take_large_piece(&mut slots) {
                Some(Piece::Read(_)) => read += 1,
                Some(Piece::Write) => written += 1,
                None => {}
            }
        }
        assert!(read > 100 && written > 100, "{read} reads, {written} writes");
    }

    #[test]
    fn a_crowd_of_small_ones_does_not_starve_the_large() {
        assert_eq!(pieces_after(0), 1);
        assert_eq!(pieces_after(SMALL_FOR_A_PIECE - 1), 1);
        assert_eq!(pieces_after(10 * SMALL_FOR_A_PIECE), 11);
    }

    #[test]
    fn the_small_lane_is_taken_whole() {
        let mut lanes = Lanes::default();
        let mut slots = Vec::new();
        lanes.read(Lane::Small, 7, || 0);
        lanes.write(Lane::of_woken(Lane::Small, FEW), 8);
        lanes.write(Lane::of_woken(Lane::Small, FEW + 1), 9);
        lanes.write(Lane::of_woken(Lane::Large, 1), 10);
        lanes.take_small_reads(&mut slots);
        lanes.take_small_writes(&mut slots);
        assert_eq!(slots, [7, 8]);
        assert_eq!(pieces(&mut lanes), "w");
    }

    #[test]
    fn a_saturated_server_serves_the_least_served_first() {
        let mut lanes = Lanes::default();
        for (slot, usage) in [(1, 500), (2, 3), (3, 500), (4, 0), (5, 3)] {
            lanes.defer(slot, usage);
            lanes.read(Lane::Large, slot, || usage);
        }
        let order: Vec<_> = std::iter::from_fn(|| lanes.take_deferred()).collect();
        assert_eq!(order, [4, 2, 5, 1, 3]);
        let mut slots = Vec::new();
        let large = std::iter::from_fn(|| match lanes.take_large_piece(&mut slots) {
            Some(Piece::Read(slot)) => Some(slot),
            _ => None,
        });
        assert_eq!(large.collect::<Vec<_>>(), order);
    }
}

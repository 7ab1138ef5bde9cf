//! The event loops: one thread each, with its own epoll, its own connections and its own buffers.
//!
//! A turn of the loop reads from the sockets that are ready. The relay runs the commands and pushes events into
//! windows, of this worker's connections and of others'. Then every connection with something to write is written once.
//! Large reads, and events for very many connections, are served in pieces, with other connections' turns between them
//! (see the lanes).

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use super::connection::{Connection, Next, Scratch};
use super::lanes::{self, Lane, Lanes, Piece, TURN, WRITES_TOGETHER};
use super::mailbox::{
    Freeze, Leave, Letters, MAX_WORKERS, Mailbox, Newcomer, Routes, WorkersHandle, connection_id, slot_of,
};
use super::output::Wire;
use crate::relay::{ConnectionId, Relay, Woken};
use crate::secret::wipe;

/// The waker's token; connections have those of their slots.
const WAKER: Token = Token(usize::MAX);
/// A loop that has had nothing to do for this long wipes its stack. Not at once: that would cost a message at a time
/// more than carrying it out.
const IDLE_TO_WIPE: Duration = Duration::from_millis(10);
/// A loop that always has something to do wipes its stack after attending to this many connections.
const ATTENDED_TO_WIPE: u32 = 4096;
/// Reads after which the loop looks at the clock.
const READS_PER_LOOK: usize = 8;
/// Clients come back within this time after a restart, each at its own moment.
const COME_BACK_WITHIN_MS: u64 = 5_000;
/// The same where another process serves already.
const MOVE_WITHIN_MS: u64 = 1_000;

/// A moment within `ms` milliseconds, another for each client.
fn spread(ms: u64) -> u64 {
    ms / 10 + u64::from(rand::random::<u32>()) % ms
}

/// All workers of a server.
pub(super) struct Workers {
    handle: WorkersHandle,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(super) fn start(count: usize, relay: Arc<Relay>) -> io::Result<Self> {
        let polls = (0..count.clamp(1, MAX_WORKERS)).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let mailbox = |poll: &Poll| Ok(Mailbox::new(Waker::new(poll.registry(), WAKER)?));
        let mailboxes: Vec<_> = polls.iter().map(mailbox).collect::<io::Result<_>>()?;
        let handle = WorkersHandle(mailboxes.into());
        let start = |(index, poll)| {
            let worker = Worker::new(index, poll, handle.clone(), relay.clone());
            std::thread::Builder::new().name(format!("worker-{index}")).spawn(|| worker.run())
        };
        let threads = polls.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { handle, threads })
    }

    pub(super) fn handle(&self) -> WorkersHandle {
        self.handle.clone()
    }

    /// Says goodbye to every client and waits for the threads to end, which they do within `drain`.
    pub(super) fn stop(self, drain: Duration) {
        let by = Instant::now() + drain;
        for mailbox in self.handle.0.iter() {
            mailbox.stop(by);
        }
        self.join();
    }

    /// Waits for the threads to end.
    pub(super) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("an event loop ended because of an internal error");
            }
        }
    }
}

impl WorkersHandle {
    /// Makes every worker stand still, and waits until they do; `None` when one does not in time.
    pub(super) fn freeze(&self, within: Duration) -> Option<Frozen> {
        let by = Instant::now() + within;
        let (frozen, stands_still) = mpsc::channel();
        let decide = |mailbox: &Arc<Mailbox>| {
            let (decide, decision) = mpsc::channel();
            mailbox.freeze(Freeze { frozen: frozen.clone(), decision });
            decide
        };
        let decisions: Vec<_> = self.0.iter().map(decide).collect();
        for _ in &decisions {
            stands_still.recv_timeout(by.saturating_duration_since(Instant::now())).ok()?;
        }
        Some(Frozen { decisions })
    }
}

/// Workers that stand still. When this is dropped, they go on as before.
pub(super) struct Frozen {
    decisions: Vec<Sender<Leave>>,
}

impl Frozen {
    /// Another process serves from now on: all clients are sent there, within `drain`.
    pub(super) fn leave(self, drain: Duration) {
        let by = Instant::now() + drain;
        for decision in &self.decisions {
            let _ = decision.send(Leave { by });
        }
    }
}

struct Worker {
    // Fixed at start.
    index: usize,
    poll: Poll,
    mailbox: Arc<Mailbox>,
    workers: WorkersHandle,
    relay: Arc<Relay>,
    // The connections and what they wait for.
    connections: Slab<Box<Connection>>,
    generation: u64,
    timers: BTreeSet<(Instant, usize)>,
    lanes: Lanes,
    // Used again and again.
    slots: Vec<usize>,
    /// The connections that the commands of the current turn woke.
    woken: Woken,
    routes: Routes,
    // Lent to the connection that is served.
    scratch: Scratch,
    /// Connections attended to since the stack was wiped.
    attended: u32,
    /// All clients are told goodbye, and the loop ends by then.
    stop: Option<Instant>,
}

impl Worker {
    fn new(index: usize, poll: Poll, workers: WorkersHandle, relay: Arc<Relay>) -> Self {
        Self {
            index,
            poll,
            mailbox: workers.0[index].clone(),
            routes: Routes::new(workers.0.len()),
            workers,
            relay,
            connections: Slab::new(),
            generation: 0,
            timers: BTreeSet::new(),
            lanes: Lanes::default(),
            slots: Vec::new(),
            woken: Woken::new(),
            scratch: Scratch::default(),
            attended: 0,
            stop: None,
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut letters = Letters::default();
        loop {
            let waits = self.lanes.are_empty() && self.mailbox.fall_asleep();
            let timeout = if waits { self.time_to_next() } else { Some(Duration::ZERO) };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(kind = ?error.kind(), "an event loop cannot wait for its sockets");
                return;
            }
            if self.attended > ATTENDED_TO_WIPE || self.attended > 0 && waits && events.is_empty() {
                wipe::stack::<{ wipe::SHALLOW }>();
                self.attended = 0;
            }
            if waits {
                self.mailbox.wake_up();
            }
            let now = Instant::now();
            for event in &events {
                if event.token() != WAKER {
                    self.on_ready(event);
                }
            }
            self.mailbox.collect(&mut letters);
            self.open_letters(&mut letters, now);
            let small = self.small_turn(now);
            for _ in 0..lanes::pieces_after(small) {
                self.large_turn(now);
            }
            self.fire_timers(now);
            self.settle_wakes(Lane::Small);
            if self.stop.is_some_and(|by| self.connections.is_empty() || by <= now) {
                // The connections that did not read on in time: their sessions end like all others.
                let left: Vec<_> = self.connections.iter().map(|(slot, _)| slot).collect();
                left.into_iter().for_each(|slot| self.drop_connection(slot));
                self.settle_wakes(Lane::Small);
                return;
            }
        }
    }

    fn time_to_next(&self) -> Option<Duration> {
        let next = self.timers.first().map(|(at, _)| *at).into_iter().chain(self.stop).min();
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        let wipe = (self.attended > 0).then_some(IDLE_TO_WIPE);
        next.into_iter().chain(wipe).min()
    }

    fn on_ready(&mut self, event: &mio::event::Event) {
        let slot = event.token().0;
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if event.is_read_closed() {
            connection.peer_done();
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.lanes.read(connection.lane(), slot, || connection.usage(Instant::now()));
        }
        if event.is_writable() && connection.waits_to_write() {
            self.lanes.write(Lane::Large, slot);
        }
    }

    /// Reads from all connections of the small lane, then writes to those that this woke. Returns how many they were.
    fn small_turn(&mut self, now: Instant) -> usize {
        let mut slots = std::mem::take(&mut self.slots);
        self.lanes.take_small_reads(&mut slots);
        let mut served = self.small_reads(&mut slots, now);
        self.lanes.take_small_writes(&mut slots);
        served += slots.len();
        self.write(&slots, now);
        slots.clear();
        self.slots = slots;
        served
    }

    /// Reads from these connections, as far as the turn lasts. What is left waits for the next turn, in which the
    /// addresses that were served least come first. Returns how many were read.
    fn small_reads(&mut self, slots: &mut Vec<usize>, now: Instant) -> usize {
        let saturated = self.lanes.has_deferred();
        if saturated {
            slots.drain(..).for_each(|slot| self.defer(slot, now));
        }
        let mut served = 0;
        let mut left = slots.drain(..);
        while let Some(slot) = if saturated { self.lanes.take_deferred() } else { left.next() } {
            self.read(slot, now);
            served += 1;
            if served % READS_PER_LOOK == 0 && now.elapsed() > TURN {
                break;
            }
        }
        left.for_each(|slot| self.defer(slot, now));
        served
    }

    fn defer(&mut self, slot: usize, now: Instant) {
        if let Some(connection) = self.connections.get(slot) {
            self.lanes.defer(slot, connection.usage(now));
        }
    }

    /// Serves one piece of the large lane.
    fn large_turn(&mut self, now: Instant) {
        let mut slots = std::mem::take(&mut self.slots);
        match self.lanes.take_large_piece(&mut slots) {
            Some(Piece::Read(slot)) => self.read(slot, now),
            Some(Piece::Write) => self.write(&slots, now),
            None => {}
        }
        slots.clear();
        self.slots = slots;
    }

    /// Reads from one connection, once.
    fn read(&mut self, slot: usize, now: Instant) {
        self.serve(slot, |connection, scratch, woken| connection.read(scratch, woken, now));
        let lane = self.connections.get(slot).map_or(Lane::Small, |connection| connection.lane());
        self.settle_wakes(lane);
    }

    /// Queues writes for the connections that a read of this lane woke, here and at other workers.
    fn settle_wakes(&mut self, lane: Lane) {
        if self.woken.is_empty() {
            return;
        }
        self.routes.sort(self.woken.connections());
        self.workers.pass_on(&mut self.routes, Some(self.index), lane);
        let Some(own) = self.routes.own(self.index) else { return };
        let mut woken = std::mem::take(own);
        let lane = Lane::of_woken(lane, woken.len());
        woken.drain(..).for_each(|id| self.wake(lane, id));
        if let Some(own) = self.routes.own(self.index) {
            *own = woken;
        }
    }

    /// A connection of this worker has something to write, if it is still there.
    fn wake(&mut self, lane: Lane, id: ConnectionId) {
        let slot = slot_of(id);
        if self.connections.get(slot).is_some_and(|connection| connection.id() == id) {
            self.lanes.write(lane, slot);
        }
    }

    /// Writes what waits for these connections. A group is encrypted first and then written to one right after the
    /// other: readers on this machine that are still busy with the message before need not be woken again.
    fn write(&mut self, slots: &[usize], now: Instant) {
        for group in slots.chunks(WRITES_TOGETHER) {
            for &slot in group {
                self.attend(slot, |connection, scratch, woken| connection.encrypt(scratch, woken, now));
            }
            for &slot in group {
                self.serve(slot, |connection, scratch, woken| connection.flush(scratch, woken, now));
            }
        }
    }

    /// Does something with one connection. A fault in it ends that connection alone.
    fn attend<T>(
        &mut self,
        slot: usize,
        act: impl FnOnce(&mut Connection, &mut Scratch, &mut Woken) -> T,
    ) -> Option<T> {
        let connection = self.connections.get_mut(slot)?;
        let (scratch, woken) = (&mut self.scratch, &mut self.woken);
        self.attended += 1;
        let done = catch_unwind(AssertUnwindSafe(|| act(connection, scratch, woken)));
        if done.is_err() {
            tracing::error!("an internal error ended a connection");
            self.drop_connection(slot);
        }
        done.ok()
    }

    /// Does something with one connection, and what it asks for then.
    fn serve(&mut self, slot: usize, act: impl FnOnce(&mut Connection, &mut Scratch, &mut Woken) -> Next) {
        let Some(next) = self.attend(slot, act) else { return };
        let Some(connection) = self.connections.get_mut(slot) else { return };
        match next {
            Next::Drop => return self.drop_connection(slot),
            Next::Read => self.lanes.read(connection.lane(), slot, || connection.usage(Instant::now())),
            Next::Write => self.lanes.write(Lane::Large, slot),
            Next::Wait => {}
        }
        if connection.must_write() {
            self.lanes.write(Lane::Small, slot);
        }
        let due = connection.next_due();
        if connection.timer.is_none_or(|timer| due < timer) {
            if let Some(timer) = connection.timer.replace(due) {
                self.timers.remove(&(timer, slot));
            }
            self.timers.insert((due, slot));
        }
    }

    fn drop_connection(&mut self, slot: usize) {
        let Some(mut connection) = self.connections.try_remove(slot) else { return };
        if let Some(timer) = connection.timer {
            self.timers.remove(&(timer, slot));
        }
        let _ = self.poll.registry().deregister(&mut connection.wire.stream);
        connection.give_up(&mut self.woken);
        self.mailbox.load.fetch_sub(1, Ordering::Relaxed);
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some((at, slot)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.timer = None;
            }
            self.serve(slot, |connection, _, woken| connection.on_timer(woken, now));
        }
    }

    fn open_letters(&mut self, letters: &mut Letters, now: Instant) {
        for newcomer in letters.newcomers.drain(..) {
            self.adopt(newcomer, now);
        }
        letters.woken.drain(..).for_each(|id| self.wake(Lane::Small, id));
        letters.woken_many.drain(..).for_each(|id| self.wake(Lane::Large, id));
        if let Some(Freeze { frozen, decision }) = letters.freeze.take() {
            let _ = frozen.send(());
            drop(frozen);
            if let Ok(Leave { by }) = decision.recv() {
                self.stop = Some(by);
                for (slot, connection) in &mut self.connections {
                    connection.leave(spread(MOVE_WITHIN_MS), &mut self.woken, now);
                    self.lanes.write(Lane::Large, slot);
                }
            }
        }
        if let Some(by) = letters.stop.take() {
            self.stop = Some(by);
            for (slot, connection) in &mut self.connections {
                connection.drain(spread(COME_BACK_WITHIN_MS), &mut self.woken);
                self.lanes.write(Lane::Large, slot);
            }
        }
    }

    fn adopt(&mut self, newcomer: Newcomer, now: Instant) {
        let Newcomer { stream, tls, read, permit, deadline } = newcomer;
        let entry = self.connections.vacant_entry();
        let slot = entry.key();
        let mut stream = mio::net::TcpStream::from_std(stream);
        let registered =
            self.poll.registry().register(&mut stream, Token(slot), Interest::READABLE | Interest::WRITABLE);
        if self.stop.is_some() || registered.is_err() {
            self.mailbox.load.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.generation += 1;
        let id = connection_id(self.index, self.generation, slot);
        let connection = Connection::new(
            self.relay.greet(id, permit.account().clone()),
            Wire { stream, tls },
            permit,
            deadline,
            now,
        );
        entry.insert(Box::new(connection));
        self.serve(slot, |connection, _, woken| connection.read_earlier(read, woken, now));
        // The socket may have become ready before it was watched; and the greeting waits.
        self.lanes.read(Lane::Small, slot, || 0);
        self.lanes.write(Lane::Small, slot);
    }
}

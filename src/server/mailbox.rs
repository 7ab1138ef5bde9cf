//! The mailbox of a worker, for other threads: new connections, connections with output, and the order to stop.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustls::ServerConnection;

use super::admission::Permit;
use super::lanes::Lane;
use crate::relay::{ConnectionId, Woken};
use crate::sync::lock;

/// A connection that became a WebSocket.
pub(super) struct Newcomer {
    pub(super) stream: TcpStream,
    pub(super) tls: ServerConnection,
    /// What was read past the HTTP request.
    pub(super) read: Vec<u8>,
    pub(super) permit: Permit,
    /// When its first command must have come.
    pub(super) deadline: Instant,
}

/// Stand still, so that the state can be saved, until it is decided how to go on.
pub(super) struct Freeze {
    /// Told when the worker stands still.
    pub(super) frozen: Sender<()>,
    /// How to go on. If the sender is dropped, the worker goes on as before.
    pub(super) decision: Receiver<Leave>,
}

/// Another process serves from now on: send all clients there, and end by then.
pub(super) struct Leave {
    pub(super) by: Instant,
}

/// What lies in a mailbox.
#[derive(Default)]
pub(super) struct Letters {
    pub(super) newcomers: Vec<Newcomer>,
    /// To be written to: the connections that small reads woke, few each.
    pub(super) woken: Vec<ConnectionId>,
    /// To be written to: all others.
    pub(super) woken_many: Vec<ConnectionId>,
    /// Say goodbye to all clients, and end by then.
    pub(super) stop: Option<Instant>,
    pub(super) freeze: Option<Freeze>,
}

impl Letters {
    fn is_empty(&self) -> bool {
        self.newcomers.is_empty()
            && self.woken.is_empty()
            && self.woken_many.is_empty()
            && self.stop.is_none()
            && self.freeze.is_none()
    }
}

/// Most workers: a connection's id has a byte for its worker's number.
pub(super) const MAX_WORKERS: usize = 256;

/// A connection's id, unlike that of any other connection of this server: its worker, a count, and its slot.
pub(super) fn connection_id(worker: usize, generation: u64, slot: usize) -> ConnectionId {
    ((worker as u64 & 0xff) << 56) | ((generation & 0xff_ffff) << 32) | (slot as u64 & 0xffff_ffff)
}

/// Its slot at its worker.
pub(super) fn slot_of(id: ConnectionId) -> usize {
    (id & 0xffff_ffff) as usize
}

/// The number of its worker.
fn worker_of(id: ConnectionId) -> usize {
    (id >> 56) as usize
}

/// One worker's mailbox.
pub(super) struct Mailbox {
    letters: Mutex<Letters>,
    /// The worker waits for its sockets and must be woken.
    asleep: AtomicBool,
    waker: mio::Waker,
    /// How many connections the worker has.
    pub(super) load: AtomicUsize,
}

impl Mailbox {
    pub(super) fn new(waker: mio::Waker) -> Arc<Self> {
        Arc::new(Self { letters: Mutex::default(), asleep: AtomicBool::new(false), waker, load: AtomicUsize::new(0) })
    }

    fn post(&self, write: impl FnOnce(&mut Letters)) {
        write(&mut lock(&self.letters));
        // The worker sets `asleep`, then checks for letters; a poster adds a letter, then checks `asleep`. With SeqCst
        // at least one of them sees the other, so no wake-up is lost. The plain `load` before the `swap` keeps the
        // cache line shared while the worker is awake.
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            // It can only fail when the worker's poll is gone, and then nobody reads.
            let _ = self.waker.wake();
        }
    }

    /// The worker is about to wait; whether it may, or has letters.
    pub(super) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let empty = lock(&self.letters).is_empty();
        if !empty {
            self.asleep.store(false, Ordering::SeqCst);
        }
        empty
    }

    /// The worker goes on.
    pub(super) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Swaps what lies here with `letters`, whose buffers are used again.
    pub(super) fn collect(&self, letters: &mut Letters) {
        std::mem::swap(&mut *lock(&self.letters), letters);
    }

    pub(super) fn stop(&self, by: Instant) {
        self.post(|letters| letters.stop = Some(by));
    }

    pub(super) fn freeze(&self, freeze: Freeze) {
        self.post(|letters| letters.freeze = Some(freeze));
    }
}

/// The mailboxes of all workers.
#[derive(Clone)]
pub(super) struct WorkersHandle(pub(super) Arc<[Arc<Mailbox>]>);

impl WorkersHandle {
    /// Wakes the threads of these connections. For threads that are not workers.
    pub(super) fn wake(&self, woken: &mut Woken) {
        self.wake_all(woken.connections());
    }

    /// The same for a list of connections.
    pub(super) fn wake_all(&self, connections: impl IntoIterator<Item = ConnectionId>) {
        let mut routes = Routes::new(self.0.len());
        routes.sort(connections);
        self.pass_on(&mut routes, None, Lane::Small);
    }

    /// Tells the workers, except number `own`, about the connections that a read of this lane woke. One read is one
    /// letter for each worker, and the letter is complete.
    pub(super) fn pass_on(&self, routes: &mut Routes, own: Option<usize>, lane: Lane) {
        for (worker, (list, mailbox)) in routes.0.iter_mut().zip(self.0.iter()).enumerate() {
            if Some(worker) != own && !list.is_empty() {
                mailbox.post(|letters| match Lane::of_woken(lane, list.len()) {
                    Lane::Small => letters.woken.append(list),
                    Lane::Large => letters.woken_many.append(list),
                });
            }
        }
    }

    /// Gives a connection to the worker that has the fewest.
    pub(super) fn adopt(&self, newcomer: Newcomer) {
        if let Some(mailbox) = self.0.iter().min_by_key(|mailbox| mailbox.load.load(Ordering::Relaxed)) {
            mailbox.load.fetch_add(1, Ordering::Relaxed);
            mailbox.post(|letters| letters.newcomers.push(newcomer));
        }
    }
}

/// Woken connections by their worker's number.
pub(super) struct Routes(Vec<Vec<ConnectionId>>);

impl Routes {
    pub(super) fn new(workers: usize) -> Self {
        Self(vec![Vec::new(); workers])
    }

    /// Moves `woken` to the lists of their workers.
    pub(super) fn sort(&mut self, connections: impl IntoIterator<Item = ConnectionId>) {
        for connection in connections {
            if let Some(list) = self.0.get_mut(worker_of(connection)) {
                list.push(connection);
            }
        }
    }

    /// The connections of worker number `own`.
    pub(super) fn own(&mut self, own: usize) -> Option<&mut Vec<ConnectionId>> {
        self.0.get_mut(own)
    }
}

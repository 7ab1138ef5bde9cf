//! How other threads reach a worker: new connections, connections that have something to write, the word to stop.

use std::cell::RefCell;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustls::ServerConnection;

use super::admission::Permit;
use super::lanes::Lane;
use crate::relay::{ConnectionId, Wake};

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

/// Stand still, so that the state can be written down, until it is decided how to go on.
pub(super) struct Freeze {
    /// Told when the worker stands still.
    pub(super) frozen: Sender<()>,
    /// How to go on: without word, when the sender is dropped, as before.
    pub(super) decision: Receiver<Leave>,
}

/// Another process serves from now on: send everybody there, and end by then.
pub(super) struct Leave {
    pub(super) by: Instant,
}

/// What lies in a mailbox.
#[derive(Default)]
pub(super) struct Letters {
    pub(super) newcomers: Vec<Newcomer>,
    /// To be written to: those whom small reads woke, few each.
    pub(super) woken: Vec<ConnectionId>,
    /// To be written to: all others.
    pub(super) woken_many: Vec<ConnectionId>,
    /// Say goodbye to everybody, and end by then.
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

thread_local! {
    /// On a worker's thread, the connections of each worker that are to be woken; on others, nothing.
    static TO_WAKE: RefCell<Vec<Vec<ConnectionId>>> = const { RefCell::new(Vec::new()) };
}

/// Makes this thread a worker's, of `count` workers: whom it wakes is collected until [`take_own_wakes`] and [`WorkersHandle::pass_on_wakes`].
/// So what one read brings for many goes to another worker in one letter, and complete.
pub(super) fn collect_wakes(count: usize) {
    TO_WAKE.set(vec![Vec::new(); count]);
}

/// Takes the connections of the worker number `own` that this thread is to wake, into `woken`.
pub(super) fn take_own_wakes(own: usize, woken: &mut Vec<ConnectionId>) {
    TO_WAKE.with_borrow_mut(|lists| lists.get_mut(own).into_iter().for_each(|list| woken.append(list)));
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
        write(&mut self.letters.lock().unwrap_or_else(PoisonError::into_inner));
        // Whoever sees the worker asleep wakes it, and only that one. It looks at the letters after it says that it sleeps: one of the two is
        // always seen, and a look alone does not take the flag away from the other processors.
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            // It can only fail when the worker's poll is gone, and then nobody reads.
            let _ = self.waker.wake();
        }
    }

    /// The worker is about to wait; whether it may, or has letters.
    pub(super) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let empty = self.letters.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
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
        std::mem::swap(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner), letters);
    }

    pub(super) fn stop(&self, by: Instant) {
        self.post(|letters| letters.stop = Some(by));
    }

    pub(super) fn freeze(&self, freeze: Freeze) {
        self.post(|letters| letters.freeze = Some(freeze));
    }
}

impl Wake for Mailbox {
    fn wake(&self, connection: ConnectionId) {
        // A thread that ends has no list any more.
        let collected = TO_WAKE.try_with(|lists| {
            lists.borrow_mut().get_mut(worker_of(connection)).map(|list| list.push(connection)).is_some()
        });
        if collected != Ok(true) {
            self.post(|letters| letters.woken.push(connection));
        }
    }
}

/// The mailboxes of all workers.
#[derive(Clone)]
pub(super) struct WorkersHandle(pub(super) Arc<[Arc<Mailbox>]>);

impl WorkersHandle {
    /// Tells the other workers whom this thread, that of worker number `own`, is to wake after a read of this lane.
    pub(super) fn pass_on_wakes(&self, own: usize, lane: Lane) {
        TO_WAKE.with_borrow_mut(|lists| {
            for (worker, (list, mailbox)) in lists.iter_mut().zip(self.0.iter()).enumerate() {
                if worker != own && !list.is_empty() {
                    mailbox.post(|letters| match Lane::of_woken(lane, list.len()) {
                        Lane::Small => letters.woken.append(list),
                        Lane::Large => letters.woken_many.append(list),
                    });
                }
            }
        });
    }

    /// Gives a connection to the worker that has the fewest.
    pub(super) fn hand_over(&self, newcomer: Newcomer) {
        if let Some(mailbox) = self.0.iter().min_by_key(|mailbox| mailbox.load.load(Ordering::Relaxed)) {
            mailbox.load.fetch_add(1, Ordering::Relaxed);
            mailbox.post(|letters| letters.newcomers.push(newcomer));
        }
    }
}

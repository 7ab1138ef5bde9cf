//! Which accounts exceed their bound, and who frees what.
//!
//! An address is relieved by the thread whose command pressed it, once the command has let go of its locks: so an
//! address cannot grow faster than it is cut. The whole server is relieved by a thread of its own, the warden, since
//! that can take long. The warden also drops what is large, because wiping costs about 0.13 ms for each MiB, and gives
//! freed memory back to the system.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::connection_id::ConnectionId;
use crate::sync::lock;

/// What is larger is not dropped by an event loop, in bytes.
pub(super) const DROPPED_HERE: usize = 256 * 1024;
/// The warden gives memory back to the system whenever this much was freed, in bytes. More at once would stop a thread
/// that allocates for longer.
const TRIM_AFTER: usize = 64 * 1024 * 1024;
/// How often the warden looks when nobody calls it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An account that exceeds its bound.
pub(super) trait Pressed: Send + Sync {
    /// Brings the memory within the bound. Called without a lock held. Names the connections that are to be closed.
    fn relieve(&self, closing: &mut Vec<ConnectionId>);
}

/// What waits for the warden.
#[derive(Default)]
struct Work {
    server: Option<Arc<dyn Pressed>>,
    garbage: Vec<Box<dyn Any + Send>>,
    stop: bool,
}

/// Accounts that are to be relieved, and memory that is to be freed.
#[derive(Default)]
pub struct Pressure {
    addresses: Mutex<Vec<Arc<dyn Pressed>>>,
    any: AtomicBool,
    work: Mutex<Work>,
    called: Condvar,
    freed: AtomicUsize,
}

impl Pressure {
    /// An account exceeds its bound.
    pub(super) fn press(&self, account: Arc<dyn Pressed>, whole_server: bool) {
        if whole_server {
            lock(&self.work).server = Some(account);
            self.called.notify_one();
        } else {
            lock(&self.addresses).push(account);
            self.any.store(true, Ordering::Release);
        }
    }

    /// Relieves the addresses that exceed their bound. Call it without a lock held.
    pub(super) fn relieve_addresses(&self, closing: &mut Vec<ConnectionId>) {
        if self.any.load(Ordering::Acquire) && self.any.swap(false, Ordering::AcqRel) {
            let pressed = std::mem::take(&mut *lock(&self.addresses));
            pressed.iter().for_each(|account| account.relieve(closing));
        }
    }

    /// Drops something on the warden's thread.
    pub(super) fn discard(&self, garbage: Box<dyn Any + Send>) {
        lock(&self.work).garbage.push(garbage);
        self.called.notify_one();
    }

    /// This much memory is free again.
    pub(super) fn freed(&self, bytes: usize) {
        self.freed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Does what waits for the warden now.
    pub(super) fn relieve_server(&self, closing: &mut Vec<ConnectionId>) {
        let (server, garbage) = {
            let mut work = lock(&self.work);
            (work.server.take(), std::mem::take(&mut work.garbage))
        };
        if let Some(server) = server {
            server.relieve(closing);
        }
        drop(garbage);
    }

    /// Does what waits, until [`Pressure::stop`]. `trim` gives freed memory back to the system, and `wake` wakes the
    /// threads of connections that are to be closed.
    pub fn keep(&self, trim: impl Fn(), wake: impl Fn(Vec<ConnectionId>)) {
        let mut closing = Vec::new();
        loop {
            self.relieve_server(&mut closing);
            wake(std::mem::take(&mut closing));
            if self.freed.load(Ordering::Relaxed) >= TRIM_AFTER {
                self.freed.store(0, Ordering::Relaxed);
                trim();
            }
            let work = lock(&self.work);
            if work.stop {
                return;
            }
            if work.server.is_none() && work.garbage.is_empty() {
                drop(self.called.wait_timeout(work, LOOK_EVERY));
            }
        }
    }

    /// Ends [`Pressure::keep`].
    pub fn stop(&self) {
        lock(&self.work).stop = true;
        self.called.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warden_drops_what_is_given_to_it_and_trims_when_much_was_freed() {
        struct Told(Arc<AtomicUsize>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
        }
        let pressure = Pressure::default();
        let (dropped, trimmed) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        pressure.discard(Box::new(Told(dropped.clone())));
        pressure.freed(TRIM_AFTER);
        pressure.stop();
        let trim = || {
            trimmed.fetch_add(1, Ordering::AcqRel);
        };
        pressure.keep(trim, |_| ());
        assert_eq!((dropped.load(Ordering::Acquire), trimmed.load(Ordering::Acquire)), (1, 1));
    }
}

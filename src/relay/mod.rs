//! The shared state of a running server: which rooms there are, who is connected, what waits for whom.
//!
//! A connection becomes a [`Session`] by [`Relay::connect`]; every text frame that it sends goes to [`Session::handle`], which
//! checks it, asks the room what to do, and pushes events into the sessions of those who must know. Pushing never
//! waits: it appends to a session's window and wakes whoever writes for it ([`Wake`]). A session can outlive its connection: then what
//! is pushed stays in its window until it is resumed or its time is up.
//!
//! Locks, in the order in which they may be taken: a room, then a session's memberships or window, then those of the registry, which are
//! leaves. None is held across I/O.

mod access;
mod execute;
mod handover;
mod keys;
mod messages;
mod registry;
mod resume;
mod session;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use handover::{FORMAT, Record, RestoreError, SessionState};
pub use registry::{Relay, Stats};
pub use session::{ConnectionId, Outcome, Session, Wake};

/// Locks. A panic under the lock leaves data that is still consistent enough to serve others and to be wiped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

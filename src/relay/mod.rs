//! The shared state of a running server: its rooms, its sessions, and the events that wait for them.
//!
//! A new connection is greeted ([`Relay::greet`]). The [`Attached`] that comes back takes the connection's text frames:
//! it reads the command, lets the room decide, and pushes events into the sessions of all members that must know. A
//! push never waits: it appends to a session's window. Every call names the connections that it woke in a [`Woken`]
//! list, and the caller passes them to the threads that write. A resumable session outlives its connection: events then
//! stay in its window until it is resumed or its time is up.
//!
//! Locks, in the order in which they may be taken: a session's `serves`, a room, a session's memberships or outbox,
//! then those of the registry. None is held across I/O.
//!
//! The files stand in the order in which they may use each other.

mod account;
mod answered;
mod connection_id;
mod cost;
mod digest;
mod outbox;
mod pressure;
mod rate;
mod registry;
mod session;
mod woken;
// The commands, and what they share.
mod departing;
mod execute;
mod joining;
mod keys;
mod members;
mod messages;
mod resume;
// What uses all of them.
mod attached;
mod clock;
mod records;

pub use account::{Account, Count, Taken};
pub use attached::Attached;
pub use connection_id::ConnectionId;
pub use cost::Cost;
pub use departing::Ending;
pub use digest::Accounts;
pub use pressure::Pressure;
pub use records::{FORMAT, Record, RestoreError, SessionState};
pub use registry::{Registry, Stats};
pub use session::{Relay, Session};
pub use woken::Woken;

#[cfg(test)]
mod tests;

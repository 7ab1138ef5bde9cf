//! Rooms as pure data: members, join keys, and the windows that let a session outlive its connection.
//!
//! This module has no sockets, no tasks and no clock. The caller passes in the time as milliseconds since the server's
//! start. The relay executes the decisions of a room. A [`Room`] stores one handle per member, whose type the relay
//! chooses.

mod keys;
mod level;
mod members;
mod state;
mod window;

pub use keys::{JoinKeys, KeyLife};
pub use level::level;
pub use members::{Admission, Aftermath, Member, Newcomer, Refusal, Room, RoomOptions, Shown, WayIn};
pub use state::{FrameState, KeyState, MemberState, RoomState, WindowState};
pub use window::{Bounds, Change, Delivery, Dropped, Kind, Origin, OutOfRange, Scope, Source, Window};

/// Milliseconds since the server's start.
pub type Millis = u64;

/// Converts a time of one server into the time of another that started later or earlier. A time before its start
/// becomes its start.
pub fn shifted(at: Millis, by: i64) -> Millis {
    at.saturating_add_signed(by)
}

#[cfg(test)]
mod tests;

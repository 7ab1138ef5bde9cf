//! Rooms as pure data: members, join keys, and the windows that let a session outlive its connection.
//!
//! Nothing here knows of sockets, tasks or the clock: time is passed in as milliseconds since the server's start, and what a room decides is
//! carried out by the relay. A [`Room`] holds for each member a handle of the relay's choosing.

mod keys;
mod members;
mod state;
mod window;

pub use keys::{JoinKeys, KeyLife};
pub use members::{Admission, Aftermath, Member, Newcomer, Refusal, Room, RoomOptions, Shown, WayIn};
pub use state::{FrameState, KeyState, MemberState, RoomState, WindowState};
pub use window::{Bounds, Change, Delivery, Kind, Origin, OutOfRange, Scope, Source, Window};

/// Milliseconds since the server's start.
pub type Millis = u64;

/// A moment of one server's time in that of another, which started at another moment. What was before its start is its start.
pub fn shifted(at: Millis, by: i64) -> Millis {
    at.saturating_add_signed(by)
}

#[cfg(test)]
mod tests;

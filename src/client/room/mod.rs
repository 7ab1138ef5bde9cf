//! A sealed room over a [`Client`](super::Client): the [state machine](crate::sealed::room) of the end-to-end scheme,
//! driven by a connection of its own.
//!
//! ```text
//! server's events and answers → driver ┐                                  ┌→ driver → commands → server
//! requests of the application ─────────┴→ Machine, on a thread of its own ┴→ driver → RoomEvent → application
//! ```
//!
//! Each room has its own connection, so that the server cannot tell that two memberships are one person's.

mod driver;
mod enter;
mod error;
mod event;
mod handle;
mod kept;
mod thread;
mod translate;

pub use enter::NewRoom;
pub use error::{EnterError, RoomError};
pub use event::{MemberList, Person, RoomEnd, RoomEvent, Text};
pub use handle::{RoomEvents, SealedRoom};

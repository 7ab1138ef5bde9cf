//! Rooms that forget: a real server's memory is scanned for everything that went into it. While a room is open it is
//! found; once the room has ended, in whatever way, nothing is.

mod chat;
mod disk;
mod endings;
mod scan;
mod stage;

//! Rooms as pure data.

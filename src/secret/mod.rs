//! Values that wipe themselves: what opens a door must not outlive its use.

mod token;

pub use token::{Tag, TagKey, Token};

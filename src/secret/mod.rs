//! What must not outlive its use, and what a process gives up so that nobody reads it: values that wipe themselves, memory that is neither
//! swapped nor dumped, and the hardening of the whole process.

pub mod hardening;
mod locked;
mod token;
pub mod wipe;

pub use locked::Locked;
pub use token::{Tag, TagKey, Token};

//! Secrets: values that wipe themselves, memory that is neither swapped nor dumped, and the hardening of the whole
//! process.

#[cfg(feature = "server")]
pub mod hardening;
#[cfg(feature = "server")]
pub mod heap;
#[cfg_attr(not(target_os = "linux"), path = "boxed.rs")]
mod locked;
mod token;
pub mod wipe;

pub use locked::Locked;
pub use token::{TOKEN_BYTES, TOKEN_CHARS, Tag, TagKey, Token};

//! The said hash: a short name for what a member said, by which others refer to it.
use super::{Fingerprint, encoding::length_prefixed, fingerprint::sha256};

/// Bytes of a [`SaidHash`].
pub const SAID_BYTES: usize = 16;

/// Names what a member said: the first 16 bytes of `SHA-256(LP("subrosa v2 said", author, core))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SaidHash(pub [u8; SAID_BYTES]);

impl SaidHash {
    /// Of a core as its author wrote it.
    pub fn of(author: Fingerprint, core: &[u8]) -> Self {
        let hash = sha256(&length_prefixed(&[b"subrosa v2 said", author.as_bytes(), core]));
        let mut out = [0; SAID_BYTES];
        out.copy_from_slice(&hash[..SAID_BYTES]);
        Self(out)
    }
}

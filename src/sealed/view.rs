//! The view: a short hash of who is in the room, which every message carries, so that two members who see different
//! rooms find out.
use super::{Fingerprint, encoding::length_prefixed, fingerprint::sha256, secret::EpochKeys};

/// Bytes of a [`View`].
pub const VIEW_BYTES: usize = 16;

/// The first 16 bytes of `SHA-256(LP("subrosa v2 view", owner, epoch, A, members))`, members in bytewise order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View([u8; VIEW_BYTES]);

impl View {
    /// Of the members given, in any order, oneself included; the owner whether or not among them.
    pub fn of(owner: Fingerprint, keys: &EpochKeys, members: impl IntoIterator<Item = Fingerprint>) -> Self {
        let mut sorted: Vec<_> = members.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let members: Vec<u8> = sorted.iter().flat_map(Fingerprint::as_bytes).copied().collect();
        let epoch = keys.epoch().to_be_bytes();
        let hashed = length_prefixed(&[b"subrosa v2 view", owner.as_bytes(), &epoch, keys.authenticator(), &members]);
        let mut out = [0; VIEW_BYTES];
        out.copy_from_slice(&sha256(&hashed)[..VIEW_BYTES]);
        Self(out)
    }

    /// From its 16 bytes.
    pub fn from_bytes(bytes: [u8; VIEW_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub fn as_bytes(&self) -> &[u8; VIEW_BYTES] {
        &self.0
    }
}

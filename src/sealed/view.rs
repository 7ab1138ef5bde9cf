//! The view: a short hash of who is in the room, which every message carries, so that a relay that shows different members different
//! rooms is found out.
use super::{Fingerprint, encoding, fingerprint::sha256};

/// Bytes of a [`View`].
pub const VIEW_BYTES: usize = 16;

/// The first 16 bytes of `SHA-256(owner ‖ all accepted members in bytewise order)`, each a 32-byte fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View([u8; VIEW_BYTES]);

impl View {
    /// Of the members given, in any order, oneself included; the owner comes first whether or not among them.
    pub fn of(owner: Fingerprint, members: impl IntoIterator<Item = Fingerprint>) -> Self {
        let mut sorted: Vec<_> = members.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut bytes = owner.as_bytes().to_vec();
        sorted.iter().for_each(|member| bytes.extend_from_slice(member.as_bytes()));
        let mut out = [0; VIEW_BYTES];
        out.copy_from_slice(&sha256(&bytes)[..VIEW_BYTES]);
        Self(out)
    }

    /// From its 16 bytes.
    pub fn from_bytes(bytes: [u8; VIEW_BYTES]) -> Self {
        Self(bytes)
    }

    /// As base64: 22 characters.
    pub fn to_base64(self) -> String {
        encoding::to_base64(&self.0)
    }
}

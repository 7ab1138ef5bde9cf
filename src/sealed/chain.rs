//! The chain of owners: who owned the room after its creator, each signed for by the one before.
use super::{Identity, SealedError, VerifyingKey, encoding::length_prefixed, identity::SIGNATURE_BYTES};

/// The most hand-overs that a room can have.
pub const MAX_HAND_OVERS: usize = 256;
/// Bytes of one hand-over.
pub const HAND_OVER_BYTES: usize = 32 + SIGNATURE_BYTES;
const LABEL: &[u8] = b"subrosa v1 owner";

/// A verified list of owners, from the creator to the present one. It cannot be made from bytes without checking every signature.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerChain {
    root: VerifyingKey,
    links: Vec<(VerifyingKey, [u8; SIGNATURE_BYTES])>,
}

impl OwnerChain {
    /// The chain of a room that its creator still owns.
    pub fn new(root: VerifyingKey) -> Self {
        Self { root, links: Vec::new() }
    }

    /// Reads `(new key 32 ‖ signature 64)…` and checks every signature from `root` on.
    ///
    /// # Errors
    /// [`SealedError::Length`] if it is not a whole number of hand-overs or more than [`MAX_HAND_OVERS`]; [`SealedError::Chain`] if
    /// one was not signed by the owner before.
    pub fn from_bytes(root: VerifyingKey, bytes: &[u8]) -> Result<Self, SealedError> {
        let (links, rest) = bytes.as_chunks::<HAND_OVER_BYTES>();
        if !rest.is_empty() || links.len() > MAX_HAND_OVERS {
            return Err(SealedError::Length);
        }
        let mut chain = Self::new(root);
        for link in links {
            let (key, signature) = link.split_first_chunk().ok_or(SealedError::Length)?;
            let key = VerifyingKey::from_bytes(*key);
            let signature: &[u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| SealedError::Length)?;
            chain.owner().verify(&chain.statement(&key), signature).map_err(|_| SealedError::Chain)?;
            chain.links.push((key, *signature));
        }
        Ok(chain)
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) reads; empty while the creator owns the room.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.links.len() * HAND_OVER_BYTES);
        for (key, signature) in &self.links {
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(signature);
        }
        out
    }

    /// The chain with one more owner, signed for by `owner`.
    ///
    /// # Errors
    /// [`SealedError::Chain`] if `owner` is not the present one or the chain is full; [`SealedError::Key`] if signing fails.
    pub fn handed_to(&self, owner: &Identity, new: VerifyingKey) -> Result<Self, SealedError> {
        if owner.verifying_key() != self.owner() || self.links.len() == MAX_HAND_OVERS {
            return Err(SealedError::Chain);
        }
        let mut chain = self.clone();
        chain.links.push((new, owner.sign(&self.statement(&new))?));
        Ok(chain)
    }

    /// The creator's key, which names the room.
    pub fn root(&self) -> &VerifyingKey {
        &self.root
    }

    /// The present owner's key.
    pub fn owner(&self) -> &VerifyingKey {
        self.links.last().map_or(&self.root, |(key, _)| key)
    }

    /// Everyone who has owned the room, the creator first.
    pub fn owners(&self) -> impl Iterator<Item = &VerifyingKey> {
        std::iter::once(&self.root).chain(self.links.iter().map(|(key, _)| key))
    }

    /// Whether this chain is `earlier` with exactly one more owner.
    pub fn follows(&self, earlier: &Self) -> bool {
        self.root == earlier.root
            && self.links.len() == earlier.links.len() + 1
            && self.links.starts_with(&earlier.links)
    }

    /// What the present owner signs to make `new` the next one.
    fn statement(&self, new: &VerifyingKey) -> impl std::ops::Deref<Target = Vec<u8>> {
        length_prefixed(&[LABEL, self.root.as_bytes(), self.owner().as_bytes(), new.as_bytes()])
    }
}

impl std::fmt::Debug for OwnerChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.owners()).finish()
    }
}

//! The chain of owners: who owned the room after its creator, each signed for by the one before.
use zeroize::Zeroizing;

use super::{
    Fingerprint, Identity, RoomSecret, SealedError, VerifyingKey, encoding::length_prefixed, fingerprint::sha256,
    identity::SIGNATURE_BYTES,
};

/// The most links that a chain can have.
pub const MAX_LINKS: usize = 32;
/// Bytes of one link.
pub const LINK_BYTES: usize = 32 + 1 + 4 + SIGNATURE_BYTES;
const LABEL: &[u8] = b"subrosa v2 owner";
const PROOF_LABEL: &[u8] = b"subrosa v2 epoch";

/// By which right a link makes its new owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// The owner hands the room over.
    HandOver,
    /// The owner names an heir, for when it is gone.
    Heir,
}

impl Right {
    fn to_byte(self) -> u8 {
        match self {
            Self::HandOver => 1,
            Self::Heir => 2,
        }
    }
}

/// One link: a new owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerLink {
    /// The new owner's key.
    pub key: VerifyingKey,
    /// By which right.
    pub right: Right,
    /// The epoch in which it was signed, and at whose end it can be used.
    pub epoch: u32,
    signature: [u8; SIGNATURE_BYTES],
}

/// A verified list of owners, from the creator to the present one. It cannot be made from bytes without checking every
/// signature.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerChain {
    root: VerifyingKey,
    links: Vec<OwnerLink>,
}

impl OwnerChain {
    /// The chain of a room that its creator still owns.
    pub fn new(root: VerifyingKey) -> Self {
        Self { root, links: Vec::new() }
    }

    /// Reads `(new key 32 ‖ kind 1 ‖ epoch 4 ‖ signature 64)…` and checks every link from `root` on.
    ///
    /// # Errors
    /// [`SealedError::Length`] if it is not a whole number of links or more than [`MAX_LINKS`]; [`SealedError::Kind`]
    /// or [`SealedError::Key`] for a link of unknown kind or with a weak key; [`SealedError::Chain`] if an epoch is
    /// lower than the one before or a link was not signed by the owner before.
    pub fn from_bytes(root: VerifyingKey, bytes: &[u8]) -> Result<Self, SealedError> {
        let (links, rest) = bytes.as_chunks::<LINK_BYTES>();
        if !rest.is_empty() || links.len() > MAX_LINKS {
            return Err(SealedError::Length);
        }
        let mut chain = Self::new(root);
        for link in links {
            let (key, rest) = link.split_first_chunk().ok_or(SealedError::Length)?;
            let ([kind, e0, e1, e2, e3], signature) = rest.split_first_chunk().ok_or(SealedError::Length)?;
            let right = match kind {
                1 => Right::HandOver,
                2 => Right::Heir,
                _ => return Err(SealedError::Kind),
            };
            let (key, epoch) = (VerifyingKey::from_bytes(*key)?, u32::from_be_bytes([*e0, *e1, *e2, *e3]));
            if chain.links.last().is_some_and(|before| epoch < before.epoch) {
                return Err(SealedError::Chain);
            }
            let statement = chain.statement(&key, right, epoch);
            chain.owner().verify(&statement, signature).map_err(|_| SealedError::Chain)?;
            let signature = signature.try_into().map_err(|_| SealedError::Length)?;
            chain.links.push(OwnerLink { key, right, epoch, signature });
        }
        Ok(chain)
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) reads; empty while the creator owns the room.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes_of(self.links.len())
    }

    fn bytes_of(&self, links: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(links * LINK_BYTES);
        for link in self.links.iter().take(links) {
            out.extend_from_slice(link.key.as_bytes());
            out.push(link.right.to_byte());
            out.extend_from_slice(&link.epoch.to_be_bytes());
            out.extend_from_slice(&link.signature);
        }
        out
    }

    /// SHA-256 of the bytes of the first `links` links.
    pub(crate) fn hash_of(&self, links: usize) -> [u8; 32] {
        sha256(&self.bytes_of(links))
    }

    /// The chain with one more owner, signed for by `owner`, the present one.
    ///
    /// # Errors
    /// [`SealedError::Chain`] if `owner` is not the present one or the chain is full; [`SealedError::Key`] if signing
    /// fails.
    pub fn handed_to(
        &self,
        owner: &Identity,
        new: VerifyingKey,
        right: Right,
        epoch: u32,
    ) -> Result<Self, SealedError> {
        if owner.verifying_key() != self.owner() || self.links.len() == MAX_LINKS {
            return Err(SealedError::Chain);
        }
        let signature = owner.sign(&self.statement(&new, right, epoch))?;
        let mut chain = self.clone();
        chain.links.push(OwnerLink { key: new, right, epoch, signature });
        Ok(chain)
    }

    /// The creator's key, which names the room.
    pub fn root(&self) -> &VerifyingKey {
        &self.root
    }

    /// The present owner's key.
    pub fn owner(&self) -> &VerifyingKey {
        self.links.last().map_or(&self.root, |link| &link.key)
    }

    /// The owner after the first `links` links.
    pub fn owner_after(&self, links: usize) -> Option<&VerifyingKey> {
        match links.checked_sub(1) {
            None => Some(&self.root),
            Some(last) => self.links.get(last).map(|link| &link.key),
        }
    }

    /// The links.
    pub fn links(&self) -> &[OwnerLink] {
        &self.links
    }

    /// The owners, the creator first.
    pub fn owners(&self) -> impl Iterator<Item = &VerifyingKey> {
        std::iter::once(&self.root).chain(self.links.iter().map(|link| &link.key))
    }

    /// Whether this chain is `earlier`, or goes on from it.
    pub fn continues(&self, earlier: &Self) -> bool {
        self.root == earlier.root && self.links.starts_with(&earlier.links)
    }

    /// The owner's proof of an epoch: that this secret, and these members, are its own.
    ///
    /// # Errors
    /// [`SealedError::Chain`] if `owner` is not the present one; [`SealedError::Key`] if signing fails.
    pub fn prove(
        &self,
        owner: &Identity,
        secret: &RoomSecret,
        members: &[Fingerprint],
    ) -> Result<[u8; SIGNATURE_BYTES], SealedError> {
        if owner.verifying_key() == self.owner() {
            owner.sign(&self.epoch_statement(secret, members))
        } else {
            Err(SealedError::Chain)
        }
    }

    /// Checks the proof of an epoch by the chain's last owner.
    ///
    /// # Errors
    /// [`SealedError::Signature`].
    pub fn check_proof(
        &self,
        secret: &RoomSecret,
        members: &[Fingerprint],
        proof: &[u8; SIGNATURE_BYTES],
    ) -> Result<(), SealedError> {
        self.owner().verify(&self.epoch_statement(secret, members), proof)
    }

    fn epoch_statement(&self, secret: &RoomSecret, members: &[Fingerprint]) -> Zeroizing<Vec<u8>> {
        let members: Vec<u8> = members.iter().flat_map(Fingerprint::as_bytes).copied().collect();
        length_prefixed(&[
            PROOF_LABEL,
            self.root.as_bytes(),
            &self.hash_of(self.links.len()),
            &secret.epoch().to_be_bytes(),
            &sha256(secret.expose()),
            &sha256(&members),
        ])
    }

    /// What the present owner signs to make `new` the next one: it names the whole history.
    fn statement(&self, new: &VerifyingKey, right: Right, epoch: u32) -> Zeroizing<Vec<u8>> {
        length_prefixed(&[
            LABEL,
            self.root.as_bytes(),
            &self.hash_of(self.links.len()),
            &[right.to_byte()],
            &epoch.to_be_bytes(),
            new.as_bytes(),
        ])
    }
}

impl std::fmt::Debug for OwnerChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.owners()).finish()
    }
}

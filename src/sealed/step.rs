//! Chain keys: each gives the keys of one message and the chain key after it, and is wiped.
use zeroize::Zeroizing;

use super::{
    Random, SealedError,
    secret::{AeadKey, NONCE_BYTES, Secret32, hkdf},
};

/// How many messages a chain carries: the largest index is one less.
pub const CHAIN_MESSAGES: u32 = 128;
/// Bytes of a [`StepKeys`] commitment.
pub const COMMIT_BYTES: usize = 32;

/// A chain key `ck`.
pub struct ChainKey(Secret32);

impl ChainKey {
    /// A fresh one.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self(Secret32::random(random))
    }

    /// One that was handed over.
    ///
    /// # Errors
    /// [`SealedError::Length`] if it is not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SealedError> {
        Secret32::from_slice(bytes).map(Self)
    }

    /// The 32 bytes themselves, for a hand.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The chain key after this one and the keys of the message at this one: `HKDF(ck, "subrosa v2 step", 108)`.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn step(&self) -> Result<(Self, StepKeys), SealedError> {
        let mut okm = Zeroizing::new([0; 108]);
        hkdf(self.expose(), b"subrosa v2 step", &mut *okm)?;
        let next = Self(Secret32::from_slice(&okm[..32])?);
        let mut keys = StepKeys { key: Zeroizing::new([0; 32]), nonce: [0; NONCE_BYTES], commit: [0; COMMIT_BYTES] };
        keys.key.copy_from_slice(&okm[32..64]);
        keys.nonce.copy_from_slice(&okm[64..76]);
        keys.commit.copy_from_slice(&okm[76..]);
        Ok((next, keys))
    }
}

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainKey")
    }
}

/// The keys of one message. Sealing uses them up: no two messages can be sealed under one.
pub struct StepKeys {
    key: Zeroizing<[u8; 32]>,
    nonce: [u8; NONCE_BYTES],
    commit: [u8; COMMIT_BYTES],
}

impl StepKeys {
    /// What the author signs with the message, so that it opens under no other key.
    pub(crate) fn commit(&self) -> &[u8; COMMIT_BYTES] {
        &self.commit
    }

    pub(crate) fn seal(self, aad: &[u8], data: &mut Vec<u8>) -> Result<(), SealedError> {
        AeadKey::new(&self.key)?.seal(self.nonce, aad, data)
    }

    pub(crate) fn open<'a>(&self, aad: &[u8], data: &'a mut [u8]) -> Result<&'a mut [u8], SealedError> {
        AeadKey::new(&self.key)?.open(self.nonce, aad, data)
    }
}

impl std::fmt::Debug for StepKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StepKeys")
    }
}

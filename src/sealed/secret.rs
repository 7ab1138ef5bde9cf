//! The secrets of a room and the symmetric cryptography under them.
//!
//! `R`, the room secret, gives `K_card` (for member cards) and, as a salt, takes part in every message key. Whoever has RSA broken still
//! lacks it.
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};

use super::{Random, SealedError};
use crate::secret::Locked;

/// Bytes of an AES-GCM nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes of an AES-GCM tag.
pub(crate) const TAG_BYTES: usize = 16;

const CARD_INFO: &[u8] = b"subrosa v1 card";
const MESSAGE_INFO: &[u8] = b"subrosa v1 message";

/// 32 secret bytes on a locked page: wiped on drop, never cloned, compared or shown.
pub(crate) struct Secret32(Locked<32>);

impl Secret32 {
    pub(crate) fn random(random: &mut dyn Random) -> Self {
        Self(Locked::init(|secret| random.fill(secret)))
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, SealedError> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| SealedError::Length)?;
        Ok(Self(Locked::init(|secret| secret.copy_from_slice(bytes))))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// The room secret `R` of one epoch.
pub struct RoomSecret {
    epoch: u32,
    secret: Secret32,
}

impl RoomSecret {
    /// A fresh one.
    pub fn generate(epoch: u32, random: &mut dyn Random) -> Self {
        Self { epoch, secret: Secret32::random(random) }
    }

    /// One that came in a link or in a `secret` message.
    ///
    /// # Errors
    /// [`SealedError::Length`] if it is not 32 bytes.
    pub fn from_slice(epoch: u32, bytes: &[u8]) -> Result<Self, SealedError> {
        Ok(Self { epoch, secret: Secret32::from_slice(bytes)? })
    }

    /// The epoch that it belongs to.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The 32 bytes themselves, for a link or a `secret` message.
    pub fn expose(&self) -> &[u8; 32] {
        self.secret.expose()
    }

    /// `K_card`, the key that cards of this epoch are sealed under.
    pub(crate) fn card_key(&self) -> Result<AeadKey, SealedError> {
        AeadKey::derive(&[], self.expose(), CARD_INFO)
    }

    /// The key of one message: `HKDF(ikm = CEK, salt = R)`.
    pub(crate) fn message_key(&self, cek: &ContentKey) -> Result<AeadKey, SealedError> {
        AeadKey::derive(self.expose(), cek.expose(), MESSAGE_INFO)
    }
}

impl std::fmt::Debug for RoomSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomSecret").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// The key of one message's content (`CEK`), which goes to each recipient under RSA.
pub struct ContentKey(Secret32);

impl ContentKey {
    /// A fresh one.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self(Secret32::random(random))
    }

    /// One that was unsealed.
    ///
    /// # Errors
    /// [`SealedError::Length`] if it is not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SealedError> {
        Secret32::from_slice(bytes).map(Self)
    }

    /// The 32 bytes themselves.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey")
    }
}

/// An AES-256-GCM key derived for one purpose.
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    fn derive(salt: &[u8], ikm: &[u8], info: &[u8]) -> Result<Self, SealedError> {
        let prk = Salt::new(HKDF_SHA256, salt).extract(ikm);
        let info = [info];
        let okm = prk.expand(&info, &AES_256_GCM).map_err(|_| SealedError::Key)?;
        Ok(Self(LessSafeKey::new(UnboundKey::from(okm))))
    }

    /// Encrypts in place and appends the tag.
    pub(crate) fn seal(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], data: &mut Vec<u8>) -> Result<(), SealedError> {
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .map_err(|_| SealedError::Key)
    }

    /// Decrypts in place and returns what was sealed.
    pub(crate) fn open<'a>(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        data: &'a mut [u8],
    ) -> Result<&'a mut [u8], SealedError> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .map_err(|_| SealedError::DoesNotOpen)
    }
}

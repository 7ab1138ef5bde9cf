//! The secrets of a room and the symmetric cryptography under them.
//!
//! `R`, the room secret of an epoch, gives four keys, each for one purpose: cards, the PSK of every hand, the
//! authenticator in views, notes.
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};

use super::{Random, SealedError};
use crate::secret::Locked;

/// Bytes of an AES-GCM nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes of an AES-GCM tag.
pub(crate) const TAG_BYTES: usize = 16;

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

    /// `HKDF-SHA256(ikm, salt empty, info, 32 bytes)`.
    fn derive(ikm: &[u8], info: &[u8]) -> Result<Self, SealedError> {
        let mut done = Ok(());
        let out = Locked::init(|secret| done = hkdf(ikm, info, secret));
        done.map(|()| Self(out))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// `HKDF-SHA256` (RFC 5869) with an empty salt.
pub(crate) fn hkdf(ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), SealedError> {
    struct Bytes(usize);
    impl KeyType for Bytes {
        fn len(&self) -> usize {
            self.0
        }
    }
    let prk = Salt::new(HKDF_SHA256, &[]).extract(ikm);
    let info = [info];
    let okm = prk.expand(&info, Bytes(out.len())).map_err(|_| SealedError::Key)?;
    okm.fill(out).map_err(|_| SealedError::Key)
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

    /// The keys of its epoch.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn keys(&self) -> Result<EpochKeys, SealedError> {
        let derive = |info: &str| Secret32::derive(self.expose(), info.as_bytes());
        Ok(EpochKeys {
            epoch: self.epoch,
            card: derive("subrosa v2 card")?,
            psk: derive("subrosa v2 psk")?,
            authenticator: derive("subrosa v2 authenticator")?,
            note: derive("subrosa v2 note")?,
        })
    }
}

impl std::fmt::Debug for RoomSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomSecret").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// What a room secret gives: `K_card`, `P`, `A` and `N` of its epoch.
pub struct EpochKeys {
    epoch: u32,
    card: Secret32,
    psk: Secret32,
    authenticator: Secret32,
    note: Secret32,
}

impl EpochKeys {
    /// The epoch.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// `K_card`, which seals cards.
    pub(crate) fn card(&self) -> Result<AeadKey, SealedError> {
        AeadKey::new(self.card.expose())
    }

    /// `P`, the PSK of every hand and private message.
    pub(crate) fn psk(&self) -> &[u8; 32] {
        self.psk.expose()
    }

    /// `A`, which stands in every view.
    pub(crate) fn authenticator(&self) -> &[u8; 32] {
        self.authenticator.expose()
    }

    /// `N`, which seals notes.
    pub(crate) fn note(&self) -> Result<AeadKey, SealedError> {
        AeadKey::new(self.note.expose())
    }
}

impl std::fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpochKeys").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// An AES-256-GCM key for one purpose.
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, SealedError> {
        UnboundKey::new(&AES_256_GCM, key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| SealedError::Key)
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

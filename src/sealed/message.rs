//! Signing, sealing and opening messages.
//!
//! `plain` is signed, padded, and sealed once under a fresh key (`shared`, the same for all recipients); that key goes to
//! each recipient under its RSA key (`content`). Opening goes the same way back: [`open`] with one's own keys, then
//! [`Signed::verify`] with the key of whoever the relay says it is from.
use zeroize::Zeroizing;

use super::{
    Identity, Random, RoomSecret, SealedError, VerifyingKey,
    encoding::{Header, from_base64, length_prefixed, to_base64},
    identity::{RecipientKey, SIGNATURE_BYTES},
    padding, random,
    secret::{ContentKey, NONCE_BYTES, TAG_BYTES},
};

const LABEL: &[u8] = b"subrosa v1 message";

/// `signature(64) ‖ plain`: what a member has signed. Wiped when dropped.
pub struct Signed(Zeroizing<Vec<u8>>);

impl Signed {
    /// Signs `plain` (the bytes of [`Plain::to_json`](super::Plain::to_json)) for the room `root`.
    ///
    /// # Errors
    /// [`SealedError::Key`] if signing fails.
    pub fn sign(identity: &Identity, root: &VerifyingKey, plain: &[u8]) -> Result<Self, SealedError> {
        let signature = identity.sign(&length_prefixed(&[LABEL, root.as_bytes(), plain]))?;
        let mut signed = Zeroizing::new(Vec::with_capacity(SIGNATURE_BYTES + plain.len()));
        signed.extend_from_slice(&signature);
        signed.extend_from_slice(plain);
        Ok(Self(signed))
    }

    /// Checks that `author` signed this for the room `root`, and returns `plain`.
    ///
    /// # Errors
    /// [`SealedError::Signature`].
    pub fn verify(&self, root: &VerifyingKey, author: &VerifyingKey) -> Result<&[u8], SealedError> {
        let (signature, plain) = self.0.split_first_chunk::<SIGNATURE_BYTES>().ok_or(SealedError::Signature)?;
        author.verify(&length_prefixed(&[LABEL, root.as_bytes(), plain]), signature)?;
        Ok(plain)
    }

    /// The signature, which tells a repeated message from another one of the same number.
    pub fn signature(&self) -> [u8; SIGNATURE_BYTES] {
        self.0.first_chunk().copied().unwrap_or([0; SIGNATURE_BYTES])
    }

    /// Seals this under a fresh key in the epoch of `secret`.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn seal(
        &self,
        root: &VerifyingKey,
        secret: &RoomSecret,
        random: &mut dyn Random,
    ) -> Result<Sealed, SealedError> {
        let key = ContentKey::generate(random);
        let header = Header { epoch: secret.epoch() };
        let nonce = random::array::<NONCE_BYTES>(random);
        let mut sealed = padding::pad(&[&self.0], 0, TAG_BYTES);
        secret.message_key(&key)?.seal(nonce, &aad(header, root), &mut sealed)?;
        let shared = to_base64(&[&header.to_bytes()[..], &nonce, &sealed].concat());
        Ok(Sealed { header, key, shared })
    }
}

/// Shows the size only.
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed({} bytes)", self.0.len())
    }
}

/// A sealed message, to be given to any number of recipients.
#[derive(Debug)]
pub struct Sealed {
    header: Header,
    key: ContentKey,
    shared: String,
}

impl Sealed {
    /// The part that all recipients get.
    pub fn shared(&self) -> &str {
        &self.shared
    }

    /// The key under which `shared` is sealed.
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// The part for one recipient.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn content_for(&self, recipient: &RecipientKey) -> Result<String, SealedError> {
        Ok(content(self.header, &recipient.wrap(&self.key)?))
    }
}

/// Writes `content` from a message key that has been sealed to its recipient.
pub fn content(header: Header, wrapped: &[u8]) -> String {
    to_base64(&[&header.to_bytes()[..], wrapped].concat())
}

/// Opens a message with one's own keys and the room secret of its epoch. Who wrote it is not known before [`Signed::verify`].
///
/// In this order: base64 of `content`, then of `shared`; version and header of each; equal epochs; the epoch of `secret`; the length
/// of `shared`; the message key; `shared`; padding; the length of what is signed.
///
/// # Errors
/// The [`SealedError`] of the first of these that fails.
pub fn open(
    content: &str,
    shared: &str,
    identity: &Identity,
    root: &VerifyingKey,
    secret: &RoomSecret,
) -> Result<Signed, SealedError> {
    let (content, mut shared) = (from_base64(content)?, Zeroizing::new(from_base64(shared)?));
    let (header, wrapped) = Header::split(&content)?;
    let (shared_header, rest) = Header::split(&shared)?;
    if header != shared_header {
        return Err(SealedError::EpochsDiffer);
    }
    if header.epoch != secret.epoch() {
        return Err(SealedError::Epoch);
    }
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealedError::Length)?;
    if sealed.len() < padding::SMALLEST + TAG_BYTES {
        return Err(SealedError::Length);
    }
    let (nonce, start) = (*nonce, shared.len() - sealed.len());
    let key = secret.message_key(&identity.unwrap_key(wrapped)?)?;
    let padded = key.open(nonce, &aad(header, root), shared.get_mut(start..).unwrap_or_default())?;
    let signed = padding::unpad(padded)?;
    if signed.len() < SIGNATURE_BYTES {
        return Err(SealedError::Length);
    }
    Ok(Signed(Zeroizing::new(signed.to_vec())))
}

fn aad(header: Header, root: &VerifyingKey) -> Vec<u8> {
    [LABEL, &header.to_bytes(), root.as_bytes()].concat()
}

//! Signing, sealing and opening messages.
//!
//! A room message is sealed once, under the keys of one step of its author's chain, and is the same for all recipients
//! (`shared`). A private one is sealed under the one step of a fresh key. [`hand`](super::hand) is how recipients get
//! those keys.
use zeroize::Zeroizing;

use super::{
    Fingerprint, Identity, SealedError, VerifyingKey,
    encoding::{Header, from_base64, length_prefixed, to_base64},
    hand::{Between, Position},
    identity::SIGNATURE_BYTES,
    padding,
    secret::{NONCE_BYTES, TAG_BYTES},
    step::{CHAIN_MESSAGES, StepKeys},
};

const ROOM: u8 = 0;
const PRIVATE: u8 = 1;
pub(super) const NOTE: u8 = 2;
const LABEL: &[u8] = b"subrosa v2 message";
const PRIVATE_LABEL: &[u8] = b"subrosa v2 private";

/// The string `shared` of a packet, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The epoch that it names.
    pub epoch: u32,
    /// What it is.
    pub part: Part,
    pub(super) sealed: Vec<u8>,
}

/// What a `shared` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A room message at a position of its author's chain.
    Room(Position),
    /// A private message.
    Private,
    /// A note.
    Note {
        /// Its nonce.
        nonce: [u8; NONCE_BYTES],
    },
}

impl Shared {
    /// Reads the head of a `shared`.
    ///
    /// # Errors
    /// [`SealedError::Base64`], [`Version`](SealedError::Version), [`Length`](SealedError::Length),
    /// [`Kind`](SealedError::Kind) for an unknown tag, or [`Field`](SealedError::Field) for an index of 128 or more.
    pub fn parse(shared: &str) -> Result<Self, SealedError> {
        let bytes = from_base64(shared)?;
        let (Header { epoch }, rest) = Header::split(&bytes)?;
        let ([tag], rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let (part, sealed) = match *tag {
            ROOM => {
                let (generation, rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
                let (index, rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
                let at = Position { generation: u32::from_be_bytes(*generation), index: u32::from_be_bytes(*index) };
                if at.index >= CHAIN_MESSAGES {
                    return Err(SealedError::Field);
                }
                (Part::Room(at), rest)
            }
            PRIVATE => (Part::Private, rest),
            NOTE => {
                let (nonce, rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
                (Part::Note { nonce: *nonce }, rest)
            }
            _ => return Err(SealedError::Kind),
        };
        if sealed.len() < padding::SMALLEST + TAG_BYTES {
            return Err(SealedError::Length);
        }
        Ok(Self { epoch, part, sealed: sealed.to_vec() })
    }

    /// Opens a room message with the keys of its step, and checks that `author` signed it for this room and place.
    ///
    /// # Errors
    /// [`SealedError::Kind`] if it is none, [`DoesNotOpen`](SealedError::DoesNotOpen),
    /// [`Padding`](SealedError::Padding) or [`Signature`](SealedError::Signature).
    pub fn open_room(
        &self,
        keys: &StepKeys,
        root: &VerifyingKey,
        author: &VerifyingKey,
    ) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let Part::Room(at) = self.part else {
            return Err(SealedError::Kind);
        };
        let plain = self.open(keys, &room_aad(self.epoch, at, root))?;
        check(&plain, author, |plain| room_statement(root, self.epoch, at, keys, plain))
    }

    /// Opens a private message with the keys of its one step, and checks that `author` signed it for its recipient.
    ///
    /// # Errors
    /// As [`open_room`](Self::open_room).
    pub fn open_private(
        &self,
        keys: &StepKeys,
        between: &Between<'_>,
        author: &VerifyingKey,
    ) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        if self.part != Part::Private {
            return Err(SealedError::Kind);
        }
        let plain = self.open(keys, &private_aad(self.epoch, between))?;
        check(&plain, author, |plain| private_statement(between.root, self.epoch, between.to, keys, plain))
    }

    fn open(&self, keys: &StepKeys, aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let mut buffer = Zeroizing::new(self.sealed.clone());
        let padded = keys.open(aad, &mut buffer)?;
        padding::unpad(padded).map(|signed| Zeroizing::new(signed.to_vec()))
    }
}

/// Signs and seals a room message: the string `shared`.
///
/// # Errors
/// [`SealedError::Key`] if the cryptographic library fails.
pub fn seal_room(
    author: &Identity,
    root: &VerifyingKey,
    epoch: u32,
    at: Position,
    keys: StepKeys,
    plain: &[u8],
) -> Result<String, SealedError> {
    let signature = author.sign(&room_statement(root, epoch, at, &keys, plain))?;
    let head = [&Header { epoch }.to_bytes()[..], &[ROOM], &at.to_bytes()].concat();
    seal(&head, keys, &room_aad(epoch, at, root), &signature, plain)
}

/// Signs and seals a private message under the one step of a fresh key: the string `shared`.
///
/// # Errors
/// [`SealedError::Key`] if the cryptographic library fails.
pub fn seal_private(
    author: &Identity,
    between: &Between<'_>,
    keys: StepKeys,
    plain: &[u8],
) -> Result<String, SealedError> {
    let epoch = between.keys.epoch();
    let signature = author.sign(&private_statement(between.root, epoch, between.to, &keys, plain))?;
    let head = [&Header { epoch }.to_bytes()[..], &[PRIVATE]].concat();
    seal(&head, keys, &private_aad(epoch, between), &signature, plain)
}

fn seal(
    head: &[u8],
    keys: StepKeys,
    aad: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
    plain: &[u8],
) -> Result<String, SealedError> {
    let mut sealed = padding::pad(&[signature, plain], 0, TAG_BYTES);
    keys.seal(aad, &mut sealed)?;
    Ok(to_base64(&[head, &sealed[..]].concat()))
}

fn check(
    signed: &[u8],
    author: &VerifyingKey,
    statement: impl FnOnce(&[u8]) -> Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let (signature, plain) = signed.split_first_chunk::<SIGNATURE_BYTES>().ok_or(SealedError::Signature)?;
    author.verify(&statement(plain), signature)?;
    Ok(Zeroizing::new(plain.to_vec()))
}

fn room_aad(epoch: u32, at: Position, root: &VerifyingKey) -> Vec<u8> {
    [LABEL, &Header { epoch }.to_bytes(), &at.to_bytes(), root.as_bytes()].concat()
}

fn private_aad(epoch: u32, between: &Between<'_>) -> Vec<u8> {
    let header = Header { epoch }.to_bytes();
    [PRIVATE_LABEL, &header, between.root.as_bytes(), between.from.as_bytes(), between.to.as_bytes()].concat()
}

fn room_statement(root: &VerifyingKey, epoch: u32, at: Position, keys: &StepKeys, plain: &[u8]) -> Zeroizing<Vec<u8>> {
    length_prefixed(&[
        LABEL,
        root.as_bytes(),
        &epoch.to_be_bytes(),
        &at.generation.to_be_bytes(),
        &at.index.to_be_bytes(),
        keys.commit(),
        plain,
    ])
}

fn private_statement(
    root: &VerifyingKey,
    epoch: u32,
    to: Fingerprint,
    keys: &StepKeys,
    plain: &[u8],
) -> Zeroizing<Vec<u8>> {
    length_prefixed(&[PRIVATE_LABEL, root.as_bytes(), &epoch.to_be_bytes(), to.as_bytes(), keys.commit(), plain])
}

//! Hands: how a chain goes to each member, and how the key of a private message does. Both are sealed to the
//! recipient's leaf by HPKE, with a PSK that only members have.
//!
//! All members have the PSK, so HPKE does not say who sealed. A hand is therefore signed by the member whose chain it
//! is; a private message is signed itself.
use zeroize::Zeroizing;

use super::{
    EpochKeys, Fingerprint, Identity, PublicLeaf, SealedError, VerifyingKey,
    encoding::{VERSION, from_base64, length_prefixed, to_base64},
    fingerprint::sha256,
    hpke::{self, Context},
    identity::SIGNATURE_BYTES,
    leaf::{ENC_BYTES, Leaf},
    secret::TAG_BYTES,
    step::ChainKey,
};

const LABEL: &[u8] = b"subrosa v2 hand";
const PRIVATE_LABEL: &[u8] = b"subrosa v2 private";
const HAND: u8 = 1;
const PRIVATE: u8 = 2;
const HEAD_BYTES: usize = 6;
const HAND_BYTES: usize = SIGNATURE_BYTES + 4 + 32;

/// A recipient's part of a packet, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is none: the recipient has the chain, or the packet is a note.
    Nothing,
    /// A chain.
    Hand(Sealed),
    /// The key of a private message.
    Private(Sealed),
}

/// Something sealed to a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which of the recipient's leaves.
    pub leaf_generation: u32,
    bytes: Vec<u8>,
}

impl Content {
    /// Reads `content`.
    ///
    /// # Errors
    /// [`SealedError::Base64`], [`Version`](SealedError::Version), [`Kind`](SealedError::Kind) or
    /// [`Length`](SealedError::Length).
    pub fn parse(content: &str) -> Result<Self, SealedError> {
        if content.is_empty() {
            return Ok(Self::Nothing);
        }
        let bytes = from_base64(content)?;
        let length = match bytes[..] {
            [VERSION, HAND, ..] => HAND_BYTES,
            [VERSION, PRIVATE, ..] => 32,
            [VERSION, _, ..] => return Err(SealedError::Kind),
            [VERSION] | [] => return Err(SealedError::Length),
            _ => return Err(SealedError::Version),
        };
        let ([_, kind, g0, g1, g2, g3], sealed) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(SealedError::Length)?;
        if sealed.len() != ENC_BYTES + length + TAG_BYTES {
            return Err(SealedError::Length);
        }
        let leaf_generation = u32::from_be_bytes([*g0, *g1, *g2, *g3]);
        let sealed = Sealed { leaf_generation, bytes: sealed.to_vec() };
        Ok(if *kind == HAND { Self::Hand(sealed) } else { Self::Private(sealed) })
    }
}

/// The two ends of something that is sealed, and the epoch and room in which it is.
#[derive(Clone, Copy)]
pub struct Between<'a> {
    /// The room.
    pub root: &'a VerifyingKey,
    /// The epoch's keys.
    pub keys: &'a EpochKeys,
    /// The sender.
    pub from: Fingerprint,
    /// The recipient.
    pub to: Fingerprint,
}

/// Where in a sender's chain something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Counts the sender's chains, from 0.
    pub generation: u32,
    /// Counts the messages of the chain, from 0.
    pub index: u32,
}

/// What a hand says.
pub struct Hand {
    /// The sender's last room number when it accepted the recipient.
    pub said: u32,
    /// The chain key at the hand's index.
    pub key: ChainKey,
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hand").field("said", &self.said).finish_non_exhaustive()
    }
}

/// Seals a chain at a position to a recipient: the string `content`.
///
/// # Errors
/// [`SealedError::Key`] if the leaf is no key or the cryptographic library fails.
pub fn seal_hand(
    sender: &Identity,
    between: &Between<'_>,
    leaf: &PublicLeaf,
    at: Position,
    said: u32,
    key: &ChainKey,
) -> Result<String, SealedError> {
    let signature = sender.sign(&hand_statement(between, leaf.generation, at, said, key))?;
    let mut plain = Zeroizing::new(Vec::with_capacity(HAND_BYTES));
    plain.extend_from_slice(&signature);
    plain.extend_from_slice(&said.to_be_bytes());
    plain.extend_from_slice(key.expose());
    seal(HAND, between, LABEL, leaf, &at.to_bytes(), &plain)
}

/// Opens a hand and checks that the sender, whose key is `author`, made it.
///
/// # Errors
/// [`SealedError::Hand`] or [`SealedError::Signature`].
pub fn open_hand(
    sealed: &Sealed,
    leaf: &Leaf,
    between: &Between<'_>,
    author: &VerifyingKey,
    at: Position,
) -> Result<Hand, SealedError> {
    let plain = open(sealed, leaf, between, LABEL, &at.to_bytes())?;
    let (signature, rest) = plain.split_first_chunk::<SIGNATURE_BYTES>().ok_or(SealedError::Hand)?;
    let (said, key) = rest.split_first_chunk().ok_or(SealedError::Hand)?;
    let (said, key) = (u32::from_be_bytes(*said), ChainKey::from_slice(key)?);
    author.verify(&hand_statement(between, leaf.public().generation, at, said, &key), signature)?;
    Ok(Hand { said, key })
}

/// Seals the key of a private message to its recipient: the string `content`.
///
/// # Errors
/// [`SealedError::Key`] if the leaf is no key or the cryptographic library fails.
pub fn seal_private(between: &Between<'_>, leaf: &PublicLeaf, key: &ChainKey) -> Result<String, SealedError> {
    seal(PRIVATE, between, PRIVATE_LABEL, leaf, &[], key.expose())
}

/// Opens the key of a private message.
///
/// # Errors
/// [`SealedError::Hand`].
pub fn open_private(sealed: &Sealed, leaf: &Leaf, between: &Between<'_>) -> Result<ChainKey, SealedError> {
    ChainKey::from_slice(&open(sealed, leaf, between, PRIVATE_LABEL, &[])?)
}

impl Position {
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let mut out = [0; 8];
        out[..4].copy_from_slice(&self.generation.to_be_bytes());
        out[4..].copy_from_slice(&self.index.to_be_bytes());
        out
    }
}

fn seal(
    kind: u8,
    between: &Between<'_>,
    label: &[u8],
    leaf: &PublicLeaf,
    at: &[u8],
    plain: &[u8],
) -> Result<String, SealedError> {
    let generation = leaf.generation.to_be_bytes();
    let sealed = with_context(between, label, leaf.generation, at, |context| hpke::seal(leaf, context, plain))?;
    Ok(to_base64(&[&[VERSION, kind][..], &generation, &sealed].concat()))
}

fn open(
    sealed: &Sealed,
    leaf: &Leaf,
    between: &Between<'_>,
    label: &[u8],
    at: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    with_context(between, label, leaf.public().generation, at, |context| hpke::open(leaf, context, &sealed.bytes))
}

fn with_context<T>(
    between: &Between<'_>,
    label: &[u8],
    leaf_generation: u32,
    at: &[u8],
    act: impl FnOnce(&Context<'_>) -> Result<T, SealedError>,
) -> Result<T, SealedError> {
    let epoch = between.keys.epoch().to_be_bytes();
    act(&Context {
        info: &length_prefixed(&[label, between.root.as_bytes(), &epoch, between.from.as_bytes()]),
        aad: &[&between.to.as_bytes()[..], &leaf_generation.to_be_bytes(), at].concat(),
        psk: between.keys.psk(),
        psk_id: &[b"subrosa v2 psk", &epoch[..]].concat(),
    })
}

fn hand_statement(
    between: &Between<'_>,
    leaf_generation: u32,
    at: Position,
    said: u32,
    key: &ChainKey,
) -> Zeroizing<Vec<u8>> {
    length_prefixed(&[
        LABEL,
        between.root.as_bytes(),
        &between.keys.epoch().to_be_bytes(),
        between.to.as_bytes(),
        &leaf_generation.to_be_bytes(),
        &at.generation.to_be_bytes(),
        &at.index.to_be_bytes(),
        &said.to_be_bytes(),
        &sha256(key.expose()),
    ])
}

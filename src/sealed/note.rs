//! Notes: how a member that has missed something asks for it. A note hangs on no leaf and no chain, only on the room
//! secret of an epoch in which both were members, and brings a fresh leaf to answer to.
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    EpochKeys, Fingerprint, Identity, PublicLeaf, Random, SealedError, VerifyingKey,
    card::{pad_signed, split_signed, statement},
    encoding::{Header, to_base64},
    json::Object,
    message::{self, Shared},
    padding, random,
    secret::NONCE_BYTES,
};

/// How many members one note asks at most.
pub const MAX_ASKED: usize = 8;
const LABEL: &[u8] = b"subrosa v2 note";

/// What its sender lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lacks {
    /// The room secret of a newer epoch.
    Secret,
    /// The recipients' chains.
    Chain,
}

/// A note, once it has been opened and its signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The members that it asks, 1 to [`MAX_ASKED`].
    pub to: Vec<Fingerprint>,
    /// The newest epoch that its sender knows.
    pub epoch: u32,
    /// What is missing.
    pub lacks: Lacks,
    /// A fresh leaf to answer to.
    pub leaf: PublicLeaf,
}

#[derive(Serialize)]
struct Written {
    to: Vec<String>,
    epoch: u32,
    lacks: Lacks,
}

impl Note {
    /// Seals it under the keys of its epoch: the string `shared` of a packet.
    ///
    /// # Errors
    /// [`SealedError::Epoch`] if the keys are of another epoch, [`SealedError::Key`] if the cryptographic library
    /// fails.
    pub fn seal(
        &self,
        identity: &Identity,
        root: &VerifyingKey,
        keys: &EpochKeys,
        random: &mut dyn Random,
    ) -> Result<String, SealedError> {
        if keys.epoch() != self.epoch {
            return Err(SealedError::Epoch);
        }
        let to = self.to.iter().map(|member| member.to_base64()).collect();
        let json = serde_json::to_vec(&Written { to, epoch: self.epoch, lacks: self.lacks });
        let json = json.map_err(|_| SealedError::Json)?;
        let signature = identity.sign(&statement(LABEL, root, self.epoch, &self.leaf, &json))?;
        let mut sealed = pad_signed(&signature, &self.leaf, &json);
        let header = Header { epoch: self.epoch }.to_bytes();
        let nonce = random::array::<NONCE_BYTES>(random);
        keys.note()?.seal(nonce, &[LABEL, &header, root.as_bytes()].concat(), &mut sealed)?;
        Ok(to_base64(&[&header[..], &[message::NOTE], &nonce, &sealed].concat()))
    }

    /// Opens a note of the member with this key.
    ///
    /// In this order: base64, version, tag, length, epoch, opening, padding, length, JSON, signature, `to`, `epoch`,
    /// `lacks`.
    ///
    /// # Errors
    /// The [`SealedError`] of the first of these that fails.
    pub fn open(
        shared: &str,
        author: &VerifyingKey,
        root: &VerifyingKey,
        keys: &EpochKeys,
    ) -> Result<Self, SealedError> {
        let shared = Shared::parse(shared)?;
        let message::Part::Note { nonce } = shared.part else {
            return Err(SealedError::Kind);
        };
        if shared.epoch != keys.epoch() {
            return Err(SealedError::Epoch);
        }
        let header = Header { epoch: shared.epoch }.to_bytes();
        let mut opened = Zeroizing::new(shared.sealed);
        let padded = keys.note()?.open(nonce, &[LABEL, &header, root.as_bytes()].concat(), &mut opened)?;
        let (signature, leaf, json) = split_signed(padding::unpad(padded)?)?;
        let object = Object::parse(json)?;
        author.verify(&statement(LABEL, root, shared.epoch, &leaf, json), &signature)?;
        let to = object.field("to")?.list()?;
        if to.is_empty() || to.len() > MAX_ASKED {
            return Err(SealedError::Field);
        }
        let to = to.iter().map(|member| member.array().map(Fingerprint::from_bytes)).collect::<Result<_, _>>()?;
        if object.field("epoch")?.integer(u32::MAX.into())? != u64::from(shared.epoch) {
            return Err(SealedError::Field);
        }
        let lacks = match object.field("lacks")?.text()? {
            "secret" => Lacks::Secret,
            "chain" => Lacks::Chain,
            _ => return Err(SealedError::Field),
        };
        Ok(Self { to, epoch: shared.epoch, lacks, leaf })
    }
}

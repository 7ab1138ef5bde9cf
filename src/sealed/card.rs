//! The member card: who a member is and what it can be sealed to, sealed under the room secret so that the relay, which
//! hands it on, cannot read it.
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Certificate, EpochKeys, Fingerprint, Identity, PublicLeaf, Random, SealedError, VerifyingKey,
    encoding::{Header, from_base64, length_prefixed, to_base64},
    identity::SIGNATURE_BYTES,
    json::Object,
    leaf::LEAF_BYTES,
    name::check_name,
    padding, random,
    secret::{NONCE_BYTES, TAG_BYTES},
};

/// The length of a card, in characters of base64. The relay must take cards of this size.
pub const CARD_CHARS: usize = 2775;
const PADDED: usize = 2048;
const LABEL: &[u8] = b"subrosa v2 card";

/// What a card says, once it has been opened and its signature checked. Its invite has been read but not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The display name.
    pub name: String,
    /// The member's signing key.
    pub key: VerifyingKey,
    /// What the member can be sealed to.
    pub leaf: PublicLeaf,
    /// The invite that the member came by; the creator has none.
    pub invite: Option<Certificate>,
}

#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite: Option<String>,
}

impl Card {
    /// Seals one's own card under the keys of an epoch.
    ///
    /// # Errors
    /// [`SealedError::Name`] for a name that is not allowed, [`SealedError::Key`] if the cryptographic library fails.
    pub fn seal(
        identity: &Identity,
        name: &str,
        leaf: &PublicLeaf,
        invite: Option<&Certificate>,
        root: &VerifyingKey,
        keys: &EpochKeys,
        random: &mut dyn Random,
    ) -> Result<String, SealedError> {
        check_name(name)?;
        let json = Zeroizing::new(
            serde_json::to_vec(&Written {
                name,
                key: to_base64(identity.verifying_key().as_bytes()),
                invite: invite.map(|invite| to_base64(&invite.to_bytes())),
            })
            .map_err(|_| SealedError::Json)?,
        );
        Self::seal_json(identity, &json, leaf, root, keys, random)
    }

    /// Seals `json` as it is: the part below [`seal`](Self::seal), which foreign cards in tests are made with.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn seal_json(
        identity: &Identity,
        json: &[u8],
        leaf: &PublicLeaf,
        root: &VerifyingKey,
        keys: &EpochKeys,
        random: &mut dyn Random,
    ) -> Result<String, SealedError> {
        let signature = identity.sign(&statement(LABEL, root, keys.epoch(), leaf, json))?;
        let mut sealed = pad_signed(&signature, leaf, json);
        let header = Header { epoch: keys.epoch() }.to_bytes();
        let nonce = random::array::<NONCE_BYTES>(random);
        keys.card()?.seal(nonce, &[LABEL, &header].concat(), &mut sealed)?;
        Ok(to_base64(&[&header[..], &nonce, &sealed].concat()))
    }

    /// Opens a card and checks the member's own signature.
    ///
    /// In this order: length in characters, base64, version, epoch, opening, padding, length, JSON, `key`, signature,
    /// `name`, `invite`.
    ///
    /// # Errors
    /// The [`SealedError`] of the first of these that fails.
    pub fn open(card: &str, root: &VerifyingKey, keys: &EpochKeys) -> Result<Self, SealedError> {
        if card.len() != CARD_CHARS {
            return Err(SealedError::Length);
        }
        let bytes = from_base64(card)?;
        let (header, rest) = Header::split(&bytes)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealedError::Length)?;
        if header.epoch != keys.epoch() {
            return Err(SealedError::Epoch);
        }
        let mut opened = Zeroizing::new(sealed.to_vec());
        let padded = keys.card()?.open(*nonce, &[LABEL, &header.to_bytes()].concat(), &mut opened)?;
        let (signature, leaf, json) = split_signed(padding::unpad(padded)?)?;
        let object = Object::parse(json)?;
        let key = VerifyingKey::from_bytes(object.field("key")?.array()?)?;
        key.verify(&statement(LABEL, root, keys.epoch(), &leaf, json), &signature)?;
        let name = object.field("name")?.text()?.to_owned();
        check_name(&name)?;
        let invite = match object.get("invite") {
            None => None,
            Some(invite) => match Certificate::from_bytes(&invite.bytes()?) {
                Err(SealedError::Length) => return Err(SealedError::Field),
                other => Some(other?),
            },
        };
        Ok(Self { name, key, leaf, invite })
    }

    /// The fingerprint of the member.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }
}

/// `pad(signature ‖ leaf generation ‖ leaf ‖ JSON)`, which cards and notes have in common.
pub(super) fn pad_signed(signature: &[u8; SIGNATURE_BYTES], leaf: &PublicLeaf, json: &[u8]) -> Zeroizing<Vec<u8>> {
    padding::pad(&[signature, &leaf.generation.to_be_bytes(), &leaf.key[..], json], PADDED, TAG_BYTES)
}

/// Takes apart what [`pad_signed`] put together, once the padding is off.
pub(super) fn split_signed(plain: &[u8]) -> Result<([u8; SIGNATURE_BYTES], PublicLeaf, &[u8]), SealedError> {
    let (signature, rest) = plain.split_first_chunk().ok_or(SealedError::Length)?;
    let (generation, rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
    let (leaf, json) = rest.split_first_chunk::<LEAF_BYTES>().ok_or(SealedError::Length)?;
    Ok((*signature, PublicLeaf::new(u32::from_be_bytes(*generation), leaf), json))
}

/// What the signature of a card or a note covers.
pub(super) fn statement(
    label: &[u8],
    root: &VerifyingKey,
    epoch: u32,
    leaf: &PublicLeaf,
    json: &[u8],
) -> Zeroizing<Vec<u8>> {
    let (epoch, generation) = (epoch.to_be_bytes(), leaf.generation.to_be_bytes());
    length_prefixed(&[label, root.as_bytes(), &epoch, &generation, &leaf.key[..], json])
}

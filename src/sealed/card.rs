//! The member card: who a member is, sealed under the room secret so that the relay, which hands it on, cannot read it.
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Certificate, Fingerprint, Identity, Random, RoomSecret, SealedError, VerifyingKey,
    encoding::{Header, from_base64, length_prefixed, to_base64},
    fingerprint::sha256,
    identity::SIGNATURE_BYTES,
    json::Object,
    name::check_name,
    padding, random,
    secret::{NONCE_BYTES, TAG_BYTES},
};
use crate::protocol::public_key::PublicKey;

/// The longest card, in characters of base64. (The relay takes up to 4 KiB.)
pub const MAX_CARD_CHARS: usize = 2048;
const LEAST_PADDED: usize = 1024;
const LABEL: &[u8] = b"subrosa v1 card";

/// What a card says, once it has been opened and its signature checked. Its invite has been read but not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The display name.
    pub name: String,
    /// The member's signing key.
    pub key: VerifyingKey,
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
    /// Seals one's own card under the room secret.
    ///
    /// # Errors
    /// [`SealedError::Name`] for a name that is not allowed, [`SealedError::Key`] if the cryptographic library fails.
    pub fn seal(
        identity: &Identity,
        name: &str,
        invite: Option<&Certificate>,
        root: &VerifyingKey,
        secret: &RoomSecret,
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
        Self::seal_json(identity, &json, root, secret, random)
    }

    /// Seals `json` as it is: the part below [`seal`](Self::seal), which foreign cards in tests are made with.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn seal_json(
        identity: &Identity,
        json: &[u8],
        root: &VerifyingKey,
        secret: &RoomSecret,
        random: &mut dyn Random,
    ) -> Result<String, SealedError> {
        let bound = sha256(identity.public_key().pkcs1_der());
        let signature = identity.sign(&length_prefixed(&[LABEL, root.as_bytes(), &bound, json]))?;
        let mut sealed = padding::pad(&[&signature, json], LEAST_PADDED, TAG_BYTES);
        let header = Header { epoch: secret.epoch() }.to_bytes();
        let nonce = random::array::<NONCE_BYTES>(random);
        secret.card_key()?.seal(nonce, &[LABEL, &header, &bound].concat(), &mut sealed)?;
        Ok(to_base64(&[&header[..], &nonce, &sealed].concat()))
    }

    /// Opens the card that the relay handed out with `public_key`, and checks the member's own signature.
    ///
    /// In this order: length in characters, base64, version, length in bytes, epoch, opening, padding, JSON, `key`, signature, `name`,
    /// `invite`.
    ///
    /// # Errors
    /// The [`SealedError`] of the first of these that fails.
    pub fn open(
        card: &str,
        public_key: &PublicKey,
        root: &VerifyingKey,
        secret: &RoomSecret,
    ) -> Result<Self, SealedError> {
        if card.len() > MAX_CARD_CHARS {
            return Err(SealedError::Length);
        }
        let bytes = from_base64(card)?;
        let (header, rest) = Header::split(&bytes)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealedError::Length)?;
        if sealed.len() < LEAST_PADDED + TAG_BYTES {
            return Err(SealedError::Length);
        }
        if header.epoch != secret.epoch() {
            return Err(SealedError::Epoch);
        }
        let bound = sha256(public_key.pkcs1_der());
        let mut opened = Zeroizing::new(sealed.to_vec());
        let padded = secret.card_key()?.open(*nonce, &[LABEL, &header.to_bytes(), &bound].concat(), &mut opened)?;
        let plain = padding::unpad(padded)?;
        let (signature, json) = plain.split_first_chunk::<SIGNATURE_BYTES>().ok_or(SealedError::Length)?;
        let object = Object::parse(json)?;
        let key = VerifyingKey::from_bytes(object.field("key")?.array()?);
        key.verify(&length_prefixed(&[LABEL, root.as_bytes(), &bound, json]), signature)?;
        let name = object.field("name")?.text()?.to_owned();
        check_name(&name)?;
        let invite = match object.get("invite") {
            None => None,
            Some(invite) => match Certificate::from_bytes(&invite.bytes()?) {
                Err(SealedError::Length) => return Err(SealedError::Field),
                other => Some(other?),
            },
        };
        Ok(Self { name, key, invite })
    }

    /// The fingerprint of the member.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }
}

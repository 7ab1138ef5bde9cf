//! The members of the vectors: RSA keys that are checked in (RSA keys cannot be made from a seed here), everything else derived.
use std::collections::BTreeMap;

use rsa::pkcs1::pem::{LineEnding, decode_vec, encode_string};
use serde_json::{Value, json};
use subrosa::sealed::{Identity, encoding::to_base64};

use super::seeded::Seeded;

/// One member's keys.
pub(crate) struct Member {
    /// Ready for use.
    pub(crate) identity: Identity,
    /// The RSA private key as it is checked in.
    pub(crate) rsa_pem: String,
    /// The Ed25519 seed.
    pub(crate) seed: [u8; 32],
}

/// Everyone, by name.
pub(crate) struct Keys(pub(crate) BTreeMap<String, Member>);

impl Keys {
    /// Reads the private RSA keys from `keys.json` and derives the rest.
    pub(crate) fn load(file: &Value) -> Self {
        let members = file["members"].as_object().expect("members");
        Self(
            members
                .iter()
                .map(|(name, member)| {
                    let rsa_pem = member["rsa_pkcs8_pem"].as_str().expect("PEM").to_owned();
                    let (_, der) = decode_vec(rsa_pem.as_bytes()).expect("PEM");
                    let seed = Seeded::new(&format!("ed25519 of {name}")).array();
                    (name.clone(), Member { identity: Identity::from_pkcs8(&der, &seed).expect("key"), rsa_pem, seed })
                })
                .collect(),
        )
    }

    /// One member's keys.
    pub(crate) fn identity(&self, name: &str) -> &Identity {
        &self.0[name].identity
    }

    /// The file as it should be.
    pub(crate) fn to_json(&self) -> Value {
        let members: serde_json::Map<_, _> = self
            .0
            .iter()
            .map(|(name, member)| {
                let key = member.identity.public_key();
                let spki = encode_string("PUBLIC KEY", LineEnding::LF, &key.spki_der()).expect("PEM");
                // RFC 8410: the fixed head of an Ed25519 private key in PKCS#8 version 1, then the seed.
                let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
                let fields = json!({
                    "rsa_pkcs8_pem": member.rsa_pem,
                    "rsa_public_pkcs1_pem": key.pkcs1_pem(),
                    "rsa_public_spki_pem": spki,
                    "rsa_public_pkcs1_der": to_base64(key.pkcs1_der()),
                    "ed25519_seed": to_base64(&member.seed),
                    "ed25519_pkcs8": to_base64(&[&head[..], &member.seed].concat()),
                    "ed25519_public": to_base64(member.identity.verifying_key().as_bytes()),
                    "fingerprint": member.identity.fingerprint().to_base64(),
                });
                (name.clone(), fields)
            })
            .collect();
        json!({ "about": "Keys for tests only: they are public. All names in the other files refer to these.", "members": members })
    }
}

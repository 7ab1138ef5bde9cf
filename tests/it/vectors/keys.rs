//! The members of the vectors. Signing keys come from a seed; leaves, and one encapsulation to each, were made once by another
//! implementation from the seeds beside them, since the cryptographic library takes no seeds.
use std::collections::BTreeMap;

use serde_json::{Value, json};
use subrosa::sealed::{
    Identity, Leaf, PublicLeaf,
    encoding::{from_base64, to_base64},
};

use super::seeded::Seeded;

/// One member's keys.
pub(crate) struct Member {
    /// Ready for use.
    pub(crate) identity: Identity,
    /// The Ed25519 seed.
    seed: [u8; 32],
    /// The leaf and its encapsulation as they are checked in.
    pub(crate) leaf: Value,
}

/// The generation of every leaf in the vectors.
pub(crate) const LEAF_GENERATION: u32 = 3;

impl Member {
    /// The leaf with its private half.
    pub(crate) fn leaf(&self) -> Leaf {
        Leaf::from_bytes(LEAF_GENERATION, &self.bytes("mlkem"), &self.bytes("x25519")).expect("a leaf")
    }

    /// The public leaf.
    pub(crate) fn public_leaf(&self) -> PublicLeaf {
        self.leaf().public().clone()
    }

    /// An encapsulation to the leaf, and its shared secret.
    pub(crate) fn encapsulation(&self) -> (Vec<u8>, Vec<u8>) {
        (self.bytes("enc"), self.bytes("shared_secret"))
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        from_base64(self.leaf[field].as_str().expect("text")).expect("base64")
    }
}

/// Everyone, by name.
pub(crate) struct Keys(pub(crate) BTreeMap<String, Member>);

impl Keys {
    /// Reads the leaves from `keys.json` and derives the rest.
    pub(crate) fn load(file: &Value) -> Self {
        let members = file["members"].as_object().expect("members");
        let member = |(name, member): (&String, &Value)| {
            let seed = Seeded::new(&format!("ed25519 of {name}")).array();
            let identity = Identity::from_seed(&seed).expect("key");
            (name.clone(), Member { identity, seed, leaf: member["leaf"].clone() })
        };
        Self(members.iter().map(member).collect())
    }

    /// One member's signing key.
    pub(crate) fn identity(&self, name: &str) -> &Identity {
        &self.0[name].identity
    }

    /// The file as it should be.
    pub(crate) fn to_json(&self) -> Value {
        let members: serde_json::Map<_, _> = self
            .0
            .iter()
            .map(|(name, member)| {
                // RFC 8410: the fixed head of an Ed25519 private key in PKCS#8 version 1, then the seed.
                let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
                let fields = json!({
                    "ed25519_seed": to_base64(&member.seed),
                    "ed25519_pkcs8": to_base64(&[&head[..], &member.seed].concat()),
                    "ed25519_public": to_base64(member.identity.verifying_key().as_bytes()),
                    "fingerprint": member.identity.fingerprint().to_base64(),
                    "leaf": member.leaf,
                });
                (name.clone(), fields)
            })
            .collect();
        json!({ "about": "Keys for tests only: they are public. All names in the other files refer to these.", "members": members })
    }
}

//! Leaves: the keys that members are sealed to. X-Wing (draft-connolly-cfrg-xwing-kem; HPKE's KEM 0x647A): ML-KEM-768
//! and X25519 at once, so that either may fall.
//!
//! A member replaces its leaf from time to time and wipes the old one; what was handed to it before cannot be opened
//! any more.
use aws_lc_rs::{
    agreement::{self, PrivateKey, UnparsedPublicKey, X25519},
    digest::{self, SHA3_256},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768},
};
use zeroize::Zeroizing;

use super::{SealedError, secret::Secret32};

/// Bytes of a public leaf: ML-KEM-768 (FIPS 203), then X25519 (RFC 7748).
pub const LEAF_BYTES: usize = ML_KEM_PUBLIC + X25519_BYTES;
/// Bytes of an encapsulation: ML-KEM-768, then X25519.
pub const ENC_BYTES: usize = ML_KEM_CIPHERTEXT + X25519_BYTES;
const ML_KEM_PUBLIC: usize = 1184;
const ML_KEM_CIPHERTEXT: usize = 1088;
const X25519_BYTES: usize = 32;
const LABEL: &[u8] = br"\.//^\";

/// A member's public leaf, with its generation: how many leaves the member had before.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicLeaf {
    /// Counts the member's leaves, from 0.
    pub generation: u32,
    /// The key itself.
    pub key: Box<[u8; LEAF_BYTES]>,
}

impl PublicLeaf {
    /// From its generation and bytes. Whether the bytes are a key shows when something is sealed to it.
    pub fn new(generation: u32, key: &[u8; LEAF_BYTES]) -> Self {
        Self { generation, key: Box::new(*key) }
    }

    /// A fresh shared secret, and what carries it to the leaf's holder.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the bytes are no key, or the cryptographic library fails.
    pub(crate) fn encapsulate(&self) -> Result<(Box<[u8; ENC_BYTES]>, Secret32), SealedError> {
        let (ml_kem, x25519) = self.key.split_at(ML_KEM_PUBLIC);
        let ml_kem = EncapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| SealedError::Key)?;
        let (ciphertext, shared_m) = ml_kem.encapsulate().map_err(|_| SealedError::Key)?;
        let ephemeral = PrivateKey::generate(&X25519).map_err(|_| SealedError::Key)?;
        let sent = ephemeral.compute_public_key().map_err(|_| SealedError::Key)?;
        let shared_x = agree(&ephemeral, x25519).ok_or(SealedError::Key)?;
        let mut enc = Box::new([0; ENC_BYTES]);
        enc[..ML_KEM_CIPHERTEXT].copy_from_slice(ciphertext.as_ref());
        enc[ML_KEM_CIPHERTEXT..].copy_from_slice(sent.as_ref());
        Ok((enc, combine(shared_m.as_ref(), &*shared_x, sent.as_ref(), x25519)?))
    }
}

/// Its generation.
impl std::fmt::Debug for PublicLeaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicLeaf").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// The private half of a leaf. The cryptographic library holds it and wipes it when it frees it.
pub struct Leaf {
    ml_kem: DecapsulationKey,
    x25519: PrivateKey,
    public: PublicLeaf,
}

impl Leaf {
    /// A fresh one, with the system's randomness.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library cannot make one.
    pub fn generate(generation: u32) -> Result<Self, SealedError> {
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| SealedError::Key)?;
        let x25519 = PrivateKey::generate(&X25519).map_err(|_| SealedError::Key)?;
        let public = ml_kem.encapsulation_key().and_then(|key| key.key_bytes()).map_err(|_| SealedError::Key)?;
        Self::from_halves(generation, ml_kem, x25519, public.as_ref())
    }

    /// Takes given keys: ML-KEM-768's expanded decapsulation key (2,400 bytes, which hold the public key) and X25519's
    /// scalar (32 bytes).
    ///
    /// # Errors
    /// [`SealedError::Key`] if one of them is no such key.
    pub fn from_bytes(generation: u32, ml_kem: &[u8], x25519: &[u8]) -> Result<Self, SealedError> {
        // FIPS 203, section 7.1: the secret vector (1,152 bytes), then the encapsulation key, its hash, and a secret.
        let public = ml_kem.get(1152..1152 + ML_KEM_PUBLIC).ok_or(SealedError::Key)?;
        let private = DecapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| SealedError::Key)?;
        let x25519 = PrivateKey::from_private_key(&X25519, x25519).map_err(|_| SealedError::Key)?;
        Self::from_halves(generation, private, x25519, public)
    }

    fn from_halves(
        generation: u32,
        ml_kem: DecapsulationKey,
        x25519: PrivateKey,
        public: &[u8],
    ) -> Result<Self, SealedError> {
        let mut key = Box::new([0; LEAF_BYTES]);
        key[..ML_KEM_PUBLIC].copy_from_slice(public);
        let public = x25519.compute_public_key().map_err(|_| SealedError::Key)?;
        key[ML_KEM_PUBLIC..].copy_from_slice(public.as_ref());
        Ok(Self { ml_kem, x25519, public: PublicLeaf { generation, key } })
    }

    /// The public half.
    pub fn public(&self) -> &PublicLeaf {
        &self.public
    }

    /// The shared secret that an encapsulation carries.
    ///
    /// # Errors
    /// [`SealedError::Hand`], also where X25519 gives zero.
    pub(crate) fn decapsulate(&self, enc: &[u8; ENC_BYTES]) -> Result<Secret32, SealedError> {
        let (ciphertext, sent) = enc.split_at(ML_KEM_CIPHERTEXT);
        let shared_m = self.ml_kem.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| SealedError::Hand)?;
        let shared_x = agree(&self.x25519, sent).ok_or(SealedError::Hand)?;
        combine(shared_m.as_ref(), &*shared_x, sent, &self.public.key[ML_KEM_PUBLIC..])
    }

    /// X25519's private scalar, for comparing with test vectors.
    #[cfg(test)]
    fn scalar(&self) -> Zeroizing<Vec<u8>> {
        use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin};
        let bytes: Curve25519SeedBin<'_> = self.x25519.as_be_bytes().unwrap();
        Zeroizing::new(bytes.as_ref().to_vec())
    }
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf").field("generation", &self.public.generation).finish_non_exhaustive()
    }
}

/// X25519 (RFC 7748); nothing if the result is all zero, which the library refuses.
fn agree(private: &PrivateKey, public: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    agreement::agree(private, UnparsedPublicKey::new(&X25519, public), (), |shared| {
        shared.try_into().map(Zeroizing::new).map_err(|_| ())
    })
    .ok()
}

/// X-Wing's combiner: `SHA3-256(ss_M ‖ ss_X ‖ ct_X ‖ pk_X ‖ label)`.
fn combine(shared_m: &[u8], shared_x: &[u8], sent_x: &[u8], public_x: &[u8]) -> Result<Secret32, SealedError> {
    let mut context = digest::Context::new(&SHA3_256);
    for part in [shared_m, shared_x, sent_x, public_x, LABEL] {
        context.update(part);
    }
    Secret32::from_slice(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The draft's vectors. Each private key has been expanded from its seed, since the library takes no seeds.
    #[test]
    fn the_published_vectors_pass() {
        let file: Value = serde_json::from_str(include_str!("../../tests/vectors/x-wing.json")).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert!(cases.len() >= 3);
        for case in cases {
            let leaf = Leaf::from_bytes(0, &bytes(&case["ml_kem"]), &bytes(&case["x25519"])).unwrap();
            assert_eq!(leaf.public().key[..], bytes(&case["pk"]));
            let enc = bytes(&case["ct"]).try_into().unwrap();
            assert_eq!(leaf.decapsulate(&enc).unwrap().expose()[..], bytes(&case["ss"]));
        }
    }

    #[test]
    fn what_is_sealed_to_a_leaf_opens_there_alone() {
        let (mine, other) = (Leaf::generate(0).unwrap(), Leaf::generate(1).unwrap());
        let (enc, shared) = mine.public().encapsulate().unwrap();
        assert_eq!(mine.decapsulate(&enc).unwrap().expose(), shared.expose());
        assert_ne!(other.decapsulate(&enc).unwrap().expose(), shared.expose());
        let again = Leaf::from_bytes(0, mine.ml_kem.key_bytes().unwrap().as_ref(), &mine.scalar()).unwrap();
        assert_eq!(again.decapsulate(&enc).unwrap().expose(), shared.expose());
        let mut zero = enc.clone();
        zero[ML_KEM_CIPHERTEXT..].fill(0);
        assert!(matches!(mine.decapsulate(&zero), Err(SealedError::Hand)));
        let no_key = PublicLeaf::new(0, &[0xff; LEAF_BYTES]);
        assert!(matches!(no_key.encapsulate(), Err(SealedError::Key)));
    }
}

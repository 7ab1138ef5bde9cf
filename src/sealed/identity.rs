//! The key that one membership signs with. Made fresh for a room and wiped with it.
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::{Fingerprint, Random, SealedError, random};

/// Bytes of an Ed25519 signature (RFC 8032).
pub const SIGNATURE_BYTES: usize = 64;

/// A member's public Ed25519 key (RFC 8032, 32 bytes). The creator's is the room's `root`.
///
/// Encodings that verifiers treat differently are refused: those beyond the prime, and points of small order, under
/// which one signature may hold for every message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// [`SealedError::Key`] for an encoding that is not canonical or a point of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, SealedError> {
        if is_weak(&bytes) { Err(SealedError::Key) } else { Ok(Self(bytes)) }
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The fingerprint of the member that signs with it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_key(&self.0)
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// [`SealedError::Signature`], also if its `R` is not canonical or of small order.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SealedError> {
        let r = signature.first_chunk::<32>().ok_or(SealedError::Signature)?;
        if is_weak(r) {
            return Err(SealedError::Signature);
        }
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).map_err(|_| SealedError::Signature)
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({:?})", self.fingerprint())
    }
}

/// The `y` of the points of order 8, little-endian. The other points of small order have a `y` of 0, 1 or −1.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Whether an encoded point is not canonical (its `y` is 2²⁵⁵−19 or more) or of small order. The bytes are public.
fn is_weak(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    let middle = |value: u8| y[1..31].iter().all(|&byte| byte == value);
    let near_zero = y[0] <= 1 && y[31] == 0 && middle(0);
    let from_minus_one_on = y[0] >= 0xec && y[31] == 0x7f && middle(0xff);
    near_zero || from_minus_one_on || ORDER_8.contains(&y)
}

/// The private key of one membership. The cryptographic library holds it and wipes it when it frees it.
pub struct Identity {
    signing: Ed25519KeyPair,
    verifying_key: VerifyingKey,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Makes a fresh key.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library cannot make one.
    pub fn generate(random: &mut dyn Random) -> Result<Self, SealedError> {
        Self::from_seed(&Zeroizing::new(random::array::<32>(random)))
    }

    /// Takes a given key, as its 32-byte seed.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library refuses it.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SealedError> {
        let signing = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SealedError::Key)?;
        let public = signing.public_key().as_ref().try_into().map_err(|_| SealedError::Key)?;
        let verifying_key = VerifyingKey::from_bytes(public)?;
        Ok(Self { signing, verifying_key, fingerprint: verifying_key.fingerprint() })
    }

    /// The public signing key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// The fingerprint of this membership.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Signs `message` (Ed25519, deterministic).
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SealedError> {
        let signature = self.signing.try_sign(message).map_err(|_| SealedError::Key)?;
        signature.as_ref().try_into().map_err(|_| SealedError::Key)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::SystemRandom;

    #[test]
    fn fresh_keys_work_and_show_nothing() {
        let identity = Identity::generate(&mut SystemRandom).unwrap();
        let signature = identity.sign(b"tea").unwrap();
        identity.verifying_key().verify(b"tea", &signature).unwrap();
        assert_eq!(identity.verifying_key().verify(b"pea", &signature), Err(SealedError::Signature));
        let shown = format!("{identity:#?}");
        assert!(shown.contains("fingerprint") && !shown.contains("signing"), "{shown}");
    }

    #[test]
    fn weak_points_are_refused_as_keys_and_in_signatures() {
        let mut weak: Vec<[u8; 32]> = ORDER_8.to_vec();
        for low in [0, 1, 0xec, 0xed, 0xee, 0xff] {
            let fill = if low < 2 { 0 } else { 0xff };
            let mut point = [fill; 32];
            (point[0], point[31]) = (low, fill & 0x7f);
            weak.push(point);
        }
        let identity = Identity::generate(&mut SystemRandom).unwrap();
        for mut point in weak {
            for sign in [0, 0x80] {
                point[31] = point[31] & 0x7f | sign;
                assert_eq!(VerifyingKey::from_bytes(point), Err(SealedError::Key), "{point:02x?}");
                let signature = [&point[..], &[0; 32]].concat();
                assert_eq!(identity.verifying_key().verify(b"tea", &signature), Err(SealedError::Signature));
            }
        }
        let mut good = [0xff; 32];
        (good[0], good[31]) = (0xeb, 0x7f);
        assert!(VerifyingKey::from_bytes(good).is_ok());
    }
}

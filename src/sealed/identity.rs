//! The keys of one membership: RSA to be written to, Ed25519 to sign with. Made fresh for a room and wiped with it.
use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use zeroize::Zeroizing;

use super::{Fingerprint, Random, SealedError, random, secret::ContentKey};
use crate::protocol::public_key::PublicKey;

/// Bytes of an Ed25519 signature (RFC 8032).
pub const SIGNATURE_BYTES: usize = 64;

/// A member's public Ed25519 key (RFC 8032, 32 bytes). The creator's is the room's `root`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// From its 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The fingerprint of the member who signs with it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_key(&self.0)
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// [`SealedError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SealedError> {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).map_err(|_| SealedError::Signature)
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({:?})", self.fingerprint())
    }
}

/// The private keys of one membership. The cryptographic library holds them and wipes them when it frees them.
pub struct Identity {
    rsa: OaepPrivateDecryptingKey,
    signing: Ed25519KeyPair,
    public_key: PublicKey,
    verifying_key: VerifyingKey,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Makes fresh keys: RSA with 3,072 bits, and Ed25519. Takes a few tenths of a second: run it on a blocking thread.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library cannot make one.
    pub fn generate(random: &mut dyn Random) -> Result<Self, SealedError> {
        let rsa = PrivateDecryptingKey::generate(KeySize::Rsa3072).map_err(|_| SealedError::Key)?;
        let seed = Zeroizing::new(random::array::<32>(random));
        Self::from_keys(rsa, &seed)
    }

    /// Takes given keys: RSA as the DER of PKCS#8 (RFC 5208), Ed25519 as its 32-byte seed.
    ///
    /// # Errors
    /// [`SealedError::Key`] if one of them is no such key or the RSA key is out of bounds.
    pub fn from_pkcs8(rsa: &[u8], seed: &[u8; 32]) -> Result<Self, SealedError> {
        Self::from_keys(PrivateDecryptingKey::from_pkcs8(rsa).map_err(|_| SealedError::Key)?, seed)
    }

    fn from_keys(rsa: PrivateDecryptingKey, seed: &[u8; 32]) -> Result<Self, SealedError> {
        let spki = rsa.public_key().as_der().map_err(|_| SealedError::Key)?;
        let public_key = PublicKey::from_spki_der(spki.as_ref()).map_err(|_| SealedError::Key)?;
        let signing = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SealedError::Key)?;
        let verifying_key = VerifyingKey(signing.public_key().as_ref().try_into().map_err(|_| SealedError::Key)?);
        Ok(Self {
            rsa: OaepPrivateDecryptingKey::new(rsa).map_err(|_| SealedError::Key)?,
            signing,
            public_key,
            verifying_key,
            fingerprint: verifying_key.fingerprint(),
        })
    }

    /// The public RSA key; its PEM is what the protocol calls the member's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
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

    /// Takes a message's key out of what was sealed to this member's RSA key. A private-key operation: 0.2 to 1 ms.
    ///
    /// # Errors
    /// [`SealedError::KeyDoesNotOpen`], whatever the reason.
    pub fn unwrap_key(&self, sealed: &[u8]) -> Result<ContentKey, SealedError> {
        let mut out = Zeroizing::new(vec![0; self.rsa.min_output_size()]);
        let opened = self
            .rsa
            .decrypt(&OAEP_SHA256_MGF1SHA256, sealed, &mut out, None)
            .map_err(|_| SealedError::KeyDoesNotOpen)?;
        ContentKey::from_slice(opened).map_err(|_| SealedError::KeyDoesNotOpen)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Another member's RSA key, ready to be sealed to.
pub struct RecipientKey(OaepPublicEncryptingKey);

impl RecipientKey {
    /// Hands a checked key to the cryptographic library.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the library refuses it.
    pub fn new(key: &PublicKey) -> Result<Self, SealedError> {
        let key = PublicEncryptingKey::from_der(&key.spki_der()).map_err(|_| SealedError::Key)?;
        OaepPublicEncryptingKey::new(key).map(Self).map_err(|_| SealedError::Key)
    }

    /// Seals a message's key to the member: RSA-OAEP (RFC 8017, 7.1) with SHA-256 for both hashes and an empty label.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub fn wrap(&self, cek: &ContentKey) -> Result<Vec<u8>, SealedError> {
        let mut out = vec![0; self.0.ciphertext_size()];
        let wrapped = self.0.encrypt(&OAEP_SHA256_MGF1SHA256, cek.expose(), &mut out, None);
        let length = wrapped.map_err(|_| SealedError::Key)?.len();
        out.truncate(length);
        Ok(out)
    }
}

impl std::fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecipientKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::SystemRandom;

    #[test]
    fn fresh_keys_work_and_show_nothing() {
        let mut random = SystemRandom;
        let identity = Identity::generate(&mut random).unwrap();
        let cek = ContentKey::generate(&mut random);
        let sealed = RecipientKey::new(identity.public_key()).unwrap().wrap(&cek).unwrap();
        assert_eq!(identity.unwrap_key(&sealed).unwrap().expose(), cek.expose());
        assert_eq!(identity.unwrap_key(&sealed[1..]).unwrap_err(), SealedError::KeyDoesNotOpen);
        let signature = identity.sign(b"tea").unwrap();
        identity.verifying_key().verify(b"tea", &signature).unwrap();
        assert_eq!(identity.verifying_key().verify(b"pea", &signature), Err(SealedError::Signature));
        let shown = format!("{identity:#?}");
        assert!(shown.contains("fingerprint") && !shown.contains("rsa"), "{shown}");
    }
}

//! The RSA public key that a member brings: parsed, bounded and brought into one form.
//!
//! Clients send PKCS#1 (`BEGIN RSA PUBLIC KEY`) or SPKI (`BEGIN PUBLIC KEY`) in PEM. A receiver, relay or
//! member, puts it through [`PublicKey::from_pem`], which goes from cheap to dear: length of the text, PEM armour, DER
//! structure, size and exponent, and only then the number itself. What comes out is the one PKCS#1 encoding of that
//! key, so equal keys have equal bytes whatever armour they came in.
use rsa::{
    pkcs1::{ALGORITHM_ID, LineEnding, RsaPublicKeyRef, pem},
    pkcs8::{
        SubjectPublicKeyInfoRef,
        der::{
            Decode, Encode,
            asn1::{BitStringRef, UintRef},
        },
    },
};

/// The longest PEM text that is looked at, in bytes. A 4096-bit key in SPKI takes about 800.
pub const MAX_PEM_BYTES: usize = 2048;
/// The smallest modulus accepted, in bits.
pub const MIN_BITS: usize = 2048;
/// The largest modulus accepted, in bits.
pub const MAX_BITS: usize = 4096;

const EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];
const PKCS1_LABEL: &str = "RSA PUBLIC KEY";
const SPKI_LABEL: &str = "PUBLIC KEY";

/// Why a public key was refused. None of them repeats what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The text is longer than [`MAX_PEM_BYTES`].
    #[error("the public key is longer than {MAX_PEM_BYTES} bytes")]
    TooLong,
    /// Not PEM (RFC 7468), or a label other than `RSA PUBLIC KEY` and `PUBLIC KEY`.
    #[error("the public key is not PEM of type RSA PUBLIC KEY or PUBLIC KEY")]
    NotPem,
    /// Not an RSA public key in DER: PKCS#1 (RFC 8017, A.1.1) or SPKI (RFC 5280, 4.1.2.7) with `rsaEncryption`.
    #[error("the public key is not an RSA key in PKCS#1 or SPKI")]
    NotRsa,
    /// The modulus has less than [`MIN_BITS`] or more than [`MAX_BITS`] bits.
    #[error("the public key must have {MIN_BITS} to {MAX_BITS} bits")]
    Size,
    /// The public exponent is not 65537.
    #[error("the public exponent must be 65537")]
    Exponent,
    /// The modulus cannot be one: it is even.
    #[error("the public key's modulus is not possible")]
    Modulus,
}

/// A checked RSA public key: 2048 to 4096 bits, exponent 65537, odd modulus.
///
/// It holds the DER of its PKCS#1 form (270 to 526 bytes); two of them are equal exactly when the keys are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    pkcs1: Box<[u8]>,
}

impl PublicKey {
    /// Reads a key from PEM of either kind, checking bounds before any arithmetic.
    ///
    /// # Errors
    /// One of [`PublicKeyError`], in the order in which they are declared.
    pub fn from_pem(text: &str) -> Result<Self, PublicKeyError> {
        if text.len() > MAX_PEM_BYTES {
            return Err(PublicKeyError::TooLong);
        }
        let (label, der) = pem::decode_vec(text.as_bytes()).map_err(|_| PublicKeyError::NotPem)?;
        match label {
            PKCS1_LABEL => Self::from_pkcs1_der(&der),
            SPKI_LABEL => Self::from_spki_der(&der),
            _ => Err(PublicKeyError::NotPem),
        }
    }

    /// Reads a key from the DER of its PKCS#1 form (RFC 8017, A.1.1).
    ///
    /// # Errors
    /// [`PublicKeyError::TooLong`], [`NotRsa`](PublicKeyError::NotRsa), [`Size`](PublicKeyError::Size),
    /// [`Exponent`](PublicKeyError::Exponent) or [`Modulus`](PublicKeyError::Modulus).
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        if der.len() > MAX_PEM_BYTES {
            return Err(PublicKeyError::TooLong);
        }
        let key = RsaPublicKeyRef::from_der(der).map_err(|_| PublicKeyError::NotRsa)?;
        check(key.modulus, key.public_exponent)?;
        Ok(Self { pkcs1: der.into() })
    }

    /// Reads a key from the DER of its SPKI form (RFC 5280, 4.1.2.7), with the algorithm `rsaEncryption` and NULL
    /// parameters.
    ///
    /// # Errors
    /// As [`PublicKey::from_pkcs1_der`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        if der.len() > MAX_PEM_BYTES {
            return Err(PublicKeyError::TooLong);
        }
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| PublicKeyError::NotRsa)?;
        if spki.algorithm != ALGORITHM_ID {
            return Err(PublicKeyError::NotRsa);
        }
        Self::from_pkcs1_der(spki.subject_public_key.as_bytes().ok_or(PublicKeyError::NotRsa)?)
    }

    /// The DER of the PKCS#1 form: what fingerprints and cards bind ("RSA DER").
    pub fn pkcs1_der(&self) -> &[u8] {
        &self.pkcs1
    }

    /// The PKCS#1 form as PEM (`BEGIN RSA PUBLIC KEY`), 64 characters a line, each ended by a line feed: what the relay
    /// sends on.
    pub fn pkcs1_pem(&self) -> String {
        pem::encode_string(PKCS1_LABEL, LineEnding::LF, &self.pkcs1)
            .unwrap_or_else(|_| unreachable!("a few hundred bytes always fit into PEM"))
    }

    /// The DER of the SPKI form, which most cryptographic libraries import.
    pub fn spki_der(&self) -> Vec<u8> {
        BitStringRef::from_bytes(&self.pkcs1)
            .and_then(|key| SubjectPublicKeyInfoRef { algorithm: ALGORITHM_ID, subject_public_key: key }.to_der())
            .unwrap_or_else(|_| unreachable!("a few hundred bytes always fit into DER"))
    }
}

/// Shows the size only: a key in a log would be a name for its member.
impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} bytes)", self.pkcs1.len())
    }
}

fn check(modulus: UintRef<'_>, exponent: UintRef<'_>) -> Result<(), PublicKeyError> {
    // DER integers carry no leading zeros here, so the first byte tells the size.
    let bytes = modulus.as_bytes();
    let bits = bytes.len() * 8 - bytes.first().map_or(0, |b| b.leading_zeros() as usize);
    if !(MIN_BITS..=MAX_BITS).contains(&bits) {
        return Err(PublicKeyError::Size);
    }
    if exponent.as_bytes() != EXPONENT {
        return Err(PublicKeyError::Exponent);
    }
    // The relay never calculates with the key. Setting up the arithmetic would cost a stranger's join ten times as
    // much.
    match bytes.last() {
        Some(last) if last & 1 == 1 => Ok(()),
        _ => Err(PublicKeyError::Modulus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of the given size that is odd, which is all that a public key shows of itself.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut n = vec![0xa5; bits.div_ceil(8)];
        n[0] = if bits.is_multiple_of(8) { 0xc3 } else { (1 << (bits % 8)) - 1 };
        if let Some(last) = n.last_mut() {
            *last |= 1;
        }
        n
    }

    fn pkcs1(n: &[u8], e: &[u8]) -> Vec<u8> {
        RsaPublicKeyRef { modulus: UintRef::new(n).unwrap(), public_exponent: UintRef::new(e).unwrap() }
            .to_der()
            .unwrap()
    }

    fn armour(label: &'static str, der: &[u8]) -> String {
        pem::encode_string(label, LineEnding::LF, der).unwrap()
    }

    #[test]
    fn both_forms_give_the_same_key() {
        for bits in [2048, 3072, 4096] {
            let der = pkcs1(&modulus(bits), &EXPONENT);
            let plain = PublicKey::from_pem(&armour(PKCS1_LABEL, &der)).unwrap();
            assert_eq!(plain.pkcs1_der(), der);
            let spki = plain.spki_der();
            assert_eq!(spki.len(), der.len() + 24, "the SPKI head is 24 bytes");
            assert_eq!(PublicKey::from_pem(&armour(SPKI_LABEL, &spki)).unwrap(), plain);
            assert_eq!(PublicKey::from_pem(&plain.pkcs1_pem()).unwrap(), plain);
            assert!(plain.pkcs1_pem().starts_with("-----BEGIN RSA PUBLIC KEY-----\n"));
            assert_eq!(PublicKey::from_pem(&plain.pkcs1_pem().replace('\n', "\r\n")).unwrap(), plain);
        }
    }

    #[test]
    fn sizes_and_exponents_are_bounded() {
        let with = |bits, e: &[u8]| PublicKey::from_pkcs1_der(&pkcs1(&modulus(bits), e));
        for bits in [1024, 2040, 2047, 4097, 8192] {
            assert_eq!(with(bits, &EXPONENT).unwrap_err(), PublicKeyError::Size, "{bits}");
        }
        assert!(with(2049, &EXPONENT).is_ok());
        for e in [&[1][..], &[3], &[1, 0, 0], &[1, 0, 1, 1], &[1, 0, 0, 0, 1]] {
            assert_eq!(with(2048, e).unwrap_err(), PublicKeyError::Exponent);
        }
        let mut even = modulus(2048);
        even[255] = 2;
        assert_eq!(PublicKey::from_pkcs1_der(&pkcs1(&even, &EXPONENT)).unwrap_err(), PublicKeyError::Modulus);
    }

    #[test]
    fn wrong_armour_and_wrong_insides_are_told_apart() {
        let der = pkcs1(&modulus(2048), &EXPONENT);
        let good = armour(PKCS1_LABEL, &der);
        let long = format!("{good}{}", "\n".repeat(MAX_PEM_BYTES));
        assert_eq!(PublicKey::from_pem(&long).unwrap_err(), PublicKeyError::TooLong);
        assert_eq!(PublicKey::from_pem(&"x".repeat(MAX_PEM_BYTES)).unwrap_err(), PublicKeyError::NotPem);
        assert_eq!(PublicKey::from_pem(&"x".repeat(MAX_PEM_BYTES + 1)).unwrap_err(), PublicKeyError::TooLong);
        for read in [PublicKey::from_pkcs1_der, PublicKey::from_spki_der] {
            assert_eq!(read(&vec![0; MAX_PEM_BYTES]).unwrap_err(), PublicKeyError::NotRsa);
            assert_eq!(read(&vec![0; MAX_PEM_BYTES + 1]).unwrap_err(), PublicKeyError::TooLong);
        }
        for text in ["", "ssh-rsa AAAA", &good[..good.len() / 2], &armour("CERTIFICATE", &der)] {
            assert_eq!(PublicKey::from_pem(text).unwrap_err(), PublicKeyError::NotPem);
        }
        assert_eq!(PublicKey::from_pem(&armour(SPKI_LABEL, &der)).unwrap_err(), PublicKeyError::NotRsa);
        let trailing = [&der[..], &[0]].concat();
        assert_eq!(PublicKey::from_pem(&armour(PKCS1_LABEL, &trailing)).unwrap_err(), PublicKeyError::NotRsa);
        let mut other = PublicKey::from_pem(&good).unwrap().spki_der();
        // The last byte of the object identifier: rsaEncryption is .1, RSASSA-PSS is .10.
        other[16] = 10;
        assert_eq!(PublicKey::from_spki_der(&other).unwrap_err(), PublicKeyError::NotRsa);
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PublicKey::from_pkcs1_der(&pkcs1(&modulus(2048), &EXPONENT)).unwrap();
        assert_eq!(format!("{key:?}"), "PublicKey(270 bytes)");
    }

    proptest::proptest! {
        #[test]
        fn mutated_keys_never_panic(at in 0usize..400, to in 0u8..128, cut in 0usize..500) {
            let good = armour(PKCS1_LABEL, &pkcs1(&modulus(2048), &EXPONENT));
            let mut bytes = good.into_bytes();
            let at = at % bytes.len();
            bytes[at] = to;
            bytes.truncate(bytes.len() - cut % bytes.len());
            let text = String::from_utf8(bytes).unwrap();
            if let Ok(key) = PublicKey::from_pem(&text) {
                proptest::prop_assert_eq!(PublicKey::from_pem(&key.pkcs1_pem()).unwrap(), key);
            }
        }
    }
}

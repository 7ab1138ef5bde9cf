//! RSA public keys of any size and exponent. They are numbers of the right form that nobody has a private key to.

use rsa::pkcs1::RsaPublicKeyRef;
use rsa::pkcs8::der::{Encode, asn1::UintRef};
use subrosa::protocol::public_key::PublicKey;

/// A key that the server takes, in PKCS#1 PEM; another one for every `salt`.
pub(crate) fn public_key(salt: u8) -> String {
    PublicKey::from_pkcs1_der(&der(2048, salt, &[1, 0, 1])).unwrap().pkcs1_pem()
}

/// The PKCS#1 DER of a key with a modulus of `bits`.
pub(crate) fn der(bits: usize, salt: u8, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xa5; bits / 8];
    modulus[0] = 0xc3;
    modulus[1] = salt;
    if let Some(last) = modulus.last_mut() {
        *last |= 1;
    }
    let key =
        RsaPublicKeyRef { modulus: UintRef::new(&modulus).unwrap(), public_exponent: UintRef::new(exponent).unwrap() };
    key.to_der().unwrap()
}

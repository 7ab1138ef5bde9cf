//! Public keys in the other forms of PEM.

use rsa::pkcs1::{LineEnding, pem};
use subrosa::protocol::public_key::PublicKey;

use super::keys::der;

/// The key [`public_key`](super::keys::public_key) of this `salt`, in SPKI PEM.
pub(crate) fn public_key_spki(salt: u8) -> String {
    armour("PUBLIC KEY", &PublicKey::from_pkcs1_der(&der(2048, salt, &[1, 0, 1])).unwrap().spki_der())
}

/// PEM with this label.
pub(crate) fn armour(label: &'static str, der: &[u8]) -> String {
    pem::encode_string(label, LineEnding::LF, der).unwrap()
}

//! The end-to-end scheme with fixed keys and counted randomness, so that every run does the same.

use std::hint::black_box;

use serde_json::Value;
use subrosa::sealed::identity::RecipientKey;
use subrosa::sealed::message::{Sealed, Signed, open};
use subrosa::sealed::{Identity, Random, RoomSecret, padding as pads};

/// Keys for tests only.
const KEYS: &str = include_str!("../../tests/vectors/keys.json");
/// A message of a few lines.
const PLAIN: &[u8] = &[b'x'; 512];

/// Counts up: as good as any other randomness for what is measured.
struct Counted(u8);

impl Random for Counted {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

/// The first of the test keys.
fn identity() -> Identity {
    let keys: Value = serde_json::from_str(KEYS).expect("JSON");
    let pem = keys["members"].as_object().and_then(|members| members.values().next()).expect("a member");
    let pem = pem["rsa_pkcs8_pem"].as_str().expect("PEM");
    let (_, der) = rsa::pkcs1::pem::decode_vec(pem.as_bytes()).expect("PEM");
    Identity::from_pkcs8(&der, &[7; 32]).expect("a key")
}

fn sealed_by(identity: &Identity, secret: &RoomSecret) -> Sealed {
    let root = identity.verifying_key();
    let signed = Signed::sign(identity, root, PLAIN).expect("a signature");
    signed.seal(root, secret, &mut Counted(0)).expect("a sealed message")
}

pub(super) fn sign_and_seal() -> Box<dyn FnMut()> {
    let (identity, secret) = (identity(), RoomSecret::generate(1, &mut Counted(0)));
    Box::new(move || drop(black_box(sealed_by(&identity, &secret))))
}

pub(super) fn wrap() -> Box<dyn FnMut()> {
    let identity = identity();
    let recipient = RecipientKey::new(identity.public_key()).expect("a key");
    let sealed = sealed_by(&identity, &RoomSecret::generate(1, &mut Counted(0)));
    Box::new(move || drop(black_box(sealed.content_for(&recipient))))
}

pub(super) fn open_and_verify() -> Box<dyn FnMut()> {
    let (identity, secret) = (identity(), RoomSecret::generate(1, &mut Counted(0)));
    let sealed = sealed_by(&identity, &secret);
    let recipient = RecipientKey::new(identity.public_key()).expect("a key");
    let content = sealed.content_for(&recipient).expect("a wrapped key");
    Box::new(move || {
        let root = identity.verifying_key();
        let signed = open(&content, sealed.shared(), &identity, root, &secret).expect("a message");
        assert_eq!(signed.verify(root, root).map(<[u8]>::len), Ok(PLAIN.len()));
    })
}

pub(super) fn padding() -> Box<dyn FnMut()> {
    let text = vec![b'x'; 16 * 1024];
    Box::new(move || {
        let padded = pads::pad(&[&text], 0, 16);
        assert!(pads::unpad(black_box(&padded)).is_ok_and(|unpadded| unpadded.len() == text.len()));
    })
}

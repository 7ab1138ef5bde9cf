//! The objects of the end-to-end scheme, from outside and, signed and sealed by a member, from inside.

use std::sync::LazyLock;

use secrecy::ExposeSecret;
use subrosa::protocol::public_key::PublicKey;
use subrosa::sealed::encoding::{Header, from_base64, length_prefixed, split_length_prefixed, to_base64};
use subrosa::sealed::identity::RecipientKey;
use subrosa::sealed::message::{self, Signed};
use subrosa::sealed::{
    Card, Certificate, Identity, Link, OwnerChain, Plain, RoomSecret, SystemRandom, VerifyingKey, json, padding,
};

struct Member {
    identity: Identity,
    root: VerifyingKey,
    secret: RoomSecret,
    public_key: PublicKey,
}

/// One member, made once: RSA keys take their time.
static MEMBER: LazyLock<Member> = LazyLock::new(|| {
    let identity = Identity::generate(&mut SystemRandom).expect("keys");
    let root = *identity.verifying_key();
    let public_key = identity.public_key().clone();
    Member { identity, root, secret: RoomSecret::generate(3, &mut SystemRandom), public_key }
});

/// A link reads the same again once it is written.
pub(super) fn link(data: &[u8]) {
    let mut texts = vec![String::from_utf8_lossy(data).into_owned()];
    // The same behind what every link begins with.
    texts.push(format!("https://chat.example.org/#{}", to_base64(data)));
    for text in texts {
        if let Ok(link) = Link::parse(&text) {
            let written = link.to_url();
            let again = Link::parse(written.expose_secret()).expect("what is written can be read");
            assert_eq!(again.to_url().expose_secret(), written.expose_secret());
        }
    }
}

pub(super) fn card(data: &[u8]) {
    let Member { identity, root, secret, public_key } = &*MEMBER;
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(Card::open(text, public_key, root, secret).is_err(), "nobody forges a card");
    }
    if data.len() < 2_000 {
        let sealed = Card::seal_json(identity, data, root, secret, &mut SystemRandom).expect("a card");
        if let Ok(card) = Card::open(&sealed, public_key, root, secret) {
            assert!(!card.name.is_empty() && json::check(data).is_ok());
        }
    }
}

pub(super) fn message(data: &[u8]) {
    let Member { identity, root, secret, public_key } = &*MEMBER;
    if let Some((content, shared)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once(' ')) {
        assert!(message::open(content, shared, identity, root, secret).is_err(), "nobody forges a message");
    }
    if data.len() > 20_000 {
        return;
    }
    let signed = Signed::sign(identity, root, data).expect("a signature");
    let sealed = signed.seal(root, secret, &mut SystemRandom).expect("a message");
    let content = sealed.content_for(&RecipientKey::new(public_key).expect("a key")).expect("a content");
    let opened = message::open(&content, sealed.shared(), identity, root, secret).expect("one's own message");
    assert_eq!(opened.verify(root, identity.verifying_key()), Ok(data));
    plain(data);
}

/// What a member signed reads the same again once it is written.
fn plain(data: &[u8]) {
    if let Ok(plain) = Plain::parse(data) {
        assert!(json::check(data).is_ok());
        if let Ok(written) = plain.to_json() {
            let again = Plain::parse(&written).expect("what is written can be read");
            assert_eq!(*again.to_json().expect("once more"), *written);
        }
    }
}

/// What the strict reader takes, an ordinary one takes too, and to the same value.
pub(super) fn json(data: &[u8]) {
    if json::check(data).is_ok() {
        let value: serde_json::Value = serde_json::from_slice(data).expect("strict JSON is JSON");
        assert!(value.is_object());
    }
    plain(data);
}

/// The smaller decoders, chosen by the first byte.
pub(super) fn parts(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let root = VerifyingKey::from_bytes([7; 32]);
    match which % 6 {
        0 => {
            if let Ok(certificate) = Certificate::from_bytes(data) {
                assert_eq!(certificate.to_bytes(), data);
            }
        }
        1 => {
            if let Ok(chain) = OwnerChain::from_bytes(root, data) {
                assert_eq!(chain.to_bytes(), data);
            }
        }
        2 => {
            if let Ok(text) = std::str::from_utf8(data)
                && let Ok(bytes) = from_base64(text)
            {
                assert_eq!(to_base64(&bytes), text);
            }
        }
        3 => {
            if let Ok(parts) = split_length_prefixed::<3>(data) {
                assert_eq!(*length_prefixed(&parts), data);
            }
        }
        4 => {
            if let Ok((header, rest)) = Header::split(data) {
                assert_eq!([&header.to_bytes()[..], rest].concat(), data);
            }
        }
        _ => {
            if let Ok(content) = padding::unpad(data) {
                assert!(content.len() < data.len());
            }
            let padded = padding::pad(&[data], 0, 16);
            assert_eq!(padding::unpad(&padded), Ok(data));
        }
    }
}

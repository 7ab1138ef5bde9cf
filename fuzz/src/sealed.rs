//! The objects of the end-to-end scheme, from outside and, signed and sealed by a member, from inside.

use std::sync::LazyLock;

use secrecy::ExposeSecret;
use subrosa::sealed::encoding::{Header, from_base64, length_prefixed, split_length_prefixed, to_base64};
use subrosa::sealed::hand::{Between, Content, Position, open_hand, open_private, seal_hand};
use subrosa::sealed::message::{Shared, seal_room};
use subrosa::sealed::step::ChainKey;
use subrosa::sealed::{
    Card, Certificate, EpochKeys, Identity, Leaf, Link, Note, OwnerChain, Plain, RoomSecret, SystemRandom,
    VerifyingKey, json, name, padding,
};

const AT: Position = Position { generation: 1, index: 2 };

struct Member {
    identity: Identity,
    root: VerifyingKey,
    keys: EpochKeys,
    leaf: Leaf,
}

impl Member {
    fn between(&self) -> Between<'_> {
        let me = self.identity.fingerprint();
        Between { root: &self.root, keys: &self.keys, from: me, to: me }
    }
}

/// One member, made once.
static MEMBER: LazyLock<Member> = LazyLock::new(|| {
    let identity = Identity::generate(&mut SystemRandom).expect("keys");
    let root = *identity.verifying_key();
    let keys = RoomSecret::generate(3, &mut SystemRandom).keys().expect("keys");
    Member { identity, root, keys, leaf: Leaf::generate(0).expect("a leaf") }
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
    let Member { identity, root, keys, leaf } = &*MEMBER;
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(Card::open(text, root, keys).is_err(), "nobody forges a card");
        assert!(Note::open(text, root, root, keys).is_err(), "nobody forges a note");
    }
    if data.len() < 700 {
        let sealed = Card::seal_json(identity, data, leaf.public(), root, keys, &mut SystemRandom).expect("a card");
        if let Ok(card) = Card::open(&sealed, root, keys) {
            assert!(!card.name.is_empty() && json::check(data).is_ok());
        }
    }
}

pub(super) fn message(data: &[u8]) {
    let member = &*MEMBER;
    let Member { identity, root, leaf, .. } = member;
    let between = member.between();
    if let Some((content, shared)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once(' ')) {
        match Content::parse(content) {
            Ok(Content::Hand(sealed)) => {
                assert!(open_hand(&sealed, leaf, &between, root, AT).is_err(), "nobody forges a hand");
            }
            Ok(Content::Private(sealed)) => {
                assert!(open_private(&sealed, leaf, &between).is_err(), "nobody seals without the psk");
            }
            Ok(Content::Nothing) | Err(_) => {}
        }
        if let Ok(shared) = Shared::parse(shared) {
            let (_, step) = ChainKey::from_slice(&[1; 32]).and_then(|key| key.step()).expect("a step");
            assert!(shared.open_room(&step, root, root).is_err(), "nobody forges a message");
        }
    }
    if data.len() > 20_000 {
        return;
    }
    let key = ChainKey::generate(&mut SystemRandom);
    let content = seal_hand(identity, &between, leaf.public(), AT, 7, &key).expect("a hand");
    let (_, step) = key.step().expect("a step");
    let shared = seal_room(identity, root, 3, AT, step, data).expect("a message");
    let Ok(Content::Hand(sealed)) = Content::parse(&content) else { panic!("one's own hand") };
    let hand = open_hand(&sealed, leaf, &between, root, AT).expect("one's own hand");
    let (_, step) = hand.key.step().expect("a step");
    let opened = Shared::parse(&shared).and_then(|shared| shared.open_room(&step, root, root));
    assert_eq!(opened.expect("one's own message")[..], *data);
    plain(data);
}

/// What a member signed reads the same again once it is written.
fn plain(data: &[u8]) {
    let author = MEMBER.identity.fingerprint();
    let mut framed = u32::try_from(data.len()).unwrap_or(0).to_be_bytes().to_vec();
    framed.extend_from_slice(data);
    framed.extend_from_slice(br#"{"view":"AAAAAAAAAAAAAAAAAAAAAA"}"#);
    for read in [data, &framed] {
        if let Ok(plain) = Plain::parse(author, read)
            && let Ok(written) = plain.core.to_json()
        {
            let bytes = Some(&plain.bytes[..]).filter(|_| plain.core.body.kind() == Some("piece"));
            let again =
                subrosa::sealed::plain::write(&written, &plain.extra, bytes).expect("what is read can be written");
            let again = Plain::parse(author, &again).expect("what is written can be read");
            assert_eq!(*again.core.to_json().expect("once more"), *written);
            assert_eq!(again.extra, plain.extra);
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
    let root = MEMBER.root;
    match which % 8 {
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
        5 => {
            if let Ok(key) = data.try_into().map(VerifyingKey::from_bytes) {
                let _ = key.map(|key| key.verify(data, &[0; 64]));
            }
        }
        6 => {
            if let Ok(text) = std::str::from_utf8(data) {
                let _ = (name::check_name(text), name::check_file_name(text));
                // What looks like something looks like itself.
                assert_eq!(name::skeleton(&name::skeleton(text)), name::skeleton(text));
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

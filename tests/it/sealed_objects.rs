//! Sealed objects under random contents and random damage: what was sealed comes out again, and nothing that comes in
//! makes a decoder panic.
use std::sync::LazyLock;

use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use subrosa::{
    protocol::public_key::PublicKey,
    sealed::{
        Body, Card, Certificate, Identity, InviteKind, Link, OwnerChain, Plain, RoomSecret, Server, SystemRandom, View,
        encoding::{from_base64, to_base64},
        identity::RecipientKey,
        json,
        message::{self, Signed},
    },
};
use zeroize::Zeroizing;

fn identity(name: &str, seed: u8) -> Identity {
    let keys: serde_json::Value = serde_json::from_str(include_str!("../vectors/keys.json")).unwrap();
    let pem = keys["members"][name]["rsa_pkcs8_pem"].as_str().unwrap();
    let (_, der) = rsa::pkcs1::pem::decode_vec(pem.as_bytes()).unwrap();
    Identity::from_pkcs8(&der, &[seed; 32]).unwrap()
}

static ALICE: LazyLock<Identity> = LazyLock::new(|| identity("alice", 1));
static BOB: LazyLock<Identity> = LazyLock::new(|| identity("bob", 2));

fn secret() -> RoomSecret {
    RoomSecret::from_slice(3, &[9; 32]).unwrap()
}

fn invite(kind: InviteKind, id: [u8; 16], expiry: u64) -> Certificate {
    Certificate::issue(&ALICE, ALICE.verifying_key(), 3, id, kind, expiry).unwrap()
}

fn link(room_name: &str, kind: InviteKind, hand_overs: usize) -> Link {
    let mut chain = OwnerChain::new(*ALICE.verifying_key());
    for i in 0..hand_overs {
        let (old, new) = if i % 2 == 0 { (&ALICE, &BOB) } else { (&BOB, &ALICE) };
        chain = chain.handed_to(old, *new.verifying_key()).unwrap();
    }
    let owner: &Identity = if hand_overs.is_multiple_of(2) { &ALICE } else { &BOB };
    Link {
        server: Server {
            authority: "chat.example:5656".parse().unwrap(),
            pin: Some(subrosa::protocol::pin::Pin::new([3; 32])),
        },
        room_id: "r".repeat(32),
        join_key: SecretString::from("k".repeat(32)),
        secret: secret(),
        room_name: room_name.into(),
        certificate: Certificate::issue(owner, ALICE.verifying_key(), 3, [1; 16], kind, 0).unwrap(),
        chain,
    }
}

fn sealed_text(text: &str, n: u64) -> (String, String) {
    let view = View::of(ALICE.fingerprint(), [ALICE.fingerprint(), BOB.fingerprint()]);
    let plain = Plain { n, at: 5, body: Body::Text(Zeroizing::new(text.into())), view, to: None };
    let signed = Signed::sign(&ALICE, ALICE.verifying_key(), &plain.to_json().unwrap()).unwrap();
    let sealed = signed.seal(ALICE.verifying_key(), &secret(), &mut SystemRandom).unwrap();
    let recipient = RecipientKey::new(BOB.public_key()).unwrap();
    (sealed.content_for(&recipient).unwrap(), sealed.shared().to_owned())
}

fn open(content: &str, shared: &str) -> Option<Plain> {
    let signed = message::open(content, shared, &BOB, ALICE.verifying_key(), &secret()).ok()?;
    Plain::parse(signed.verify(ALICE.verifying_key(), ALICE.verifying_key()).ok()?).ok()
}

/// Flips bits of one byte behind the base64.
fn damage(sealed: &str, at: usize, bits: u8) -> String {
    let mut bytes = from_base64(sealed).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= bits;
    to_base64(&bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_round_trip(text: String, n in 1..=json::MAX_INTEGER) {
        let (content, shared) = sealed_text(&text, n);
        let plain = open(&content, &shared).unwrap();
        prop_assert_eq!(plain.n, n);
        prop_assert!(matches!(plain.body, Body::Text(got) if *got == text));
    }

    #[test]
    fn damaged_messages_do_not_open(at: usize, bits in 1u8.., in_shared: bool) {
        let (mut content, mut shared) = sealed_text("tea", 1);
        let part = if in_shared { &mut shared } else { &mut content };
        *part = damage(part, at, bits);
        prop_assert!(open(&content, &shared).is_none());
    }

    #[test]
    fn cards_round_trip_and_damaged_ones_do_not_open(
        name in "[a-zA-Z0-9 \"\\\\]{1,32}", id: [u8; 16], at: usize, bits in 1u8..,
    ) {
        let invite = invite(InviteKind::OneTime, id, 7);
        let root = ALICE.verifying_key();
        let card = Card::seal(&BOB, &name, Some(&invite), root, &secret(), &mut SystemRandom).unwrap();
        let opened = Card::open(&card, BOB.public_key(), root, &secret()).unwrap();
        prop_assert_eq!(opened, Card { name, key: *BOB.verifying_key(), invite: Some(invite) });
        prop_assert!(Card::open(&damage(&card, at, bits), BOB.public_key(), root, &secret()).is_err());
    }

    #[test]
    fn links_round_trip(name in "[a-z ]{0,64}", hand_overs in 0usize..5, at: usize, to in any::<char>()) {
        let url = link(&name, InviteKind::Forever, hand_overs).to_url();
        let parsed = Link::parse(url.expose_secret()).unwrap();
        let again = parsed.to_url();
        prop_assert_eq!(again.expose_secret(), url.expose_secret());
        prop_assert_eq!(&parsed.room_name, &name);
        prop_assert_eq!(parsed.chain.owners().count(), hand_overs + 1);
        // Damage of any kind is no panic.
        let mut damaged: Vec<char> = url.expose_secret().chars().collect();
        let at = at % damaged.len();
        damaged[at] = to;
        let _ = Link::parse(&damaged.into_iter().collect::<String>());
    }

    #[test]
    fn certificates_round_trip(id: [u8; 16], expiry: u64, once: bool, at in 0usize..93, bits in 1u8..) {
        let kind = if once { InviteKind::OneTime } else { InviteKind::Forever };
        let certificate = invite(kind, id, expiry);
        let mut bytes = certificate.to_bytes();
        prop_assert_eq!(&Certificate::from_bytes(&bytes).unwrap(), &certificate);
        bytes[at] ^= bits;
        let root = ALICE.verifying_key();
        let holds = Certificate::from_bytes(&bytes).and_then(|damaged| damaged.verify(root, root));
        prop_assert!(holds.is_err());
    }

    #[test]
    fn decoders_never_panic(bytes: Vec<u8>, text: String, framed in "[A-Za-z0-9_-]{0,200}") {
        let root = ALICE.verifying_key();
        let _ = Link::parse(&text);
        let _ = Link::parse(&format!("https://a/#AQ{framed}"));
        let _ = Certificate::from_bytes(&bytes);
        let _ = OwnerChain::from_bytes(*root, &bytes);
        let _ = Plain::parse(&bytes);
        let _ = Plain::parse(text.as_bytes());
        let _ = PublicKey::from_pem(&text);
        for sealed in [&text, &framed, &format!("AQAAAAM{framed}")] {
            let _ = Card::open(sealed, BOB.public_key(), root, &secret());
            let _ = message::open(sealed, sealed, &BOB, root, &secret());
        }
    }
}

#[test]
fn nothing_secret_is_shown() {
    let link = link("tea", InviteKind::OneTime, 1);
    let sealed = Signed::sign(&ALICE, ALICE.verifying_key(), b"{\"body\":\"marker\"}")
        .unwrap()
        .seal(ALICE.verifying_key(), &secret(), &mut SystemRandom)
        .unwrap();
    let text = Body::Text(Zeroizing::new("marker".into()));
    let shown = format!("{link:#?}{:#?}{:#?}{sealed:#?}{:#?}{text:#?}", secret(), sealed.key(), *ALICE);
    let key = format!("{:?}", sealed.key().expose());
    for marker in ["marker", &"k".repeat(32), "9, 9, 9", "9,\n", &key] {
        assert!(!shown.contains(marker), "{marker}");
    }
}

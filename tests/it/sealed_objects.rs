//! Sealed objects under random contents and random damage: what was sealed comes out again, and nothing that comes in
//! makes a decoder panic.
use std::sync::LazyLock;

use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use subrosa::sealed::{
    Body, Card, Certificate, EpochKeys, Identity, InviteKind, Leaf, Link, Note, OwnerChain, Plain, RoomSecret, Server,
    SystemRandom, VerifyingKey, View,
    chain::Right,
    encoding::{from_base64, to_base64},
    hand::{self, Between, Content, Position},
    message::{self, Shared},
    note::Lacks,
    plain::{self, Core, Extra},
    step::ChainKey,
};
use zeroize::Zeroizing;

static ALICE: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[1; 32]).unwrap());
static BOB: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[2; 32]).unwrap());
static LEAF: LazyLock<Leaf> = LazyLock::new(|| Leaf::generate(4).unwrap());
static KEYS: LazyLock<EpochKeys> = LazyLock::new(|| secret().keys().unwrap());

const AT: Position = Position { generation: 1, index: 2 };

fn secret() -> RoomSecret {
    RoomSecret::from_slice(3, &[9; 32]).unwrap()
}

fn root() -> VerifyingKey {
    *ALICE.verifying_key()
}

fn between() -> Between<'static> {
    Between { root: ALICE.verifying_key(), keys: &KEYS, from: ALICE.fingerprint(), to: BOB.fingerprint() }
}

fn chain_of(hand_overs: usize) -> (OwnerChain, &'static Identity) {
    let mut chain = OwnerChain::new(root());
    for i in 0..hand_overs {
        let (old, new) = if i % 2 == 0 { (&ALICE, &BOB) } else { (&BOB, &ALICE) };
        chain = chain.handed_to(old, *new.verifying_key(), Right::HandOver, 3).unwrap();
    }
    let owner: &Identity = if hand_overs.is_multiple_of(2) { &ALICE } else { &BOB };
    (chain, owner)
}

fn invite(kind: InviteKind, id: [u8; 16], expiry: u64) -> Certificate {
    Certificate::issue(&ALICE, &OwnerChain::new(root()), 3, id, kind, expiry).unwrap()
}

fn link(room_name: &str, kind: InviteKind, hand_overs: usize) -> Link {
    let (chain, owner) = chain_of(hand_overs);
    Link {
        server: Server {
            authority: "chat.example:5656".parse().unwrap(),
            pin: Some(subrosa::protocol::pin::Pin::new([3; 32])),
        },
        room_id: "r".repeat(32),
        join_key: SecretString::from("k".repeat(32)),
        secret: secret(),
        room_name: room_name.into(),
        certificate: Certificate::issue(owner, &chain, 3, [1; 16], kind, 0).unwrap(),
        chain,
    }
}

fn plain_text(text: &str, n: u32) -> Zeroizing<Vec<u8>> {
    let body = Body::Text { text: Zeroizing::new(text.into()), re: None };
    let core = Core { n, at: 5, body, to: None, gone: None, settings: None, quiet: false };
    let view = View::of(ALICE.fingerprint(), &KEYS, [ALICE.fingerprint(), BOB.fingerprint()]);
    plain::write(&core.to_json().unwrap(), &Extra { view, after: vec![] }, None).unwrap()
}

/// A room message of alice with the hand to bob.
fn sealed_text(text: &str, n: u32) -> (String, String) {
    let key = ChainKey::from_slice(&[7; 32]).unwrap();
    let content = hand::seal_hand(&ALICE, &between(), LEAF.public(), AT, 0, &key).unwrap();
    let (_, step) = key.step().unwrap();
    let shared = message::seal_room(&ALICE, &root(), 3, AT, step, &plain_text(text, n)).unwrap();
    (content, shared)
}

fn open(content: &str, shared: &str) -> Option<Plain> {
    let Ok(Content::Hand(sealed)) = Content::parse(content) else { return None };
    let hand = hand::open_hand(&sealed, &LEAF, &between(), ALICE.verifying_key(), AT).ok()?;
    if sealed.leaf_generation != LEAF.public().generation {
        return None;
    }
    let (_, step) = hand.key.step().ok()?;
    let opened = Shared::parse(shared).ok()?.open_room(&step, &root(), ALICE.verifying_key()).ok()?;
    Plain::parse(ALICE.fingerprint(), &opened).ok()
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
    fn messages_round_trip(text in "\\PC{1,80}", n in 1u32..) {
        let (content, shared) = sealed_text(&text, n);
        let plain = open(&content, &shared).unwrap();
        prop_assert_eq!(plain.core.n, n);
        let said = matches!(plain.core.body, Body::Text { text: got, .. } if *got == text);
        prop_assert!(said);
    }

    #[test]
    fn damaged_messages_do_not_open(at: usize, bits in 1u8.., in_shared: bool) {
        let (mut content, mut shared) = sealed_text("tea", 1);
        let part = if in_shared { &mut shared } else { &mut content };
        *part = damage(part, at, bits);
        prop_assert!(open(&content, &shared).is_none());
    }

    #[test]
    fn private_messages_open_for_their_recipient_alone(text in "\\PC{1,80}", at: usize, bits in 1u8..) {
        let key = ChainKey::from_slice(&[8; 32]).unwrap();
        let content = hand::seal_private(&between(), LEAF.public(), &key).unwrap();
        let (_, step) = key.step().unwrap();
        let shared = message::seal_private(&ALICE, &between(), step, &plain_text(&text, 1)).unwrap();
        let open = |shared: &str, between: &Between<'_>| {
            let Ok(Content::Private(sealed)) = Content::parse(&content) else { return None };
            let (_, step) = hand::open_private(&sealed, &LEAF, between).ok()?.step().ok()?;
            Shared::parse(shared).ok()?.open_private(&step, between, ALICE.verifying_key()).ok()
        };
        prop_assert!(open(&shared, &between()).is_some());
        let other = Between { to: ALICE.fingerprint(), ..between() };
        prop_assert!(open(&shared, &other).is_none());
        prop_assert!(open(&damage(&shared, at, bits), &between()).is_none());
    }

    #[test]
    fn notes_round_trip_and_damaged_ones_do_not_open(asked in 1usize..=8, chain: bool, at: usize, bits in 1u8..) {
        let lacks = if chain { Lacks::Chain } else { Lacks::Secret };
        let note = Note { to: vec![BOB.fingerprint(); asked], epoch: 3, lacks, leaf: LEAF.public().clone() };
        let shared = note.seal(&ALICE, &root(), &KEYS, &mut SystemRandom).unwrap();
        let opened = Note::open(&shared, ALICE.verifying_key(), &root(), &KEYS).unwrap();
        prop_assert_eq!(opened, note);
        prop_assert!(Note::open(&damage(&shared, at, bits), ALICE.verifying_key(), &root(), &KEYS).is_err());
        prop_assert!(Note::open(&shared, BOB.verifying_key(), &root(), &KEYS).is_err());
    }

    #[test]
    fn cards_round_trip_and_damaged_ones_do_not_open(
        name in "[a-zA-Z0-9\"\\\\]{1,32}", id: [u8; 16], at: usize, bits in 1u8..,
    ) {
        let invite = invite(InviteKind::OneTime, id, 7);
        let (root, leaf) = (root(), LEAF.public());
        let card = Card::seal(&BOB, &name, leaf, Some(&invite), &root, &KEYS, &mut SystemRandom).unwrap();
        let opened = Card::open(&card, &root, &KEYS).unwrap();
        prop_assert_eq!(opened, Card { name, key: *BOB.verifying_key(), leaf: leaf.clone(), invite: Some(invite) });
        prop_assert!(Card::open(&damage(&card, at, bits), &root, &KEYS).is_err());
    }

    #[test]
    fn links_round_trip(name in "[a-z]{0,64}", hand_overs in 0usize..5, at: usize, to in any::<char>()) {
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
    fn certificates_round_trip(id: [u8; 16], expiry: u64, once: bool, at in 0usize..94, bits in 1u8..) {
        let kind = if once { InviteKind::OneTime } else { InviteKind::Forever };
        let certificate = invite(kind, id, expiry);
        let mut bytes = certificate.to_bytes();
        prop_assert_eq!(&Certificate::from_bytes(&bytes).unwrap(), &certificate);
        bytes[at] ^= bits;
        let (chain, _) = chain_of(3);
        let holds = Certificate::from_bytes(&bytes).and_then(|damaged| damaged.verify(&chain));
        prop_assert!(holds.is_err());
    }

    #[test]
    fn decoders_never_panic(bytes: Vec<u8>, text: String, framed in "[A-Za-z0-9_-]{0,200}") {
        let root = root();
        let _ = Link::parse(&text);
        let _ = Link::parse(&format!("https://a/#Ag{framed}"));
        let _ = Certificate::from_bytes(&bytes);
        let _ = OwnerChain::from_bytes(root, &bytes);
        let _ = Plain::parse(ALICE.fingerprint(), &bytes);
        let _ = Plain::parse(ALICE.fingerprint(), text.as_bytes());
        for sealed in [&text, &framed, &format!("AgAAAAM{framed}"), &format!("AgAAAAMA{framed}")] {
            let _ = Card::open(sealed, &root, &KEYS);
            let _ = Note::open(sealed, &root, &root, &KEYS);
            let _ = Shared::parse(sealed);
            let _ = Content::parse(sealed);
        }
    }
}

#[test]
fn nothing_secret_is_shown() {
    let link = link("tea", InviteKind::OneTime, 1);
    let key = ChainKey::from_slice(&[0xab; 32]).unwrap();
    let (_, step) = key.step().unwrap();
    let text = Body::Text { text: Zeroizing::new("marker".into()), re: None };
    let shown = format!("{link:#?}{:#?}{:#?}{key:#?}{step:#?}{:#?}{:#?}{text:#?}", secret(), *KEYS, *ALICE, *LEAF);
    for marker in ["marker", &"k".repeat(32), "9, 9, 9", "9,\n", "171", "ab"] {
        assert!(!shown.contains(marker), "{marker}");
    }
}

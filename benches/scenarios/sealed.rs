//! The end-to-end scheme with fixed keys, so that every run does nearly the same: only encapsulations are fresh.

use std::hint::black_box;

use subrosa::sealed::hand::{self, Between, Content, Position};
use subrosa::sealed::message::{self, Shared};
use subrosa::sealed::step::ChainKey;
use subrosa::sealed::{EpochKeys, Identity, Leaf, RoomSecret, padding as pads};

/// A message of a few lines.
const PLAIN: &[u8] = &[b'x'; 512];
const AT: Position = Position { generation: 0, index: 0 };

struct Stage {
    identity: Identity,
    keys: EpochKeys,
    leaf: Leaf,
    key: ChainKey,
}

impl Stage {
    fn new() -> Self {
        let secret = RoomSecret::from_slice(1, &[9; 32]).expect("32 bytes");
        Self {
            identity: Identity::from_seed(&[7; 32]).expect("a key"),
            keys: secret.keys().expect("keys"),
            leaf: Leaf::generate(0).expect("a leaf"),
            key: ChainKey::from_slice(&[8; 32]).expect("32 bytes"),
        }
    }

    fn between(&self) -> Between<'_> {
        let me = self.identity.fingerprint();
        Between { root: self.identity.verifying_key(), keys: &self.keys, from: me, to: me }
    }

    fn seal(&self) -> String {
        let (_, step) = self.key.step().expect("a step");
        message::seal_room(&self.identity, self.identity.verifying_key(), 1, AT, step, PLAIN).expect("a message")
    }

    fn hand(&self) -> String {
        hand::seal_hand(&self.identity, &self.between(), self.leaf.public(), AT, 0, &self.key).expect("a hand")
    }
}

/// An ordinary room message: what its sender does, whatever the number of members.
pub(super) fn sign_and_seal() -> Box<dyn FnMut()> {
    let stage = Stage::new();
    Box::new(move || drop(black_box(stage.seal())))
}

/// Handing a chain to one member.
pub(super) fn hand_to_one() -> Box<dyn FnMut()> {
    let stage = Stage::new();
    Box::new(move || drop(black_box(stage.hand())))
}

/// Opening a hand.
pub(super) fn open_hand() -> Box<dyn FnMut()> {
    let stage = Stage::new();
    let content = stage.hand();
    Box::new(move || {
        let Ok(Content::Hand(sealed)) = Content::parse(&content) else { panic!("a hand") };
        let root = stage.identity.verifying_key();
        let hand = hand::open_hand(&sealed, &stage.leaf, &stage.between(), root, AT).expect("one's own hand");
        black_box(hand.said);
    })
}

/// An ordinary room message: what each reader does.
pub(super) fn open_and_verify() -> Box<dyn FnMut()> {
    let stage = Stage::new();
    let shared = stage.seal();
    Box::new(move || {
        let root = stage.identity.verifying_key();
        let (_, step) = stage.key.step().expect("a step");
        let plain = Shared::parse(&shared).and_then(|shared| shared.open_room(&step, root, root)).expect("a message");
        assert_eq!(plain.len(), PLAIN.len());
    })
}

pub(super) fn padding() -> Box<dyn FnMut()> {
    let text = vec![b'x'; 16 * 1024];
    Box::new(move || {
        let padded = pads::pad(&[&text], 0, 16);
        assert!(pads::unpad(black_box(&padded)).is_ok_and(|unpadded| unpadded.len() == text.len()));
    })
}

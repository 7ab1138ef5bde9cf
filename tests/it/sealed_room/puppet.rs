//! A member that does what no client of ours would: it holds real keys and a real invite, and says whatever a test wants.
use subrosa::sealed::{
    Body, Card, Certificate, EpochKeys, Fingerprint, Identity, Leaf, Link, OwnerChain, RoomSecret, SystemRandom, View,
    body::NewSecret,
    hand::{self, Between, Position},
    message,
    plain::{self, After, Core, Extra},
    room::{Fact, Listed},
    step::ChainKey,
};

use super::world::{START, World, identity};

pub(crate) struct Puppet {
    pub(crate) identity: Identity,
    pub(crate) chain: OwnerChain,
    pub(crate) secret: RoomSecret,
    pub(crate) leaf: Leaf,
    invite: Certificate,
    /// The key that each of its chains begins with.
    key: [u8; 32],
}

/// What a puppet sends, and where in its chain.
pub(crate) struct Said {
    pub(crate) at: Position,
    pub(crate) plain: Vec<u8>,
    pub(crate) hand: bool,
}

impl Puppet {
    /// Keys of its own, and what is in a link.
    pub(crate) fn new(url: &str) -> Self {
        let Link { secret, certificate, chain, .. } = Link::parse(url).unwrap();
        Self {
            identity: identity(),
            chain,
            secret,
            leaf: Leaf::generate(0).unwrap(),
            invite: certificate,
            key: [5; 32],
        }
    }

    /// Comes in by an invite of alice, before the eyes of these members.
    pub(crate) fn come_in(world: &mut World, id: &str, before: &[&str]) -> Self {
        let url = world.link("alice", subrosa::sealed::InviteKind::OneTime, None);
        let puppet = Self::new(&url);
        for member in before {
            let (user, version) = (puppet.listed(id), world.version);
            world.fact(member, Fact::UserJoined { user, version });
        }
        world.clear();
        puppet
    }

    pub(crate) fn print(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    pub(crate) fn keys(&self) -> EpochKeys {
        self.secret.keys().unwrap()
    }

    /// As the relay lists it.
    pub(crate) fn listed(&self, id: &str) -> Listed {
        self.listed_with(id, &self.leaf)
    }

    /// The same, with another leaf.
    pub(crate) fn listed_with(&self, id: &str, leaf: &Leaf) -> Listed {
        let (root, leaf) = (self.chain.root(), leaf.public());
        let card = Card::seal(&self.identity, id, leaf, Some(&self.invite), root, &self.keys(), &mut SystemRandom);
        Listed { user_id: id.into(), card: Some(card.unwrap()) }
    }

    /// A message's bytes.
    pub(crate) fn plain(&self, n: u32, body: Body, view: u8, after: Vec<After>) -> Vec<u8> {
        let core = Core { n, at: START, body, to: None, gone: None, settings: None, quiet: false };
        let extra = Extra { view: View::from_bytes([view; 16]), after };
        plain::write(&core.to_json().unwrap(), &extra, None).unwrap().to_vec()
    }

    /// A room message to a member, with or without the chain.
    pub(crate) fn send(&self, world: &World, id: &str, to: &str, said: &Said) -> Fact {
        let (root, keys) = (self.chain.root(), self.keys());
        let key = (0..said.at.index).fold(ChainKey::from_slice(&self.key).unwrap(), |key, _| key.step().unwrap().0);
        let (_, step) = key.step().unwrap();
        let shared = message::seal_room(&self.identity, root, keys.epoch(), said.at, step, &said.plain).unwrap();
        let card = world.listed(to).card.unwrap();
        let card = Card::open(&card, root, &keys).unwrap();
        let between = Between { root, keys: &keys, from: self.print(), to: card.fingerprint() };
        let content = hand::seal_hand(&self.identity, &between, &card.leaf, said.at, 0, &key).unwrap();
        let content = if said.hand { content } else { String::new() };
        Fact::Message { user_id: id.into(), content, shared: Some(shared) }
    }

    /// Its chain's first message, with the hand.
    pub(crate) fn first(&self, world: &World, id: &str, to: &str, plain: Vec<u8>) -> Fact {
        self.at(world, id, to, 0, plain)
    }

    /// A message at an index, with the hand.
    pub(crate) fn at(&self, world: &World, id: &str, to: &str, index: u32, plain: Vec<u8>) -> Fact {
        self.send(world, id, to, &Said { at: Position { generation: 0, index }, plain, hand: true })
    }

    /// The body of a `secret` that it signs itself.
    pub(crate) fn secret_body(&self, epoch: u32, chain: &OwnerChain, chain_bytes: Vec<u8>) -> Body {
        let secret = RoomSecret::generate(epoch, &mut SystemRandom);
        let members = vec![self.print()];
        let proof = chain.prove(&self.identity, &secret, &members).unwrap();
        Body::Secret(NewSecret { secret, members, chain: chain_bytes, proof })
    }
}

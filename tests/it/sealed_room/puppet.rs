//! A member that does what no client of ours would: it holds real keys and a real link, and says whatever a test wants.
use subrosa::{
    protocol::public_key::PublicKey,
    sealed::{
        Body, Card, Certificate, Fingerprint, Identity, Link, OwnerChain, Plain, RoomSecret, SystemRandom,
        VerifyingKey, View,
        encoding::to_base64,
        identity::RecipientKey,
        message::Signed,
        plain::NewSecret,
        room::{Fact, Listed},
    },
};
use zeroize::Zeroizing;

use super::world::{START, identity};

pub(crate) struct Puppet {
    pub(crate) identity: Identity,
    pub(crate) root: VerifyingKey,
    pub(crate) secret: RoomSecret,
    pub(crate) invite: Option<Certificate>,
}

impl Puppet {
    /// Keys of its own, and what is in a link.
    pub(crate) fn new(url: &str) -> Self {
        let link = Link::parse(url).unwrap();
        let root = *link.root();
        Self { identity: identity(), root, secret: link.secret, invite: Some(link.certificate) }
    }

    pub(crate) fn key(&self) -> String {
        to_base64(self.identity.verifying_key().as_bytes())
    }

    /// As the relay lists it.
    pub(crate) fn listed(&self, id: &str, name: &str) -> Listed {
        let card = Card::seal(&self.identity, name, self.invite.as_ref(), &self.root, &self.secret, &mut SystemRandom);
        let public_key_pem = self.identity.public_key().pkcs1_pem();
        Listed { user_id: id.into(), public_key_pem, card: Some(card.unwrap()) }
    }

    /// Any bytes, properly signed and sealed to one member.
    pub(crate) fn raw(&self, to: &Listed, from: &str, plain: &[u8]) -> Fact {
        let key = RecipientKey::new(&PublicKey::from_pem(&to.public_key_pem).unwrap()).unwrap();
        let signed = Signed::sign(&self.identity, &self.root, plain).unwrap();
        let sealed = signed.seal(&self.root, &self.secret, &mut SystemRandom).unwrap();
        let content = sealed.content_for(&key).unwrap();
        Fact::Message { user_id: from.into(), content, shared: Some(sealed.shared().into()) }
    }

    fn say(&self, to: &Listed, from: &str, n: u64, body: Body, only: Option<Fingerprint>) -> Fact {
        let plain = Plain { n, at: START, body, view: View::from_bytes([7; 16]), to: only };
        self.raw(to, from, &plain.to_json().unwrap())
    }

    pub(crate) fn text(&self, to: &Listed, from: &str, n: u64, only: Option<Fingerprint>) -> Fact {
        self.say(to, from, n, Body::Text(Zeroizing::new("tea".into())), only)
    }

    pub(crate) fn rekey(&self, to: &Listed, from: &str, n: u64, epoch: u32, chain: &[u8]) -> Fact {
        self.rekey_to(to, from, n, epoch, chain, None)
    }

    pub(crate) fn rekey_to(
        &self,
        to: &Listed,
        from: &str,
        n: u64,
        epoch: u32,
        chain: &[u8],
        only: Option<Fingerprint>,
    ) -> Fact {
        let secret = RoomSecret::generate(epoch, &mut SystemRandom);
        self.say(to, from, n, Body::Secret(NewSecret { secret, removed: vec![], chain: chain.to_vec() }), only)
    }

    pub(crate) fn rekey_with(&self, to: &Listed, from: &str, n: u64, secret: RoomSecret, chain: &[u8]) -> Fact {
        self.say(to, from, n, Body::Secret(NewSecret { secret, removed: vec![], chain: chain.to_vec() }), None)
    }

    pub(crate) fn rekey_without(
        &self,
        to: &Listed,
        from: &str,
        n: u64,
        secret: RoomSecret,
        removed: Vec<Fingerprint>,
    ) -> Fact {
        self.say(to, from, n, Body::Secret(NewSecret { secret, removed, chain: vec![] }), None)
    }

    pub(crate) fn succession(&self, to: &Listed, from: &str, n: u64, chain: &[u8], only: Option<Fingerprint>) -> Fact {
        self.say(to, from, n, Body::Succession { chain: chain.to_vec(), transfer: true }, only)
    }

    /// A chain in which it is the creator itself.
    pub(crate) fn own_chain(&self) -> Vec<u8> {
        let own = OwnerChain::new(*self.identity.verifying_key());
        own.handed_to(&self.identity, *self.identity.verifying_key()).unwrap().to_bytes()
    }
}

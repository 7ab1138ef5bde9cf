//! Creating a room and joining one.
use super::{
    machine::{About, Machine, Me, Settings},
    output::{CreateRequest, JoinRequest},
};
use crate::{
    protocol::codes::OwnerLeaves,
    sealed::{
        card::Card,
        chain::OwnerChain,
        error::SealedError,
        identity::Identity,
        leaf::Leaf,
        link::{Link, Server},
        name::check_room_name,
        random::Random,
        secret::RoomSecret,
    },
};

/// A room to be created.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// The room's name, which only members see; may be empty.
    pub room_name: String,
    /// Where links to it will lead.
    pub server: Server,
    /// What becomes of it when its owner leaves: heirs are kept only for [`OwnerLeaves::Transfer`].
    pub owner_leaves: OwnerLeaves,
}

impl Machine {
    /// A room of one's own. Send the request, then hand [`Fact::Created`](super::Fact::Created) to [`Machine::handle`].
    ///
    /// # Errors
    /// [`SealedError::Name`] for names that are not allowed, [`SealedError::Key`] if the cryptographic library fails.
    pub fn create(
        identity: Identity,
        name: &str,
        new: NewRoom,
        settings: Settings,
        mut random: Box<dyn Random + Send>,
    ) -> Result<(Self, CreateRequest), SealedError> {
        check_room_name(&new.room_name)?;
        let secret = RoomSecret::generate(0, &mut *random);
        let chain = OwnerChain::new(*identity.verifying_key());
        let leaf = Leaf::generate(0)?;
        let card = Card::seal(&identity, name, leaf.public(), None, chain.root(), &secret.keys()?, &mut *random)?;
        let request = CreateRequest { card };
        let me = Me { identity, name: name.to_owned(), invite: None };
        let room = About { id: String::new(), name: new.room_name, server: new.server };
        let mut machine = Self::new(me, room, chain, secret, leaf, settings, random)?;
        machine.owner_state.keeps_heirs = new.owner_leaves == OwnerLeaves::Transfer;
        Ok((machine, request))
    }

    /// A room that one was invited to. Send the request, then hand [`Fact::Joined`](super::Fact::Joined) to
    /// [`Machine::handle`].
    ///
    /// # Errors
    /// [`SealedError::Name`] for a name that is not allowed, [`SealedError::Key`] if the cryptographic library fails.
    pub fn join(
        identity: Identity,
        name: &str,
        link: Link,
        settings: Settings,
        mut random: Box<dyn Random + Send>,
    ) -> Result<(Self, JoinRequest), SealedError> {
        let Link { server, room_id, join_key, secret, room_name, certificate, chain } = link;
        let leaf = Leaf::generate(0)?;
        let (root, keys) = (chain.root(), secret.keys()?);
        let card = Card::seal(&identity, name, leaf.public(), Some(&certificate), root, &keys, &mut *random)?;
        let request = JoinRequest { kind: certificate.kind, room_id: room_id.clone(), join_key, card };
        let (fingerprint, invite) = (identity.fingerprint(), Some(certificate.clone()));
        let me = Me { identity, name: name.to_owned(), invite };
        let room = About { id: room_id, name: room_name, server };
        let mut machine = Self::new(me, room, chain, secret, leaf, settings, random)?;
        machine.trusted.members.spend(&certificate, fingerprint);
        Ok((machine, request))
    }
}

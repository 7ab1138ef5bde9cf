//! Creating a room and joining one.
use std::collections::VecDeque;

use super::{
    CreateRequest, JoinRequest, Phase, Room, Step,
    held::{Held, Listing},
    members::Members,
    outbox::Outbox,
    owner::Office,
    rekey::{CardDuty, Epochs},
    views::Views,
};
use crate::sealed::{
    Card, Identity, Link, OwnerChain, Random, RoomSecret, SealedError, Server, View, name::check_room_name,
};

/// What the relay published about itself in `hello`, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a dropped member may take to return, in milliseconds.
    pub resume_window_ms: u64,
    /// The longest frame that the relay takes, in bytes.
    pub frame_bytes: usize,
}

/// A room to be created.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// The room's name, which only members see; may be empty.
    pub room_name: String,
    /// Where links to it will lead.
    pub server: Server,
    /// Whether it is created with `owner_leaves: "transfer"`, so that heirs are kept.
    pub transfer: bool,
}

impl Room {
    /// A room of one's own. Send the request, then hand [`Fact::Created`](super::Fact::Created) to [`Room::handle`].
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
        let card = Card::seal(&identity, name, None, chain.root(), &secret, &mut *random)?;
        let request = CreateRequest { public_key_pem: identity.public_key().pkcs1_pem(), card };
        let mut room = Self::enter_with(identity, name, chain, secret, settings, random);
        room.room_name = new.room_name;
        room.server = new.server;
        room.office.transfer = new.transfer;
        Ok((room, request))
    }

    /// A room that one was invited to. Send the request, then hand [`Fact::Joined`](super::Fact::Joined) to [`Room::handle`].
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
        let card = Card::seal(&identity, name, Some(&certificate), chain.root(), &secret, &mut *random)?;
        let request = JoinRequest {
            kind: certificate.kind,
            room_id: room_id.clone(),
            join_key,
            public_key_pem: identity.public_key().pkcs1_pem(),
            card,
        };
        let mut room = Self::enter_with(identity, name, chain, secret, settings, random);
        room.members.spend(&certificate, room.identity.fingerprint());
        room.room_name = room_name;
        room.server = server;
        room.room_id = room_id;
        room.invite = Some(certificate);
        Ok((room, request))
    }

    fn enter_with(
        identity: Identity,
        name: &str,
        chain: OwnerChain,
        secret: RoomSecret,
        settings: Settings,
        random: Box<dyn Random + Send>,
    ) -> Self {
        let view = View::of(chain.owner().fingerprint(), [identity.fingerprint()]);
        Self {
            identity,
            name: name.to_owned(),
            room_name: String::new(),
            server: Server { host: String::new(), port: 0, pin: None },
            invite: None,
            settings,
            random,
            phase: Phase::Entering,
            room_id: String::new(),
            user_id: String::new(),
            relay_owner: String::new(),
            chain,
            epochs: Epochs::new(secret),
            members: Members::new(),
            views: Views::new(view),
            held: Held::default(),
            replay: VecDeque::new(),
            listing: Listing::default(),
            outbox: Outbox::default(),
            office: Office::default(),
            card: CardDuty::default(),
            step: Step::default(),
            last_id: 0,
        }
    }
}

//! A sealed room over a [`Client`]: the [state machine](crate::sealed::room) of the end-to-end scheme, driven by a connection of its own.
//!
//! ```text
//! relay's events and answers → translate → sealed::room::Room (on a blocking thread) → commands → relay
//! wishes of the application ─────────────────────┘                                   → RoomEvent → application
//! ```
//!
//! Each room has its own connection, so that the relay cannot tell that two memberships are one person's.

mod driver;
mod enter;
mod event;
mod translate;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use driver::{InviteWaiter, Wish, Wished};
pub use enter::EnterError;
pub use event::{Person, RoomEnd, RoomEvent, Text};

use super::handle::Config;
use super::{Address, Trust};
use crate::protocol::codes::OwnerLeaves;
use crate::sealed::room::{IntentError, MessageId, Room, Step};
use crate::sealed::{Fingerprint, InviteKind, Link};

/// What a new room is like.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Its name, at most 64 bytes of UTF-8; the server does not learn it. May be empty.
    pub room_name: String,
    /// Its life in seconds, at least 1; `None` for as long as the server allows.
    pub expires_in_s: Option<u64>,
    /// What becomes of it when its owner leaves.
    pub owner_leaves: OwnerLeaves,
    /// Most members that it admits; `None` for as many as the server allows.
    pub max_members: Option<u64>,
}

impl Default for NewRoom {
    /// Without a name or an end of its own; it ends when its owner leaves.
    fn default() -> Self {
        Self { room_name: String::new(), expires_in_s: None, owner_leaves: OwnerLeaves::Close, max_members: None }
    }
}

/// Why something asked of a room was not done.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// It cannot be done now, or not by this member.
    #[error(transparent)]
    Intent(#[from] IntentError),
    /// The server gave no key for the invite.
    #[error("the server issued no key for the invite")]
    NoInvite,
    /// The membership is over.
    #[error("you are not in the room any more")]
    Over,
    /// Not done in time.
    #[error("it took too long; the connection may be lost")]
    Timeout,
}

/// One's own membership and those of the others.
#[derive(Clone, Debug)]
pub struct Members {
    /// Oneself.
    pub me: Person,
    /// The accepted others, longest-standing first.
    pub others: Vec<Person>,
    /// The room's name; may be empty.
    pub room_name: String,
}

/// One membership in a sealed room. Cheap to clone; when the last clone is gone, the room is left.
///
/// The [`RoomEvents`] that come with it must be read.
#[derive(Clone)]
pub struct SealedRoom {
    wishes: mpsc::Sender<Wish>,
    within: Duration,
    notice: Arc<str>,
}

impl fmt::Debug for SealedRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedRoom")
    }
}

/// What happens in a room, in order. Ends with [`RoomEvent::Ended`].
pub struct RoomEvents {
    events: mpsc::Receiver<RoomEvent>,
}

impl fmt::Debug for RoomEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomEvents")
    }
}

impl RoomEvents {
    /// The next; `None` after [`RoomEvent::Ended`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        self.events.recv().await
    }
}

impl SealedRoom {
    /// Opens a room on the server of `config`, as `name` (1 to 64 bytes of UTF-8, no control characters).
    ///
    /// # Errors
    /// No connection, a name that is not allowed, or the server's refusal.
    pub async fn create(config: Config, name: &str, new: NewRoom) -> Result<(Self, RoomEvents), EnterError> {
        enter::create(config, name, new).await
    }

    /// Enters the room of `link`, as `name`, on the server that the link names: by its pin if it has one, else by the authorities that this
    /// machine trusts.
    ///
    /// # Errors
    /// No connection, a name that is not allowed, or [`EnterError::InviteRefused`].
    pub async fn join(link: Link, name: &str) -> Result<(Self, RoomEvents), EnterError> {
        let host = link.server.host.trim_start_matches('[').trim_end_matches(']');
        let address = Address::new(host, link.server.port).map_err(super::ConnectError::from)?;
        let trust = link.server.pin.map_or(Trust::System, |pin| Trust::Pin(super::Pin::new(pin)));
        Self::join_with(Config::new(address, trust), link, name).await
    }

    /// Enters the room of `link` over a connection of one's own making; `config` decides where to and whom to trust.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_with(config: Config, link: Link, name: &str) -> Result<(Self, RoomEvents), EnterError> {
        enter::join(config, link, name).await
    }

    /// A word from the server's host to its users; may be empty. It comes from the server: make it harmless before a terminal shows it.
    pub fn notice(&self) -> &str {
        &self.notice
    }

    /// Says something to all. [`RoomEvent::Sent`] tells whom it reached.
    ///
    /// # Errors
    /// Nobody else is here, the text is too long, or too much waits to be sent.
    pub async fn say(&self, text: &str) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.send(move |room, now| room.send_text(&text, now)).await
    }

    /// Says something to one member alone.
    ///
    /// # Errors
    /// There is no such member, the text is too long, or too much waits to be sent.
    pub async fn tell(&self, to: Fingerprint, text: &str) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.send(move |room, now| room.tell(to, &text, now)).await
    }

    /// Makes an invite link, for one person or for all who have it; `expires_in_s` is its life in seconds. Only the owner can.
    ///
    /// # Errors
    /// Not the owner, or the server gave no key.
    pub async fn invite(&self, kind: InviteKind, expires_in_s: Option<u32>) -> Result<Box<Link>, RoomError> {
        let (waiter, link) = oneshot::channel();
        self.wish(move |room, now| {
            let step = room.invite(kind, expires_in_s, now)?;
            Ok(((), Wished { invite: Some(InviteWaiter { kind, waiter }), ..Wished::from(step) }))
        })
        .await?;
        tokio::time::timeout(self.within, link)
            .await
            .map_err(|_| RoomError::Timeout)?
            .map_err(|_| RoomError::Over)?
            .ok_or(RoomError::NoInvite)
    }

    /// Who is here.
    ///
    /// # Errors
    /// The membership is over.
    pub async fn members(&self) -> Result<Members, RoomError> {
        self.wish(|room, _| Ok((translate::members(room), Wished::default()))).await
    }

    /// Notes that `member`'s fingerprint was compared, in person or by voice; with `false`, takes it back.
    ///
    /// # Errors
    /// There is no such member.
    pub async fn set_verified(&self, member: Fingerprint, verified: bool) -> Result<(), RoomError> {
        self.wish(move |room, _| room.set_verified(member, verified).map(|()| ((), Wished::default()))).await
    }

    /// Puts a member out and changes the room's secret, so that it reads nothing from here on. Only the owner can.
    ///
    /// # Errors
    /// Not the owner, or there is no such member.
    pub async fn remove(&self, member: Fingerprint) -> Result<(), RoomError> {
        self.step(move |room, now| room.remove(member, now)).await
    }

    /// Changes the room's secret; all links made so far are dead. Only the owner can.
    ///
    /// # Errors
    /// Not the owner.
    pub async fn rekey(&self) -> Result<(), RoomError> {
        self.step(Room::rekey).await
    }

    /// Makes all join keys useless, by the server's word: [`rekey`](Self::rekey) makes it hold. Only the owner can.
    ///
    /// # Errors
    /// Not the owner.
    pub async fn reset_keys(&self) -> Result<(), RoomError> {
        self.step(Room::reset_keys).await
    }

    /// Hands the room over. Only the owner can.
    ///
    /// # Errors
    /// Not the owner, or there is no such member.
    pub async fn hand_over(&self, to: Fingerprint) -> Result<(), RoomError> {
        self.step(move |room, now| room.transfer_owner(to, now)).await
    }

    /// Closes the room for everyone. Only the owner can.
    ///
    /// # Errors
    /// Not the owner.
    pub async fn close(&self) -> Result<(), RoomError> {
        self.step(Room::close).await
    }

    /// Leaves. [`RoomEvent::Ended`] comes when the server was told.
    ///
    /// # Errors
    /// The membership is over already.
    pub async fn leave(&self) -> Result<(), RoomError> {
        self.step(|room, now| Ok(room.leave(now))).await
    }

    /// Waits until everything asked for was answered by the server, and everything said was sent or given up.
    ///
    /// # Errors
    /// The membership ended before.
    pub async fn settled(&self) -> Result<(), RoomError> {
        let (waiter, settled) = oneshot::channel();
        self.wishes.send(Wish::Settled(waiter)).await.map_err(|_| RoomError::Over)?;
        settled.await.map_err(|_| RoomError::Over)
    }

    async fn send(
        &self,
        act: impl FnOnce(&mut Room, u64) -> Result<(MessageId, Step), IntentError> + Send + 'static,
    ) -> Result<MessageId, RoomError> {
        self.wish(move |room, now| {
            let (id, step) = act(room, now)?;
            Ok((id, Wished { message: Some(id), ..Wished::from(step) }))
        })
        .await
    }

    async fn step(
        &self,
        act: impl FnOnce(&mut Room, u64) -> Result<Step, IntentError> + Send + 'static,
    ) -> Result<(), RoomError> {
        self.wish(move |room, now| act(room, now).map(|step| ((), Wished::from(step)))).await
    }

    /// Has the driver do `act` with the machine, and hands back its result.
    async fn wish<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Room, u64) -> Result<(T, Wished), IntentError> + Send + 'static,
    ) -> Result<T, RoomError> {
        let (reply, result) = oneshot::channel();
        let act = Box::new(move |room: &mut Room, now| match act(room, now) {
            Ok((value, wished)) => {
                let _ = reply.send(Ok(value));
                wished
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                Wished::default()
            }
        });
        self.wishes.send(Wish::Act(act)).await.map_err(|_| RoomError::Over)?;
        Ok(result.await.map_err(|_| RoomError::Over)??)
    }
}

//! What an application holds of a room.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::error::RoomError;
use super::event::{MemberList, RoomEvent};
use super::thread::Input;
use super::translate;
use crate::sealed::room::{IntentError, Machine, MessageId, Step};
use crate::sealed::{Fingerprint, InviteKind, Link};

/// One membership in a sealed room. Cheap to clone; when the last clone is gone, the room is left.
///
/// The [`RoomEvents`] that come with it must be read.
#[derive(Clone)]
pub struct SealedRoom {
    pub(super) inputs: mpsc::Sender<Input>,
    /// Tells the driver, when the last is gone, that the application holds the room no more.
    pub(super) _holder: mpsc::Sender<Infallible>,
    pub(super) within: Duration,
    pub(super) notice: Arc<str>,
}

impl fmt::Debug for SealedRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedRoom")
    }
}

/// What happens in a room, in order. Ends with [`RoomEvent::Ended`].
pub struct RoomEvents {
    pub(super) events: mpsc::Receiver<RoomEvent>,
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
    /// A word from the server's host to its users; may be empty. It comes from the server: make it harmless before a terminal shows it.
    pub fn notice(&self) -> &str {
        &self.notice
    }

    /// Says something to all. [`RoomEvent::Sent`] lists the members that it reached.
    ///
    /// # Errors
    /// Nobody else is here, the text is too long, or too much waits to be sent.
    pub async fn say(&self, text: &str) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.act(move |machine, now| machine.send_text(&text, now)).await
    }

    /// Says something to one member alone.
    ///
    /// # Errors
    /// There is no such member, the text is too long, or too much waits to be sent.
    pub async fn tell(&self, to: Fingerprint, text: &str) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.act(move |machine, now| machine.tell(to, &text, now)).await
    }

    /// Makes an invite link, for one person or for all who have it; `expires_in` is its life, in whole seconds, at least 1. Only the owner can.
    ///
    /// # Errors
    /// Not the owner, or the server gave no key.
    pub async fn invite(&self, kind: InviteKind, expires_in: Option<Duration>) -> Result<Link, RoomError> {
        let (link, result) = oneshot::channel();
        self.give(Input::Invite { kind, expires_in, link }).await?;
        tokio::time::timeout(self.within, result).await.map_err(|_| RoomError::Timeout)?.map_err(|_| RoomError::Over)?
    }

    /// Who is here.
    ///
    /// # Errors
    /// The membership is over.
    pub async fn members(&self) -> Result<MemberList, RoomError> {
        self.act(|machine, _| Ok((translate::members(machine), Step::default()))).await
    }

    /// Notes that `member`'s fingerprint was compared, in person or by voice; with `false`, takes it back.
    ///
    /// # Errors
    /// There is no such member.
    pub async fn set_verified(&self, member: Fingerprint, verified: bool) -> Result<(), RoomError> {
        self.act(move |machine, _| machine.set_verified(member, verified).map(|()| ((), Step::default()))).await
    }

    /// Puts a member out and changes the room's secret, so that it reads nothing from here on. Only the owner can.
    ///
    /// # Errors
    /// Not the owner, or there is no such member.
    pub async fn remove(&self, member: Fingerprint) -> Result<(), RoomError> {
        self.step(move |machine, now| machine.remove(member, now)).await
    }

    /// Changes the room's secret; all links made so far are dead. Only the owner can.
    ///
    /// # Errors
    /// Not the owner.
    pub async fn rekey(&self) -> Result<(), RoomError> {
        self.step(Machine::rekey).await
    }

    /// Makes all join keys useless, by the server's word: [`rekey`](Self::rekey) makes it hold. Only the owner can.
    ///
    /// # Errors
    /// Not the owner.
    pub async fn reset_keys(&self) -> Result<(), RoomError> {
        self.step(Machine::reset_keys).await
    }

    /// Hands the room over. Only the owner can.
    ///
    /// # Errors
    /// Not the owner, or there is no such member.
    pub async fn hand_over(&self, to: Fingerprint) -> Result<(), RoomError> {
        self.step(move |machine, now| machine.hand_over(to, now)).await
    }

    /// Closes the room for everyone. Only the owner can.
    ///
    /// # Errors
    /// Not the owner.
    pub async fn close(&self) -> Result<(), RoomError> {
        self.step(Machine::close).await
    }

    /// Leaves. [`RoomEvent::Ended`] comes when the server was told.
    ///
    /// # Errors
    /// The membership is over already.
    pub async fn leave(&self) -> Result<(), RoomError> {
        self.step(|machine, now| Ok(machine.leave(now))).await
    }

    /// Waits until everything asked for was answered by the server, and everything said was sent or given up.
    ///
    /// # Errors
    /// The membership ended before.
    pub async fn settled(&self) -> Result<(), RoomError> {
        let (waiter, settled) = oneshot::channel();
        self.give(Input::Settled(waiter)).await?;
        settled.await.map_err(|_| RoomError::Over)
    }

    async fn step(
        &self,
        act: impl FnOnce(&mut Machine, u64) -> Result<Step, IntentError> + Send + 'static,
    ) -> Result<(), RoomError> {
        self.act(move |machine, now| act(machine, now).map(|step| ((), step))).await
    }

    /// Has the machine do something, and hands back its result.
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Machine, u64) -> Result<(T, Step), IntentError> + Send + 'static,
    ) -> Result<T, RoomError> {
        let (reply, result) = oneshot::channel();
        let act = Box::new(move |machine: &mut Machine, now| {
            let (result, step) = match act(machine, now) {
                Ok((value, step)) => (Ok(value), step),
                Err(error) => (Err(error), Step::default()),
            };
            let _ = reply.send(result);
            step
        });
        self.give(Input::Act(act)).await?;
        Ok(result.await.map_err(|_| RoomError::Over)??)
    }

    async fn give(&self, input: Input) -> Result<(), RoomError> {
        self.inputs.send(input).await.map_err(|_| RoomError::Over)
    }
}

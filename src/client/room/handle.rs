//! What an application holds of a room.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::error::RoomError;
use super::event::{MemberList, RoomEvent};
use super::thread::Input;
use super::translate;
use crate::sealed::body::RoomSettings;
use crate::sealed::room::{IntentError, Machine, MessageId, Now, Step};
use crate::sealed::{Fingerprint, InviteKind, Link};

/// One membership in a sealed room. It is cheap to clone. When the last clone is dropped, the client leaves the room.
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

/// What happens in a room, in order, also as a [`Stream`]. Ends with [`RoomEvent::Ended`].
pub struct RoomEvents {
    pub(super) events: mpsc::Receiver<RoomEvent>,
}

impl fmt::Debug for RoomEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomEvents")
    }
}

impl RoomEvents {
    /// The next event; `None` after [`RoomEvent::Ended`].
    ///
    /// # Cancel safety
    /// A dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        self.events.recv().await
    }
}

impl Stream for RoomEvents {
    type Item = RoomEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RoomEvent>> {
        self.events.poll_recv(context)
    }
}

impl SealedRoom {
    /// The notice of the server's host to its users; may be empty. It comes from the server: make it harmless before a
    /// terminal shows it.
    pub fn notice(&self) -> &str {
        &self.notice
    }

    /// Says something to everyone in the room. [`RoomEvent::Sent`] tells which members it reached.
    ///
    /// # Errors
    /// Nobody else is in the room, the text is too long, or too many texts wait to be sent.
    ///
    /// # Cancel safety
    /// The text of a dropped future may still be said; then its id is not known.
    pub async fn say(&self, text: &str) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.act(move |machine, now| machine.send_text(&text, now)).await
    }

    /// Says something to one member alone.
    ///
    /// # Errors
    /// There is no such member, the text is too long, or too many texts wait to be sent.
    ///
    /// # Cancel safety
    /// The text of a dropped future may still be said; then its id is not known.
    pub async fn tell(&self, to: Fingerprint, text: &str) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.act(move |machine, now| machine.tell(to, &text, now)).await
    }

    /// Replies to message `n` of the member `of`; in the conversation with `to` alone if it is given.
    ///
    /// # Errors
    /// As [`say`](Self::say) and [`tell`](Self::tell); or there is no such message.
    pub async fn reply(
        &self,
        of: Fingerprint,
        n: u32,
        text: &str,
        to: Option<Fingerprint>,
    ) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.act(move |machine, now| machine.reply(of, n, &text, to, now)).await
    }

    /// Changes the text of one's own message `n`, in the conversation with `to` alone if it is given.
    /// [`RoomEvent::Sent`] told its number.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub async fn edit(&self, n: u32, text: &str, to: Option<Fingerprint>) -> Result<MessageId, RoomError> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.act(move |machine, now| machine.edit(n, &text, to, now)).await
    }

    /// Takes one's own message `n` back, in the conversation with `to` alone if it is given.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub async fn delete(&self, n: u32, to: Option<Fingerprint>) -> Result<MessageId, RoomError> {
        self.act(move |machine, now| machine.delete(n, to, now)).await
    }

    /// Reacts to message `n` of the member `of` by a sign of at most 32 bytes; an empty one takes the reaction back.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub async fn react(
        &self,
        of: Fingerprint,
        n: u32,
        sign: &str,
        to: Option<Fingerprint>,
    ) -> Result<MessageId, RoomError> {
        let sign = sign.to_owned();
        self.act(move |machine, now| machine.react(of, n, &sign, to, now)).await
    }

    /// Sets after how many seconds messages disappear, and whether there are typing and read marks. Only the owner can.
    ///
    /// # Errors
    /// Not the owner, or more than a year.
    pub async fn set_room_settings(&self, settings: RoomSettings) -> Result<(), RoomError> {
        self.step(move |machine, now| machine.set_room_settings(settings, now)).await
    }

    /// Lets the others see that this member writes, or has stopped; nothing if the room has no such marks.
    ///
    /// # Errors
    /// The membership is over.
    pub async fn typing(&self, on: bool) -> Result<(), RoomError> {
        self.step(move |machine, now| machine.typing(on, now)).await
    }

    /// Lets the others see that this member has read the messages of `of` up to `n`; nothing if the room has no such
    /// marks.
    ///
    /// # Errors
    /// The membership is over.
    pub async fn read(&self, of: Fingerprint, n: u32) -> Result<(), RoomError> {
        self.step(move |machine, now| machine.read(of, n, now)).await
    }

    /// Takes the office of an owner that the server says is gone, as its heir; [`RoomEvent::OwnerGone`] says that it is
    /// possible. It rests on the server's word alone: ask the owner, if you can.
    ///
    /// # Errors
    /// Not its heir, or the owner is here.
    pub async fn take_office(&self) -> Result<(), RoomError> {
        self.step(Machine::take_office).await
    }

    /// Makes an invite link, for one person or for everyone who has it. `expires_in` is its life in whole seconds, at
    /// least 1; without it, the link is good for as long as the room. Only the owner can make one.
    ///
    /// # Errors
    /// This member is not the owner, or the server gave no key.
    ///
    /// # Cancel safety
    /// A dropped future makes a link that nobody gets. Its key stays good on the server until it expires or is revoked.
    pub async fn invite(&self, kind: InviteKind, expires_in: Option<Duration>) -> Result<Link, RoomError> {
        let (link, result) = oneshot::channel();
        self.give(Input::Invite { kind, expires_in, link }).await?;
        tokio::time::timeout(self.within, result).await.map_err(|_| RoomError::Timeout)?.map_err(|_| RoomError::Over)?
    }

    /// The members of the room, as this client has accepted them.
    ///
    /// # Errors
    /// The membership is over.
    ///
    /// # Cancel safety
    /// A dropped future changes nothing.
    pub async fn members(&self) -> Result<MemberList, RoomError> {
        self.act(|machine, _| Ok((translate::members(machine), Step::default()))).await
    }

    /// Notes that the user has compared `member`'s fingerprint, in person or by voice. With `false`, takes it back.
    ///
    /// # Errors
    /// There is no such member.
    ///
    /// # Cancel safety
    /// A future that is dropped before it returns may or may not have had its effect.
    pub async fn set_verified(&self, member: Fingerprint, verified: bool) -> Result<(), RoomError> {
        self.act(move |machine, _| machine.set_verified(member, verified).map(|()| ((), Step::default()))).await
    }

    /// Removes a member and changes the room's secret: the member cannot read what comes after. Only the owner can.
    ///
    /// # Errors
    /// This member is not the owner, or there is no such member.
    ///
    /// # Cancel safety
    /// A future that is dropped before it returns may or may not have had its effect.
    pub async fn remove(&self, member: Fingerprint) -> Result<(), RoomError> {
        self.step(move |machine, now| machine.remove(member, now)).await
    }

    /// Changes the room's secret. All links made so far stop working. Only the owner can.
    ///
    /// # Errors
    /// This member is not the owner, or the room is being handed over.
    ///
    /// # Cancel safety
    /// A future that is dropped before it returns may or may not have had its effect.
    pub async fn rekey(&self) -> Result<(), RoomError> {
        self.step(Machine::rekey).await
    }

    /// Has the server revoke all join keys. A dishonest server may keep them; [`rekey`](Self::rekey) makes sure. Only
    /// the owner can.
    ///
    /// # Errors
    /// This member is not the owner.
    ///
    /// # Cancel safety
    /// A future that is dropped before it returns may or may not have had its effect.
    pub async fn reset_keys(&self) -> Result<(), RoomError> {
        self.step(Machine::reset_keys).await
    }

    /// Hands the room over to a member. Only the owner can.
    ///
    /// # Errors
    /// This member is not the owner, there is no such member, or the room's secret is being changed.
    ///
    /// # Cancel safety
    /// A future that is dropped before it returns may or may not have had its effect.
    pub async fn hand_over(&self, to: Fingerprint) -> Result<(), RoomError> {
        self.step(move |machine, now| machine.hand_over(to, now)).await
    }

    /// Closes the room for everyone. Only the owner can.
    ///
    /// # Errors
    /// This member is not the owner.
    ///
    /// # Cancel safety
    /// A future that is dropped before it returns may or may not have had its effect.
    pub async fn close(&self) -> Result<(), RoomError> {
        self.step(Machine::close).await
    }

    /// Leaves the room. [`RoomEvent::Ended`] comes when the server knows.
    ///
    /// # Errors
    /// The membership is over already.
    ///
    /// # Cancel safety
    /// A future that is dropped before it returns may or may not have had its effect.
    pub async fn leave(&self) -> Result<(), RoomError> {
        self.step(|machine, now| Ok(machine.leave(now))).await
    }

    /// Waits until the server has answered everything, and every text was sent or given up.
    ///
    /// # Errors
    /// The membership ended before.
    ///
    /// # Cancel safety
    /// A dropped future changes nothing.
    pub async fn settled(&self) -> Result<(), RoomError> {
        let (waiter, settled) = oneshot::channel();
        self.give(Input::Settled(waiter)).await?;
        settled.await.map_err(|_| RoomError::Over)
    }

    async fn step(
        &self,
        act: impl FnOnce(&mut Machine, Now) -> Result<Step, IntentError> + Send + 'static,
    ) -> Result<(), RoomError> {
        self.act(move |machine, now| act(machine, now).map(|step| ((), step))).await
    }

    /// Has the machine do something, and hands back its result.
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Machine, Now) -> Result<(T, Step), IntentError> + Send + 'static,
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

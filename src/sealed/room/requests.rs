//! What the user can ask for, and look at.
use std::time::Duration;

use zeroize::Zeroizing;

use super::{
    heard::{Line, Side},
    input::Now,
    machine::{Machine, Phase},
    members::Member,
    output::{Command, Ending, IntentError, InviteId, MessageId, Step},
    owner_state::Wanted,
    send_queue::{Outgoing, Queued},
};
use crate::sealed::{
    body::{Body, MAX_GONE_S, MAX_REACTION_BYTES, MAX_TEXT_BYTES, Reference, RoomSettings},
    certificate::InviteKind,
    chain::Right,
    fingerprint::Fingerprint,
    identity::SIGNATURE_BYTES,
    padding,
};

/// How many messages wait to be sent at most.
const MAX_QUEUED: usize = 1024;
/// What a text has around it, in bytes: the JSON of a message, a packet, the largest recipient.
const AROUND_TEXT_BYTES: usize = 1_024;
const AROUND_PACKET_BYTES: usize = 3_072;

/// A member for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// The server's id.
    pub user_id: String,
    /// The name to show, with groups of the fingerprint if another member's looks alike.
    pub name: String,
    /// Whether the user has compared the fingerprint.
    pub verified: bool,
    /// Whether it owns the room.
    pub owner: bool,
}

impl Machine {
    /// Says something to everyone in the room.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`Alone`](IntentError::Alone), [`TooLong`](IntentError::TooLong) or
    /// [`Busy`](IntentError::Busy).
    pub fn send_text(&mut self, text: &str, now: Now) -> Result<(MessageId, Step), IntentError> {
        self.inside(now)?;
        if self.trusted.members.is_empty() { Err(IntentError::Alone) } else { self.queue_text(text, None) }
    }

    /// Says something to one member only.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NoSuchMember`](IntentError::NoSuchMember), [`TooLong`](IntentError::TooLong) or
    /// [`Busy`](IntentError::Busy).
    pub fn tell(&mut self, to: Fingerprint, text: &str, now: Now) -> Result<(MessageId, Step), IntentError> {
        self.inside(now)?;
        self.find(&to)?;
        self.queue_text(text, Some(to))
    }

    /// Replies to a message, in the room or to one member only. `of` is the message's author.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text) and [`tell`](Self::tell), and [`IntentError::NoSuchMessage`].
    pub fn reply(
        &mut self,
        of: Fingerprint,
        n: u32,
        text: &str,
        to: Option<Fingerprint>,
        now: Now,
    ) -> Result<(MessageId, Step), IntentError> {
        self.inside(now)?;
        let re = self.reference(of, n, to)?;
        self.speak(Body::Text { text: Zeroizing::new(text.to_owned()), re: Some(re) }, to)
    }

    /// Changes the text of a message of one's own.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn edit(
        &mut self,
        n: u32,
        text: &str,
        to: Option<Fingerprint>,
        now: Now,
    ) -> Result<(MessageId, Step), IntentError> {
        self.inside(now)?;
        self.own_line(n, to, &[Line::Text])?;
        self.speak(Body::Edit { n, text: Zeroizing::new(text.to_owned()) }, to)
    }

    /// Takes a message of one's own back.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn delete(&mut self, n: u32, to: Option<Fingerprint>, now: Now) -> Result<(MessageId, Step), IntentError> {
        self.inside(now)?;
        self.own_line(n, to, &[Line::Text, Line::File])?;
        self.speak(Body::Delete { n }, to)
    }

    /// Reacts to a message with a sign of at most 32 bytes; an empty one takes the reaction back.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn react(
        &mut self,
        of: Fingerprint,
        n: u32,
        sign: &str,
        to: Option<Fingerprint>,
        now: Now,
    ) -> Result<(MessageId, Step), IntentError> {
        self.inside(now)?;
        if sign.len() > MAX_REACTION_BYTES {
            return Err(IntentError::TooLong);
        }
        let re = self.reference(of, n, to)?;
        self.speak(Body::React { re, text: Zeroizing::new(sign.to_owned()) }, to)
    }

    /// Sets, as the owner, after how many seconds messages disappear (0 for never, at most a year), and whether there
    /// are typing and read marks.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NotOwner`](IntentError::NotOwner), [`TooLong`](IntentError::TooLong) or
    /// [`Busy`](IntentError::Busy).
    pub fn set_room_settings(&mut self, settings: RoomSettings, now: Now) -> Result<Step, IntentError> {
        self.owning(now)?;
        if settings.gone > MAX_GONE_S {
            return Err(IntentError::TooLong);
        }
        self.set_settings(settings);
        if self.trusted.members.is_empty() {
            return Ok(self.finish());
        }
        self.speak(Body::Timer(settings), None).map(|(_, step)| step)
    }

    /// Lets the others see that this member writes, or has stopped. Nothing happens in a room without such marks.
    ///
    /// # Errors
    /// [`IntentError::NotInside`].
    pub fn typing(&mut self, on: bool, now: Now) -> Result<Step, IntentError> {
        self.mark(Body::Typing { on }, now)
    }

    /// Lets the others see up to which number this member has read somebody's messages, as [`typing`](Self::typing).
    ///
    /// # Errors
    /// [`IntentError::NotInside`].
    pub fn read(&mut self, of: Fingerprint, n: u32, now: Now) -> Result<Step, IntentError> {
        self.mark(Body::Read { of, n }, now)
    }

    fn mark(&mut self, body: Body, now: Now) -> Result<Step, IntentError> {
        self.inside(now)?;
        if self.trusted.settings.marks && !self.trusted.members.is_empty() && self.sending.queue.len() < MAX_QUEUED {
            let at = self.clock.wall;
            self.sending.queue.push_back(Queued { outgoing: Outgoing::Mark(body), to: None, at });
        }
        Ok(self.finish())
    }

    fn queue_text(&mut self, text: &str, to: Option<Fingerprint>) -> Result<(MessageId, Step), IntentError> {
        self.speak(Body::Text { text: Zeroizing::new(text.to_owned()), re: None }, to)
    }

    fn speak(&mut self, body: Body, to: Option<Fingerprint>) -> Result<(MessageId, Step), IntentError> {
        match to {
            Some(to) => drop(self.find(&to)?),
            None if self.trusted.members.is_empty() => return Err(IntentError::Alone),
            None => {}
        }
        if let Body::Text { text, .. } | Body::Edit { text, .. } = &body {
            let escaped: usize = text.chars().map(escaped_bytes).sum();
            let padded = padding::bucket(SIGNATURE_BYTES + AROUND_TEXT_BYTES + escaped, 0);
            let fits = padded / 3 * 4 + AROUND_PACKET_BYTES <= self.settings.frame_bytes;
            if !fits || text.is_empty() || text.len() > MAX_TEXT_BYTES {
                return Err(IntentError::TooLong);
            }
        }
        if self.sending.queue.len() >= MAX_QUEUED {
            return Err(IntentError::Busy);
        }
        let (id, at) = (MessageId(self.next_id()), self.clock.wall);
        self.sending.queue.push_back(Queued { outgoing: Outgoing::Say(id, body), to, at });
        Ok((id, self.finish()))
    }

    /// Names a message in the conversation with the room, or with one member.
    fn reference(&self, of: Fingerprint, n: u32, partner: Option<Fingerprint>) -> Result<Reference, IntentError> {
        let me = self.myself();
        let to = partner.map(|partner| if of == me { partner } else { me });
        let said = self.talk.heard.get(Side { author: of, to }, n).ok_or(IntentError::NoSuchMessage)?;
        Ok(Reference { of, n, said })
    }

    fn own_line(&self, n: u32, to: Option<Fingerprint>, lines: &[Line]) -> Result<(), IntentError> {
        let line = self.talk.heard.line(Side { author: self.myself(), to }, n);
        if line.is_some_and(|line| lines.contains(&line)) { Ok(()) } else { Err(IntentError::NoSuchMessage) }
    }

    /// Makes an invite, which comes as [`Event::Invite`](super::Event::Invite) with the same id. `expires_in` is its
    /// life, in whole seconds, at least 1; `None` for as long as the room.
    ///
    /// # Errors
    /// [`IntentError::NotInside`] or [`NotOwner`](IntentError::NotOwner).
    pub fn invite(
        &mut self,
        kind: InviteKind,
        expires_in: Option<Duration>,
        now: Now,
    ) -> Result<(InviteId, Step), IntentError> {
        self.owning(now)?;
        let id = InviteId(self.next_id());
        self.owner_state.waiting.push(Wanted { id, kind, expires_in: expires_in.map(whole_seconds) });
        Ok((id, self.finish()))
    }

    /// Removes a member and changes the room secret, so that it reads nothing from here on.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NotOwner`](IntentError::NotOwner), [`NoSuchMember`](IntentError::NoSuchMember), or
    /// [`Busy`](IntentError::Busy) while the room is being handed over.
    pub fn remove(&mut self, member: Fingerprint, now: Now) -> Result<Step, IntentError> {
        self.owning(now)?;
        let user_id = self.find(&member)?.user_id.clone();
        self.remove_locally(member);
        self.begin_rekey(Some(user_id));
        Ok(self.finish())
    }

    /// Changes the room secret: all links made so far are dead.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NotOwner`](IntentError::NotOwner), or [`Busy`](IntentError::Busy) while the room
    /// is being handed over.
    pub fn rekey(&mut self, now: Now) -> Result<Step, IntentError> {
        self.owning(now)?;
        self.begin_rekey(None);
        Ok(self.finish())
    }

    /// Revokes all join keys, by the server's word only.
    ///
    /// # Errors
    /// [`IntentError::NotInside`] or [`NotOwner`](IntentError::NotOwner).
    pub fn reset_keys(&mut self, now: Now) -> Result<Step, IntentError> {
        self.owning(now)?;
        self.command(Command::ResetKeys);
        Ok(self.finish())
    }

    /// Hands the room over to a member.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NotOwner`](IntentError::NotOwner), [`NoSuchMember`](IntentError::NoSuchMember), or
    /// [`Busy`](IntentError::Busy) while the room is being handed over or its secret changed.
    pub fn hand_over(&mut self, to: Fingerprint, now: Now) -> Result<Step, IntentError> {
        self.owning(now)?;
        self.free(self.is_rekeying())?;
        self.find(&to)?;
        let at = self.clock.wall;
        self.sending.queue.push_back(Queued { outgoing: Outgoing::HandOver, to: Some(to), at });
        Ok(self.finish())
    }

    /// Takes the office of an owner that the server says is gone, as its heir: by the person's decision, never by
    /// itself. [`Event::OwnerGone`](super::Event::OwnerGone) with this member as the heir says that it is possible.
    ///
    /// # Errors
    /// [`IntentError::NotInside`] or [`NotOwner`](IntentError::NotOwner).
    pub fn take_office(&mut self, now: Now) -> Result<Step, IntentError> {
        self.inside(now)?;
        if self.take_granted_office() { Ok(self.finish()) } else { Err(IntentError::NotOwner) }
    }

    /// Notes that the user has compared a member's fingerprint, or takes it back.
    ///
    /// # Errors
    /// [`IntentError::NoSuchMember`].
    pub fn set_verified(&mut self, member: Fingerprint, verified: bool) -> Result<(), IntentError> {
        self.trusted.members.get_mut(&member).ok_or(IntentError::NoSuchMember)?.verified = verified;
        Ok(())
    }

    /// Leaves the room for good. Carry the commands out, then drop the machine.
    pub fn leave(&mut self, now: Now) -> Step {
        self.let_time_pass(now);
        if self.phase != Phase::Over {
            self.command(Command::Leave);
            self.end(Ending::Left);
        }
        self.finish()
    }

    /// Closes the room for everyone.
    ///
    /// # Errors
    /// [`IntentError::NotInside`] or [`NotOwner`](IntentError::NotOwner).
    pub fn close(&mut self, now: Now) -> Result<Step, IntentError> {
        self.owning(now)?;
        self.command(Command::Close);
        Ok(self.finish())
    }

    /// Whether nothing is under way: every text was sent or given up, and every command that matters was answered.
    pub fn is_settled(&self) -> bool {
        self.awaited.is_empty()
            && self.sending.in_flight.is_none()
            && self.sending.queue.is_empty()
            && self.owner_state.waiting.is_empty()
            && self.owner_state.rekey.is_none()
    }

    /// The fingerprint of this membership.
    pub fn fingerprint(&self) -> Fingerprint {
        self.me.identity.fingerprint()
    }

    /// One's own display name.
    pub fn name(&self) -> &str {
        &self.me.name
    }

    /// One's own name as others may see it: marked if another member's looks alike.
    pub fn shown_name(&self) -> String {
        self.trusted.members.own_name()
    }

    /// The room's settings, by the owner's word.
    pub fn room_settings(&self) -> RoomSettings {
        self.trusted.settings
    }

    /// By which right the present owner owns the room; `None` for the creator.
    pub fn owners_right(&self) -> Option<Right> {
        self.trusted.chain.links().last().map(|link| link.right)
    }

    /// The room's name; may be empty.
    pub fn room_name(&self) -> &str {
        &self.room.name
    }

    /// The server's id of the room; empty before it was created.
    pub fn room_id(&self) -> &str {
        &self.room.id
    }

    /// The server's id of this membership; empty before entry.
    pub fn user_id(&self) -> &str {
        &self.claimed.user_id
    }

    /// The present epoch.
    pub fn epoch(&self) -> u32 {
        self.trusted.epochs.current().epoch()
    }

    /// The fingerprint of the owner, by the chain of owners.
    pub fn owner(&self) -> Fingerprint {
        self.trusted.chain.owner().fingerprint()
    }

    /// Whether this client can invite, remove and so on: it owns the room by the chain, whatever the server says, and
    /// is not handing it over.
    pub fn is_owner(&self) -> bool {
        self.governs()
    }

    /// The accepted members without oneself, in the order of joining as far as known.
    pub fn members(&self) -> Vec<MemberInfo> {
        let members = self.trusted.members.longest_standing();
        members.into_iter().filter_map(|member| self.member(&member.fingerprint)).collect()
    }

    /// One accepted member.
    pub fn member(&self, fingerprint: &Fingerprint) -> Option<MemberInfo> {
        self.trusted.members.get(fingerprint).map(|member| MemberInfo {
            fingerprint: member.fingerprint,
            user_id: member.user_id.clone(),
            name: member.shown(),
            verified: member.verified,
            owner: member.key == *self.trusted.chain.owner(),
        })
    }

    fn find(&self, member: &Fingerprint) -> Result<&Member, IntentError> {
        self.trusted.members.get(member).ok_or(IntentError::NoSuchMember)
    }

    fn inside(&mut self, now: Now) -> Result<(), IntentError> {
        self.let_time_pass(now);
        if self.phase == Phase::Inside { Ok(()) } else { Err(IntentError::NotInside) }
    }

    fn free(&self, busy: bool) -> Result<(), IntentError> {
        if busy { Err(IntentError::Busy) } else { Ok(()) }
    }

    fn owning(&mut self, now: Now) -> Result<(), IntentError> {
        self.inside(now)?;
        match (self.is_owner_by_chain(), self.is_handing_over()) {
            (true, false) => Ok(()),
            (true, true) => Err(IntentError::Busy),
            (false, _) => Err(IntentError::NotOwner),
        }
    }
}

/// A life in whole seconds, at least 1: what an invite's expiry can say.
fn whole_seconds(life: Duration) -> Duration {
    Duration::from_secs(life.as_secs().saturating_add(u64::from(life.subsec_nanos() > 0)).max(1))
}

/// How long a character becomes in JSON.
fn escaped_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

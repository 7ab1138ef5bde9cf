//! What the user can ask for, and look at.
use std::time::Duration;

use zeroize::Zeroizing;

use super::{
    machine::{Machine, Phase},
    members::Member,
    output::{Command, Ending, IntentError, InviteId, MessageId, Step},
    owner_state::Wanted,
    send_queue::{Outgoing, Queued},
};
use crate::sealed::{certificate::InviteKind, fingerprint::Fingerprint, identity::SIGNATURE_BYTES, padding};

/// How many messages wait to be sent at most.
const MAX_QUEUED: usize = 1024;
/// What a text has around it, in bytes: the JSON of a message, a packet, the largest recipient.
const AROUND_TEXT_BYTES: usize = 512;
const AROUND_PACKET_BYTES: usize = 1_536;

/// A member for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// The server's id.
    pub user_id: String,
    /// The name to show, with the first group of the fingerprint if another member had it before.
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
    /// [`IntentError::NotInside`], [`Alone`](IntentError::Alone), [`TooLong`](IntentError::TooLong) or [`Busy`](IntentError::Busy).
    pub fn send_text(&mut self, text: &str, now_ms: u64) -> Result<(MessageId, Step), IntentError> {
        self.inside(now_ms)?;
        if self.trusted.members.is_empty() { Err(IntentError::Alone) } else { self.queue_text(text, None, now_ms) }
    }

    /// Says something to one member only.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NoSuchMember`](IntentError::NoSuchMember), [`TooLong`](IntentError::TooLong) or
    /// [`Busy`](IntentError::Busy).
    pub fn tell(&mut self, to: Fingerprint, text: &str, now_ms: u64) -> Result<(MessageId, Step), IntentError> {
        self.inside(now_ms)?;
        self.find(&to)?;
        self.queue_text(text, Some(to), now_ms)
    }

    fn queue_text(&mut self, text: &str, to: Option<Fingerprint>, now: u64) -> Result<(MessageId, Step), IntentError> {
        let escaped: usize = text.chars().map(escaped_bytes).sum();
        let padded = padding::bucket(SIGNATURE_BYTES + AROUND_TEXT_BYTES + escaped, 0);
        if padded / 3 * 4 + AROUND_PACKET_BYTES > self.settings.frame_bytes {
            return Err(IntentError::TooLong);
        }
        if self.sending.queue.len() >= MAX_QUEUED {
            return Err(IntentError::Busy);
        }
        let id = MessageId(self.next_id());
        let outgoing = Outgoing::Text(id, Zeroizing::new(text.to_owned()));
        self.sending.queue.push_back(Queued { outgoing, to, at: now });
        Ok((id, self.finish(now)))
    }

    /// Makes an invite, which comes as [`Event::Invite`](super::Event::Invite) with the same id. `expires_in` is its life, in
    /// whole seconds, at least 1; `None` for as long as the room.
    ///
    /// # Errors
    /// [`IntentError::NotInside`] or [`NotOwner`](IntentError::NotOwner).
    pub fn invite(
        &mut self,
        kind: InviteKind,
        expires_in: Option<Duration>,
        now_ms: u64,
    ) -> Result<(InviteId, Step), IntentError> {
        self.owning(now_ms)?;
        let id = InviteId(self.next_id());
        self.owner_state.waiting.push(Wanted { id, kind, expires_in: expires_in.map(whole_seconds) });
        Ok((id, self.finish(now_ms)))
    }

    /// Removes a member and changes the room secret, so that it reads nothing from here on.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NotOwner`](IntentError::NotOwner), [`NoSuchMember`](IntentError::NoSuchMember), or
    /// [`Busy`](IntentError::Busy) while the room is being handed over.
    pub fn remove(&mut self, member: Fingerprint, now_ms: u64) -> Result<Step, IntentError> {
        self.owning(now_ms)?;
        self.free(self.is_handing_over())?;
        let user_id = self.find(&member)?.user_id.clone();
        self.remove_locally(member);
        self.begin_rekey(Some((member, user_id)), now_ms);
        Ok(self.finish(now_ms))
    }

    /// Changes the room secret: all links made so far are dead.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NotOwner`](IntentError::NotOwner), or [`Busy`](IntentError::Busy) while the room is being
    /// handed over.
    pub fn rekey(&mut self, now_ms: u64) -> Result<Step, IntentError> {
        self.owning(now_ms)?;
        self.free(self.is_handing_over())?;
        self.begin_rekey(None, now_ms);
        Ok(self.finish(now_ms))
    }

    /// Revokes all join keys, by the server's word only.
    ///
    /// # Errors
    /// [`IntentError::NotInside`] or [`NotOwner`](IntentError::NotOwner).
    pub fn reset_keys(&mut self, now_ms: u64) -> Result<Step, IntentError> {
        self.owning(now_ms)?;
        self.command(Command::ResetKeys);
        Ok(self.finish(now_ms))
    }

    /// Hands the room over to a member.
    ///
    /// # Errors
    /// [`IntentError::NotInside`], [`NotOwner`](IntentError::NotOwner), [`NoSuchMember`](IntentError::NoSuchMember), or
    /// [`Busy`](IntentError::Busy) while the room is being handed over or its secret changed.
    pub fn hand_over(&mut self, to: Fingerprint, now_ms: u64) -> Result<Step, IntentError> {
        self.owning(now_ms)?;
        self.free(self.is_handing_over() || self.is_rekeying())?;
        self.find(&to)?;
        self.sending.queue.push_back(Queued { outgoing: Outgoing::HandOver, to: Some(to), at: now_ms });
        Ok(self.finish(now_ms))
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
    pub fn leave(&mut self, now_ms: u64) -> Step {
        if self.phase != Phase::Over {
            self.command(Command::Leave);
            self.end(Ending::Left);
        }
        self.finish(now_ms)
    }

    /// Closes the room for everyone.
    ///
    /// # Errors
    /// [`IntentError::NotInside`] or [`NotOwner`](IntentError::NotOwner).
    pub fn close(&mut self, now_ms: u64) -> Result<Step, IntentError> {
        self.owning(now_ms)?;
        self.command(Command::Close);
        Ok(self.finish(now_ms))
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

    /// Whether this client can invite, remove and so on: it owns the room by the chain and by the server's word.
    pub fn is_owner(&self) -> bool {
        self.governs()
    }

    /// The accepted members without oneself, in the order of joining as far as known.
    pub fn members(&self) -> Vec<MemberInfo> {
        let order = self.trusted.members.longest_standing(usize::MAX);
        order.iter().filter_map(|fingerprint| self.member(fingerprint)).collect()
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

    fn inside(&mut self, now: u64) -> Result<(), IntentError> {
        self.let_time_pass(now);
        if self.phase == Phase::Inside { Ok(()) } else { Err(IntentError::NotInside) }
    }

    fn free(&self, busy: bool) -> Result<(), IntentError> {
        if busy { Err(IntentError::Busy) } else { Ok(()) }
    }

    fn owning(&mut self, now: u64) -> Result<(), IntentError> {
        self.inside(now)?;
        if self.governs() { Ok(()) } else { Err(IntentError::NotOwner) }
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

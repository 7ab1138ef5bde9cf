//! Changing the room secret: the owner's rekey, and following it.
use super::{
    epochs::Place,
    input::{Answer, LeaveReason},
    machine::{Awaited, Machine, RekeyStep},
    output::{Command, Ending, Event},
    owner_state::Rekey,
    send_queue::{Outgoing, Queued},
};
use crate::sealed::{
    alarm::{Alarm, Who},
    chain::OwnerChain,
    fingerprint::Fingerprint,
    identity::VerifyingKey,
    plain::NewSecret,
    secret::RoomSecret,
};

/// How long a rekey waits for the server's answers, in milliseconds.
const ANSWERS_MS: u64 = 10_000;
/// How much longer than the resume window an old secret is kept, in milliseconds.
const KEEP_OLD_MS: u64 = 30_000;

impl Machine {
    /// Where an epoch lies. The owner makes the epochs: for the owner there is none after the present one.
    pub(super) fn place(&self, epoch: u32) -> Place {
        match self.trusted.epochs.place(epoch) {
            Place::Next | Place::Beyond(_) if self.governs() => Place::Beyond(Alarm::SecretNeverIssued),
            place => place,
        }
    }

    /// Tells the user of somebody who claims an epoch that cannot be, unless it knows already.
    pub(super) fn refuse_epoch(&mut self, who: Who, alarm: fn(Who) -> Alarm) {
        if self.waiting.held.tell_of(&who.user_id) {
            self.alarm(alarm(who));
        }
    }

    /// Starts a rekey, or adds a removal to the one that is being prepared.
    pub(super) fn begin_rekey(&mut self, remove: Option<(Fingerprint, String)>, now: u64) {
        let mut rekey = self.owner_state.rekey.take().unwrap_or_default();
        rekey.deadline = now.saturating_add(ANSWERS_MS);
        if let Some((fingerprint, user_id)) = remove {
            rekey.removed.push(fingerprint);
            self.ask_for_rekey(RekeyStep::Remove { user_id });
        }
        // Again even if it is under way: a key could have been used between the two.
        self.ask_for_rekey(RekeyStep::ResetKeys);
        self.owner_state.rekey = Some(rekey);
    }

    fn ask_for_rekey(&mut self, step: RekeyStep) {
        let command = match &step {
            RekeyStep::Remove { user_id } => Command::RemoveMember { user_id: user_id.clone() },
            RekeyStep::ResetKeys => Command::ResetKeys,
        };
        self.ask(command, Awaited::Rekey(step));
    }

    /// The server has answered one of the commands of a rekey under way.
    pub(super) fn rekey_answered(&mut self, step: RekeyStep, answer: &Answer, now: u64) {
        if matches!(answer, Answer::Lost) {
            self.ask_for_rekey(step);
        }
        self.finish_rekey(now);
    }

    /// Sends the new secret once every command is answered, or the time for it is up.
    pub(super) fn finish_rekey(&mut self, now: u64) {
        let is_step = |awaited: &Awaited| matches!(awaited, Awaited::Rekey(_));
        if self.owner_state.rekey.as_ref().is_some_and(|rekey| rekey.deadline <= now || !self.awaits(is_step))
            && let Some(Rekey { removed, .. }) = self.owner_state.rekey.take()
        {
            // A late answer says nothing about a later rekey.
            self.awaited.retain(|_, awaited| !is_step(awaited));
            self.sending.queue.push_front(Queued { outgoing: Outgoing::Rekey { removed }, to: None, at: now });
        }
    }

    /// Goes over to the next epoch.
    pub(super) fn adopt(&mut self, secret: RoomSecret, now: u64) {
        let keep_until = now.saturating_add(self.settings.resume_window_ms).saturating_add(KEEP_OLD_MS);
        let epoch = secret.epoch();
        self.trusted.epochs.advance(secret, keep_until);
        self.set_card(now);
        self.event(Event::Rekeyed { epoch });
        self.waiting.held.release_newer(&mut self.waiting.replay);
        if !self.trusted.members.not_here.is_empty() {
            self.waiting.listing.want_now(now);
        }
    }

    /// A member sent a new room secret.
    pub(super) fn rekeyed(&mut self, from: Fingerprint, new: NewSecret, sealed_in: u32, private: bool, now: u64) {
        let Some(member) = self.trusted.members.get(&from) else {
            return;
        };
        let (who, key, user_id) = (member.who(), member.key, member.user_id.clone());
        let Some(chain) = self.chain_of_rekey(&new.chain, &key, &user_id) else {
            return self.alarm(Alarm::RekeyByStranger(who));
        };
        let current = self.trusted.epochs.current().epoch();
        if private || sealed_in != current || Some(new.secret.epoch()) != current.checked_add(1) {
            return self.alarm(Alarm::RekeyOutOfTurn(who));
        }
        if new.removed.contains(&self.me.identity.fingerprint()) {
            return self.end(Ending::Removed);
        }
        if chain != self.trusted.chain {
            self.trusted.chain = chain;
            self.event(Event::OwnerChanged { owner: from });
        }
        for removed in new.removed.iter().filter(|removed| **removed != from) {
            self.remove_locally(*removed);
        }
        self.adopt(new.secret, now);
    }

    /// The chain that a rekey shows, if its sender owns the room by it: the present owner, or the one named by the server with the owner's signature.
    fn chain_of_rekey(&self, chain: &[u8], key: &VerifyingKey, user_id: &str) -> Option<OwnerChain> {
        let chain = OwnerChain::from_bytes(*self.trusted.chain.root(), chain).ok()?;
        let present = chain == self.trusted.chain;
        let next = chain.follows(&self.trusted.chain) && self.claimed.owner_id == user_id;
        (chain.owner() == key && (present || next)).then_some(chain)
    }

    /// Drops a member by the owner's word, whatever the server says.
    pub(super) fn remove_locally(&mut self, fingerprint: Fingerprint) {
        if let Some(member) = self.trusted.members.drop_member(fingerprint, true) {
            self.trusted.members.dropped.insert(member.user_id.clone());
            let name = member.shown();
            self.event(Event::MemberLeft { member: fingerprint, name, reason: LeaveReason::Removed });
        }
    }
}

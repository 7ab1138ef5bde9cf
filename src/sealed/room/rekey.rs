//! Changing the room secret: removing members and beginning an epoch as the owner, and taking the secret of a newer
//! epoch from any member that brings it with its proof.
use super::{
    epochs::MOST_EPOCHS,
    input::{Answer, LeaveReason},
    machine::{Awaited, Machine, RekeyStep},
    output::{Command, Ending, Event},
    owner_state::Rekey,
    send_queue::{Outgoing, Proved, Queued},
};
use crate::sealed::{
    alarm::{AlarmKind, Who},
    body::NewSecret,
    chain::OwnerChain,
    fingerprint::Fingerprint,
    secret::RoomSecret,
};

/// How long a rekey waits for the server's answers, in milliseconds of connected time.
const ANSWERS_MS: u64 = 10_000;
/// When an owner asks which members have the new secret, after a rekey; then again and again.
const RECEIPTS_MS: [u64; 2] = [10_000, 60_000];
const RECEIPTS_EVERY_MS: u64 = 300_000;

impl Machine {
    /// Starts a rekey, or adds a removal to the one that is being prepared.
    pub(super) fn begin_rekey(&mut self, remove: Option<String>) {
        let deadline = self.time() + ANSWERS_MS;
        self.owner_state.rekey.get_or_insert(Rekey { waits_for: 0, deadline }).deadline = deadline;
        if let Some(user_id) = remove {
            self.ask_for_rekey(RekeyStep::Remove { user_id });
        }
        // Again even if it is under way: a key could have been used between the two.
        self.ask_for_rekey(RekeyStep::ResetKeys);
    }

    fn ask_for_rekey(&mut self, step: RekeyStep) {
        let command = match &step {
            RekeyStep::Remove { user_id } => Command::RemoveMember { user_id: user_id.clone() },
            RekeyStep::ResetKeys => Command::ResetKeys,
        };
        if let Some(rekey) = &mut self.owner_state.rekey {
            rekey.waits_for += 1;
        }
        self.ask(command, Awaited::Rekey(step));
    }

    /// Takes the answer to one of the commands of a rekey.
    pub(super) fn rekey_answered(&mut self, step: RekeyStep, answer: &Answer) {
        let Some(rekey) = &mut self.owner_state.rekey else { return };
        rekey.waits_for = rekey.waits_for.saturating_sub(1);
        if matches!(answer, Answer::Lost) {
            self.ask_for_rekey(step);
        }
        self.finish_rekey();
    }

    /// Sends the new secret once every command is answered, or the time for it is up.
    pub(super) fn finish_rekey(&mut self) {
        let time = self.time();
        if self.owner_state.rekey.as_ref().is_none_or(|rekey| rekey.waits_for > 0 && rekey.deadline > time) {
            return;
        }
        self.owner_state.rekey = None;
        let at = self.clock.wall;
        self.sending.queue.push_front(Queued { outgoing: Outgoing::Rekey, to: None, at });
        for grant in self.grants_for_next().into_iter().rev() {
            self.sending.queue.push_front(grant);
        }
    }

    /// The owner's `secret` is on its way, or there was nobody to send it to: the new epoch begins here.
    pub(super) fn rekey_sent(&mut self, secret: RoomSecret, proved: Proved) {
        self.trusted.members.roster = Some(proved.members.iter().copied().collect());
        self.trusted.proved = Some(proved);
        self.owner_state.unknown = false;
        self.owner_state.receipts = Some((0, self.time() + RECEIPTS_MS[0]));
        self.adopt(secret);
    }

    /// Goes over to a newer epoch.
    fn adopt(&mut self, secret: RoomSecret) {
        let (epoch, time) = (secret.epoch(), self.time());
        let Ok(keys) = secret.keys() else { return };
        self.trusted.epochs.advance(secret, keys);
        self.healing.adopted();
        self.talk.behind.clear();
        self.trusted.views.epoch_changed();
        self.set_card(true);
        self.event(Event::Rekeyed { epoch });
        self.waiting.held.release_newer(&mut self.waiting.replay);
        if !self.trusted.members.not_here.is_empty() || self.spoke_lately() {
            self.waiting.listing.want_now(time);
        }
    }

    /// The owner asks which members have the new secret.
    pub(super) fn ask_for_receipts(&mut self) {
        let time = self.time();
        let Some((asked, _)) = self.owner_state.receipts.filter(|(_, at)| *at <= time) else { return };
        let epoch = self.trusted.epochs.number();
        let lacking: Vec<_> = self
            .trusted
            .members
            .iter()
            .filter(|member| member.epoch < epoch)
            .map(|member| member.fingerprint)
            .collect();
        if lacking.is_empty() {
            self.owner_state.receipts = None;
            return;
        }
        self.waiting.listing.want_now(time);
        let asked = asked + 1;
        let pause = RECEIPTS_MS.get(asked).map_or(RECEIPTS_EVERY_MS, |next| next - RECEIPTS_MS[asked - 1]);
        self.owner_state.receipts = Some((asked, time + pause));
        if asked > 1 {
            for member in lacking {
                self.tell_behind(member);
            }
        }
    }

    /// Tells the user once in an epoch that a member lacks its secret.
    pub(super) fn tell_behind(&mut self, member: Fingerprint) {
        if self.talk.behind.insert(member) {
            self.event(Event::Behind { member });
        }
    }

    /// A member brings the secret of an epoch, its own or the owner's.
    pub(super) fn secret_brought(&mut self, who: Who, new: NewSecret) {
        let root = *self.trusted.chain.root();
        let chain = OwnerChain::from_bytes(root, &new.chain)
            .and_then(|chain| chain.check_proof(&new.secret, &new.members, &new.proof).map(|()| chain));
        let Ok(chain) = chain else {
            return self.alarm_about(AlarmKind::SecretForged, who);
        };
        let (epoch, present) = (new.secret.epoch(), self.trusted.epochs.number());
        if epoch <= present {
            return;
        }
        if epoch - present > MOST_EPOCHS {
            return self.alarm_about(AlarmKind::SecretForged, who);
        }
        if let Some(objection) = self.why_succession_fails(&chain, epoch) {
            return self.alarm_about(objection, who);
        }
        if !new.members.contains(&self.myself()) {
            return self.end(Ending::Removed);
        }
        let gone: Vec<_> =
            self.trusted.members.prints().filter(|member| new.members.binary_search(member).is_err()).collect();
        for member in gone {
            self.remove_locally(member);
        }
        // The owner vouches for those that this member had refused: their new cards decide.
        let members = &mut self.trusted.members;
        for member in &new.members {
            members.refused_prints.remove(member);
        }
        members.not_here.append(&mut members.refused);
        members.roster = Some(new.members.iter().copied().collect());
        self.owner_state.forget_up_to(epoch - 1);
        if chain != self.trusted.chain {
            self.set_owner(chain);
        }
        self.trusted.proved = Some(Proved { members: new.members, chain: new.chain, proof: new.proof });
        self.adopt(new.secret);
    }

    /// Drops a member by the owner's word, whatever the server says.
    pub(super) fn remove_locally(&mut self, fingerprint: Fingerprint) {
        if let Some(member) = self.trusted.members.drop_member(fingerprint, true) {
            self.trusted.members.dropped.insert(member.user_id.clone());
            self.forget_member(&fingerprint);
            let name = member.shown();
            self.event(Event::MemberLeft { member: fingerprint, name, reason: LeaveReason::Removed });
        }
    }
}

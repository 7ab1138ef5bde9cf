//! The order in which one call is worked off: time first, then the fact or answer, then all that follows from it.
use super::{
    input::{Answer, Fact, LeaveReason},
    machine::{Awaited, Machine, Phase},
    output::{Command, CommandId, Ending, Event, Step},
};

impl Machine {
    /// Takes something that the server says.
    pub fn handle(&mut self, fact: Fact, now_ms: u64) -> Step {
        self.let_time_pass(now_ms);
        self.take(fact, now_ms);
        self.finish(now_ms)
    }

    /// Takes the server's answer to a command.
    pub fn answer(&mut self, id: CommandId, answer: Answer, now_ms: u64) -> Step {
        self.let_time_pass(now_ms);
        if self.phase == Phase::Inside {
            self.take_answer(id, answer, now_ms);
        }
        self.finish(now_ms)
    }

    /// Lets time pass.
    pub fn tick(&mut self, now_ms: u64) -> Step {
        self.let_time_pass(now_ms);
        self.finish(now_ms)
    }

    fn take(&mut self, fact: Fact, now: u64) {
        match (self.phase, fact) {
            (Phase::Entering, Fact::Created { room_id, user_id }) => {
                self.phase = Phase::Inside;
                self.room.id = room_id;
                self.claimed.owner_id.clone_from(&user_id);
                self.claimed.user_id = user_id;
                self.event(Event::Entered);
            }
            (Phase::Entering, Fact::Joined { user_id, owner_id, members }) => {
                self.phase = Phase::Inside;
                self.claimed.user_id = user_id;
                self.enter(owner_id, members, now);
            }
            (Phase::Inside | Phase::Entering, Fact::Closed) => self.end(Ending::Closed),
            (Phase::Inside, Fact::UserJoined(listed)) => self.join_live(listed, now),
            (Phase::Inside, Fact::UserLeft { user_id, reason }) => self.left(&user_id, reason),
            (Phase::Inside, Fact::OwnerChanged { owner_id }) => self.name_owner(owner_id, now),
            (Phase::Inside, Fact::Members { owner_id, joined, stayed }) => {
                self.caught_up(owner_id, joined, &stayed, now);
            }
            (Phase::Inside, Fact::Message { user_id, content, shared }) => {
                self.receive(user_id, content, shared, now);
            }
            (Phase::Inside, Fact::Gap) => self.event(Event::Gap),
            // Entry is answered once; a repeated answer says nothing new.
            (Phase::Inside, Fact::Created { .. } | Fact::Joined { .. }) | (Phase::Entering | Phase::Over, _) => {}
        }
    }

    fn take_answer(&mut self, id: CommandId, answer: Answer, now: u64) {
        match self.awaited.remove(&id) {
            Some(Awaited::Packet(members)) => self.packet_answered(members, answer, now),
            Some(Awaited::Rekey(step)) => self.rekey_answered(step, &answer, now),
            Some(Awaited::Card { epoch }) => self.card_answered(epoch, &answer, now),
            Some(Awaited::Listing) => self.list_answered(answer, now),
            Some(Awaited::Invite(wanted)) => self.key_answered(wanted, answer, now),
            Some(Awaited::HandOver(to)) => self.hand_over_answered(to, &answer, now),
            None => {}
        }
    }

    fn list_answered(&mut self, answer: Answer, now: u64) {
        self.waiting.listing.asked = false;
        if let Answer::Members { owner_id, members } = answer {
            self.reconcile(members, now);
            if owner_id != self.claimed.owner_id {
                self.name_owner(owner_id, now);
            }
        }
        if !self.trusted.members.not_here.is_empty() {
            self.waiting.listing.want(now);
        }
    }

    pub(super) fn left(&mut self, user_id: &str, reason: LeaveReason) {
        if user_id == self.claimed.user_id {
            return self.end(match reason {
                LeaveReason::Left => Ending::Left,
                LeaveReason::Removed => Ending::Removed,
                LeaveReason::Lost => Ending::Lost,
            });
        }
        self.waiting.held.forget(user_id);
        self.trusted.members.not_here.remove(user_id);
        self.trusted.members.refused.remove(user_id);
        self.trusted.members.dropped.remove(user_id);
        if let Some(fingerprint) = self.trusted.members.by_user_id(user_id).map(|member| member.fingerprint)
            && let Some(member) = self.trusted.members.drop_member(fingerprint, reason == LeaveReason::Removed)
        {
            let name = member.shown();
            self.event(Event::MemberLeft { member: fingerprint, name, reason });
        }
    }

    /// Does what follows from whatever has changed, and hands out the result.
    pub(super) fn finish(&mut self, now: u64) -> Step {
        while self.phase == Phase::Inside {
            self.trusted.views.change(self.view(), now);
            self.finish_rekey(now);
            self.supply_heirs(now);
            self.pump(now);
            self.ask_for_keys();
            if self.waiting.listing.take_due(now) {
                self.ask(Command::ListMembers, Awaited::Listing);
            }
            match self.waiting.replay.pop_front() {
                Some(fact) => self.take(fact, now),
                None => break,
            }
        }
        std::mem::take(&mut self.step)
    }
}

//! The order in which one call is worked off: time first, then the fact or answer, then all that follows from it.
use super::{
    input::{Answer, Fact, LeaveReason, Now},
    machine::{Awaited, Machine, Phase},
    output::{Command, CommandId, Ending, Event, Step},
};
use crate::sealed::{alarm::AlarmKind, fingerprint::Fingerprint};

impl Machine {
    /// Takes something that the server says, or that the connection does.
    pub fn handle(&mut self, fact: Fact, now: Now) -> Step {
        self.let_time_pass(now);
        self.take(fact);
        self.finish()
    }

    /// Takes the server's answer to a command.
    pub fn answer(&mut self, id: CommandId, answer: Answer, now: Now) -> Step {
        self.let_time_pass(now);
        if self.phase == Phase::Inside {
            self.take_answer(id, answer);
        }
        self.finish()
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Now) -> Step {
        self.let_time_pass(now);
        self.finish()
    }

    fn take(&mut self, fact: Fact) {
        if let Fact::Joined { version, .. }
        | Fact::UserJoined { version, .. }
        | Fact::UserLeft { version, .. }
        | Fact::OwnerChanged { version, .. }
        | Fact::Members { version, .. } = &fact
        {
            self.claimed.version = self.claimed.version.max(*version);
        }
        match (self.phase, fact) {
            (Phase::Entering, Fact::Created { room_id, user_id }) => {
                self.phase = Phase::Inside;
                self.room.id = room_id;
                self.claimed.owner_id.clone_from(&user_id);
                self.claimed.user_id = user_id;
                self.event(Event::Entered);
            }
            (Phase::Entering, Fact::Joined { user_id, owner_id, members, .. }) => {
                self.phase = Phase::Inside;
                self.claimed.user_id = user_id;
                self.enter(owner_id, members);
            }
            (Phase::Inside | Phase::Entering, Fact::Closed) => self.end(Ending::Closed),
            (Phase::Inside, Fact::UserJoined { user, .. }) => self.join_live(user),
            (Phase::Inside, Fact::UserLeft { user_id, reason, .. }) => self.left(&user_id, reason),
            (Phase::Inside, Fact::OwnerChanged { owner_id, .. }) => self.name_owner(owner_id),
            (Phase::Inside, Fact::Members { owner_id, joined, stayed, .. }) => {
                self.caught_up(owner_id, joined, &stayed);
            }
            (Phase::Inside, Fact::Message { user_id, content, shared }) => self.receive(user_id, content, shared),
            (Phase::Inside, Fact::Gap) => {
                self.clock.resyncing = true;
                self.event(Event::Gap);
            }
            (Phase::Inside, Fact::Away) => {
                self.clock.connected = false;
                self.waiting.listing.disconnected();
            }
            (Phase::Inside, Fact::Live) => {
                self.clock.connected = true;
                let time = self.time();
                self.healing.resumed(time);
                // Members that joined meanwhile are judged before anything is said: else one's view would lack them.
                self.clock.resyncing |= !self.trusted.members.not_here.is_empty();
                if self.clock.resyncing {
                    self.waiting.listing.want_now(time);
                }
            }
            // Entry is answered once; a repeated answer says nothing new.
            (Phase::Inside, Fact::Created { .. } | Fact::Joined { .. }) | (Phase::Entering | Phase::Over, _) => {}
        }
    }

    fn take_answer(&mut self, id: CommandId, answer: Answer) {
        match self.awaited.remove(&id) {
            Some(Awaited::Packet(sent)) => self.packet_answered(sent, answer),
            Some(Awaited::Rekey(step)) => self.rekey_answered(step, &answer),
            Some(Awaited::Card { leaf, epoch }) => self.card_answered(leaf, epoch, &answer),
            Some(Awaited::Listing) => self.list_answered(answer),
            Some(Awaited::Invite(wanted)) => self.key_answered(wanted, answer),
            Some(Awaited::HandOver(to)) => self.hand_over_answered(to, &answer),
            None => {}
        }
    }

    fn list_answered(&mut self, answer: Answer) {
        let time = self.time();
        let listing = &mut self.waiting.listing;
        listing.asked = false;
        self.clock.resyncing = false;
        listing.failed = !matches!(answer, Answer::Members { .. });
        if let Answer::Members { owner_id, members, version } = answer {
            listing.came = Some(time);
            self.claimed.version = self.claimed.version.max(version);
            self.reconcile(members);
            if owner_id != self.claimed.owner_id {
                self.name_owner(owner_id);
            }
        }
        if !self.trusted.members.not_here.is_empty() {
            self.waiting.listing.want(time);
        }
    }

    pub(super) fn left(&mut self, user_id: &str, reason: LeaveReason) {
        if user_id == self.claimed.user_id {
            if self.is_owner_by_chain() && reason == LeaveReason::Lost {
                self.alarm_about(AlarmKind::TreatedAsGone, self.who_am_i());
            }
            return self.end(match reason {
                LeaveReason::Left => Ending::Left,
                LeaveReason::Removed => Ending::Removed,
                LeaveReason::Lost => Ending::Lost,
            });
        }
        self.waiting.held.forget(user_id);
        let members = &mut self.trusted.members;
        members.not_here.remove(user_id);
        members.refused.remove(user_id);
        members.dropped.remove(user_id);
        let Some(fingerprint) = members.by_user_id(user_id).map(|member| member.fingerprint) else { return };
        if let Some(member) = members.drop_member(fingerprint, reason == LeaveReason::Removed) {
            let name = member.shown();
            self.event(Event::MemberLeft { member: fingerprint, name, reason });
            self.forget_member(&fingerprint);
            if self.spoke_lately() {
                self.waiting.listing.want_now(self.clock.time);
            }
            if fingerprint == self.owner_print() {
                self.owner_left(user_id);
            }
        }
    }

    /// Drops what is kept about a member that is gone.
    pub(super) fn forget_member(&mut self, member: &Fingerprint) {
        self.trusted.views.forget(member);
        self.healing.forget(member);
        self.talk.confirmations.forget(member);
        self.talk.heard.forget(member);
        self.talk.failing.remove(member);
        self.waiting.early.retain(|early| early.member != *member);
    }

    /// Whether the membership goes on.
    pub(super) fn is_inside(&self) -> bool {
        self.phase == Phase::Inside
    }

    /// Does what follows from whatever has changed, and hands out the result.
    pub(super) fn finish(&mut self) -> Step {
        while self.phase == Phase::Inside {
            self.update_view();
            if self.clock.connected {
                self.finish_rekey();
                self.supply_heirs();
                if !self.clock.resyncing {
                    self.heal();
                }
                self.renew_leaf();
                self.release_early();
                self.pump();
                self.ask_for_keys();
                let time = self.clock.time;
                if self.waiting.listing.take_due(time) {
                    self.ask(Command::ListMembers, Awaited::Listing);
                }
            }
            match self.waiting.replay.pop_front() {
                Some(fact) => self.take(fact),
                None => break,
            }
        }
        std::mem::take(&mut self.step)
    }
}

//! One membership in a sealed room, as a state machine without I/O.
//!
//! It takes what the relay says ([`Fact`]), how the relay answered ([`Answer`]), what the user wants (the methods of [`Room`]) and the passing of
//! time ([`Room::tick`]); each call gives a [`Step`]: commands for the relay and events for the user. The client layer carries the commands
//! out in order, reports each answer with [`Room::answer`], and calls [`Room::tick`] when [`Room::next_deadline`] has come.
//!
//! ```text
//! create / join → request → Fact::Created / Joined → Event::Entered
//! Fact::UserJoined → admit → Event::MemberJoined | Alarm         nothing is sealed to whoever was not accepted
//! Fact::Message → receive: who? epoch? open, verify, count → Event::Message | Alarm
//! send_text → outbox → Command::Send → Answer::Sent → Event::Sent
//! remove → rekey: RemoveMember, ResetKeys → answers → Send(secret), SetCard → Event::Rekeyed
//! ```
//!
//! Times are unix milliseconds. Calls that open or seal messages take from 0.1 ms to some 20 ms (a full room): the machine is `Send`, so
//! that it can be run on a blocking thread. Keys are wiped when the machine is dropped.
mod admit;
mod entry;
mod held;
mod input;
mod members;
mod outbox;
mod output;
mod owner;
mod receive;
mod rekey;
mod timers;
mod views;
mod wishes;

use std::collections::VecDeque;

pub use input::{Answer, Fact, LeaveReason, Listed};
pub use output::{
    Command, CommandId, CreateRequest, Ending, Event, IntentError, JoinRequest, MessageId, NotSent, Step,
};

pub use self::entry::{NewRoom, Settings};
use self::{
    held::Held, held::Listing, members::Members, outbox::Outbox, owner::Office, rekey::CardDuty, rekey::Epochs,
    views::Views,
};
use super::{Certificate, Fingerprint, Identity, OwnerChain, Random, Server, View, alarm::Alarm};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Entering,
    Inside,
    Over,
}

/// One membership's view of a sealed room.
pub struct Room {
    // Fixed from the start.
    identity: Identity,
    name: String,
    room_name: String,
    server: Server,
    invite: Option<Certificate>,
    settings: Settings,
    random: Box<dyn Random + Send>,
    // By the relay's word.
    phase: Phase,
    room_id: String,
    user_id: String,
    relay_owner: String,
    // Proved by keys and signatures.
    chain: OwnerChain,
    epochs: Epochs,
    members: Members,
    views: Views,
    // On its way in and out.
    held: Held,
    replay: VecDeque<Fact>,
    listing: Listing,
    outbox: Outbox,
    office: Office,
    card: CardDuty,
    step: Step,
    last_id: u64,
}

/// A member for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// The relay's id.
    pub user_id: String,
    /// The name to show, with the first group of the fingerprint if another member had it before.
    pub name: String,
    /// Whether the user has compared the fingerprint.
    pub verified: bool,
    /// Whether it owns the room.
    pub owner: bool,
}

impl Room {
    /// Takes something that the relay says.
    pub fn handle(&mut self, fact: Fact, now_ms: u64) -> Step {
        self.let_time_pass(now_ms);
        self.take(fact, now_ms);
        self.finish(now_ms)
    }

    /// Takes the relay's answer to a command.
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
                self.room_id = room_id;
                self.relay_owner.clone_from(&user_id);
                self.user_id = user_id;
                self.event(Event::Entered);
            }
            (Phase::Entering, Fact::Joined { user_id, owner_id, members }) => {
                self.phase = Phase::Inside;
                self.user_id = user_id;
                self.enter(owner_id, members, now);
            }
            (Phase::Inside | Phase::Entering, Fact::Closed) => self.end(Ending::Closed),
            (Phase::Inside, Fact::UserJoined(listed)) => self.join_live(listed, now),
            (Phase::Inside, Fact::UserLeft { user_id, reason }) => self.left(&user_id, reason),
            (Phase::Inside, Fact::OwnerChanged { owner_id }) => self.name_owner(owner_id, now),
            (Phase::Inside, Fact::Message { user_id, content, shared }) => {
                self.receive(user_id, content, shared, now);
            }
            (Phase::Inside, Fact::Gap) => self.event(Event::Gap),
            // Entry is answered once; a repeated answer says nothing new.
            (Phase::Inside, Fact::Created { .. } | Fact::Joined { .. }) | (Phase::Entering | Phase::Over, _) => {}
        }
    }

    fn take_answer(&mut self, id: CommandId, answer: Answer, now: u64) {
        if self.outbox.awaits(id) {
            self.packet_answered(id, answer, now);
        } else if self.rekey_answered(id, &answer, now) {
        } else if self.card.asked == Some(id) {
            self.card_answered(&answer, now);
        } else if self.listing.asked == Some(id) {
            self.listing.asked = None;
            if let Answer::Members { owner_id, members } = answer {
                self.reconcile(members, now);
                if owner_id != self.relay_owner {
                    self.name_owner(owner_id, now);
                }
            }
            if !self.members.not_here.is_empty() {
                self.listing.want(now);
            }
        } else if let Some(wanted) = self.office.invites.remove(&id) {
            self.key_answered(wanted, answer, now);
        } else if self.office.hand_over.is_some_and(|(asked, _)| asked == id) {
            self.hand_over_answered(&answer, now);
        }
    }

    fn left(&mut self, user_id: &str, reason: LeaveReason) {
        if user_id == self.user_id {
            return self.end(match reason {
                LeaveReason::Left => Ending::Left,
                LeaveReason::Removed => Ending::Removed,
                LeaveReason::Lost => Ending::Lost,
            });
        }
        self.held.forget(user_id);
        self.members.not_here.remove(user_id);
        self.members.refused.remove(user_id);
        self.members.dropped.remove(user_id);
        if let Some(fingerprint) = self.members.by_user_id(user_id).map(|member| member.fingerprint)
            && let Some(member) = self.members.drop_member(fingerprint, reason == LeaveReason::Removed)
        {
            let name = member.shown();
            self.event(Event::MemberLeft { member: fingerprint, name, reason });
        }
    }

    /// Does what follows from whatever has changed, and hands out the result.
    fn finish(&mut self, now: u64) -> Step {
        while self.phase == Phase::Inside {
            self.views.change(self.view(), now);
            self.finish_rekey(now);
            self.supply_heirs(now);
            self.pump(now);
            self.ask_for_keys();
            if self.listing.take_due(now) {
                self.listing.asked = Some(self.command(Command::ListMembers));
            }
            match self.replay.pop_front() {
                Some(fact) => self.take(fact, now),
                None => break,
            }
        }
        std::mem::take(&mut self.step)
    }

    /// Who is in the room, by what this client has accepted.
    fn view(&self) -> View {
        let others = self.members.iter().map(|member| member.fingerprint);
        View::of(self.chain.owner().fingerprint(), others.chain([self.identity.fingerprint()]))
    }

    fn command(&mut self, command: Command) -> CommandId {
        self.last_id += 1;
        let id = CommandId(self.last_id);
        self.step.commands.push((id, command));
        id
    }

    fn event(&mut self, event: Event) {
        self.step.events.push(event);
    }

    fn alarm(&mut self, alarm: Alarm) {
        self.event(Event::Alarm(alarm));
    }

    fn end(&mut self, ending: Ending) {
        self.phase = Phase::Over;
        self.replay.clear();
        self.outbox = Outbox::default();
        self.event(Event::Ended(ending));
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("me", &self.identity.fingerprint()).finish_non_exhaustive()
    }
}

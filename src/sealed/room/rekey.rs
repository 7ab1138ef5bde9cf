//! Epochs: removing members, changing the room secret, and following the owner's change.
use std::collections::HashMap;

use super::{Answer, Command, CommandId, Event, LeaveReason, Room, outbox::Errand, outbox::Queued};
use crate::sealed::{
    Card, Fingerprint, OwnerChain, RoomSecret, VerifyingKey,
    alarm::{Alarm, Who},
    plain::NewSecret,
};

/// How long a rekey waits for the relay's answers, in milliseconds.
const ANSWERS_MS: u64 = 10_000;
/// How much longer than the resume window an old secret is kept, in milliseconds.
const KEEP_OLD_MS: u64 = 30_000;
/// The pause before a refused card is set again, in milliseconds.
const CARD_PAUSE_MS: u64 = 1_000;

/// The present room secret, and old ones for as long as messages under them may still come.
pub(super) struct Epochs {
    current: RoomSecret,
    /// With the time at which each is wiped.
    old: Vec<(RoomSecret, u64)>,
}

impl Epochs {
    pub(super) fn new(current: RoomSecret) -> Self {
        Self { current, old: Vec::new() }
    }

    pub(super) fn current(&self) -> &RoomSecret {
        &self.current
    }

    pub(super) fn get(&self, epoch: u32) -> Option<&RoomSecret> {
        std::iter::once(&self.current)
            .chain(self.old.iter().map(|(secret, _)| secret))
            .find(|secret| secret.epoch() == epoch)
    }

    fn advance(&mut self, next: RoomSecret, keep_until: u64) {
        let old = std::mem::replace(&mut self.current, next);
        self.old.push((old, keep_until));
    }

    pub(super) fn expire(&mut self, now: u64) {
        self.old.retain(|(_, until)| *until > now);
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.old.iter().map(|(_, until)| *until).min()
    }
}

/// Where an epoch that a header names stands. The header is anybody's word.
pub(super) enum Place {
    Past,
    Present,
    /// Its secret may be on its way.
    Next,
    /// It cannot be: to be refused, with this alarm.
    Beyond(fn(Who) -> Alarm),
}

/// An owner's rekey between its commands and its `secret` message.
pub(super) struct Rekey {
    removed: Vec<Fingerprint>,
    waiting: HashMap<CommandId, Duty>,
    deadline: u64,
}

#[derive(Clone)]
enum Duty {
    Remove(String),
    ResetKeys,
}

/// Keeps one's own card on the relay current.
#[derive(Default)]
pub(super) struct CardDuty {
    pub(super) asked: Option<CommandId>,
    pub(super) due: Option<u64>,
}

impl Room {
    /// Where an epoch stands. The owner makes the epochs, so that for it there is none after the present one.
    pub(super) fn place(&self, epoch: u32) -> Place {
        let current = self.epochs.current().epoch();
        if epoch < current {
            Place::Past
        } else if epoch == current {
            Place::Present
        } else if self.governs() {
            Place::Beyond(Alarm::SecretNeverIssued)
        } else if epoch - current == 1 {
            Place::Next
        } else {
            Place::Beyond(Alarm::SecretTooNew)
        }
    }

    /// Tells the user of somebody who claims an epoch that cannot be, unless it knows already.
    pub(super) fn refuse_epoch(&mut self, who: Who, alarm: fn(Who) -> Alarm) {
        if self.held.tell_of(&who.user_id) {
            self.alarm(alarm(who));
        }
    }

    /// Starts a rekey, or adds a removal to the one that is being prepared.
    pub(super) fn begin_rekey(&mut self, remove: Option<(Fingerprint, String)>, now: u64) {
        let mut rekey =
            self.office.rekey.take().unwrap_or(Rekey { removed: Vec::new(), waiting: HashMap::new(), deadline: 0 });
        rekey.deadline = now.saturating_add(ANSWERS_MS);
        if let Some((fingerprint, user_id)) = remove {
            rekey.removed.push(fingerprint);
            let id = self.command(Command::RemoveMember { user_id: user_id.clone() });
            rekey.waiting.insert(id, Duty::Remove(user_id));
        }
        // Again even if it is under way: a key could have been used between the two.
        let id = self.command(Command::ResetKeys);
        rekey.waiting.insert(id, Duty::ResetKeys);
        self.office.rekey = Some(rekey);
    }

    /// Takes the answer to one of the commands of a rekey; false if the command is none of them.
    pub(super) fn rekey_answered(&mut self, id: CommandId, answer: &Answer, now: u64) -> bool {
        let Some(rekey) = &mut self.office.rekey else {
            return false;
        };
        let Some(duty) = rekey.waiting.remove(&id) else {
            return false;
        };
        if matches!(answer, Answer::Lost) {
            let command = match &duty {
                Duty::Remove(user_id) => Command::RemoveMember { user_id: user_id.clone() },
                Duty::ResetKeys => Command::ResetKeys,
            };
            let id = self.command(command);
            if let Some(rekey) = &mut self.office.rekey {
                rekey.waiting.insert(id, duty);
            }
        }
        self.finish_rekey(now);
        true
    }

    /// Sends the new secret once every command is answered, or the time for it is up.
    pub(super) fn finish_rekey(&mut self, now: u64) {
        if self.office.rekey.as_ref().is_some_and(|rekey| rekey.waiting.is_empty() || rekey.deadline <= now)
            && let Some(Rekey { removed, .. }) = self.office.rekey.take()
        {
            self.outbox.queue.push_front(Queued { errand: Errand::Rekey { removed }, to: None, at: now });
        }
    }

    /// When a rekey under way stops waiting.
    pub(super) fn rekey_deadline(&self) -> Option<u64> {
        self.office.rekey.as_ref().map(|rekey| rekey.deadline)
    }

    /// Goes over to the next epoch.
    pub(super) fn adopt(&mut self, secret: RoomSecret, now: u64) {
        let keep_until = now.saturating_add(self.settings.resume_window_ms).saturating_add(KEEP_OLD_MS);
        let epoch = secret.epoch();
        self.epochs.advance(secret, keep_until);
        self.set_card(now);
        self.event(Event::Rekeyed { epoch });
        self.held.release_newer(&mut self.replay);
        if !self.members.not_here.is_empty() {
            self.listing.want_now(now);
        }
    }

    /// Gives the relay a card of the present epoch.
    pub(super) fn set_card(&mut self, now: u64) {
        let (secret, invite) = (self.epochs.current(), self.invite.as_ref());
        match Card::seal(&self.identity, &self.name, invite, self.chain.root(), secret, &mut *self.random) {
            Ok(card) => {
                self.card.due = None;
                self.card.asked = Some(self.command(Command::SetCard { card }));
            }
            Err(_) => self.card.due = Some(now.saturating_add(CARD_PAUSE_MS)),
        }
    }

    /// The relay has answered about the card.
    pub(super) fn card_answered(&mut self, answer: &Answer, now: u64) {
        self.card.asked = None;
        match answer {
            Answer::Lost => self.set_card(now),
            Answer::Refused { retry_after_ms: Some(pause) } => {
                self.card.due = Some(now.saturating_add((*pause).max(CARD_PAUSE_MS)));
            }
            _ => {}
        }
    }

    /// A member sent a new room secret.
    pub(super) fn rekeyed(&mut self, from: Fingerprint, new: NewSecret, sealed_in: u32, private: bool, now: u64) {
        let Some(member) = self.members.get(&from) else {
            return;
        };
        let (who, key, user_id) = (member.who(), member.key, member.user_id.clone());
        let Some(chain) = self.chain_of_rekey(&new.chain, &key, &user_id) else {
            return self.alarm(Alarm::RekeyByStranger(who));
        };
        let current = self.epochs.current().epoch();
        if private || sealed_in != current || Some(new.secret.epoch()) != current.checked_add(1) {
            return self.alarm(Alarm::RekeyOutOfTurn(who));
        }
        if new.removed.contains(&self.identity.fingerprint()) {
            return self.end(super::Ending::Removed);
        }
        if chain != self.chain {
            self.chain = chain;
            self.event(Event::OwnerChanged { owner: from });
        }
        for removed in new.removed.iter().filter(|removed| **removed != from) {
            self.remove_locally(*removed);
        }
        self.adopt(new.secret, now);
    }

    /// The chain that a rekey shows, if its sender owns the room by it: the present owner, or the one named by the relay with the owner's signature.
    fn chain_of_rekey(&self, chain: &[u8], key: &VerifyingKey, user_id: &str) -> Option<OwnerChain> {
        let chain = OwnerChain::from_bytes(*self.chain.root(), chain).ok()?;
        let present = chain == self.chain;
        let next = chain.follows(&self.chain) && self.relay_owner == user_id;
        (chain.owner() == key && (present || next)).then_some(chain)
    }

    /// Drops a member by the owner's word, whatever the relay says.
    pub(super) fn remove_locally(&mut self, fingerprint: Fingerprint) {
        if let Some(member) = self.members.drop_member(fingerprint, true) {
            self.members.dropped.insert(member.user_id.clone());
            let name = member.shown();
            self.event(Event::MemberLeft { member: fingerprint, name, reason: LeaveReason::Removed });
        }
    }
}

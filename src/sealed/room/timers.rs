//! The passing of time.
use super::{Phase, Room};
use crate::sealed::alarm::Alarm;

impl Room {
    /// When [`Room::tick`] has something to do, in unix milliseconds; earlier calls do no harm.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.phase == Phase::Over {
            return None;
        }
        [
            self.epochs.deadline(),
            self.views.deadline(),
            self.held.deadline(),
            self.listing.deadline(),
            self.outbox.deadline(),
            self.rekey_deadline(),
            self.office.proof,
            self.card.due,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn let_time_pass(&mut self, now: u64) {
        if self.phase != Phase::Inside {
            return;
        }
        self.epochs.expire(now);
        for alarm in self.views.expire(now) {
            self.alarm(alarm);
        }
        self.expire_proof(now);
        if self.card.due.is_some_and(|due| due <= now) {
            self.set_card(now);
        }
        for who in self.held.expire(now) {
            self.alarm(Alarm::NewerSecretInUse(who));
        }
    }
}

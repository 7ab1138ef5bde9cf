//! The passing of time.
use super::machine::{Machine, Phase};
use crate::sealed::alarm::Alarm;

impl Machine {
    /// When [`Machine::tick`] has something to do, in unix milliseconds; earlier calls do no harm.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.phase == Phase::Over {
            return None;
        }
        [
            self.trusted.epochs.deadline(),
            self.trusted.views.deadline(),
            self.waiting.held.deadline(),
            self.waiting.listing.deadline(),
            self.sending.deadline(),
            self.owner_state.rekey.as_ref().map(|rekey| rekey.deadline),
            self.owner_state.proof,
            self.card_due,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn let_time_pass(&mut self, now: u64) {
        if self.phase != Phase::Inside {
            return;
        }
        self.trusted.epochs.expire(now);
        for alarm in self.trusted.views.expire(now) {
            self.alarm(alarm);
        }
        self.expire_proof(now);
        if self.card_due.is_some_and(|due| due <= now) {
            self.set_card(now);
        }
        for who in self.waiting.held.expire(now) {
            self.alarm(Alarm::NewerSecretInUse(who));
        }
    }
}

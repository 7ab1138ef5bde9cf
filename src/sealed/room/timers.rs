//! What the passing of time brings about. All of it counts connected time.
use super::{
    input::Now,
    machine::{Machine, Phase},
    output::Event,
    send_queue::{Outgoing, Queued},
};
use crate::sealed::alarm::AlarmKind;

/// An owner is heard at least this often, in milliseconds of connected time …
const BEAT_MS: u64 = 300_000;
/// … and a member that has not heard it for so long is told.
const OWNER_SILENT_MS: u64 = 660_000;
/// For so long a member's things of the present epoch may fail to open.
const FAILING_MS: u64 = 60_000;

impl Machine {
    /// When [`Machine::tick`] has something to do, in milliseconds of the clock that only goes on; earlier calls do no
    /// harm. `None` before the first call, and while nothing is waited for.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.phase != Phase::Inside || !self.clock.connected {
            return None;
        }
        let failing = self.talk.failing.values().filter(|(_, told)| !told).map(|(since, _)| since + FAILING_MS);
        let owner = if self.is_owner_by_chain() {
            Some(self.sending.spoke_at + BEAT_MS)
        } else {
            let is_here = self.trusted.members.get(&self.owner_print()).is_some();
            (is_here && !self.talk.owner.silent).then(|| self.talk.owner.last.unwrap_or(0) + OWNER_SILENT_MS)
        };
        let times = [
            self.trusted.epochs.deadline(),
            self.leaves.deadline(),
            self.trusted.views.deadline(),
            self.waiting.held.deadline(),
            self.waiting.listing.deadline(),
            self.waiting.early.iter().map(|early| early.until).min(),
            self.sending.deadline(),
            self.healing.deadline(),
            self.owner_state.deadline(),
            self.card.due,
            self.talk.confirm_due,
            self.leaf_due().filter(|_| !self.card.asked),
            failing.min(),
            owner.filter(|_| !self.trusted.members.is_empty()),
        ];
        let first = times.into_iter().flatten().min()?;
        Some(self.clock.mono?.saturating_add(first.saturating_sub(self.clock.time)))
    }

    pub(super) fn let_time_pass(&mut self, now: Now) {
        let before = self.clock.mono.replace(now.mono_ms);
        self.clock.wall = now.wall_ms;
        if !self.clock.connected {
            return;
        }
        self.clock.time += before.map_or(0, |before| now.mono_ms.saturating_sub(before));
        if self.phase == Phase::Inside {
            self.time_passed();
        }
    }

    fn time_passed(&mut self) {
        let time = self.time();
        self.trusted.epochs.expire(time);
        self.leaves.expire(time);
        for sender in self.trusted.views.expire(time) {
            if let Some(who) = self.trusted.members.get(&sender).map(|member| member.who()) {
                self.alarm_about(AlarmKind::SeesAnotherRoom, who);
            }
        }
        self.expire_office();
        if self.card.due.is_some_and(|due| due <= time) {
            self.set_card(false);
        }
        for who in self.waiting.held.expire(time) {
            self.alarm_about(AlarmKind::NewerSecretInUse, who);
        }
        let mut failing = Vec::new();
        for (member, (since, told)) in &mut self.talk.failing {
            if !*told && *since + FAILING_MS <= time {
                *told = true;
                failing.push(*member);
            }
        }
        for member in failing {
            if let Some(who) = self.trusted.members.get(&member).map(|member| member.who()) {
                self.alarm_about(AlarmKind::DifferentSecrets, who);
            }
        }
        self.ask_for_receipts();
        self.beat();
    }

    /// An owner lets itself be heard; the others notice when it does not. Silent members confirm what they heard.
    fn beat(&mut self) {
        if self.trusted.members.is_empty() {
            return;
        }
        let (time, at) = (self.time(), self.clock.wall);
        let void = || Queued { outgoing: Outgoing::Void, to: None, at };
        if self.is_owner_by_chain() {
            if time - self.sending.spoke_at >= BEAT_MS && self.sending.queue.is_empty() {
                self.sending.spoke_at = time;
                self.sending.queue.push_back(void());
            }
        } else if self.trusted.members.get(&self.owner_print()).is_some() {
            let silent = time - self.talk.owner.last.unwrap_or(0);
            if !self.talk.owner.silent && silent >= OWNER_SILENT_MS {
                self.talk.owner.silent = true;
                self.event(Event::OwnerSilent { minutes: silent / 60_000 });
            }
        }
        if self.talk.confirm_due.is_some_and(|due| due <= time) {
            self.talk.confirm_due = None;
            self.talk.confirmed_at = Some(time);
            self.sending.queue.push_back(void());
        }
    }
}

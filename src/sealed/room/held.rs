//! What has to wait: things of an epoch that has not come yet, and messages of members whose card is not readable yet.
use std::collections::VecDeque;

use super::{CommandId, Fact};

/// After this long without the new secret the user is warned, in milliseconds.
pub(super) const WARN_MS: u64 = 10_000;
/// After this long the membership is given up, in milliseconds.
pub(super) const GIVE_UP_MS: u64 = 60_000;
/// How many facts wait at most, of either kind; what comes beyond is lost and shows as missing.
const MAX_HELD: usize = 1024;
/// How soon the list of members is asked for again, in milliseconds; doubles each time up to the second.
const RELIST_MS: u64 = 1_000;
const RELIST_LONGEST_MS: u64 = 30_000;

#[derive(Default)]
pub(super) struct Held {
    newer: Option<Newer>,
    /// With the time at which each is given up.
    early: Vec<(u64, Fact)>,
}

struct Newer {
    since: u64,
    warned: bool,
    facts: Vec<Fact>,
}

/// What came of waiting for the next epoch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Fine,
    Warn,
    GiveUp,
}

impl Held {
    /// Something shows that there is a newer epoch.
    pub(super) fn expect_newer(&mut self, now: u64) {
        self.newer.get_or_insert(Newer { since: now, warned: false, facts: Vec::new() });
    }

    /// Keeps a fact until the next epoch.
    pub(super) fn hold_newer(&mut self, fact: Fact, now: u64) {
        self.expect_newer(now);
        if let Some(newer) = self.newer.as_mut().filter(|newer| newer.facts.len() < MAX_HELD) {
            newer.facts.push(fact);
        }
    }

    /// The next epoch is here.
    pub(super) fn release_newer(&mut self, into: &mut VecDeque<Fact>) {
        into.extend(self.newer.take().into_iter().flat_map(|newer| newer.facts));
    }

    /// Keeps a message until its sender's card is readable.
    pub(super) fn hold_early(&mut self, fact: Fact, now: u64) {
        if self.early.len() < MAX_HELD {
            self.early.push((now.saturating_add(GIVE_UP_MS), fact));
        }
    }

    /// The sender's card is readable.
    pub(super) fn release_early(&mut self, user_id: &str, into: &mut VecDeque<Fact>) {
        let (released, early) = std::mem::take(&mut self.early).into_iter().partition(|(_, fact)| is_of(fact, user_id));
        self.early = early;
        into.extend(Vec::into_iter(released).map(|(_, fact): (u64, Fact)| fact));
    }

    /// A user is gone, and with it what it left behind here.
    pub(super) fn forget(&mut self, user_id: &str) {
        self.early.retain(|(_, fact)| !is_of(fact, user_id));
        if let Some(newer) = &mut self.newer {
            newer.facts.retain(|fact| !is_of(fact, user_id));
        }
    }

    /// Whether a user's joining waits here.
    pub(super) fn mentions(&self, user_id: &str) -> bool {
        self.newer.as_ref().is_some_and(|newer| {
            newer.facts.iter().any(|fact| matches!(fact, Fact::UserJoined(listed) if listed.user_id == user_id))
        })
    }

    pub(super) fn expire(&mut self, now: u64) -> Waited {
        self.early.retain(|(until, _)| *until > now);
        match &mut self.newer {
            Some(newer) if now.saturating_sub(newer.since) >= GIVE_UP_MS => Waited::GiveUp,
            Some(newer) if !newer.warned && now.saturating_sub(newer.since) >= WARN_MS => {
                newer.warned = true;
                Waited::Warn
            }
            _ => Waited::Fine,
        }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let newer = self.newer.as_ref().map(|newer| newer.since + if newer.warned { GIVE_UP_MS } else { WARN_MS });
        newer.into_iter().chain(self.early.iter().map(|(until, _)| *until)).min()
    }
}

fn is_of(fact: &Fact, user_id: &str) -> bool {
    match fact {
        Fact::UserJoined(listed) => listed.user_id == user_id,
        Fact::Message { user_id: from, .. } => from == user_id,
        _ => false,
    }
}

/// Asking for the list of members, again and again while someone in it is not readable.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) asked: Option<CommandId>,
    due: Option<u64>,
    pause: u64,
}

impl Listing {
    /// Somebody is not readable: ask soon, and later if it did not help.
    pub(super) fn want(&mut self, now: u64) {
        if self.due.is_none() {
            self.pause = (self.pause * 2).clamp(RELIST_MS, RELIST_LONGEST_MS);
            self.due = Some(now.saturating_add(self.pause));
        }
    }

    /// There is reason to think that it helps now.
    pub(super) fn want_now(&mut self, now: u64) {
        self.pause = 0;
        self.due = Some(now);
    }

    /// Whether to ask now.
    pub(super) fn take_due(&mut self, now: u64) -> bool {
        let due = self.asked.is_none() && self.due.is_some_and(|due| due <= now);
        if due {
            self.due = None;
        }
        due
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.due.filter(|_| self.asked.is_none())
    }
}

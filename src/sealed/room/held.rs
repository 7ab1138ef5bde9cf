//! What has to wait: messages of newer epochs, whose secret has not come, and messages of members whose card is not
//! readable yet.
//!
//! An epoch in a header is unauthenticated until the message has been opened. What waits is therefore bounded, in total
//! and for each sender, and it expires. The alarm names the sender, so that a forged epoch harms only its forger.
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
};

use super::input::Fact;
use crate::sealed::alarm::Who;

/// After this long without the new secret the user is warned, in milliseconds of connected time.
const WARN_MS: u64 = 60_000;
/// After this long what waits is dropped, in milliseconds of connected time.
const DROP_MS: u64 = 60_000;
/// How much waits at most, of either kind, and how much of it from one user. What comes beyond is lost and shows as
/// missing.
const MOST: Amount = Amount { facts: 256, bytes: 1 << 20 };
const MOST_OF_ONE: Amount = Amount { facts: 64, bytes: 1 << 18 };

#[derive(Clone, Copy, Default)]
struct Amount {
    facts: usize,
    bytes: usize,
}

impl Amount {
    fn of<'a>(facts: impl Iterator<Item = &'a Fact>) -> Self {
        facts.fold(Self::default(), |sum, fact| Self { facts: sum.facts + 1, bytes: sum.bytes + size(fact) })
    }

    fn has_room_for(self, bytes: usize, most: Self) -> bool {
        self.facts < most.facts && self.bytes.saturating_add(bytes) <= most.bytes
    }
}

/// Facts, each with the time at which it is given up.
#[derive(Default)]
struct Waiting(Vec<(u64, Fact)>);

impl Waiting {
    /// Keeps a fact about a user, if there is room for it.
    fn push(&mut self, user_id: &str, fact: Fact, now: u64) {
        let (bytes, all) = (size(&fact), || self.0.iter().map(|(_, fact)| fact));
        if Amount::of(all()).has_room_for(bytes, MOST)
            && Amount::of(all().filter(|held| is_of(held, user_id))).has_room_for(bytes, MOST_OF_ONE)
        {
            self.0.push((now.saturating_add(DROP_MS), fact));
        }
    }

    /// Hands out the facts that are wanted.
    fn take(&mut self, wanted: impl Fn(&Fact) -> bool) -> Vec<Fact> {
        let (taken, left): (Vec<_>, _) = mem::take(&mut self.0).into_iter().partition(|(_, fact)| wanted(fact));
        self.0 = left;
        taken.into_iter().map(|(_, fact)| fact).collect()
    }
}

#[derive(Default)]
pub(super) struct Held {
    newer: Waiting,
    /// Users who claim a newer epoch, and when the user is told of them.
    claims: BTreeMap<String, (u64, Who)>,
    /// Members that the user was told of since the epoch began: once is enough.
    told: BTreeSet<String>,
    early: Waiting,
}

impl Held {
    /// Something of this user claims to be of a newer epoch.
    pub(super) fn expect_newer(&mut self, who: Who, now: u64) {
        if !self.told.contains(&who.user_id) {
            self.claims.entry(who.user_id.clone()).or_insert((now.saturating_add(WARN_MS), who));
        }
    }

    /// Keeps a message until a newer secret comes, if there is room for it.
    pub(super) fn hold_newer(&mut self, who: Who, fact: Fact, now: u64) {
        self.newer.push(&who.user_id, fact, now);
        self.expect_newer(who, now);
    }

    /// Whether the user has not been told yet, in this epoch, that this user claims another.
    pub(super) fn tell_of(&mut self, user_id: &str) -> bool {
        self.claims.remove(user_id);
        self.told.insert(user_id.to_owned())
    }

    /// A newer secret is here.
    pub(super) fn release_newer(&mut self, into: &mut VecDeque<Fact>) {
        self.claims.clear();
        self.told.clear();
        into.extend(self.newer.take(|_| true));
    }

    /// Keeps a message until its sender's card is readable.
    pub(super) fn hold_early(&mut self, user_id: &str, fact: Fact, now: u64) {
        self.early.push(user_id, fact, now);
    }

    /// The sender's card is readable.
    pub(super) fn release_early(&mut self, user_id: &str, into: &mut VecDeque<Fact>) {
        into.extend(self.early.take(|fact| is_of(fact, user_id)));
    }

    /// A user is gone, and with it what it left behind here.
    pub(super) fn forget(&mut self, user_id: &str) {
        for waiting in [&mut self.early, &mut self.newer] {
            waiting.0.retain(|(_, fact)| !is_of(fact, user_id));
        }
        self.claims.remove(user_id);
        self.told.remove(user_id);
    }

    /// Lets time pass and says of whom the user is to be told.
    pub(super) fn expire(&mut self, now: u64) -> Vec<Who> {
        for waiting in [&mut self.early, &mut self.newer] {
            waiting.0.retain(|(until, _)| *until > now);
        }
        let (due, claims) = mem::take(&mut self.claims).into_iter().partition(|(_, (due, _))| *due <= now);
        self.claims = claims;
        let due: BTreeMap<String, (u64, Who)> = due;
        self.told.extend(due.keys().cloned());
        due.into_values().map(|(_, who)| who).collect()
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let waiting = self.early.0.iter().chain(&self.newer.0).map(|(until, _)| *until);
        waiting.chain(self.claims.values().map(|(due, _)| *due)).min()
    }
}

fn is_of(fact: &Fact, user_id: &str) -> bool {
    matches!(fact, Fact::Message { user_id: from, .. } if from == user_id)
}

/// What a fact takes, in bytes.
fn size(fact: &Fact) -> usize {
    match fact {
        Fact::Message { content, shared, .. } => content.len() + shared.as_ref().map_or(0, String::len),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(held: &mut Held, from: &str, bytes: usize) -> usize {
        let fact = Fact::Message { user_id: from.into(), content: "x".repeat(bytes), shared: None };
        let who = Who { user_id: from.into(), fingerprint: None, name: None };
        held.hold_newer(who, fact, 0);
        held.newer.0.len()
    }

    #[test]
    fn what_waits_is_bounded_in_all_and_by_sender() {
        let mut held = Held::default();
        for i in 0..100 {
            assert_eq!(hold(&mut held, "a", 1), (i + 1).min(64));
        }
        for i in 0..100 {
            hold(&mut held, "b", 1);
            hold(&mut held, "c", 1);
            assert!(hold(&mut held, "d", 1) <= 256, "{i}");
        }
        assert_eq!(hold(&mut held, "e", 1), 256);
        let mut held = Held::default();
        for (from, waiting) in [("a", 1), ("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 4)] {
            assert_eq!(hold(&mut held, from, 1 << 18), waiting, "{from}");
        }
        assert_eq!(held.expire(59_999), []);
        let mut released = VecDeque::new();
        assert_eq!(held.expire(60_000).len(), 5);
        held.release_newer(&mut released);
        assert!(released.is_empty());
    }
}

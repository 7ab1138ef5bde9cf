//! Comparing views: whom the senders take to be in the room, against whom this member does.
use std::collections::BTreeSet;

use crate::sealed::{
    alarm::{Alarm, Who},
    fingerprint::Fingerprint,
    view::View,
};

/// How long a view may lag behind or run ahead, in milliseconds.
pub(super) const GRACE_MS: u64 = 60_000;
/// How many differing views are waited for at once.
const MAX_AWAITED: usize = 4096;

struct Awaited {
    view: View,
    sender: Fingerprint,
    who: Who,
    deadline: u64,
}

/// The view held now, those held lately, and those that senders hold and this member does not.
pub(super) struct Views {
    current: View,
    /// With the time at which each was given up.
    past: Vec<(View, u64)>,
    awaited: Vec<Awaited>,
    /// Senders whose view stayed different.
    differing: BTreeSet<Fingerprint>,
    blamed: bool,
}

impl Views {
    pub(super) fn new(current: View) -> Self {
        Self { current, past: Vec::new(), awaited: Vec::new(), differing: BTreeSet::new(), blamed: false }
    }

    pub(super) fn current(&self) -> View {
        self.current
    }

    /// The membership has changed.
    pub(super) fn change(&mut self, view: View, now: u64) {
        if view == self.current {
            return;
        }
        self.past.push((self.current, now));
        self.current = view;
        let (come, awaited) = std::mem::take(&mut self.awaited).into_iter().partition(|awaited| awaited.view == view);
        self.awaited = awaited;
        self.agreed(&come);
    }

    fn agreed(&mut self, come: &Vec<Awaited>) {
        for awaited in come {
            self.differing.remove(&awaited.sender);
        }
    }

    /// A message carries a view.
    pub(super) fn check(&mut self, sender: Fingerprint, who: Who, view: View, now: u64) {
        let held = view == self.current
            || self.past.iter().any(|(past, until)| *past == view && now.saturating_sub(*until) <= GRACE_MS);
        if held {
            self.differing.remove(&sender);
        } else if self.awaited.len() < MAX_AWAITED
            && !self.awaited.iter().any(|awaited| awaited.view == view && awaited.sender == sender)
        {
            self.awaited.push(Awaited { view, sender, who, deadline: now.saturating_add(GRACE_MS) });
        }
    }

    /// Lets time pass and says which views never came to hold.
    pub(super) fn expire(&mut self, now: u64) -> Vec<Alarm> {
        self.past.retain(|(_, until)| now.saturating_sub(*until) <= GRACE_MS);
        let (late, awaited) =
            std::mem::take(&mut self.awaited).into_iter().partition::<Vec<_>, _>(|awaited| awaited.deadline <= now);
        self.awaited = awaited;
        let mut alarms = Vec::new();
        for late in late {
            if self.differing.insert(late.sender) {
                alarms.push(Alarm::SeesAnotherRoom(late.who));
            }
        }
        if self.differing.len() >= 2 && !self.blamed {
            self.blamed = true;
            alarms.push(Alarm::RelayShowsDifferentRooms);
        }
        alarms
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.awaited.iter().map(|awaited| awaited.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(n: u8) -> View {
        View::from_bytes([n; 16])
    }

    fn sender(n: u8) -> (Fingerprint, Who) {
        (Fingerprint::from_bytes([n; 32]), Who { user_id: n.to_string(), fingerprint: None, name: None })
    }

    #[test]
    fn views_may_lag_and_run_ahead_by_a_minute() {
        let mut views = Views::new(view(0));
        let (print, who) = sender(1);
        views.change(view(1), 1_000);
        views.check(print, who.clone(), view(0), 61_000);
        views.check(print, who.clone(), view(2), 61_000);
        assert_eq!(views.deadline(), Some(121_000));
        views.change(view(2), 120_000);
        assert!(views.expire(200_000).is_empty());
        views.check(print, who.clone(), view(0), 61_001);
        assert_eq!(views.expire(121_001), [Alarm::SeesAnotherRoom(who)]);
    }

    #[test]
    fn two_who_differ_accuse_the_relay_once() {
        let mut views = Views::new(view(0));
        let ((a, who_a), (b, who_b)) = (sender(1), sender(2));
        views.check(a, who_a.clone(), view(9), 0);
        views.check(a, who_a.clone(), view(8), 1);
        assert_eq!(views.expire(70_000), [Alarm::SeesAnotherRoom(who_a.clone())]);
        views.check(b, who_b.clone(), view(9), 70_000);
        assert_eq!(views.expire(140_000), [Alarm::SeesAnotherRoom(who_b.clone()), Alarm::RelayShowsDifferentRooms]);
        views.check(a, who_a.clone(), view(0), 140_000);
        views.check(a, who_a.clone(), view(9), 140_000);
        assert_eq!(views.expire(200_000), [Alarm::SeesAnotherRoom(who_a)]);
    }
}

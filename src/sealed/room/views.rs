//! Comparing views: whom the senders take to be in the room, against whom this member does.
use std::collections::{BTreeMap, BTreeSet};

use crate::sealed::{fingerprint::Fingerprint, view::View};

/// How long a view may lag behind or run ahead, in milliseconds of connected time.
const GRACE_MS: u64 = 60_000;
/// How many differing views of one sender are waited for.
const MOST_OF_ONE: usize = 4;

/// The view held now, those held lately, and those that senders hold and this member does not.
#[derive(Default)]
pub(super) struct Views {
    current: Option<View>,
    /// With the time at which each was given up.
    past: Vec<(View, u64)>,
    /// By sender, with the time at which each is late; the oldest first.
    awaited: BTreeMap<Fingerprint, Vec<(View, u64)>>,
    /// Senders whose view stayed different.
    differing: BTreeSet<Fingerprint>,
}

impl Views {
    /// The membership or the epoch has changed.
    pub(super) fn change(&mut self, view: View, time: u64) {
        if self.current == Some(view) {
            return;
        }
        self.past.extend(self.current.map(|current| (current, time)));
        self.current = Some(view);
        for (sender, waiting) in &mut self.awaited {
            let before = waiting.len();
            waiting.retain(|(awaited, _)| *awaited != view);
            if waiting.len() < before {
                self.differing.remove(sender);
            }
        }
    }

    /// A message carries a view.
    pub(super) fn check(&mut self, sender: Fingerprint, view: View, time: u64) {
        let lately = |(past, until): &(View, u64)| *past == view && time - until <= GRACE_MS;
        if self.current == Some(view) || self.past.iter().any(lately) {
            self.differing.remove(&sender);
            return;
        }
        let waiting = self.awaited.entry(sender).or_default();
        if !waiting.iter().any(|(awaited, _)| *awaited == view) {
            // The oldest is the first that can be late: it stays.
            waiting.truncate(MOST_OF_ONE - 1);
            waiting.push((view, time + GRACE_MS));
        }
    }

    /// A new epoch: the views that were waited for were those of the old one.
    pub(super) fn epoch_changed(&mut self) {
        self.awaited.clear();
    }

    pub(super) fn forget(&mut self, sender: &Fingerprint) {
        self.awaited.remove(sender);
        self.differing.remove(sender);
    }

    /// Lets time pass and says whose view never came to hold.
    pub(super) fn expire(&mut self, time: u64) -> Vec<Fingerprint> {
        self.past.retain(|(_, until)| time - until <= GRACE_MS);
        let mut late = Vec::new();
        for (sender, waiting) in &mut self.awaited {
            let before = waiting.len();
            waiting.retain(|(_, deadline)| *deadline > time);
            if waiting.len() < before && self.differing.insert(*sender) {
                late.push(*sender);
            }
        }
        late
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.awaited.values().flatten().map(|(_, deadline)| *deadline).min()
    }

    /// The view held now.
    pub(super) fn current(&self) -> View {
        self.current.unwrap_or(View::from_bytes([0; 16]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(n: u8) -> View {
        View::from_bytes([n; 16])
    }

    fn sender(n: u8) -> Fingerprint {
        Fingerprint::from_bytes([n; 32])
    }

    #[test]
    fn views_may_lag_and_run_ahead_by_a_minute() {
        let mut views = Views::default();
        views.change(view(0), 0);
        views.change(view(1), 1_000);
        views.check(sender(1), view(0), 61_000);
        views.check(sender(1), view(2), 61_000);
        assert_eq!(views.deadline(), Some(121_000));
        views.change(view(2), 120_000);
        assert!(views.expire(200_000).is_empty());
        views.check(sender(1), view(0), 200_000);
        assert_eq!(views.expire(260_000), [sender(1)]);
    }

    #[test]
    fn a_flood_of_views_silences_nobody_else() {
        let mut views = Views::default();
        views.change(view(0), 0);
        for n in 0..4_096_u64 {
            let mut bytes = [9; 16];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            views.check(sender(1), View::from_bytes(bytes), n);
        }
        assert_eq!(views.awaited[&sender(1)].len(), MOST_OF_ONE);
        views.check(sender(2), view(8), 5_000);
        let late = views.expire(100_000);
        assert_eq!(late, [sender(1), sender(2)]);
        // Once is enough, until the two agree again.
        views.check(sender(2), view(7), 100_000);
        assert!(views.expire(200_000).is_empty());
        views.check(sender(2), view(0), 200_000);
        views.check(sender(2), view(7), 200_000);
        assert_eq!(views.expire(300_000), [sender(2)]);
    }
}

//! When the list of members is asked for: again and again while someone in it is not readable.

/// The pause before the list is asked for again, in milliseconds; doubles each time up to the longest.
const PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 30_000;

/// When to ask next.
#[derive(Default)]
pub(super) struct Listing {
    /// The list was asked for and has not come.
    pub(super) asked: bool,
    due: Option<u64>,
    pause: u64,
}

impl Listing {
    /// Somebody is not readable: ask soon, and later if it did not help.
    pub(super) fn want(&mut self, now: u64) {
        if self.due.is_none() {
            self.pause = (self.pause * 2).clamp(PAUSE_MS, LONGEST_PAUSE_MS);
            self.due = Some(now.saturating_add(self.pause));
        }
    }

    /// There is reason to think that it helps now.
    pub(super) fn want_now(&mut self, now: u64) {
        self.pause = 0;
        self.due = Some(now);
    }

    /// Whether to ask now; if so, it counts as asked.
    pub(super) fn take_due(&mut self, now: u64) -> bool {
        let due = !self.asked && self.due.is_some_and(|due| due <= now);
        if due {
            (self.asked, self.due) = (true, None);
        }
        due
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.due.filter(|_| !self.asked)
    }
}

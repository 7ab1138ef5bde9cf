//! Asking for the list of members: again and again while someone in it is not readable, and before a chain is handed to
//! all.
/// How soon the list of members is asked for again, in milliseconds of connected time; doubles each time up to the
/// second.
const RELIST_MS: u64 = 1_000;
const RELIST_LONGEST_MS: u64 = 30_000;
/// For how long a list is new.
const FRESH_MS: u64 = 120_000;

#[derive(Default)]
pub(super) struct Listing {
    pub(super) asked: bool,
    /// Whether the server refused the last one.
    pub(super) failed: bool,
    /// When the last list of this connection came.
    pub(super) came: Option<u64>,
    due: Option<u64>,
    pause: u64,
}

impl Listing {
    /// Somebody is not readable: ask soon, and later if it did not help.
    pub(super) fn want(&mut self, time: u64) {
        if self.due.is_none() {
            self.pause = (self.pause * 2).clamp(RELIST_MS, RELIST_LONGEST_MS);
            self.due = Some(time + self.pause);
        }
    }

    /// There is reason to think that it helps now.
    pub(super) fn want_now(&mut self, time: u64) {
        self.pause = 0;
        self.due = Some(time);
    }

    /// Whether to ask now.
    pub(super) fn take_due(&mut self, time: u64) -> bool {
        let due = !self.asked && self.due.is_some_and(|due| due <= time);
        if due {
            (self.due, self.asked) = (None, true);
        }
        due
    }

    /// Whether the last list is new enough to hand a chain by.
    pub(super) fn is_fresh(&self, time: u64) -> bool {
        self.came.is_some_and(|came| time - came <= FRESH_MS)
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        (self.came, self.failed, self.pause) = (None, false, 0);
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.due.filter(|_| !self.asked)
    }
}

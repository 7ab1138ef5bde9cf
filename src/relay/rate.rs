//! How many commands an address may ask for in a second, in one atomic number: the generic cell rate algorithm (GCRA,
//! ITU-T I.371).

use std::sync::atomic::{AtomicU64, Ordering};

use crate::room::Millis;

/// Microseconds in a millisecond.
const MICROS: u64 = 1_000;

/// A rate of tokens. A draw may overdraw it; the next draw then waits until it is paid off.
pub(super) struct Rate {
    /// Tokens a second.
    per_s: u64,
    /// How far ahead of the clock the tokens may be, in microseconds.
    burst: u64,
    /// The moment up to which tokens are spent, in microseconds.
    spent_until: AtomicU64,
}

impl Rate {
    /// `per_s` tokens a second, and twice as many at once.
    pub(super) fn new(per_s: u64) -> Self {
        Self { per_s: per_s.max(1), burst: 2_000_000, spent_until: AtomicU64::new(0) }
    }

    /// Whether tokens that were drawn are not yet paid off at `now`.
    pub(super) fn owes(&self, now: Millis) -> bool {
        self.spent_until.load(Ordering::Acquire) > now * MICROS
    }

    /// Draws `tokens` at `now`.
    ///
    /// # Errors
    /// None are left: the milliseconds until there are some.
    pub(super) fn draw(&self, tokens: u32, now: Millis) -> Result<(), Millis> {
        let now = now * MICROS;
        let cost = u64::from(tokens) * 1_000_000 / self.per_s;
        let drawn = self.spent_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, |until| {
            let until = until.max(now);
            (until - now < self.burst).then_some(until + cost)
        });
        drawn.map(drop).map_err(|until| (until.saturating_sub(now + self.burst) / MICROS).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_rate_at_once_and_then_the_rate() {
        let rate = Rate::new(1_000);
        let at_once = (0..).take_while(|_| rate.draw(1, 0).is_ok()).count();
        assert_eq!(at_once, 2_000);
        let wait = rate.draw(1, 0).unwrap_err();
        assert!(rate.draw(1, wait + 1).is_ok());
        let second = (0..).take_while(|_| rate.draw(1, 1_000).is_ok()).count();
        assert!((997..=1_000).contains(&second), "{second}");
    }

    #[test]
    fn a_large_draw_is_paid_off_before_the_next() {
        let rate = Rate::new(1_000);
        assert!(rate.draw(5_000, 0).is_ok());
        assert_eq!(rate.draw(1, 0), Err(3_000));
        assert!(rate.draw(1, 2_999).is_err());
        assert!(rate.draw(1, 3_001).is_ok());
    }
}

//! The wait before the next attempt to connect: exponential back-off with full jitter.
//!
//! Each wait is drawn evenly from zero up to a ceiling that doubles: clients that lost their server at the same moment
//! do not all reconnect at the same moment, and a server that is down gets fewer and fewer attempts.

use std::time::Duration;

use rand::RngExt;

/// The last ceiling is this many times the first.
const GROWTH: u32 = 60;

/// Counts attempts; starts anew after a success.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// The ceiling of the first wait.
    first: Duration,
    attempts: u32,
}

impl Backoff {
    /// Ceilings of `first` up to 60 times that.
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, attempts: 0 }
    }

    /// The wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.attempts = self.attempts.saturating_add(1);
        rand::rng().random_range(Duration::ZERO..=ceiling)
    }

    /// A connection succeeded: the next loss starts from the beginning.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    fn ceiling(&self) -> Duration {
        // Past 2^6 every ceiling is the last one, so the shift stays in range.
        self.first.saturating_mul((1 << self.attempts.min(6)).min(GROWTH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LAST: Duration = Duration::from_secs(30);

    #[test]
    fn ceilings_double_up_to_the_last_and_start_anew() {
        let mut backoff = Backoff::new(FIRST);
        let mut ceilings = Vec::new();
        for _ in 0..9 {
            let ceiling = backoff.ceiling();
            assert!(backoff.next() <= ceiling);
            ceilings.push(ceiling.as_millis());
        }
        assert_eq!(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        backoff.attempts = u32::MAX;
        assert!(backoff.next() <= LAST);
        backoff.reset();
        assert_eq!(backoff.ceiling(), FIRST);
    }

    #[test]
    fn waits_differ() {
        let waits: Vec<_> = (0..64).map(|_| Backoff { first: FIRST, attempts: 6 }.next()).collect();
        assert!(waits.iter().any(|wait| *wait < LAST / 2) && waits.iter().any(|wait| *wait > LAST / 2));
    }
}

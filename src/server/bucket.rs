//! The rate limit of one connection. It is charged after a command and checked before the next read, so that TCP
//! slows the sender.

use std::time::{Duration, Instant};

use crate::protocol::limits::Limits;
use crate::relay::Cost;

/// A bucket of tokens (`commands_per_s`, `commands_burst`); one command may overdraw it. The bounds are always the same
/// and come with each call, since there are as many buckets as connections.
pub(super) struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self { level: limits.commands_burst as f64, at: now }
    }

    /// When the next command may be read, if not now.
    pub(super) fn wait(&mut self, limits: &Limits, now: Instant) -> Option<Instant> {
        if self.level > 0.0 {
            return None;
        }
        let per_s = limits.commands_per_s as f64;
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * per_s;
        self.level = (self.level + gained).min(limits.commands_burst as f64);
        self.at = now;
        (self.level <= 0.0).then(|| now + Duration::from_secs_f64(((1.0 - self.level) / per_s).max(0.001)))
    }

    /// A command was carried out at this cost.
    pub(super) fn charge(&mut self, cost: Cost, limits: &Limits, now: Instant) {
        if self.level >= limits.commands_burst as f64 {
            self.at = now;
        }
        self.level -= cost.tokens();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(per_s: u64, burst: u64) -> Limits {
        let settings = [format!("commands_per_s={per_s}"), format!("commands_burst={burst}")];
        Limits::from_settings(settings.iter().map(String::as_str)).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (limits, start) = (limits(10, 3), Instant::now());
        let mut bucket = Bucket::new(&limits, start);
        for _ in 0..3 {
            assert_eq!(bucket.wait(&limits, start), None);
            bucket.charge(Cost::COMMAND, &limits, start);
        }
        assert_eq!(bucket.wait(&limits, start), Some(start + Duration::from_millis(100)));
        assert_eq!(bucket.wait(&limits, start + Duration::from_millis(100)), None);
    }

    #[test]
    fn bytes_overdraw_the_bucket_and_are_waited_for() {
        let (limits, start) = (limits(10, 1), Instant::now());
        let mut bucket = Bucket::new(&limits, start);
        let mut cost = Cost::COMMAND;
        cost += Cost::bytes(9 * 4096);
        bucket.charge(cost, &limits, start);
        assert_eq!(bucket.wait(&limits, start), Some(start + Duration::from_secs(1)));
        assert_eq!(bucket.wait(&limits, start + Duration::from_secs(1)), None);
    }

    proptest! {
        /// However commands come, no more run than the burst, the rate and one overdrawing command allow.
        #[test]
        fn nobody_gets_more_than_the_burst_and_the_rate(
            per_s in 1u64..1000,
            burst in 1u64..100,
            steps in proptest::collection::vec((0u64..2_000, 0usize..100_000), 1..200),
        ) {
            let (limits, start) = (limits(per_s, burst), Instant::now());
            let mut bucket = Bucket::new(&limits, start);
            let (mut now, mut spent, mut last) = (start, 0.0, 0.0);
            for (ms, bytes_out) in steps {
                now += Duration::from_millis(ms);
                match bucket.wait(&limits, now) {
                    None => {
                        let mut cost = Cost::COMMAND;
                        cost += Cost::bytes(bytes_out);
                        bucket.charge(cost, &limits, now);
                        last = cost.tokens();
                        spent += last;
                    }
                    Some(until) => {
                        prop_assert!(until > now, "a wait ends later");
                        prop_assert_eq!(bucket.wait(&limits, until), None, "and then the next command runs");
                        now = until;
                    }
                }
                let earned = burst as f64 + (now - start).as_secs_f64() * per_s as f64;
                prop_assert!(spent - last <= earned + 1e-6, "{spent} tokens spent, {earned} earned");
            }
        }
    }
}

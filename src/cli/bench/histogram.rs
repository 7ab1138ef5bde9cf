//! Counts durations in buckets that grow with them: exact below 128 ns, within 1 % above.

/// Buckets of each power of two.
const STEPS: usize = 128;
/// Powers of two: 2^41 ns are 36 minutes; longer durations count as that.
const POWERS: usize = 35;

/// See the module.
#[derive(Clone)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; STEPS * POWERS], count: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts a duration of `nanos` nanoseconds.
    pub(super) fn record(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// The longest, in nanoseconds.
    pub(super) fn max(&self) -> u64 {
        self.max
    }

    /// The duration in nanoseconds that a share of `quantile` (0 to 1) does not exceed; 0 when nothing was counted.
    pub(super) fn quantile(&self, quantile: f64) -> u64 {
        let rank = ((self.count as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return largest_of(index).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(nanos: u64) -> usize {
    let Some(shift) = nanos.checked_ilog2().and_then(|power| power.checked_sub(STEPS.ilog2())) else {
        return nanos as usize;
    };
    // The value's first eight bits, of which the first is always set.
    let step = (nanos >> shift) as usize - STEPS;
    ((shift as usize + 1) * STEPS + step).min(STEPS * POWERS - 1)
}

/// The longest duration of a bucket.
fn largest_of(index: usize) -> u64 {
    let (power, step) = (index / STEPS, (index % STEPS) as u64);
    match power.checked_sub(1) {
        None => step,
        Some(shift) => ((STEPS as u64 + step + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_holds_what_differs_by_less_than_a_hundredth(nanos in 0u64..1 << 41) {
            let index = bucket(nanos);
            prop_assert!(largest_of(index) >= nanos);
            prop_assert!(largest_of(index) - nanos <= nanos / 100);
            prop_assert!(index == 0 || largest_of(index - 1) < nanos);
        }

        #[test]
        fn quantiles_are_those_of_the_sorted_list(mut list in proptest::collection::vec(1u64..10_000_000_000, 1..200), quantile in 0.0..=1.0f64) {
            let mut histogram = Histogram::default();
            list.iter().for_each(|nanos| histogram.record(*nanos));
            list.sort_unstable();
            let rank = ((list.len() as f64 * quantile).ceil() as usize).max(1);
            let exact = list[rank - 1];
            let found = histogram.quantile(quantile);
            prop_assert!(found >= exact && found - exact <= exact / 100);
            prop_assert_eq!(histogram.max(), list[list.len() - 1]);
        }
    }

    #[test]
    fn nothing_and_too_much_are_no_faults() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), 0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.max(), u64::MAX);
        assert_eq!(histogram.quantile(1.0), largest_of(STEPS * POWERS - 1));
    }
}

//! Fairness between holders of unequal size: the largest lose first, down to a common level (max–min fairness).

/// The level to which the largest of these must be cut so that together they lose at least `excess`; 0 when that is too much.
pub fn level(held: impl Iterator<Item = usize>, excess: usize) -> usize {
    let mut held: Vec<_> = held.collect();
    held.sort_unstable_by(|a, b| b.cmp(a));
    let mut above = 0;
    for (index, &largest) in held.iter().enumerate() {
        above += largest;
        let next = held.get(index + 1).copied().unwrap_or(0);
        let count = index + 1;
        // All of the first `count` cut down to the next one: is that enough?
        if above - next * count >= excess {
            return (above - excess) / count;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_level_is_the_largest_that_frees_enough(sizes in proptest::collection::vec(0usize..1_000, 0..20), target in 0usize..5_000) {
            let excess = sizes.iter().sum::<usize>().saturating_sub(target);
            let level = level(sizes.iter().copied(), excess);
            let cut = |level: usize| sizes.iter().map(|size| (*size).min(level)).sum::<usize>();
            prop_assert!(cut(level) <= target);
            if excess > 0 {
                prop_assert!(cut(level + 1) > target);
            }
        }
    }
}

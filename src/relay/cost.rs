//! What commands cost, in tokens. One token is 10 µs of one core; `commands_per_s` is in tokens.
//!
//! The prices follow the instructions that a command takes, at 40,000 for a token. `benches/instructions.sh` compares
//! the two.

use std::ops::AddAssign;

/// A tenth of a token is the smallest price.
const TENTHS: u32 = 10;
/// Bytes that are handed out for one token, to all recipients together. A part that recipients share counts once.
const BYTES_PER_TOKEN: usize = 4_096;
/// Entries (keys, members) that are looked through for one token.
const ENTRIES_PER_TOKEN: usize = 500;

/// A number of tokens, in tenths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u32);

impl Cost {
    /// Every command and every frame costs at least this.
    pub const COMMAND: Self = Self(TENTHS);
    /// Each session that an event goes to, connected or away.
    pub const RECIPIENT: Self = Self(2);
    /// Checking a public key.
    pub const PUBLIC_KEY: Self = Self(TENTHS);
    /// Creating or joining a room, beside what is told about it.
    pub const ENTER: Self = Self(3 * TENTHS);
    /// Taking up a session, beside what is delivered again.
    pub const RESUME: Self = Self(5 * TENTHS);

    /// Bytes handed out.
    pub fn bytes(bytes: usize) -> Self {
        Self(tenths(bytes, BYTES_PER_TOKEN))
    }

    /// One-time keys issued, expired or reset.
    pub fn keys(count: usize) -> Self {
        Self(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Entries looked through.
    pub fn looked_through(entries: usize) -> Self {
        Self(tenths(entries, ENTRIES_PER_TOKEN))
    }

    /// The tokens.
    pub fn tokens(self) -> f64 {
        f64::from(self.0) / f64::from(TENTHS)
    }

    /// The tokens, rounded up.
    pub fn whole_tokens(self) -> u32 {
        self.0.div_ceil(TENTHS)
    }
}

fn tenths(count: usize, per_token: usize) -> u32 {
    u32::try_from(count.saturating_mul(TENTHS as usize) / per_token).unwrap_or(u32::MAX)
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_add_up() {
        let mut cost = Cost::COMMAND;
        cost += Cost::bytes(4_096);
        cost += Cost::keys(5);
        cost += Cost::looked_through(500);
        assert_eq!((cost.tokens(), cost.whole_tokens()), (3.5, 4));
        cost += Cost::bytes(usize::MAX);
        assert_eq!(cost, Cost(u32::MAX));
    }
}

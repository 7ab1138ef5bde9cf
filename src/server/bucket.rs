//! The rate limit of one connection. It is charged after a command and looked at before the next is read, so that TCP slows the sender.

use std::time::{Duration, Instant};

use crate::protocol::limits::Limits;

/// A bucket of commands (`commands_per_s`, `commands_burst`); may be overdrawn by what a command hands out. The bounds are always the same
/// and come with each call, since there are as many buckets as connections.
pub(super) struct Bucket {
    level: f64,
    at: Instant,
}

/// Handing out this many bytes costs as much as a command.
const BYTES_PER_TOKEN: f64 = 4096.0;

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

    /// A command was carried out that handed out this many bytes.
    pub(super) fn charge(&mut self, bytes_out: usize, limits: &Limits, now: Instant) {
        if self.level >= limits.commands_burst as f64 {
            self.at = now;
        }
        self.level -= 1.0 + bytes_out as f64 / BYTES_PER_TOKEN;
    }
}

//! Logs an error of the system at once, and then at most once a minute.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

/// Least time between two log lines.
const EVERY: Duration = Duration::from_secs(60);

/// One kind of error, with the time of its last log line.
#[derive(Default)]
pub(super) struct Complaint(Mutex<State>);

#[derive(Default)]
struct State {
    said: Option<Instant>,
    /// Number of errors since then, which were not logged.
    silent: u64,
}

impl Complaint {
    /// Logs `error` in the system's words, unless one was logged within the last minute.
    pub(super) fn about(&self, what: &str, error: &io::Error) {
        if let Some(more) = self.due(Instant::now()) {
            match more {
                0 => tracing::warn!("{what}: {error}"),
                more => tracing::warn!("{what}: {error}; and {more} more times since the last report"),
            }
        }
    }

    /// How many errors were not logged before this one; `None` when this one is not to be logged either.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut state = lock(&self.0);
        if state.said.is_some_and(|said| now.duration_since(said) < EVERY) {
            state.silent += 1;
            return None;
        }
        state.said = Some(now);
        Some(std::mem::take(&mut state.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_at_once_and_then_once_a_minute() {
        let (complaint, start) = (Complaint::default(), Instant::now());
        assert_eq!(complaint.due(start), Some(0));
        assert_eq!(complaint.due(start + Duration::from_secs(1)), None);
        assert_eq!(complaint.due(start + EVERY - Duration::from_millis(1)), None);
        assert_eq!(complaint.due(start + EVERY), Some(2));
        assert_eq!(complaint.due(start + EVERY + EVERY), Some(0));
    }
}

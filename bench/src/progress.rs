//! A line on the terminal that says how far things are. Silent where nobody looks.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two lines.
const EVERY: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Progress {
    shown: bool,
    label: String,
    next: Instant,
}

impl Progress {
    /// Shows on standard error if that is a terminal.
    pub(super) fn on_terminal() -> Self {
        Self { shown: std::io::stderr().is_terminal(), label: String::new(), next: Instant::now() }
    }

    /// Shows nothing.
    pub(super) fn silent() -> Self {
        Self { shown: false, ..Self::on_terminal() }
    }

    /// What stands in front of every line from here on.
    pub(super) fn label(&mut self, label: String) {
        self.label = label;
    }

    /// Shows a line, unless one was shown just now.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.shown && Instant::now() >= self.next {
            self.next = Instant::now() + EVERY;
            self.write(&format!("{} {}", self.label, line()));
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if self.shown {
            self.write("");
        }
    }

    fn write(&self, line: &str) {
        // Back to the start, and nothing of the line before is left.
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }
}

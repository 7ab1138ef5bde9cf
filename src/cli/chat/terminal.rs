//! Output to the terminal. All text of others passes [`harmless`], which removes escape sequences, control characters
//! and characters that reorder text.
//!
//! Each event is one line on standard output. It starts with a mark that no member can forge, because names come after
//! it:
//!
//! ```text
//! <alice> hello                 a message to all
//! [alice to you] hello          a message to you alone
//! * bob is here                 an event
//! !!! ALARM: …                  a reason for distrust
//! https://…                     an invite link
//! ```
//!
//! Prompts, hints and the state of the connection go to standard error.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use zeroize::Zeroizing;

use super::harmless::harmless;
use super::names::shown;
use super::prompt::Prompt;

/// The destination of lines.
pub(super) struct Terminal<O, E> {
    out: O,
    err: E,
    /// The line that is being typed, below all others.
    prompt: Option<Prompt>,
    /// Alarms are repeated on standard error when a person may look only there.
    repeat_alarms: bool,
    colour: bool,
}

impl Terminal<File, io::Stderr> {
    /// Standard output and standard error.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(super) fn standard(prompt: Option<Prompt>) -> io::Result<Self> {
        // Not through the standard library's handle, whose buffer would keep what was shown.
        let (out, err) = (File::from(io::stdout().as_fd().try_clone_to_owned()?), io::stderr());
        let repeat_alarms = !out.is_terminal() && err.is_terminal();
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self { out, err, prompt, repeat_alarms, colour })
    }
}

impl<O: Write, E: Write> Terminal<O, E> {
    /// A message of a member.
    pub(super) fn message(&mut self, from: &str, text: &str, private: bool) -> io::Result<()> {
        let (from, text) = (shown(from), harmless(text));
        let line = if private { format!("[{from} to you] {text}") } else { format!("<{from}> {text}") };
        self.line(&line)
    }

    /// An event.
    pub(super) fn event(&mut self, what: &str) -> io::Result<()> {
        self.line(&format!("* {}", harmless(what)))
    }

    /// An invite link, alone on its line.
    pub(super) fn link(&mut self, link: &str) -> io::Result<()> {
        // A checked host and base64: harmless without a copy.
        self.line(link)
    }

    /// A reason for distrust.
    pub(super) fn alarm(&mut self, what: &str) -> io::Result<()> {
        let text = format!("!!! ALARM: {}", harmless(what));
        if self.repeat_alarms {
            self.aside(&text);
        }
        let text = if self.colour { format!("\x1b[1;31m{text}\x1b[0m\x07") } else { text };
        self.line(&text)
    }

    /// A hint or the state of the connection, on standard error. A closed standard error is not an error.
    pub(super) fn status(&mut self, what: &str) -> io::Result<()> {
        for line in what.lines() {
            self.aside(&harmless(line));
        }
        Ok(())
    }

    fn aside(&mut self, line: &str) {
        // Nothing depends on hints; standard error may be closed.
        let _ = match &self.prompt {
            Some(prompt) => prompt.above(&mut self.err, line),
            None => writeln!(self.err, "{line}").and_then(|()| self.err.flush()),
        };
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        match &self.prompt {
            Some(prompt) => prompt.above(&mut self.out, line),
            None => {
                // One write, since nothing buffers the parts of a line.
                self.out.write_all(Zeroizing::new(format!("{line}\n")).as_bytes())?;
                self.out.flush()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(show: impl FnOnce(&mut Terminal<&mut Vec<u8>, &mut Vec<u8>>)) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        show(&mut Terminal { out: &mut out, err: &mut err, prompt: None, repeat_alarms: true, colour: false });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn every_event_is_one_line_that_no_member_can_forge() {
        let (out, err) = written(|terminal| {
            terminal.message("al\nice", "x\n* bob left\n!!! ALARM: no", false).unwrap();
            terminal.message("alice", "psst", true).unwrap();
            terminal.event("bo\x1bb is here").unwrap();
            terminal.alarm("mallory\n is here").unwrap();
            terminal.status("away\nback").unwrap();
        });
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("<\"al⏎ice\"> x⏎"));
        assert_eq!(lines[1], "[alice to you] psst");
        assert_eq!(lines[2], "* bo�b is here");
        assert_eq!(lines[3], "!!! ALARM: mallory⏎ is here");
        assert_eq!(err, "!!! ALARM: mallory⏎ is here\naway\nback\n");
    }
}

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

/// `text` without characters that a terminal interprets: each becomes `U+FFFD`, a line break `⏎`, a tab a space.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => '⏎',
            '\t' => ' ',
            c if c.is_control() || is_invisible(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// Characters that reorder the text around them (UAX #9), or change it without being visible.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// The destination of lines.
pub(super) struct Terminal<O, E> {
    out: O,
    err: E,
    /// Whether alarms are repeated on standard error, because a person may look only there.
    repeat_alarms: bool,
    colour: bool,
}

impl Terminal<File, io::Stderr> {
    /// Standard output and standard error.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(super) fn standard() -> io::Result<Self> {
        // Not through the standard library's handle: its buffer would keep the text.
        let (out, err) = (File::from(io::stdout().as_fd().try_clone_to_owned()?), io::stderr());
        let repeat_alarms = !out.is_terminal() && err.is_terminal();
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self { out, err, repeat_alarms, colour })
    }
}

impl<O: Write, E: Write> Terminal<O, E> {
    /// A message of a member.
    pub(super) fn message(&mut self, from: &str, text: &str, private: bool) -> io::Result<()> {
        let (from, text) = (harmless(from), harmless(text));
        if private { self.line(&format!("[{from} to you] {text}")) } else { self.line(&format!("<{from}> {text}")) }
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
        // Standard error may be closed; nothing depends on hints.
        let _ = writeln!(self.err, "{line}").and_then(|()| self.err.flush());
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        // One write for the whole line, because nothing buffers.
        self.out.write_all(Zeroizing::new(format!("{line}\n")).as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(show: impl FnOnce(&mut Terminal<&mut Vec<u8>, &mut Vec<u8>>)) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        show(&mut Terminal { out: &mut out, err: &mut err, repeat_alarms: true, colour: false });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        let hostile = "a\x1b[2J\r\x08\x07\u{9b}31m\u{202e}b\u{2066}c\u{200f}\u{feff}\nd\te\u{2028}\u{e0041}";
        let clean = harmless(hostile);
        assert!(!clean.chars().any(|c| c.is_control() || is_invisible(c)), "{clean:?}");
        assert_eq!(clean, "a�[2J����31m�b�c��⏎d e⏎�");
        assert_eq!(harmless("Zoë 李 🍵 👩\u{200d}🚀"), "Zoë 李 🍵 👩\u{200d}🚀");
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let clean = harmless(&c.to_string());
            assert!(!clean.chars().any(|c| c.is_control() || is_invisible(c)) && clean.chars().count() == 1);
        }
    }

    #[test]
    fn every_event_is_one_line_that_no_member_can_forge() {
        let (out, err) = shown(|terminal| {
            terminal.message("al\nice", "x\n* bob left\n!!! ALARM: no", false).unwrap();
            terminal.message("alice", "psst", true).unwrap();
            terminal.event("bo\x1bb is here").unwrap();
            terminal.alarm("mallory\n is here").unwrap();
            terminal.status("away\nback").unwrap();
        });
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("<al⏎ice> x⏎"));
        assert_eq!(lines[1], "[alice to you] psst");
        assert_eq!(lines[2], "* bo�b is here");
        assert_eq!(lines[3], "!!! ALARM: mallory⏎ is here");
        assert_eq!(err, "!!! ALARM: mallory⏎ is here\naway\nback\n");
    }
}

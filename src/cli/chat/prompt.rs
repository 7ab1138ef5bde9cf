//! The line that is being typed, at the bottom of the terminal. What happens meanwhile is shown above it.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use zeroize::Zeroizing;

/// Where the line begins.
const MARK: &str = "> ";
/// Goes to the start of the row and clears it.
const CLEAR: &str = "\r\x1b[K";
/// Has the terminal say where pasted text begins and ends, and stops it.
const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";
/// What follows the first row of a long line begins with this, so that no text can look like a line of its own.
const INDENT: &str = "    ";

/// The row, shared by the thread that reads keys and by all that writes lines.
#[derive(Clone)]
pub(super) struct Prompt(Arc<Mutex<Zeroizing<String>>>);

impl Prompt {
    fn row(&self) -> MutexGuard<'_, Zeroizing<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line above the row.
    pub(super) fn above<W: Write>(&self, to: &mut W, line: &str) -> io::Result<()> {
        let row = self.row();
        let folded = Zeroizing::new(fold(line, width()));
        to.write_all(Zeroizing::new(format!("{CLEAR}{}\n{MARK}{}", *folded, **row)).as_bytes())?;
        to.flush()
    }

    /// Keeps a finished line above the row, and empties the row.
    pub(super) fn keep(&self, line: &str) -> io::Result<()> {
        *self.row() = Zeroizing::default();
        let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        self.above(&mut out, &Zeroizing::new(format!("{MARK}{line}")))
    }

    /// Shows what is being typed: as much of its end as fits in a row. `text` is harmless.
    pub(super) fn show(&self, text: &str) -> io::Result<()> {
        let mut row = self.row();
        *row = Zeroizing::new(end_that_fits(text, width().saturating_sub(MARK.len() + 1)).to_owned());
        write_to_terminal(&format!("{CLEAR}{MARK}{}", **row))
    }
}

/// A terminal whose keys come one by one, while this lives.
pub(super) struct Keys {
    before: Termios,
}

impl Keys {
    /// Takes the terminal over, if this program talks to a person at one.
    pub(super) fn take() -> Option<(Self, Prompt)> {
        let stdin = io::stdin();
        if !(stdin.is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()) {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut keys = before.clone();
        // Without the system's own line, which ends after 4,095 bytes. Ctrl-C still interrupts; Ctrl-Z would leave the
        // terminal so.
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
        keys.input_modes.insert(InputModes::ICRNL);
        keys.special_codes[SpecialCodeIndex::VSUSP] = 0;
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &keys).ok()?;
        let _ = write_to_terminal(&format!("{PASTE_ON}{MARK}"));
        Some((Self { before }, Prompt(Arc::default())))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = write_to_terminal(&format!("{CLEAR}{PASTE_OFF}"));
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn write_to_terminal(text: &str) -> io::Result<()> {
    // Not through the standard library's handle, whose buffer would keep what was typed.
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    out.write_all(text.as_bytes())
}

/// The columns of the terminal.
fn width() -> usize {
    tcgetwinsize(io::stdout()).map_or(80, |size| usize::from(size.ws_col)).max(20)
}

/// The end of a text that fits into so many columns.
fn end_that_fits(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        start = at;
    }
    &text[start..]
}

/// A line in rows of so many columns; all but the first are indented.
fn fold(line: &str, columns: usize) -> String {
    if line.width() <= columns || line.starts_with("https://") {
        // Links stay whole, so that a terminal can find and copy them.
        return line.to_owned();
    }
    let mut folded = String::with_capacity(line.len() + line.len() / 8);
    let mut used = 0;
    for c in line.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > columns {
            folded.push('\n');
            folded.push_str(INDENT);
            used = INDENT.len();
        }
        folded.push(c);
        used += wide;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_makes_a_row_that_looks_like_a_line() {
        let said = format!("<bob> {}<carol> I agree", " ".repeat(34));
        assert_eq!(fold(&said, 40), format!("<bob> {}\n    <carol> I agree", " ".repeat(34)));
        assert_eq!(fold("short", 40), "short");
        let wide = fold(&"李".repeat(30), 20);
        assert!(wide.lines().all(|row| row.width() <= 20) && wide.lines().skip(1).all(|row| row.starts_with(INDENT)));
        assert_eq!(wide.replace(['\n', ' '], ""), "李".repeat(30));
        let link = format!("https://example.org/#{}", "A".repeat(400));
        assert_eq!(fold(&link, 40), link);
    }

    #[test]
    fn the_end_of_what_is_typed_is_shown() {
        assert_eq!(end_that_fits("hello", 10), "hello");
        assert_eq!(end_that_fits("hello", 3), "llo");
        assert_eq!(end_that_fits("a李李", 3), "李");
        assert_eq!(end_that_fits("", 3), "");
    }
}

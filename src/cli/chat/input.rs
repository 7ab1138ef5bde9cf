//! Lines from standard input. A separate thread reads them, because a blocked read must not prevent the program from
//! ending.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::editor::{Editor, Key};
use super::harmless::harmless;
use super::prompt::Prompt;
use super::typed::{MAX_LINE, Typed};
use subrosa::secret::wipe;

/// A terminal that gathers lines itself cuts them here, without a word.
const TERMINAL_LINE: usize = 4_095;
/// Bytes that are read at once.
const PIECE: usize = 4096;

/// Lines of standard input.
pub(super) struct Input {
    lines: mpsc::Receiver<Typed>,
}

impl Input {
    /// Reads standard input.
    pub(super) fn standard() -> Self {
        let (sender, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            // Not through the standard library's handle: its buffer would keep the typed text.
            let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else { return };
            let cut_at = stdin.is_terminal().then_some(TERMINAL_LINE);
            let mut lines = Lines::new(File::from(stdin), cut_at);
            loop {
                let read = lines.next().unwrap_or(Typed::End);
                let end = read == Typed::End;
                if sender.blocking_send(read).is_err() || end {
                    return;
                }
            }
        });
        Self { lines }
    }

    /// Reads keys from a terminal and shows what is typed.
    pub(super) fn keys(prompt: Prompt) -> Self {
        let (sender, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else { return };
            let (mut keys, mut editor) = (File::from(stdin), Editor::default());
            let mut piece = Zeroizing::new(vec![0; PIECE]);
            loop {
                let read = match keys.read(&mut piece) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(read) if read > 0 => read,
                    // The terminal is gone.
                    _ => return,
                };
                for key in &piece[..read] {
                    let Key::Finished(typed) = editor.press(*key) else { continue };
                    // What was said stays on the screen, as in any terminal.
                    if let Typed::Line(line) = &typed
                        && !line.is_empty()
                    {
                        let _ = prompt.keep(&harmless(line));
                    }
                    let end = typed == Typed::End;
                    if sender.blocking_send(typed).is_err() || end {
                        return;
                    }
                }
                piece[..read].fill(0);
                let _ = prompt.show(&Zeroizing::new(harmless(&Zeroizing::new(editor.text()))));
                wipe::stack::<{ wipe::DEEP }>();
            }
        });
        Self { lines }
    }

    /// The next line. Cancel-safe.
    pub(super) async fn next(&mut self) -> Typed {
        self.lines.recv().await.unwrap_or(Typed::End)
    }
}

/// Splits the input into lines and keeps nothing of the lines that it returned.
struct Lines<R> {
    from: R,
    /// Read, but not returned yet.
    waiting: Vec<u8>,
    /// The present line is too long, and its end has not arrived.
    skipping: bool,
    /// A line of this length has lost its end.
    cut_at: Option<usize>,
}

impl<R: Read> Lines<R> {
    fn new(from: R, cut_at: Option<usize>) -> Self {
        Self { from, waiting: Vec::new(), skipping: false, cut_at }
    }

    fn next(&mut self) -> io::Result<Typed> {
        loop {
            if let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let line = self.line(end);
                wipe::forget_front(&mut self.waiting, end + 1);
                return Ok(line);
            }
            if self.waiting.len() > MAX_LINE {
                self.skipping = true;
                wipe::empty(&mut self.waiting);
            }
            if self.read()? == 0 {
                if self.waiting.is_empty() && !self.skipping {
                    return Ok(Typed::End);
                }
                let line = self.line(self.waiting.len());
                wipe::empty(&mut self.waiting);
                return Ok(line);
            }
        }
    }

    /// The line that ends there.
    fn line(&mut self, end: usize) -> Typed {
        let line = &self.waiting[..end];
        let cut = self.cut_at.is_some_and(|cut_at| line.len() >= cut_at);
        let too_long = std::mem::take(&mut self.skipping) || cut || line.len() > MAX_LINE;
        match std::str::from_utf8(line) {
            Ok(line) if !too_long => Typed::Line(Zeroizing::new(line.trim_end_matches('\r').to_owned())),
            _ => Typed::Bad,
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut piece = Zeroizing::new(vec![0; PIECE]);
        wipe::stack::<{ wipe::DEEP }>();
        loop {
            match self.from.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.waiting.extend_from_slice(&piece[..*read.as_ref().unwrap_or(&0)]);
                    return read;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_any_way_and_long_ones_are_skipped() {
        let long = "x".repeat(MAX_LINE + 5);
        let text = format!("one\r\n\n{long}\nlast");
        let mut lines = Lines::new(io::Cursor::new([text.as_bytes(), b"\n\xff\nend"].concat()), None);
        let line = |text: &str| Typed::Line(Zeroizing::new(text.to_owned()));
        let expected =
            [line("one"), line(""), Typed::Bad, line("last"), Typed::Bad, line("end"), Typed::End, Typed::End];
        for expected in expected {
            assert_eq!(lines.next().unwrap(), expected);
        }
    }

    #[test]
    fn a_line_that_a_terminal_has_cut_is_told() {
        let text = format!("{}\n{}\n", "x".repeat(TERMINAL_LINE), "y".repeat(TERMINAL_LINE - 1));
        let mut lines = Lines::new(io::Cursor::new(text), Some(TERMINAL_LINE));
        assert_eq!(lines.next().unwrap(), Typed::Bad);
        assert!(matches!(lines.next().unwrap(), Typed::Line(_)));
    }
}

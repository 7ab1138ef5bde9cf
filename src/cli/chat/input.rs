//! Lines from standard input. A separate thread reads them, because a blocked read must not prevent the program from
//! ending.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use subrosa::secret::wipe;

/// Longest accepted line, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Size of one read, in bytes.
const PIECE: usize = 4096;

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, without its end.
    Line(Zeroizing<String>),
    /// A line that is too long or not UTF-8, and was skipped.
    Bad,
    /// The end of the input.
    End,
}

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
            let mut lines = Lines::new(File::from(stdin));
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
}

impl<R: Read> Lines<R> {
    fn new(from: R) -> Self {
        Self { from, waiting: Vec::new(), skipping: false }
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
        let too_long = std::mem::take(&mut self.skipping) || line.len() > MAX_LINE;
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
        let mut lines = Lines::new(io::Cursor::new([text.as_bytes(), b"\n\xff\nend"].concat()));
        let line = |text: &str| Typed::Line(Zeroizing::new(text.to_owned()));
        let expected =
            [line("one"), line(""), Typed::Bad, line("last"), Typed::Bad, line("end"), Typed::End, Typed::End];
        for expected in expected {
            assert_eq!(lines.next().unwrap(), expected);
        }
    }
}

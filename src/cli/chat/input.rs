//! Lines from standard input, read on a thread of their own: a blocked read must not keep the program from ending.

use std::io::{self, BufRead, Read};

use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Longest line that is taken, in bytes.
const MAX_LINE: u64 = 64 * 1024;

/// What a read gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, without its end.
    Line(Zeroizing<String>),
    /// A line that is too long or not UTF-8; it was skipped.
    Bad,
    /// Nothing more comes.
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
            let mut stdin = io::stdin().lock();
            loop {
                let read = read_line(&mut stdin).unwrap_or(Typed::End);
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

fn read_line(from: &mut impl BufRead) -> io::Result<Typed> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    from.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(Typed::End);
    }
    if bytes.last() != Some(&b'\n') && bytes.len() as u64 > MAX_LINE {
        skip_line(from)?;
        return Ok(Typed::Bad);
    }
    match std::str::from_utf8(&bytes) {
        Ok(line) => Ok(Typed::Line(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))),
        Err(_) => Ok(Typed::Bad),
    }
}

fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = from.fill_buf()?;
        let (used, done) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        from.consume(used);
        if done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_any_way_and_long_ones_are_skipped() {
        let long = "x".repeat(MAX_LINE as usize + 5);
        let text = format!("one\r\n\n{long}\nlast");
        let mut from = io::Cursor::new([text.as_bytes(), b"\n\xff\nend"].concat());
        let line = |text: &str| Typed::Line(Zeroizing::new(text.to_owned()));
        let expected =
            [line("one"), line(""), Typed::Bad, line("last"), Typed::Bad, line("end"), Typed::End, Typed::End];
        for expected in expected {
            assert_eq!(read_line(&mut from).unwrap(), expected);
        }
    }
}

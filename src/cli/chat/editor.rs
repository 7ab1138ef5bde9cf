//! A line as it is typed at a terminal: keys go in, lines come out.
//!
//! Terminals that know bracketed paste say where pasted text begins and ends. What is pasted is text: its line breaks
//! do not send it, and none of its lines is a command.

use zeroize::Zeroizing;

use super::typed::{MAX_LINE, Typed};

const PASTE_START: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";
/// No key sends a longer sequence.
const MAX_SEQUENCE: usize = 16;

/// What keys have given so far.
#[derive(Default)]
pub(super) struct Editor {
    text: Zeroizing<Vec<u8>>,
    /// The beginning of an escape sequence.
    sequence: Vec<u8>,
    pasting: bool,
    /// More came than a line may have.
    too_long: bool,
}

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The line may look different.
    Changed,
    /// The line is finished.
    Finished(Typed),
}

impl Editor {
    /// What is typed so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// Takes a byte from the terminal.
    pub(super) fn press(&mut self, byte: u8) -> Key {
        if !self.sequence.is_empty() || byte == 0x1b {
            self.sequence(byte);
            return Key::Changed;
        }
        match byte {
            b'\n' | b'\r' if !self.pasting => return Key::Finished(self.finish()),
            b'\r' => self.insert(b'\n'),
            b'\n' | b'\t' => self.insert(byte),
            // Ctrl-D ends an empty line's input.
            0x04 if self.text.is_empty() && !self.pasting => return Key::Finished(Typed::End),
            // Backspace.
            0x08 | 0x7f if !self.pasting => self.take_back(),
            // Ctrl-U and Ctrl-W.
            0x15 if !self.pasting => self.clear(),
            0x17 if !self.pasting => self.take_back_word(),
            byte if byte < 0x20 || byte == 0x7f => {}
            byte => self.insert(byte),
        }
        Key::Changed
    }

    fn insert(&mut self, byte: u8) {
        if self.text.len() < MAX_LINE { self.text.push(byte) } else { self.too_long = true }
    }

    /// Takes a byte of an escape sequence; other than the marks around pasted text, they mean nothing here.
    fn sequence(&mut self, byte: u8) {
        if byte == 0x1b {
            self.sequence.clear();
        }
        self.sequence.push(byte);
        let introducer = self.sequence.get(1).copied();
        let complete = match (self.sequence.len(), introducer) {
            (1, _) => false,
            (2, Some(b'[' | b'O')) => false,
            (2, _) => true,
            (_, _) => (0x40..=0x7e).contains(&byte),
        };
        if self.sequence == PASTE_START {
            self.pasting = true;
        } else if self.sequence == PASTE_END {
            self.pasting = false;
        }
        if complete || self.sequence.len() > MAX_SEQUENCE {
            self.sequence.clear();
        }
    }

    fn take_back(&mut self) {
        while self.text.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    }

    fn take_back_word(&mut self) {
        while self.text.last() == Some(&b' ') {
            self.text.pop();
        }
        while self.text.last().is_some_and(|byte| *byte != b' ') {
            self.text.pop();
        }
    }

    fn clear(&mut self) {
        self.text = Zeroizing::default();
        self.too_long = false;
    }

    fn finish(&mut self) -> Typed {
        let text = std::mem::take(&mut self.text);
        match (std::mem::take(&mut self.too_long), std::str::from_utf8(&text)) {
            (false, Ok(text)) => Typed::Line(Zeroizing::new(text.to_owned())),
            _ => Typed::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(editor: &mut Editor, keys: &[u8]) -> Vec<Typed> {
        let keys = keys.iter().filter_map(|key| match editor.press(*key) {
            Key::Changed => None,
            Key::Finished(typed) => Some(typed),
        });
        keys.collect()
    }

    fn line(text: &str) -> Typed {
        Typed::Line(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn lines_are_typed_and_mended() {
        let mut editor = Editor::default();
        assert_eq!(press(&mut editor, "hellp\x7fo\nZoë\x7fe\r".as_bytes()), [line("hello"), line("Zoe")]);
        assert_eq!(press(&mut editor, b"one two\x17three\n"), [line("one three")]);
        assert_eq!(press(&mut editor, b"gone\x15kept\n\x7f\x17\n"), [line("kept"), line("")]);
        // Arrows, function keys and other control characters do nothing.
        assert_eq!(press(&mut editor, b"a\x1b[A\x1b[15~\x1bOP\x1bx\x07\x01b\n"), [line("ab")]);
        assert_eq!(press(&mut editor, b"x\x04\n\x04"), [line("x"), Typed::End]);
    }

    #[test]
    fn what_is_pasted_is_text_until_enter_is_pressed() {
        let mut editor = Editor::default();
        let paste = b"\x1b[200~one\r/leave\ntwo\x04\x15\x1b[201~";
        assert_eq!(press(&mut editor, paste), []);
        assert_eq!(editor.text(), "one\n/leave\ntwo");
        assert_eq!(press(&mut editor, b" three\n"), [line("one\n/leave\ntwo three")]);
        // A paste that is cut off does not keep the keyboard for ever.
        assert_eq!(press(&mut editor, b"\x1b[200~x\x1b[201~\n"), [line("x")]);
    }

    #[test]
    fn a_line_has_its_bounds_and_is_told_when_it_passes_them() {
        let mut editor = Editor::default();
        assert_eq!(press(&mut editor, &[b'x'; MAX_LINE]), []);
        assert_eq!(press(&mut editor, b"\n"), [line(&"x".repeat(MAX_LINE))]);
        assert_eq!(press(&mut editor, &[b'x'; MAX_LINE + 1]), []);
        assert_eq!(press(&mut editor, b"\n"), [Typed::Bad]);
        assert_eq!(press(&mut editor, b"\xff\n"), [Typed::Bad]);
        // Nor does a sequence without an end keep the keyboard.
        let keys = [b"\x1b[", "0".repeat(MAX_SEQUENCE).as_bytes(), b"k\n"].concat();
        assert_eq!(press(&mut editor, &keys), [line("0k")]);
        assert_eq!(press(&mut editor, b"fine\n"), [line("fine")]);
    }
}

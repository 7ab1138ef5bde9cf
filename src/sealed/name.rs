//! Names that people see: what may be in them, and which of them look alike.
use std::{collections::HashMap, sync::LazyLock};

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::SealedError;

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest name of a file, in bytes of UTF-8.
pub const MAX_FILE_NAME_BYTES: usize = 255;

/// What looks like letters and digits: the part of UTS #39's confusables whose look is ASCII, in lower case.
const CONFUSABLES: &str = include_str!("confusables.txt");

/// Checks a display name: 1 to 64 bytes, in normalisation form C, without characters that cannot be seen or that move
/// others.
///
/// # Errors
/// [`SealedError::Name`].
pub fn check_name(name: &str) -> Result<(), SealedError> {
    if name.is_empty() { Err(SealedError::Name) } else { check(name, MAX_NAME_BYTES) }
}

/// Checks a room's name: as [`check_name`], but it may be empty.
///
/// # Errors
/// [`SealedError::Name`].
pub fn check_room_name(name: &str) -> Result<(), SealedError> {
    check(name, MAX_NAME_BYTES)
}

/// Checks a file's name: as [`check_name`], but up to 255 bytes, and no path.
///
/// # Errors
/// [`SealedError::Name`].
pub fn check_file_name(name: &str) -> Result<(), SealedError> {
    if name.is_empty() || name.contains(['/', '\\']) {
        Err(SealedError::Name)
    } else {
        check(name, MAX_FILE_NAME_BYTES)
    }
}

fn check(name: &str, most: usize) -> Result<(), SealedError> {
    let nfc = match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => true,
        IsNormalized::No => false,
        IsNormalized::Maybe => name.nfc().eq(name.chars()),
    };
    let spaced = name.starts_with(' ') || name.ends_with(' ') || name.contains("  ");
    let hidden = |c: char| c.is_control() || is_ignorable(c) || (c.is_whitespace() && c != ' ') || c == '\u{2800}';
    if name.len() <= most && nfc && !spaced && !name.chars().any(hidden) { Ok(()) } else { Err(SealedError::Name) }
}

/// Unicode's default-ignorable code points, the bidi controls among them: nothing of theirs is seen.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// What a name looks like: two names with one skeleton cannot be told apart at a glance (after UTS #39, section 4).
pub fn skeleton(name: &str) -> String {
    static TABLE: LazyLock<HashMap<char, &str>> = LazyLock::new(|| {
        let lines = CONFUSABLES.lines().filter_map(|line| line.split_once(' '));
        lines.flat_map(|(look, from)| from.chars().map(move |c| (c, look))).collect()
    });
    let looks = |text: &str| {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match TABLE.get(&c) {
                Some(look) => out.push_str(look),
                None => out.push(c),
            }
        }
        out
    };
    looks(&looks(&name.nfkd().collect::<String>()).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["alice", "Zoë", "李", "a b", "🍵", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            "a\nb",
            "a\u{0}",
            "\u{85}",
            "a\u{202e}b",
            "\u{2067}a",
            "\u{200f}",
            "e\u{301}",
            &long,
            " a",
            "a ",
            "a  b",
            "a\u{a0}b",
            "a\u{3000}b",
            "\u{2800}",
            "bob\u{200b}",
            "bob\u{ad}",
            "a\u{fe0f}",
            "\u{3164}",
        ] {
            assert_eq!(check_name(bad), Err(SealedError::Name), "{bad:?}");
        }
        assert_eq!(check_room_name(""), Ok(()));
        assert_eq!(check_file_name(&"x".repeat(255)), Ok(()));
        for bad in ["", "a/b", "..\\b", &"x".repeat(256)] {
            assert_eq!(check_file_name(bad), Err(SealedError::Name), "{bad:?}");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for (a, b) in [
            ("bob", "BOB"),
            ("bob", "b\u{43e}b"),
            ("Bob", "\u{412}ob"),
            ("bob", "b0b"),
            ("Bill", "B1II"),
            ("mallory", "rnallory"),
            ("bob", "\u{1d4b7}\u{1d4f8}\u{1d4b7}"),
            ("ﬁona", "fiona"),
        ] {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
        for (a, b) in [("bob", "rob"), ("Zoë", "Zoe"), ("李", "季"), ("alice", "alicia")] {
            assert_ne!(skeleton(a), skeleton(b), "{a} {b}");
        }
    }
}

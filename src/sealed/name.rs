//! Names that people see: what may be in them.
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::SealedError;

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 64;

/// Checks a display name: 1 to 64 bytes, in normalisation form C, without control or bidi characters.
///
/// # Errors
/// [`SealedError::Name`].
pub fn check_name(name: &str) -> Result<(), SealedError> {
    if name.is_empty() { Err(SealedError::Name) } else { check_room_name(name) }
}

/// Checks a room's name: as [`check_name`], but it may be empty.
///
/// # Errors
/// [`SealedError::Name`].
pub fn check_room_name(name: &str) -> Result<(), SealedError> {
    let nfc = match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => true,
        IsNormalized::No => false,
        IsNormalized::Maybe => name.nfc().eq(name.chars()),
    };
    if name.len() <= MAX_NAME_BYTES && nfc && !name.chars().any(|c| c.is_control() || is_bidi_or_line(c)) {
        Ok(())
    } else {
        Err(SealedError::Name)
    }
}

/// Characters that reorder or break the text around a name: UAX #9's explicit ones, and the two separators.
fn is_bidi_or_line(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["alice", "Zoë", "李", "a b", "🍵", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a\nb", "a\u{0}", "\u{85}", "a\u{202e}b", "\u{2067}a", "\u{200f}", "e\u{301}", &"x".repeat(65)]
        {
            assert_eq!(check_name(bad), Err(SealedError::Name), "{bad:?}");
        }
        assert_eq!(check_room_name(""), Ok(()));
    }
}

//! Text of other people without what a terminal would obey.

/// `text` without what a terminal would obey: each such character becomes `U+FFFD`, a line break `⏎`, a tab a space.
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

/// Characters that reorder the text around them (UAX #9), or change what is seen without being seen.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

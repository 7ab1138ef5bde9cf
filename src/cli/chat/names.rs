//! Names in the program's own sentences. A name comes from another person: it must not read as part of the sentence.

use super::harmless::harmless;

/// A name as it is shown: a plain word as it is, anything else in quotes.
///
/// `bob left` becomes `"bob left"`, so that no name makes a line that says something else. Characters that mark the
/// start of a line of this program, and quotes, are replaced.
pub(super) fn shown(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\'' | '\u{200d}');
    let clean: String = harmless(name)
        .chars()
        .map(|c| if matches!(c, '"' | '“' | '”' | '<' | '>' | '[' | ']') { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if !clean.is_empty() && clean.chars().all(plain) { clean } else { format!("\"{clean}\"") }
}

/// A member that a line names, and the rest of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// The place of the member among the names, and what stands behind it.
    One(usize, &'a str),
    /// No name fits.
    Nobody,
    /// Several fit.
    Several,
}

/// Finds which of `names` the text begins with: in quotes, or as it is. Exactly one separating character is taken off.
///
/// Where two names fit, as `bob` and `bob two` in `bob two hi`, neither is taken: what is private must not go to the
/// wrong member.
pub(super) fn find<'a>(text: &'a str, names: &[String]) -> Named<'a> {
    let rest = |behind: &'a str| {
        let mut chars = behind.chars();
        match chars.next() {
            None => Some(""),
            Some(c) if c.is_whitespace() => Some(chars.as_str()),
            Some(_) => None,
        }
    };
    let quoted = |name: &String| {
        let written = shown(name);
        let written = if written.starts_with('"') { written } else { format!("\"{written}\"") };
        text.strip_prefix(&written).and_then(rest)
    };
    let plain = |name: &String| text.strip_prefix(name.as_str()).and_then(rest);
    let mut found = Named::Nobody;
    for (place, name) in names.iter().enumerate() {
        if let Some(behind) = quoted(name).or_else(|| plain(name)) {
            match found {
                Named::Nobody => found = Named::One(place, behind),
                _ => return Named::Several,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_stand_without_quotes() {
        assert_eq!(shown("bob"), "bob");
        assert_eq!(shown("Zoë-李_2.0"), "Zoë-李_2.0");
        assert_eq!(shown("bob left"), "\"bob left\"");
        assert_eq!(shown("bob> hi <carol"), "\"bob� hi �carol\"");
        assert_eq!(shown("a\" left, \"b"), "\"a� left, �b\"");
        assert_eq!(shown("*"), "\"*\"");
        assert_eq!(shown(""), "\"\"");
        assert_eq!(shown("bob (12345)"), "\"bob (12345)\"");
    }

    #[test]
    fn what_is_for_one_goes_to_nobody_else() {
        let names = ["bob", "bob two", "eve"].map(str::to_owned);
        assert_eq!(find("eve hi", &names), Named::One(2, "hi"));
        assert_eq!(find("eve   indented ", &names), Named::One(2, "  indented "));
        assert_eq!(find("eve", &names), Named::One(2, ""));
        assert_eq!(find("bob hi", &names), Named::One(0, "hi"));
        assert_eq!(find("bob two hi", &names), Named::Several);
        assert_eq!(find("\"bob two\" hi", &names), Named::One(1, "hi"));
        assert_eq!(find("\"bob\" two hi", &names), Named::One(0, "two hi"));
        for text in ["", "carol hi", "evening", "\"eve", "\"eve\"x", "Eve hi"] {
            assert_eq!(find(text, &names), Named::Nobody, "{text}");
        }
    }
}

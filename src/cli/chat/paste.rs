//! An invite link in whatever a person pasted: messengers add parameters, mail programs wrap lines, and people write
//! sentences around it. Nothing of that changes the link itself, which is base64 behind a `#`.

use subrosa::protocol::authority::Authority;
use subrosa::sealed::{Link, SealedError};
use zeroize::Zeroizing;

/// Why there is no link in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoLink {
    /// Nothing in it looks like a link.
    #[error("there is no invite link in that; it starts with https:// and has a # in it")]
    None,
    /// Something on the way changed the `#`. Whoever opened the link sent the secret behind it to the server.
    #[error(
        "that link was damaged on its way: its # became %23. If anybody opened it, the server has seen its secret; ask for a new one"
    )]
    Escaped,
    /// What looks like one is none.
    #[error("that is not a usable invite link: {0}")]
    Unusable(SealedError),
}

/// Finds the link in a text.
///
/// # Errors
/// [`NoLink`] says what is wrong with what comes closest.
pub(super) fn find_link(text: &str) -> Result<Link, NoLink> {
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !is_invisible(*c)).collect());
    let mut error = NoLink::None;
    for (at, _) in text.match_indices('#') {
        let Some(authority) = authority_before(&text[..at]) else { continue };
        match link_with(&authority, &text[at + 1..]) {
            Ok(link) => return Ok(link),
            Err(unusable) if error == NoLink::None => error = NoLink::Unusable(unusable),
            Err(_) => {}
        }
    }
    let escaped = |(at, _): (usize, &str)| authority_before(&text[..at]).is_some();
    if error == NoLink::None && text.match_indices("%23").any(escaped) { Err(NoLink::Escaped) } else { Err(error) }
}

/// Characters that programs put into long words and that nobody sees.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// The server that the word before a `#` names: `https://HOST[:PORT]`, with or without scheme, `/` and a query behind
/// it.
fn authority_before(text: &str) -> Option<Authority> {
    let word = text.rsplit(char::is_whitespace).next()?;
    let rest = match word.rsplit_once("://") {
        Some((before, rest)) => {
            let scheme = before.rsplit(|c: char| !c.is_ascii_alphabetic()).next()?;
            scheme.eq_ignore_ascii_case("https").then_some(rest)?
        }
        None => word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '['),
    };
    let rest = rest.split('?').next()?;
    rest.strip_suffix('/').unwrap_or(rest).parse().ok()
}

/// The link with the part of `text` that belongs to it: base64 up to the first other character, over as many wraps as
/// it takes.
fn link_with(authority: &Authority, text: &str) -> Result<Link, SealedError> {
    let mut url = Zeroizing::new(String::with_capacity(text.len() + 300));
    url.push_str(&format!("https://{authority}/#"));
    let mut first = None;
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')).unwrap_or(rest.len());
        url.push_str(&rest[..end]);
        match Link::parse(&url) {
            Ok(link) => return Ok(link),
            Err(error) => drop(first.get_or_insert(error)),
        }
        // Past a wrap the link may go on; `=` at a line's end and `>` at its start come from mail programs.
        let behind = &rest[end..];
        let wrapped = behind.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '=' | '>'));
        let goes_on =
            behind.len() > wrapped.len() && behind[..behind.len() - wrapped.len()].contains(char::is_whitespace);
        if wrapped.is_empty() || !goes_on {
            return Err(first.unwrap_or(SealedError::Link));
        }
        rest = wrapped;
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::Value;

    use super::*;

    /// A link of the test vectors.
    fn a_link() -> String {
        let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/link.json")).unwrap();
        let good = |case: &&Value| case["expect"]["ok"].is_object();
        let case = vectors["cases"].as_array().unwrap().iter().find(good).unwrap();
        Link::parse(case["url"].as_str().unwrap()).unwrap().to_url().expose_secret().to_owned()
    }

    fn wrapped(link: &str, by: &str) -> String {
        let lines: Vec<_> = link.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        lines.join(by)
    }

    #[test]
    fn a_link_is_found_in_whatever_was_pasted() {
        let link = a_link();
        let bare = link.strip_prefix("https://").unwrap();
        let (head, fragment) = link.split_once("/#").unwrap();
        for pasted in [
            link.clone(),
            format!("  {link}\r\n"),
            format!("<{link}>"),
            format!("\"{link}\""),
            format!("{link}."),
            format!("Come in: {link}, and hurry! See you (today)."),
            format!("[tea]({link})"),
            format!("{head}/?fbclid=IwAR2xyz&x=%23#{fragment}"),
            format!("{head}?utm_source=mail#{fragment}"),
            format!("{head}#{fragment}"),
            format!("{}/#{fragment}", head.to_uppercase()),
            format!("Https://{bare}"),
            bare.to_owned(),
            wrapped(&link, "\n"),
            wrapped(&link, "\r\n> "),
            wrapped(&link, "=\n"),
            wrapped(&link, " "),
            wrapped(&link, "\u{ad}"),
            wrapped(&link, "\u{200b}"),
            format!("#1 is here: {link} and #2 is not"),
            format!("{} and more words after it", wrapped(&link, " ")),
        ] {
            let found = find_link(&pasted).unwrap_or_else(|error| panic!("{error}: {pasted}"));
            assert_eq!(found.to_url().expose_secret(), link, "{pasted}");
        }
    }

    #[test]
    fn what_is_no_link_is_told_as_such() {
        let link = a_link();
        let not_secure = link.replace("https", "http");
        for none in ["", "hello", "#", "see #3", "https://example.org/", not_secure.as_str(), "https://a/b#AQ"] {
            assert!(matches!(find_link(none), Err(NoLink::None)), "{none}");
        }
        assert!(matches!(find_link(&link.replace('#', "%23")), Err(NoLink::Escaped)));
        assert!(matches!(find_link(&link[..link.len() - 9]), Err(NoLink::Unusable(_))));
        assert!(matches!(find_link("https://example.org/#"), Err(NoLink::Unusable(_))));
        // The link itself does not show in the error.
        assert!(!format!("{:?}", find_link(&link[..link.len() - 9])).contains(&link[40..60]));
    }
}

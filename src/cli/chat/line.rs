//! The grammar of typed lines.

use std::time::Duration;

use super::duration::parse_span;

/// One line of input. Names are looked up later, among the members of the room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing.
    Empty,
    /// A message to all.
    Say(&'a str),
    /// `/invite [--forever] [--expires SPAN]`.
    Invite {
        /// Whether the link works more than once.
        forever: bool,
        /// Its life.
        expires_in: Option<Duration>,
    },
    /// `/members`.
    Members,
    /// `/verify NAME [WORDS]`.
    Verify(&'a str),
    /// `/tell NAME TEXT`.
    Tell(&'a str),
    /// `/remove NAME`.
    Remove(&'a str),
    /// `/owner NAME`.
    Owner(&'a str),
    /// `/take-over`.
    TakeOver,
    /// `/rekey`.
    Rekey,
    /// `/reset-keys`.
    ResetKeys,
    /// `/leave`.
    Leave,
    /// `/help`.
    Help,
}

/// What `/help` shows.
pub(super) const HELP: &str = "\
Type to talk. To begin a message with /, type //. Write a name with spaces in quotes.
  /invite [--forever] [--expires 10m]  make a link for one person, or for all who have it
  /members                             who is here, with fingerprints
  /verify NAME [WORDS]                 check the fingerprint of NAME
  /tell NAME TEXT                      send TEXT to NAME only
  /remove NAME                         remove NAME and change the room's secret (owner)
  /owner NAME                          hand the room over (owner)
  /take-over                           take the room of an owner that is gone (heir)
  /rekey                               change the room's secret; older links stop working (owner)
  /reset-keys                          ask the server to forget all unused links (owner)
  /leave                               leave the room; its messages are gone
  /help                                show this list";

/// The names of all commands.
const COMMANDS: [&str; 11] =
    ["invite", "members", "verify", "tell", "remove", "owner", "take-over", "rekey", "reset-keys", "leave", "help"];

/// Reads a line.
///
/// # Errors
/// A hint for the user.
pub(super) fn parse(line: &str) -> Result<Line<'_>, String> {
    let line = line.trim_end_matches(['\r', '\n']);
    // Only text that was pasted has several lines. It is said, whatever its lines look like.
    if line.contains(['\r', '\n']) {
        return Ok(Line::Say(line));
    }
    if line.trim().is_empty() {
        return Ok(Line::Empty);
    }
    let Some(command) = line.strip_prefix('/') else { return Ok(Line::Say(line)) };
    if command.starts_with('/') {
        return Ok(Line::Say(command));
    }
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    // What is said to one member keeps its spaces.
    let (text, rest) = (rest, rest.trim());
    let needs = |usage: &str| if rest.is_empty() { Err(format!("write /{name} {usage}")) } else { Ok(rest) };
    let alone = |line| if rest.is_empty() { Ok(line) } else { Err(format!("/{name} takes no argument")) };
    match name {
        "invite" => invite(rest),
        "members" => alone(Line::Members),
        "verify" => needs("NAME").map(Line::Verify),
        "tell" => needs("NAME TEXT").map(|_| Line::Tell(text)),
        "remove" => needs("NAME").map(Line::Remove),
        "owner" => needs("NAME").map(Line::Owner),
        "take-over" => alone(Line::TakeOver),
        "rekey" => alone(Line::Rekey),
        "reset-keys" => alone(Line::ResetKeys),
        "leave" => alone(Line::Leave),
        "help" => Ok(Line::Help),
        _ => Err(unknown(name)),
    }
}

fn invite(rest: &str) -> Result<Line<'static>, String> {
    let (mut forever, mut expires_in) = (false, None);
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "--forever" => forever = true,
            "--expires" => expires_in = Some(parse_span(words.next().unwrap_or_default())?),
            _ => return Err("write /invite [--forever] [--expires 10m]".to_owned()),
        }
    }
    Ok(Line::Invite { forever, expires_in })
}

fn unknown(name: &str) -> String {
    // A typing error: a prefix of the name, or one wrong letter.
    let close = COMMANDS.iter().find(|known| {
        (name.len() >= 2 && known.starts_with(name))
            || (name.len() == known.len() && name.bytes().zip(known.bytes()).filter(|(a, b)| a != b).count() <= 1)
    });
    match close {
        Some(known) => format!("there is no such command; did you mean /{known}?"),
        None => "there is no such command; /help lists them, // starts a line with a slash".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_commands() {
        assert_eq!(parse("hello /help\r\n"), Ok(Line::Say("hello /help")));
        assert_eq!(parse("  "), Ok(Line::Empty));
        assert_eq!(parse("/help\nme\n/leave\n"), Ok(Line::Say("/help\nme\n/leave")));
        assert_eq!(parse("//etc"), Ok(Line::Say("/etc")));
        assert_eq!(parse("/members"), Ok(Line::Members));
        assert_eq!(parse("/tell bob  hi there "), Ok(Line::Tell("bob  hi there ")));
        assert_eq!(parse("/invite"), Ok(Line::Invite { forever: false, expires_in: None }));
        let timed = Line::Invite { forever: true, expires_in: Some(Duration::from_secs(600)) };
        assert_eq!(parse("/invite --expires 10m --forever"), Ok(timed));
        for command in COMMANDS {
            assert!(HELP.contains(&format!("\n  /{command} ")), "{command}");
            assert!(parse(&format!("/{command} x")) != Err(unknown(command)), "{command}");
        }
    }

    #[test]
    fn slips_get_a_hint() {
        assert!(parse("/membrs").unwrap_err().contains("/help"));
        assert!(parse("/member").unwrap_err().contains("/members?"));
        assert!(parse("/reky").unwrap_err().contains("/help"));
        assert!(parse("/rekei").unwrap_err().contains("/rekey?"));
        assert!(parse("/").unwrap_err().contains("/help"));
        assert!(parse("/tell").unwrap_err().contains("NAME TEXT"));
        assert!(parse("/leave now").unwrap_err().contains("no argument"));
        assert!(parse("/invite bob").is_err() && parse("/invite --expires").is_err());
    }
}

//! The options of `chat`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use subrosa::client::{Address, Pin};
use subrosa::protocol::codes::OwnerLeaves;
use zeroize::Zeroizing;

use super::duration;

/// Options of `chat`.
#[derive(Debug, Args)]
pub(crate) struct Chat {
    #[command(subcommand)]
    pub(super) way: Way,
}

#[derive(Debug, Subcommand)]
pub(super) enum Way {
    /// Opens a room and prints a link that lets one person in.
    Create(Create),
    /// Enters a room by an invite link.
    Join(Join),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Your name in the room; the server does not learn it.
    #[arg(long = "as", value_name = "NAME")]
    pub(super) name: String,
    /// The room's name; the server does not learn it.
    #[arg(long = "name", value_name = "ROOM", default_value = "")]
    pub(super) room_name: String,
    /// The server, such as wss://chat.example.org. Default: the server on this machine with the development certificate
    /// in certs/.
    #[arg(long, value_name = "wss://HOST:PORT")]
    pub(super) server: Option<Address>,
    /// The server's pin: the SHA-256 of its public key, as `subrosa serve` prints it. Needed if the certificate is not
    /// publicly trusted.
    #[arg(long, value_name = "PIN", allow_hyphen_values = true)]
    pub(super) pin: Option<Pin>,
    /// The room's lifetime, such as 30m, 2h or 7d.
    #[arg(long, value_name = "SPAN", value_parser = duration::parse_span)]
    pub(super) expires: Option<Duration>,
    /// What happens to the room when you leave.
    #[arg(long, value_enum, default_value_t = AfterOwner::Transfer)]
    pub(super) owner_leaves: AfterOwner,
    /// Plain lines instead of a full screen; the only way for now.
    #[arg(long)]
    pub(super) plain: bool,
}

/// What happens to a room when its owner leaves.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AfterOwner {
    /// The room ends.
    Close,
    /// The member with the longest membership becomes the owner.
    Transfer,
}

impl From<AfterOwner> for OwnerLeaves {
    fn from(after: AfterOwner) -> Self {
        match after {
            AfterOwner::Close => Self::Close,
            AfterOwner::Transfer => Self::Transfer,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Join {
    /// The invite link. Other users of this machine can see arguments: `-` reads it from the first line of standard
    /// input instead.
    #[arg(value_name = "LINK", required_unless_present = "link_file", conflicts_with = "link_file")]
    pub(super) link: Option<Secret>,
    /// A file with the invite link.
    #[arg(long, value_name = "FILE")]
    pub(super) link_file: Option<PathBuf>,
    /// Your name in the room; the server does not learn it.
    #[arg(long = "as", value_name = "NAME")]
    pub(super) name: String,
    /// Plain lines instead of a full screen; the only way for now.
    #[arg(long)]
    pub(super) plain: bool,
}

/// A link among the arguments. Its `Debug` output does not contain it.
#[derive(Clone)]
pub(super) struct Secret(pub(super) Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        chat: Chat,
    }

    fn parse(line: &str) -> Result<Way, clap::Error> {
        Line::try_parse_from(["chat"].into_iter().chain(line.split(' '))).map(|line| line.chat.way)
    }

    #[test]
    fn create_takes_what_is_documented() {
        let pin = Pin::new([5; 32]);
        let line = format!(
            "create --as alice --name tea --server wss://[::1]:1 --pin {pin} --expires 2h --owner-leaves close --plain"
        );
        let Ok(Way::Create(create)) = parse(&line) else { panic!("another command") };
        assert_eq!(
            (create.name.as_str(), create.room_name.as_str(), create.expires),
            ("alice", "tea", Some(Duration::from_secs(7_200)))
        );
        assert_eq!((create.server.map(|server| server.port()), create.pin), (Some(1), Some(pin)));
        assert_eq!((OwnerLeaves::from(create.owner_leaves), create.plain), (OwnerLeaves::Close, true));
        let Ok(Way::Create(create)) = parse("create --as alice") else { panic!("another command") };
        assert_eq!((create.server, create.expires, create.room_name.as_str()), (None, None, ""));
        assert_eq!(OwnerLeaves::from(create.owner_leaves), OwnerLeaves::Transfer);
    }

    #[test]
    fn create_refuses_what_makes_no_sense() {
        for line in [
            "create",
            "create --as alice --server ws://localhost",
            "create --as alice --pin short",
            "create --as alice --expires 2w",
            "create --as alice --owner-leaves maybe",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_link_comes_one_way_and_is_not_printed() {
        let join = parse("join https://x/#secret --as bob").unwrap();
        assert!(!format!("{join:?}").contains("secret"));
        assert!(matches!(parse("join - --as bob"), Ok(Way::Join(Join { link: Some(_), .. }))));
        assert!(matches!(parse("join --link-file l --as bob"), Ok(Way::Join(Join { link: None, .. }))));
        assert!(parse("join --as bob").is_err());
        assert!(parse("join https://x --link-file l --as bob").is_err());
        assert!(parse("join https://x").is_err());
    }
}

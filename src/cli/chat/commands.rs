//! Executes a typed line. It returns the result instead of printing it, so that events can be printed in the meantime.

use zeroize::Zeroizing;

use super::line::{HELP, Line, parse};
use super::names::{self, Named, shown};
use subrosa::client::{MemberList, Person, RoomError, SealedRoom};
use subrosa::sealed::{InviteKind, Link};

/// The output or the action that follows a line.
#[derive(Debug)]
pub(super) enum Shown {
    /// On standard output.
    Event(String),
    /// An invite, on standard output.
    Link(Box<Link>),
    /// On standard error.
    Status(String),
    /// On standard error: the line had no effect.
    NotDone(String),
    /// Leave the room.
    Leave,
}

/// Why a line had no effect.
enum NotDone {
    /// The correct form of the line.
    Hint(String),
    /// The error of the room.
    Room(RoomError),
}

impl From<RoomError> for NotDone {
    fn from(error: RoomError) -> Self {
        Self::Room(error)
    }
}

/// Executes `line`.
pub(super) async fn obey(room: SealedRoom, line: Zeroizing<String>) -> Vec<Shown> {
    match try_obey(&room, &line).await {
        Ok(shown) => shown,
        Err(NotDone::Hint(hint)) => vec![Shown::NotDone(hint)],
        Err(NotDone::Room(error)) => vec![Shown::NotDone(format!("not done: {error}"))],
    }
}

async fn try_obey(room: &SealedRoom, line: &str) -> Result<Vec<Shown>, NotDone> {
    let status = |text: &str| Ok(vec![Shown::Status(text.to_owned())]);
    match parse(line).map_err(NotDone::Hint)? {
        Line::Empty => {}
        Line::Say(text) => drop(room.say(text).await?),
        Line::Invite { forever, expires_in } => {
            let kind = if forever { InviteKind::Forever } else { InviteKind::OneTime };
            return Ok(vec![Shown::Link(Box::new(room.invite(kind, expires_in).await?))]);
        }
        Line::Members => return Ok(list(&room.members().await?)),
        Line::Verify(rest) => return verify(room, rest).await,
        Line::Tell(rest) => {
            let (to, text) = find(room, rest).await?;
            if text.trim().is_empty() {
                return Err(NotDone::Hint("write /tell NAME TEXT".to_owned()));
            }
            room.tell(to.fingerprint, &text).await?;
            return status(&format!("to {} alone", to.name));
        }
        Line::Remove(name) => room.remove(find_only(room, name).await?.fingerprint).await?,
        Line::Owner(name) => room.hand_over(find_only(room, name).await?.fingerprint).await?,
        Line::TakeOver => room.take_office().await?,
        Line::Rekey => room.rekey().await?,
        Line::ResetKeys => {
            room.reset_keys().await?;
            return status(
                "asked the server to forget all unused links; use /rekey if you do not trust the server to do it",
            );
        }
        Line::Leave => return Ok(vec![Shown::Leave]),
        Line::Help => return status(HELP),
    }
    Ok(Vec::new())
}

/// The member that `rest` names first, and what stands behind the name.
async fn find(room: &SealedRoom, rest: &str) -> Result<(Person, Zeroizing<String>), NotDone> {
    let others = room.members().await?.others;
    let names: Vec<_> = others.iter().map(|member| member.name.clone()).collect();
    match names::find(rest, &names) {
        Named::One(place, behind) => Ok((others[place].clone(), Zeroizing::new(behind.to_owned()))),
        Named::Nobody => Err(NotDone::Hint("nobody here has that name; /members lists them".to_owned())),
        Named::Several => {
            Err(NotDone::Hint("that could be more than one member; write the name in quotes: \"NAME\"".to_owned()))
        }
    }
}

/// The member whose name is all of `rest`.
async fn find_only(room: &SealedRoom, rest: &str) -> Result<Person, NotDone> {
    let others = room.members().await?.others;
    if let [member] = &others.iter().filter(|member| member.name == rest).collect::<Vec<_>>()[..] {
        return Ok((*member).clone());
    }
    let (member, behind) = find(room, rest).await?;
    if behind.trim().is_empty() {
        Ok(member)
    } else {
        Err(NotDone::Hint("nobody here has that name; /members lists them".to_owned()))
    }
}

/// A member counts as verified only after the user has typed the words that the member read out. A mere confirmation is
/// not enough.
async fn verify(room: &SealedRoom, rest: &str) -> Result<Vec<Shown>, NotDone> {
    let (member, typed) = find(room, rest).await?;
    let (name, fingerprint) = (shown(&member.name), &member.fingerprint);
    let text = if typed.trim().is_empty() {
        let mine = room.members().await?.me.fingerprint.words().join(" ");
        format!(
            "Ask {name}, by voice or in person, for the eight words beside \"you\" in their /members. Type what you hear:\n  \
             /verify {name} WORD WORD WORD WORD WORD WORD WORD WORD\n\
             Your own words, for {name} to type:\n  {mine}"
        )
    } else if typed.split_whitespace().map(str::to_lowercase).eq(fingerprint.words())
        || typed.split_whitespace().eq(fingerprint.groups())
    {
        room.set_verified(*fingerprint, true).await?;
        format!("{name} is verified")
    } else {
        format!(
            "{name} is NOT verified: those are not the words of this member. If {name} really read them out, somebody \
             intercepts the connection."
        )
    };
    Ok(vec![Shown::Status(text)])
}

fn list(members: &MemberList) -> Vec<Shown> {
    let line = |person: &Person, mark: &str| {
        let owner = if person.owner { ", owner" } else { "" };
        let words = person.fingerprint.words().join(" ");
        Shown::Event(format!("{} ({mark}{owner}): {} | {words}", shown(&person.name), person.fingerprint))
    };
    let others =
        members.others.iter().map(|other| line(other, if other.verified { "verified" } else { "not verified" }));
    std::iter::once(line(&members.me, "you")).chain(others).collect()
}

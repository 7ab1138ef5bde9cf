//! What a room tells its application.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroizing;

use super::super::request::End;
use crate::protocol::codes::{LeaveReason, RoomClosedReason};
use crate::sealed::Fingerprint;
use crate::sealed::alarm::Alarm;
use crate::sealed::body::RoomSettings;
use crate::sealed::chain::Right;
use crate::sealed::room::{MessageId, NotSent, Referred};

/// A member as this client has accepted it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// The name to show; when another member's looks alike, groups of the fingerprint stand behind it.
    pub name: String,
    /// What the member is known by.
    pub fingerprint: Fingerprint,
    /// Whether its fingerprint was compared.
    pub verified: bool,
    /// Whether it owns the room.
    pub owner: bool,
}

/// One's own membership and those of the others.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberList {
    /// Oneself.
    pub me: Person,
    /// The accepted others, longest-standing first.
    pub others: Vec<Person>,
    /// The room's name; may be empty.
    pub room_name: String,
}

/// What a member said. Wiped on drop; shown by `Display` and as a `str`, but not by `Debug`.
pub struct Text(Zeroizing<String>);

impl Text {
    pub(super) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text([REDACTED])")
    }
}

/// Something that happened in a room. Names and texts come from other people: make them harmless before a terminal
/// shows them.
#[derive(Debug)]
#[non_exhaustive]
pub enum RoomEvent {
    /// A member was accepted.
    Joined {
        /// Who.
        who: Person,
        /// Whether it came just now; else it was here before.
        live: bool,
    },
    /// The server lists someone whose card cannot be read yet; nothing is sent to them.
    NotHereYet,
    /// A member is gone.
    Left {
        /// Its name.
        name: String,
        /// What it was known by; the same will not be accepted again.
        fingerprint: Fingerprint,
        /// Why, by the server's word.
        reason: LeaveReason,
    },
    /// A member said something.
    Message {
        /// Who.
        from: Person,
        /// What.
        text: Text,
        /// When, by its own clock, in unix milliseconds.
        at: u64,
        /// Whether to this member alone.
        private: bool,
        /// Its number in the conversation.
        n: u32,
        /// The message that it replies to.
        re: Option<Referred>,
        /// Whether something that its author had seen has not come here.
        early: bool,
        /// After how many seconds it is to disappear.
        gone: Option<u32>,
    },
    /// A member changed the text of its message `n`.
    Edited {
        /// Who.
        from: Person,
        /// The message's number.
        n: u32,
        /// The text from now on.
        text: Text,
        /// Whether to this member alone.
        private: bool,
    },
    /// A member took its message `n` back.
    Deleted {
        /// Who.
        from: Person,
        /// The message's number.
        n: u32,
        /// Whether to this member alone.
        private: bool,
    },
    /// A member reacted to a message.
    Reacted {
        /// Who.
        from: Person,
        /// The message.
        re: Referred,
        /// The sign; empty takes it back.
        sign: Text,
        /// Whether to this member alone.
        private: bool,
    },
    /// A member writes, or has stopped.
    Typing {
        /// Who.
        from: Person,
        /// Whether.
        on: bool,
    },
    /// A member has read the messages of `of` up to `n`.
    Read {
        /// Who.
        from: Person,
        /// Whose messages.
        of: Person,
        /// Up to which.
        n: u32,
    },
    /// The owner has changed the room's settings.
    Settings(RoomSettings),
    /// Messages that were sent but did not arrive.
    Missing {
        /// Whose.
        from: Person,
        /// How many.
        count: u32,
        /// Whether they were private ones.
        private: bool,
    },
    /// These members have confirmed nothing for two minutes of one's talking: one side may be cut off.
    Unconfirmed(Vec<Person>),
    /// A member does not have the new secret yet: it cannot read what is said, nor be read.
    Behind(Person),
    /// The server says that the owner is gone. Nothing happens by itself.
    OwnerGone {
        /// The owner's name, as far as known.
        owner: String,
        /// The member that may take the office.
        heir: Option<Person>,
        /// Whether that is this member, which can then [`take_office`](super::SealedRoom::take_office).
        me: bool,
        /// Whether the owner was heard so lately that it may only have been cut off.
        soon: bool,
    },
    /// Nothing has come from the owner for so many minutes: it is away, or this member is cut off and may not know who
    /// was removed.
    OwnerSilent {
        /// How many.
        minutes: u64,
    },
    /// A member sent something of a kind that this client does not know.
    Unsupported {
        /// Who.
        from: Person,
    },
    /// The server took what was said.
    Sent {
        /// The id that [`say`](super::SealedRoom::say) or [`tell`](super::SealedRoom::tell) gave.
        id: MessageId,
        /// Its number in the conversation, by which it can be changed.
        n: u32,
        /// The members who got it.
        reached: Vec<Person>,
        /// The members whose connection is away; the server keeps it for them.
        held: Vec<Person>,
        /// The members who were not in the room any more.
        absent: Vec<Person>,
    },
    /// A member who was away is back, and the server gives it what was kept for it.
    Delivered {
        /// The texts: those whose [`RoomEvent::Sent`] named the member as away.
        ids: Vec<MessageId>,
        /// The member.
        to: Person,
    },
    /// A member who was away is out of the room and never got what was kept for it.
    NotDelivered {
        /// The texts: those whose [`RoomEvent::Sent`] named the member as away.
        ids: Vec<MessageId>,
        /// The name of the member.
        to: String,
    },
    /// What was said was not sent.
    NotSent {
        /// Which.
        id: MessageId,
        /// Why.
        reason: NotSent,
    },
    /// The room has another owner.
    OwnerChanged {
        /// Who.
        owner: Person,
        /// Whether it is this member.
        me: bool,
        /// By which right.
        right: Right,
    },
    /// The room could not be handed over.
    HandOverFailed,
    /// The room has a new secret; older links are dead.
    Rekeyed {
        /// How many it had before.
        epoch: u32,
    },
    /// The new secret did not reach these members, by name.
    RekeyUndelivered(Vec<String>),
    /// The server could not keep all that happened while the connection was away. What it was shows as missing
    /// messages.
    Gap,
    /// A reason for distrust. Its `Display` is a sentence for people.
    Alarm(Alarm),
    /// The connection is gone and is being made anew.
    Away,
    /// The connection is back; what was missed came before this.
    Back,
    /// The membership is over; its keys are wiped.
    Ended(RoomEnd),
}

/// Why a membership is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomEnd {
    /// This member left.
    #[error("you left")]
    Left,
    /// The owner removed this member.
    #[error("the owner removed you from the room")]
    Removed,
    /// The server gave the membership up.
    #[error("the server gave up your membership: the connection was away for too long, or too much waited for it")]
    Lost,
    /// The room is no more.
    #[error("{}", closed(.0))]
    Closed(Option<RoomClosedReason>),
    /// The connection's session is over.
    #[error("{0}")]
    Connection(End),
}

fn closed(reason: &Option<RoomClosedReason>) -> &'static str {
    match reason {
        Some(RoomClosedReason::Expired) => "the room's lifetime has ended",
        Some(RoomClosedReason::OwnerLeft) => "the room ended because its owner left",
        Some(RoomClosedReason::Closed) | None => "the owner closed the room",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_not_printed_by_debug() {
        let text = Text::new(Zeroizing::new("between us".to_owned()));
        assert_eq!((&*text, text.to_string().as_str()), ("between us", "between us"));
        let fingerprint = Fingerprint::from_bytes([7; 32]);
        let from = Person { name: "alice".to_owned(), fingerprint, verified: false, owner: false };
        let event = RoomEvent::Message { from, text, at: 0, private: false, n: 1, re: None, early: false, gone: None };
        assert!(!format!("{event:#?}").contains("between"));
    }
}

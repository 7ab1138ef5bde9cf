//! What comes out of the state machine: commands for the server and events for the user.
use std::{fmt, time::Duration};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::input::LeaveReason;
use crate::sealed::{
    alarm::Alarm, body::RoomSettings, certificate::InviteKind, chain::Right, fingerprint::Fingerprint, link::Link,
};

/// Names a command until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Names a text that was given to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// Names an invite that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId(pub u64);

/// One command to the server. All are about this room; each is answered with its [`CommandId`].
pub enum Command {
    /// `send-messages`.
    Send {
        /// The recipients that are named: user id, and `content` if there is one.
        to: Vec<(String, Option<String>)>,
        /// What all recipients get.
        shared: String,
        /// Everybody else who was in the room at this version gets it as well.
        rest: Option<u64>,
        /// Whether it is kept for members whose connection is away.
        keep: bool,
    },
    /// `set-card`.
    SetCard {
        /// The new card.
        card: String,
    },
    /// `list-members`.
    ListMembers,
    /// `room-key-onetime` or `room-key-forever`.
    IssueKey {
        /// Which.
        kind: InviteKind,
        /// Its life, in whole seconds.
        expires_in: Option<Duration>,
    },
    /// `reset-room-keys`.
    ResetKeys,
    /// `remove-member`.
    RemoveMember {
        /// The member.
        user_id: String,
    },
    /// `transfer-owner`.
    HandOver {
        /// The recipient.
        user_id: String,
    },
    /// `leave-room`.
    Leave,
    /// `close-room`.
    Close,
}

/// Names the command; of a packet only its size.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { to, shared, rest, keep } => {
                write!(f, "Send({} named, {} characters, rest {rest:?}, keep {keep})", to.len(), shared.len())
            }
            Self::SetCard { .. } => f.write_str("SetCard"),
            Self::ListMembers => f.write_str("ListMembers"),
            Self::IssueKey { kind, expires_in } => write!(f, "IssueKey({kind:?}, {expires_in:?})"),
            Self::ResetKeys => f.write_str("ResetKeys"),
            Self::RemoveMember { .. } => f.write_str("RemoveMember"),
            Self::HandOver { .. } => f.write_str("HandOver"),
            Self::Leave => f.write_str("Leave"),
            Self::Close => f.write_str("Close"),
        }
    }
}

/// Why a text was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// Nobody else is in the room.
    Alone,
    /// Its only recipient is gone.
    RecipientGone,
    /// The server refused it for good, or too often.
    Refused,
}

/// Why the membership is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By one's own wish.
    Left,
    /// The owner removed this member.
    Removed,
    /// The server gave the membership up.
    Lost,
    /// The room is no more.
    Closed,
}

/// How a reference fits what this member has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The message is here, and says what the reference says that it says.
    Same,
    /// The message is not here.
    Unknown,
    /// The message is here, but says something else.
    Differs,
}

/// Another message that one refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referred {
    /// Its author.
    pub of: Fingerprint,
    /// Its number.
    pub n: u32,
    /// Whether it is the same here.
    pub fit: Fit,
}

/// Where a message stands: its author, its number in the conversation, and whether it was for this member only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Who.
    pub from: Fingerprint,
    /// The name to show.
    pub name: String,
    /// The number.
    pub n: u32,
    /// Whether for this member only.
    pub private: bool,
}

/// Something for the user.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// One is in the room; the others in it have been told before by [`Event::MemberJoined`].
    Entered,
    /// A member was accepted. Its details are in [`Machine::member`](super::Machine::member).
    MemberJoined {
        /// Who.
        member: Fingerprint,
        /// The name to show.
        name: String,
        /// Whether it came just now, or was there before.
        live: bool,
    },
    /// The server lists someone whose card is not readable yet.
    NotHereYet {
        /// The server's id.
        user_id: String,
    },
    /// A member is gone.
    MemberLeft {
        /// Who.
        member: Fingerprint,
        /// The name that it was shown under.
        name: String,
        /// Why.
        reason: LeaveReason,
    },
    /// A member said something.
    Message {
        /// Where it stands.
        place: Place,
        /// What.
        text: Zeroizing<String>,
        /// When, by its own clock, in unix milliseconds.
        at: u64,
        /// Whether something that its author had seen has not come here.
        early: bool,
        /// The message that it replies to.
        re: Option<Referred>,
        /// After how many seconds it is to disappear.
        gone: Option<u32>,
    },
    /// A member changed the text of a message of its own; `place.n` is that message's number.
    Edited {
        /// The message.
        place: Place,
        /// The text from now on.
        text: Zeroizing<String>,
    },
    /// A member took a message of its own back; `place.n` is that message's number.
    Deleted {
        /// The message.
        place: Place,
    },
    /// A member reacted to a message.
    Reacted {
        /// Where the reaction stands.
        place: Place,
        /// The message.
        re: Referred,
        /// The sign; empty takes it back.
        text: Zeroizing<String>,
    },
    /// A member is writing, or has stopped.
    Typing {
        /// Who.
        from: Fingerprint,
        /// Whether.
        on: bool,
    },
    /// A member has read somebody's messages up to one.
    Read {
        /// Who.
        from: Fingerprint,
        /// Whose messages.
        of: Fingerprint,
        /// Up to which.
        n: u32,
    },
    /// The owner has changed the room's settings.
    Settings(RoomSettings),
    /// A member sent something that this client does not know.
    Unsupported {
        /// Who.
        from: Fingerprint,
        /// The name to show.
        name: String,
        /// The type's name.
        kind: String,
    },
    /// Messages that were sent but did not arrive.
    Missing {
        /// Whose.
        from: Fingerprint,
        /// The name to show.
        name: String,
        /// How many.
        count: u32,
        /// Whether they were private ones.
        private: bool,
    },
    /// The server took a text for all its recipients.
    Sent {
        /// Which.
        id: MessageId,
        /// Its number in the conversation.
        n: u32,
        /// The members that got it.
        reached: Vec<Fingerprint>,
        /// The members whose connection is away; the server keeps it for them.
        held: Vec<Fingerprint>,
        /// The members that were not in the room any more.
        absent: Vec<Fingerprint>,
    },
    /// A text was not sent.
    NotSent(MessageId, NotSent),
    /// These members have confirmed nothing for two minutes of one's talking.
    Unconfirmed {
        /// Who.
        members: Vec<Fingerprint>,
    },
    /// A member does not have the new secret yet.
    Behind {
        /// Who.
        member: Fingerprint,
    },
    /// An invite is ready.
    Invite {
        /// The id that [`Machine::invite`](super::Machine::invite) gave.
        id: InviteId,
        /// The link.
        link: Box<Link>,
    },
    /// The server gave no key for an invite.
    InviteFailed {
        /// The id that [`Machine::invite`](super::Machine::invite) gave.
        id: InviteId,
        /// The kind that was asked for.
        kind: InviteKind,
    },
    /// The room has a new owner.
    OwnerChanged {
        /// Who; perhaps oneself.
        owner: Fingerprint,
        /// By which right.
        right: Right,
    },
    /// The server says that the owner is gone. Nothing happens by itself.
    OwnerGone {
        /// The member that may take the office, by the server's word; perhaps oneself, who can then
        /// [`take_office`](super::Machine::take_office).
        heir: Option<Fingerprint>,
        /// For how long the owner had not been heard, in milliseconds of connected time.
        silent_ms: Option<u64>,
        /// Whether the owner was heard so lately that it may only have been cut off.
        soon: bool,
    },
    /// Nothing has come from the owner for so long that a removal may have been withheld.
    OwnerSilent {
        /// For how long, in minutes of connected time.
        minutes: u64,
    },
    /// The room could not be handed over.
    HandOverFailed {
        /// The recipient.
        to: Fingerprint,
    },
    /// The room has a new secret; links from before are dead.
    Rekeyed {
        /// Its epoch.
        epoch: u32,
    },
    /// The server would not carry the new room secret to these members.
    RekeyUndelivered {
        /// The members that it did not reach.
        members: Vec<Fingerprint>,
    },
    /// The server had to drop events.
    Gap,
    /// Something is wrong.
    Alarm(Alarm),
    /// The membership is over: drop the [`Machine`](super::Machine), which wipes its keys.
    Ended(Ending),
}

/// What one call gave.
#[derive(Debug, Default)]
#[must_use]
pub struct Step {
    /// For the server, in this order.
    pub commands: Vec<(CommandId, Command)>,
    /// For the user, in this order.
    pub events: Vec<Event>,
}

/// Why something cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// Not in the room (yet, or any more).
    #[error("you are not in the room")]
    NotInside,
    /// Only the owner can.
    #[error("only the owner of the room can do that")]
    NotOwner,
    /// Nobody else is in the room.
    #[error("nobody else is in the room")]
    Alone,
    /// No such member.
    #[error("there is no such member")]
    NoSuchMember,
    /// There is no such message of one's own, or none that can be changed.
    #[error("there is no such message")]
    NoSuchMessage,
    /// The text is empty or too long for the server.
    #[error("that is empty or too long")]
    TooLong,
    /// Too much is waiting to be sent, or the room is being handed over or its secret changed.
    #[error("not now: something else has to be finished first")]
    Busy,
}

/// What `create-room` needs. The server learns neither name: both go out empty.
pub struct CreateRequest {
    /// The card.
    pub card: String,
}

/// What `join-room-onetime` or `join-room-forever` needs.
pub struct JoinRequest {
    /// Which of the two.
    pub kind: InviteKind,
    /// The room.
    pub room_id: String,
    /// The join key.
    pub join_key: SecretString,
    /// The card.
    pub card: String,
}

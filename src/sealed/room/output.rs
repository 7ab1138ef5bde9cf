//! What comes out of the state machine: commands for the server and events for the user.
use std::{fmt, time::Duration};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::input::LeaveReason;
use crate::sealed::{alarm::Alarm, certificate::InviteKind, fingerprint::Fingerprint, link::Link};

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
        /// User id and `content` of each recipient.
        recipients: Vec<(String, String)>,
        /// What all of them get.
        shared: String,
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
        /// Whom.
        user_id: String,
    },
    /// `transfer-owner`.
    HandOver {
        /// To whom.
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
            Self::Send { recipients, shared } => {
                write!(f, "Send({} recipients, {} characters)", recipients.len(), shared.len())
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

/// Something for the user.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// One is in the room; who else is in it has been told before by [`Event::MemberJoined`].
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
        /// Who.
        from: Fingerprint,
        /// The name to show.
        name: String,
        /// What.
        text: Zeroizing<String>,
        /// When, by its own clock, in unix milliseconds.
        at: u64,
        /// Whether to this member only.
        private: bool,
    },
    /// A member sent something that this client does not know.
    Unsupported {
        /// Who.
        from: Fingerprint,
        /// The name to show.
        name: String,
        /// The type's name.
        kind: String,
    },
    /// The server took a text for all its recipients.
    Sent {
        /// Which.
        id: MessageId,
        /// The members who got it.
        reached: Vec<Fingerprint>,
        /// The members whose connection is away; the server keeps it for them.
        held: Vec<Fingerprint>,
        /// The members who were not in the room any more.
        absent: Vec<Fingerprint>,
    },
    /// A text was not sent.
    NotSent(MessageId, NotSent),
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
    },
    /// The room could not be handed over.
    HandOverFailed {
        /// To whom.
        to: Fingerprint,
    },
    /// The room has a new secret; links from before are dead.
    Rekeyed {
        /// Its epoch.
        epoch: u32,
    },
    /// The server would not carry the new room secret to these members.
    RekeyUndelivered {
        /// Whom it did not reach.
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
    /// The text is too long for the server.
    #[error("that is too long")]
    TooLong,
    /// Too much is waiting to be sent, or the room is being handed over or its secret changed.
    #[error("not now: something else has to be finished first")]
    Busy,
}

/// What `create-room` needs. The server learns neither name: both go out empty.
pub struct CreateRequest {
    /// The RSA key.
    pub public_key_pem: String,
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
    /// The RSA key.
    pub public_key_pem: String,
    /// The card.
    pub card: String,
}

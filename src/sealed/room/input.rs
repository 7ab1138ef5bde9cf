//! What goes into the state machine: what the server says, and how it answered.
use secrecy::SecretString;

/// A member as the server lists it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The server's id for this membership.
    pub user_id: String,
    /// The sealed card; absent for clients that do not know sealed rooms.
    pub card: Option<String>,
}

/// Why a member is gone, by the server's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// It left.
    Left,
    /// The owner removed it.
    Removed,
    /// Its connection was lost for longer than the resume window.
    Lost,
}

/// The time of a call. The two clocks are never compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that only goes on, from any beginning: all waiting times are measured by it.
    pub mono_ms: u64,
    /// Unix milliseconds by the wall: for what is written into messages and invites.
    pub wall_ms: u64,
}

/// Something that the server says of its own accord (or, for `Created` and `Joined`, in answer to the request for
/// entry), or that the connection does. `version` is the room's after it, as the server counts.
#[derive(Debug)]
pub enum Fact {
    /// The room was created.
    Created {
        /// Its id.
        room_id: String,
        /// One's own id in it.
        user_id: String,
    },
    /// One is in.
    Joined {
        /// One's own id.
        user_id: String,
        /// The member that the server names the owner.
        owner_id: String,
        /// The members that were there before, the longest-standing first.
        members: Vec<Listed>,
        /// The room's version.
        version: u64,
    },
    /// Somebody else is in, by either kind of key; which one the certificate says.
    UserJoined {
        /// Who.
        user: Listed,
        /// The room's version.
        version: u64,
    },
    /// Somebody is gone, perhaps oneself.
    UserLeft {
        /// Who.
        user_id: String,
        /// Why.
        reason: LeaveReason,
        /// The room's version.
        version: u64,
    },
    /// The server names another owner.
    OwnerChanged {
        /// The member.
        owner_id: String,
        /// The room's version.
        version: u64,
    },
    /// Who is in the room now, after an absence in which many came and went.
    Members {
        /// The member that the server names as the owner.
        owner_id: String,
        /// The members who joined meanwhile; some may be known.
        joined: Vec<Listed>,
        /// The user ids of the members who were there before.
        stayed: Vec<String>,
        /// The room's version.
        version: u64,
    },
    /// A message.
    Message {
        /// The sender, by the server's word.
        user_id: String,
        /// The part for this member; empty if there is none.
        content: String,
        /// The part for all recipients.
        shared: Option<String>,
    },
    /// The server had to drop events. What was lost shows in the members' numbers.
    Gap,
    /// The connection is lost: time stands still until [`Fact::Live`].
    Away,
    /// The connection is back, and all that was missed has been handed in.
    Live,
    /// The room is no more.
    Closed,
}

/// How the server answered a command.
#[derive(Debug)]
pub enum Answer {
    /// It was carried out.
    Done,
    /// A packet was sent on. Each list holds user ids of its recipients.
    Sent {
        /// They got it; those that were not named are not in it.
        reached: Vec<String>,
        /// Their connection is away; the server keeps it for them.
        held: Vec<String>,
        /// They were not in the room any more, or away where nothing is kept.
        absent: Vec<String>,
    },
    /// A join key.
    Key(SecretString),
    /// The list of members, oneself among them or not.
    Members {
        /// The member that the server names the owner.
        owner_id: String,
        /// Everyone.
        members: Vec<Listed>,
        /// The room's version.
        version: u64,
    },
    /// It was refused.
    Refused {
        /// After how many milliseconds trying again helps; `None` if it never does.
        retry_after_ms: Option<u64>,
    },
    /// The connection went away and nobody knows whether it was carried out.
    Lost,
}

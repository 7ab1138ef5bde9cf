//! The `data` of each event.

use serde::{Deserialize, Serialize};

use crate::protocol::codes::{ErrorCode, GapReason, LeaveReason, RoomClosedReason};
use crate::protocol::ids::{RoomId, UserId};
use crate::protocol::limits::Limits;
use crate::secret::Token;

/// `hello`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol: 1.
    pub protocol: u32,
    /// The server's name and version.
    pub server: String,
    /// Every bound, by name.
    pub limits: Limits,
    /// Seconds between pings to a silent client.
    pub ping_interval_s: u64,
    /// The host's notice to its users; may be empty.
    pub notice: String,
    /// Resumes this session once after its connection has ended, if the client sent `resume` on it.
    pub resume_token: Token,
}

/// The room of a `create-room` answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedRoom {
    /// The room's id.
    pub room_id: RoomId,
    /// The creator's own user id.
    pub owner_id: UserId,
    /// The room's name.
    pub name: String,
    /// Always empty; the protocol's first version had it.
    pub one_time_join_keys: [(); 0],
    /// Always empty; the protocol's first version had it.
    pub forever_join_key: String,
    /// Always empty: nobody is in its own list.
    pub users: Nobody,
    /// The room's version: 1.
    pub version: u64,
}

/// An empty JSON object.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Nobody {}

/// The answer to `create-room`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Created {
    /// The room.
    pub room: CreatedRoom,
    /// The value in the command, or empty.
    #[serde(default)]
    pub client_room_id: String,
}

/// A room and nothing else.
#[derive(Debug, Serialize, Deserialize)]
pub struct InRoom {
    /// The room.
    pub room_id: RoomId,
}

/// `room-key-onetime`.
#[derive(Debug, Serialize, Deserialize)]
pub struct OnetimeKeys {
    /// The room.
    pub room_id: RoomId,
    /// The first (or only) key.
    pub one_time_key: Token,
    /// All keys, when the command had a `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_keys: Option<Vec<Token>>,
}

/// `room-key-forever`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForeverKey {
    /// The room.
    pub room_id: RoomId,
    /// The key.
    pub forever_join_key: Token,
}

/// A member as others see it.
#[derive(Debug, Serialize, Deserialize)]
pub struct User {
    /// The membership's id.
    pub user_id: UserId,
    /// Its name in the room.
    pub username: String,
    /// Its RSA public key, PKCS#1 PEM, if it gave one; a placeholder in its place for a reader that gave one itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_string: Option<String>,
    /// Its card, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// `joined`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Joined {
    /// The joiner's own id in this room.
    pub user_id: UserId,
    /// The room.
    pub room_id: RoomId,
    /// The room's name.
    pub room_name: String,
    /// The room's owner.
    pub owner_id: UserId,
    /// The members before the joiner, longest-standing first.
    pub users: Vec<User>,
    /// The room's version.
    pub version: u64,
}

/// `list-members`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Members {
    /// The room.
    pub room_id: RoomId,
    /// The room's owner.
    pub owner_id: UserId,
    /// The other members, longest-standing first.
    pub users: Vec<User>,
    /// The room's version.
    pub version: u64,
}

/// A member whose connection ended and who may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    /// The member.
    pub user_id: UserId,
    /// Seconds since its connection ended.
    pub since_s: u64,
}

/// `members`: who is in the room now, in the place of many joins and leaves.
#[derive(Debug, Serialize, Deserialize)]
pub struct MembersNow {
    /// The room.
    pub room_id: RoomId,
    /// The room's owner.
    pub owner_id: UserId,
    /// The members who joined since the first event that is missing, longest-standing first.
    pub users: Vec<User>,
    /// The members who were there before, longest-standing first. Anybody else has left.
    pub here: Vec<UserId>,
    /// Those of both who are away.
    pub away: Vec<Away>,
    /// The room's version.
    pub version: u64,
}

/// `user-joined-onetime` and `user-joined-forever`.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserJoined {
    /// The room.
    pub room_id: RoomId,
    /// The room's name.
    pub room_name: String,
    /// The new member.
    pub user_id: UserId,
    /// Its name in the room.
    pub username: String,
    /// Its RSA public key, as in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Its card, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The room's version with it.
    pub version: u64,
}

/// `send-message` as its recipient gets it.
#[derive(Serialize, Deserialize)]
pub struct Message {
    /// The room.
    pub room_id: RoomId,
    /// The sender.
    pub user_id: UserId,
    /// The sender's name in the room.
    pub username: String,
    /// The payload for this recipient alone; empty if the sender gave none.
    pub content: String,
    /// The payload that all recipients got, when the sender gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message([REDACTED])")
    }
}

/// `sent`. Every recipient that was named is in exactly one of the three lists; of the others, those who were not
/// reached are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// The room; absent in no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// Handed to their connections.
    pub reached: Vec<UserId>,
    /// Kept for members whose connection is away.
    pub held: Vec<UserId>,
    /// Not in the room (any more), or past what can be kept for them.
    pub absent: Vec<UserId>,
    /// How many others were reached, when the command had `rest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<u64>,
}

/// `user-left`.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserLeft {
    /// The room.
    pub room_id: RoomId,
    /// The member.
    pub user_id: UserId,
    /// The reason.
    pub reason: LeaveReason,
    /// The room's version without it.
    pub version: u64,
}

/// `owner-changed`.
#[derive(Debug, Serialize, Deserialize)]
pub struct OwnerChanged {
    /// The room.
    pub room_id: RoomId,
    /// The new owner.
    pub owner_id: UserId,
    /// The room's version, which this does not change.
    pub version: u64,
}

/// `room-closed`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RoomClosed {
    /// The room.
    pub room_id: RoomId,
    /// Why it ended.
    pub reason: RoomClosedReason,
}

/// `restarting`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restarting {
    /// When to reconnect, in milliseconds from now. It differs for each client.
    pub reconnect_in_ms: u64,
}

/// `resumed`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resumed {
    /// The number of the last event before those that follow: the next numbered event is `seq + 1`.
    pub seq: u64,
    /// For how many seconds the session waits for its client after its connection ended.
    #[serde(default)]
    pub for_s: u64,
}

/// `gap`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Gap {
    /// Number of the first missing event.
    pub from: u64,
    /// Number of the last missing event.
    pub to: u64,
    /// The reason.
    pub reason: GapReason,
}

/// `ack`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Acked {
    /// The number acknowledged.
    pub seq: u64,
}

/// A refusal.
#[derive(Debug)]
pub struct Refusal {
    /// The refused command. `None` for a frame that was not a command.
    pub command: Option<String>,
    /// Its fields.
    pub data: RefusalData,
}

/// The `data` of a refusal; all strings.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefusalData {
    /// The room that the command named, or empty.
    #[serde(default)]
    pub room_id: String,
    /// The code. Text, because newer servers have other codes.
    pub code: String,
    /// For people.
    pub msg: String,
    /// `later` when the same command can succeed later, else `no`.
    #[serde(default)]
    pub retry: String,
    /// Why the session that a token names is over, where the server knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RefusalData {
    /// What a refusal with `code` says. `field` names the field that is to blame, by a name of the protocol.
    pub fn new(code: ErrorCode, room_id: Option<RoomId>, field: Option<&str>) -> Self {
        Self {
            room_id: room_id.map(|id| id.to_string()).unwrap_or_default(),
            code: code.as_str().to_owned(),
            msg: match field {
                Some(field) => format!("{}: {field}", code.message()),
                None => code.message().to_owned(),
            },
            retry: if code.retry_helps() { "later" } else { "no" }.to_owned(),
            reason: None,
        }
    }
}

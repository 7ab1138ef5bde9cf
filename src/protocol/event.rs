//! Events: what the server tells a client, answers included.
//!
//! A frame is `{"cmd": NAME, "id"?: ID, "data": {…}}`; only the answer to `create-room` has its parts at the top level, as the first
//! version of the protocol had. An answer repeats the `id` of its command. [`MessageHead`] writes the one event that must be cheap:
//! a delivered message is a prefix made once per sender, the recipient's payload as it came, and an end.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::codes::{ErrorCode, GapReason, LeaveReason, RoomClosedReason};
use super::command::RawString;
use super::ids::{RoomId, UserId};
use super::limits::Limits;
use crate::secret::Token;

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $variant:ident($data:ty) = $name:literal,)*) => {
        /// What the server tells a client.
        #[derive(Debug)]
        pub enum Event {
            $($(#[doc = $doc])+ $variant($data),)*
            /// The room is made. The answer to `create-room`.
            CreateRoom(Created),
            /// A command was refused, or the frame was none.
            Error(Refusal),
        }

        impl Event {
            /// The names of all events; errors are `error` and every command's name with `-error` behind it.
            pub const NAMES: &'static [&'static str] = &[$($name,)* "create-room", "error"];

            /// The frame's text.
            pub fn to_json(&self, id: Option<&str>) -> Vec<u8> {
                match self {
                    $(Self::$variant(data) => frame($name, id, data),)*
                    Self::CreateRoom(created) => to_vec(&CreatedFrame {
                        cmd: "create-room", id, room: &created.room, client_room_id: &created.client_room_id
                    }),
                    Self::Error(refusal) => match &refusal.command {
                        Some(command) => frame(&format!("{command}-error"), id, &refusal.data),
                        None => frame("error", id, &refusal.data),
                    },
                }
            }

            /// Reads a server's frame; `Ok(None)` for an event of a newer protocol, which a client must ignore.
            ///
            /// # Errors
            /// The frame is not what this protocol's server sends.
            pub fn from_json(text: &str) -> Result<Option<(Option<String>, Self)>, serde_json::Error> {
                let envelope: Envelope<'_> = serde_json::from_str(text)?;
                let data = envelope.data.map_or("{}", RawValue::get);
                let event = match &*envelope.cmd {
                    $($name => Self::$variant(serde_json::from_str(data)?),)*
                    "create-room" => Self::CreateRoom(serde_json::from_str(text)?),
                    "error" => Self::Error(Refusal { command: None, data: serde_json::from_str(data)? }),
                    other => match other.strip_suffix("-error") {
                        Some(command) => Self::Error(Refusal { command: Some(command.to_owned()), data: serde_json::from_str(data)? }),
                        None => return Ok(None),
                    },
                };
                Ok(Some((envelope.id, event)))
            }
        }
    };
}

events! {
    /// The first frame of every connection.
    Hello(Hello) = "hello",
    /// Answer: the one-time keys.
    RoomKeyOnetime(OnetimeKeys) = "room-key-onetime",
    /// Answer: the forever key.
    RoomKeyForever(ForeverKey) = "room-key-forever",
    /// Answer: every join key is erased.
    ResetRoomKeys(InRoom) = "reset-room-keys",
    /// Answer: the key is erased.
    RevokeKey(InRoom) = "revoke-key",
    /// Answer to both ways of joining.
    Joined(Joined) = "joined",
    /// A member came in with a one-time key.
    UserJoinedOnetime(UserJoined) = "user-joined-onetime",
    /// A member came in with the forever key.
    UserJoinedForever(UserJoined) = "user-joined-forever",
    /// A message from another member.
    SendMessage(Message) = "send-message",
    /// Answer to a command that sends: whom it reached.
    Sent(Sent) = "sent",
    /// Answer: this connection is out of the room.
    LeaveRoom(InRoom) = "leave-room",
    /// Answer: the room is closed.
    CloseRoom(InRoom) = "close-room",
    /// Answer: the member is out.
    RemoveMember(InRoom) = "remove-member",
    /// Answer: the owner is another.
    TransferOwner(InRoom) = "transfer-owner",
    /// Answer: who is in the room.
    ListMembers(Members) = "list-members",
    /// Answer: the card is replaced.
    SetCard(InRoom) = "set-card",
    /// A member is gone; its own user id tells a removed member that it is out.
    UserLeft(UserLeft) = "user-left",
    /// The room has another owner.
    OwnerChanged(OwnerChanged) = "owner-changed",
    /// The room ended.
    RoomClosed(RoomClosed) = "room-closed",
    /// The server restarts; come back after the delay.
    Restarting(Restarting) = "restarting",
    /// Answer to `resume`. Not numbered.
    Resumed(Resumed) = "resumed",
    /// Events are missing. Not numbered.
    Gap(Gap) = "gap",
    /// Answer to an `ack` that carries an `id`.
    Ack(Acked) = "ack",
}

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
    /// A word from the host to its users; may be empty.
    pub notice: String,
    /// Takes this session up again after its connection ended, once, if `resume` was sent on it.
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
}

/// An empty JSON object.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Nobody {}

/// The answer to `create-room`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Created {
    /// The room.
    pub room: CreatedRoom,
    /// What the command had, or empty.
    #[serde(default)]
    pub client_room_id: String,
}

#[derive(Serialize)]
struct CreatedFrame<'a> {
    cmd: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    room: &'a CreatedRoom,
    client_room_id: &'a str,
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
    /// Its RSA public key, PKCS#1 PEM.
    pub public_key_string: String,
    /// Its card, when it gave one.
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
    /// Its RSA public key, PKCS#1 PEM.
    pub public_key: String,
    /// Its card, when it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
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
    /// The payload for this recipient alone.
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

/// `sent`. Every recipient is in exactly one of the three lists.
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
}

/// `user-left`.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserLeft {
    /// The room.
    pub room_id: RoomId,
    /// Who is gone.
    pub user_id: UserId,
    /// Why.
    pub reason: LeaveReason,
}

/// `owner-changed`.
#[derive(Debug, Serialize, Deserialize)]
pub struct OwnerChanged {
    /// The room.
    pub room_id: RoomId,
    /// The new owner.
    pub owner_id: UserId,
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
    /// When to come back, in milliseconds from now; another for every client.
    pub reconnect_in_ms: u64,
}

/// `resumed`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resumed {
    /// The number of the last event before those that follow: the next numbered event is `seq + 1`.
    pub seq: u64,
}

/// `gap`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Gap {
    /// Number of the first missing event.
    pub from: u64,
    /// Number of the last missing event.
    pub to: u64,
    /// Why they are missing.
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
    /// The refused command; none for a frame that was no command.
    pub command: Option<String>,
    /// What it says.
    pub data: RefusalData,
}

/// The `data` of a refusal; all strings.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefusalData {
    /// The room that the command named, or empty.
    #[serde(default)]
    pub room_id: String,
    /// The code; a client meets codes of newer servers as text.
    pub code: String,
    /// For people.
    pub msg: String,
    /// `later` when the same command can succeed later, else `no`.
    #[serde(default)]
    pub retry: String,
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
        }
    }
}

#[derive(Serialize)]
struct Frame<'a, T> {
    cmd: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    data: &'a T,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    cmd: Cow<'a, str>,
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

fn frame<T: Serialize>(cmd: &str, id: Option<&str>, data: &T) -> Vec<u8> {
    to_vec(&Frame { cmd, id, data })
}

fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    // Strings, numbers, lists and structs: serialising them cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The start of every `send-message` that one member causes, made once per membership.
#[derive(Clone)]
pub struct MessageHead(Bytes);

impl MessageHead {
    /// For the messages of `user_id`, called `username`, in `room_id`.
    pub fn new(room_id: RoomId, user_id: UserId, username: &str) -> Self {
        #[derive(Serialize)]
        struct Head<'a> {
            room_id: RoomId,
            user_id: UserId,
            username: &'a str,
        }
        let mut head = frame("send-message", None, &Head { room_id, user_id, username });
        // `…"username":"…"}}` becomes `…"username":"…","content":`.
        head.truncate(head.len() - 2);
        head.extend_from_slice(br#","content":"#);
        Self(head.into())
    }

    /// The parts of the event's text: written one after the other they are the frame. `content` and `shared` are JSON strings.
    pub fn parts<'a>(&'a self, content: RawString<'a>, shared: Option<RawString<'a>>) -> [&'a [u8]; 5] {
        let (comma, shared) = match shared {
            Some(shared) => (&br#","shared":"#[..], shared.get().as_bytes()),
            None => (&[][..], &[][..]),
        };
        [&self.0, content.get().as_bytes(), comma, shared, b"}}"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawString<'_> {
        serde_json::from_str(text).unwrap()
    }

    fn text(event: &Event, id: Option<&str>) -> String {
        String::from_utf8(event.to_json(id)).unwrap()
    }

    #[test]
    fn a_spliced_message_is_the_event() {
        let (room, user) = (RoomId::random(), UserId::random());
        let head = MessageHead::new(room, user, "al\"ice");
        for shared in [None, Some(r#""both""#)] {
            let bytes = head.parts(raw(r#""he\nllo""#), shared.map(raw)).concat();
            let (_, event) = Event::from_json(std::str::from_utf8(&bytes).unwrap()).unwrap().unwrap();
            let Event::SendMessage(message) = event else { panic!("another event") };
            assert_eq!((message.room_id, message.user_id), (room, user));
            assert_eq!((message.username.as_str(), message.content.as_str()), ("al\"ice", "he\nllo"));
            assert_eq!(message.shared.as_deref(), shared.map(|_| "both"));
        }
    }

    #[test]
    fn create_room_has_its_parts_at_the_top() {
        let (room_id, owner_id) = (RoomId::random(), UserId::random());
        let room = CreatedRoom {
            room_id,
            owner_id,
            name: "tea".into(),
            one_time_join_keys: [],
            forever_join_key: String::new(),
            users: Nobody {},
        };
        let event = Event::CreateRoom(Created { room, client_room_id: "c".into() });
        let expected = format!(
            r#"{{"cmd":"create-room","room":{{"room_id":"{room_id}","owner_id":"{owner_id}","name":"tea","one_time_join_keys":[],"forever_join_key":"","users":{{}}}},"client_room_id":"c"}}"#
        );
        assert_eq!(text(&event, None), expected);
        let (id, read) = Event::from_json(&text(&event, Some("1"))).unwrap().unwrap();
        assert_eq!(id.as_deref(), Some("1"));
        assert!(matches!(read, Event::CreateRoom(created) if created.room.room_id == room_id));
    }

    #[test]
    fn refusals_are_all_strings() {
        let data = RefusalData::new(ErrorCode::BadRequest, None, Some("room_id"));
        let event = Event::Error(Refusal { command: Some("leave-room".into()), data });
        let value: serde_json::Value = serde_json::from_str(&text(&event, None)).unwrap();
        assert_eq!(value["cmd"], "leave-room-error");
        for (_, field) in value["data"].as_object().unwrap() {
            assert!(field.is_string());
        }
        assert!(matches!(Event::from_json(&text(&event, None)), Ok(Some((None, Event::Error(_))))));
    }

    #[test]
    fn unknown_events_are_not_errors() {
        assert!(Event::from_json(r#"{"cmd":"from-the-future","data":{}}"#).unwrap().is_none());
        assert!(Event::from_json("nonsense").is_err());
    }
}

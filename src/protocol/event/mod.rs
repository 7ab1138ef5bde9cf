//! Events: the frames of the server, answers included.
//!
//! A frame is `{"cmd": NAME, "id"?: ID, "data": {…}}`; only the answer to `create-room` has its parts at the top level,
//! as the first version of the protocol had. An answer repeats the `id` of its command. [`MessageHead`] writes the one
//! event that must be cheap: a delivered message is a prefix made once per sender, the recipient's payload as it came,
//! and an end.

mod data;
mod message_head;

use std::borrow::Cow;

pub use data::*;
pub use message_head::MessageHead;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $variant:ident($data:ty) = $name:literal,)*) => {
        /// An event for a client.
        #[derive(Debug)]
        pub enum Event {
            $($(#[doc = $doc])+ $variant($data),)*
            /// The room is made. The answer to `create-room`.
            CreateRoom(Created),
            /// A command was refused, or the frame was not a command.
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
    /// A member joined with a one-time key.
    UserJoinedOnetime(UserJoined) = "user-joined-onetime",
    /// A member joined with the forever key.
    UserJoinedForever(UserJoined) = "user-joined-forever",
    /// A message from another member.
    SendMessage(Message) = "send-message",
    /// Answer to a command that sends: the recipients that it reached.
    Sent(Sent) = "sent",
    /// Answer: this session has left the room.
    LeaveRoom(InRoom) = "leave-room",
    /// Answer: the room is closed.
    CloseRoom(InRoom) = "close-room",
    /// Answer: the member is removed.
    RemoveMember(InRoom) = "remove-member",
    /// Answer: the room has a new owner.
    TransferOwner(InRoom) = "transfer-owner",
    /// Answer: the members of the room.
    ListMembers(Members) = "list-members",
    /// Answer: the card is replaced.
    SetCard(InRoom) = "set-card",
    /// A member left. A removed member reads its own user id here.
    UserLeft(UserLeft) = "user-left",
    /// The room has a new owner.
    OwnerChanged(OwnerChanged) = "owner-changed",
    /// The room ended.
    RoomClosed(RoomClosed) = "room-closed",
    /// The present members, in place of many joins and leaves.
    Members(MembersNow) = "members",
    /// The server restarts; reconnect after the delay.
    Restarting(Restarting) = "restarting",
    /// Answer to `resume`. Not numbered.
    Resumed(Resumed) = "resumed",
    /// Events are missing. Not numbered.
    Gap(Gap) = "gap",
    /// Answer to an `ack` that carries an `id`.
    Ack(Acked) = "ack",
}

#[derive(Serialize)]
struct CreatedFrame<'a> {
    cmd: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    room: &'a CreatedRoom,
    client_room_id: &'a str,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::codes::ErrorCode;
    use crate::protocol::ids::{RoomId, UserId};

    fn text(event: &Event, id: Option<&str>) -> String {
        String::from_utf8(event.to_json(id)).unwrap()
    }

    #[test]
    fn debug_shows_nothing_of_what_is_said() {
        let (room_id, user_id) = (RoomId::random(), UserId::random());
        let message = Message { room_id, user_id, username: "bob".into(), content: "secret".into(), shared: None };
        assert_eq!(format!("{message:?}"), "Message([REDACTED])");
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
            version: 1,
        };
        let event = Event::CreateRoom(Created { room, client_room_id: "c".into() });
        let expected = format!(
            r#"{{"cmd":"create-room","room":{{"room_id":"{room_id}","owner_id":"{owner_id}","name":"tea","one_time_join_keys":[],"forever_join_key":"","users":{{}},"version":1}},"client_room_id":"c"}}"#
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

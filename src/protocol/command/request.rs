//! A command as a value, with its name, and the answer to a frame that is not a command.

use std::borrow::Cow;

use serde::Serialize;

use super::data::*;
use crate::protocol::codes::ErrorCode;
use crate::protocol::ids::RoomId;

/// A command with the `id` that its answer repeats.
#[derive(Debug)]
pub struct Request<'a> {
    /// Chosen by the client; at most `id_bytes` long.
    pub id: Option<Cow<'a, str>>,
    /// The command.
    pub command: Command<'a>,
}

/// Why a frame is not a command, with all data of the answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The command's name, if it is known, for `NAME-error`. Otherwise the answer is `error`.
    pub command: Option<&'static str>,
    /// The command's `id`, if it is well formed.
    pub id: Option<String>,
    /// The room that the command names, if the id is well formed.
    pub room_id: Option<RoomId>,
    /// The error.
    pub code: ErrorCode,
    /// The field that is missing or occurs twice: a name of the protocol, never the client's text.
    pub field: Option<String>,
}

macro_rules! commands {
    ($($(#[doc = $doc:literal])+ $variant:ident($data:ty) = $name:literal,)*) => {
        /// What a client asks.
        #[derive(Debug)]
        pub enum Command<'a> {
            $($(#[doc = $doc])+ $variant($data),)*
        }

        impl<'a> Command<'a> {
            /// The names of all commands.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// The command's name in the protocol.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            pub(super) fn read(name: &str, data: &'a str) -> Result<Self, (Option<&'static str>, Option<serde_json::Error>)> {
                match name {
                    $($name => serde_json::from_str(data).map(Self::$variant).map_err(|error| (Some($name), Some(error))),)*
                    _ => Err((None, None)),
                }
            }

            /// The frame of this command, as a client writes it.
            pub fn to_frame(&self, id: Option<&str>) -> String {
                #[derive(Serialize)]
                struct Frame<'f, T> {
                    cmd: &'f str,
                    #[serde(skip_serializing_if = "Option::is_none")]
                    id: Option<&'f str>,
                    data: &'f T,
                }
                // Strings, numbers and maps with string keys: serialising them cannot fail.
                match self {
                    $(Self::$variant(data) => serde_json::to_string(&Frame { cmd: $name, id, data }).unwrap_or_default(),)*
                }
            }
        }
    };
}

commands! {
    /// Makes a room whose first member and owner is this connection.
    CreateRoom(CreateRoom<'a>) = "create-room",
    /// Issues one-time join keys.
    RoomKeyOnetime(RoomKeyOnetime<'a>) = "room-key-onetime",
    /// Returns the forever join key; makes it if there is none.
    RoomKeyForever(RoomKeyForever<'a>) = "room-key-forever",
    /// Erases every join key of the room.
    ResetRoomKeys(InRoom<'a>) = "reset-room-keys",
    /// Erases one join key.
    RevokeKey(RevokeKey<'a>) = "revoke-key",
    /// Joins with a key that works once.
    JoinRoomOnetime(JoinRoomOnetime<'a>) = "join-room-onetime",
    /// Joins with the key that works until it is reset.
    JoinRoomForever(JoinRoomForever<'a>) = "join-room-forever",
    /// Sends one payload to one member.
    SendMessage(SendMessage<'a>) = "send-message",
    /// Sends a payload to each of several members, and one to all of them.
    SendMessages(SendMessages<'a>) = "send-messages",
    /// Leaves a room.
    LeaveRoom(InRoom<'a>) = "leave-room",
    /// Ends a room.
    CloseRoom(InRoom<'a>) = "close-room",
    /// Removes a member.
    RemoveMember(OfMember<'a>) = "remove-member",
    /// Makes another member the owner.
    TransferOwner(OfMember<'a>) = "transfer-owner",
    /// Lists the members of the room.
    ListMembers(InRoom<'a>) = "list-members",
    /// Replaces the card that later joiners see.
    SetCard(SetCard<'a>) = "set-card",
    /// Makes this session resumable, or resumes an earlier one.
    Resume(Resume<'a>) = "resume",
    /// Acknowledges events.
    Ack(Ack) = "ack",
}

//! Commands: what a client asks of the server.
//!
//! A frame is `{"cmd": NAME, "id"?: ID, "data"?: {…}}`. Reading borrows from the frame; what members send each other (`content`,
//! `shared`) stays the JSON text that it is ([`RawString`]), so that it can be handed on without being decoded. Unknown fields are ignored.

mod data;
mod fast;
mod raw_string;

use std::borrow::Cow;

pub use data::*;
pub use raw_string::RawString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::codes::ErrorCode;
use super::ids::RoomId;
use super::limits::Limits;

/// A command with the `id` that its answer repeats.
#[derive(Debug)]
pub struct Request<'a> {
    /// Chosen by the client; at most `id_bytes` long.
    pub id: Option<Cow<'a, str>>,
    /// What is asked.
    pub command: Command<'a>,
}

/// Why a frame is not a command: everything that the answer needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The command's name where it is one, for `NAME-error`; else the answer is a plain `error`.
    pub command: Option<&'static str>,
    /// The command's `id` where it is well formed.
    pub id: Option<String>,
    /// The room that the command names where that is well formed.
    pub room_id: Option<RoomId>,
    /// What is wrong.
    pub code: ErrorCode,
    /// Which field is missing or doubled; a name of the protocol, never the client's text.
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

            /// The command's name on the wire.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            fn read(name: &str, data: &'a str) -> Result<Self, (Option<&'static str>, Option<serde_json::Error>)> {
                match name {
                    $($name => serde_json::from_str(data).map(Self::$variant).map_err(|error| (Some($name), Some(error))),)*
                    _ => Err((None, None)),
                }
            }

            /// The frame that asks for this, as a client writes it.
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
    /// Shows the forever join key, made when there is none.
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
    /// Puts a member out.
    RemoveMember(OfMember<'a>) = "remove-member",
    /// Makes another member the owner.
    TransferOwner(OfMember<'a>) = "transfer-owner",
    /// Asks who is in the room.
    ListMembers(InRoom<'a>) = "list-members",
    /// Replaces the card that later joiners see.
    SetCard(SetCard<'a>) = "set-card",
    /// Makes this session outlive its connection, or takes up one that did.
    Resume(Resume<'a>) = "resume",
    /// Tells which events have arrived.
    Ack(Ack) = "ack",
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    cmd: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads one frame.
///
/// # Errors
/// What to answer when it is not a command.
pub fn parse<'a>(frame: &'a str, limits: &Limits) -> Result<Request<'a>, Box<Refused>> {
    match fast::sending(frame) {
        Some(request) if request.id.as_ref().is_none_or(|id| id.len() as u64 <= limits.id_bytes) => Ok(request),
        _ => parse_any(frame, limits),
    }
}

/// [`parse`] for every command, however it is written.
fn parse_any<'a>(frame: &'a str, limits: &Limits) -> Result<Request<'a>, Box<Refused>> {
    let refused = |code| Refused { command: None, id: None, room_id: None, code, field: None };
    if !is_object(frame) {
        return Err(Box::new(refused(ErrorCode::BadJson)));
    }
    let envelope: Envelope<'a> = serde_json::from_str(frame).map_err(|_| Box::new(refused(ErrorCode::BadJson)))?;
    let (id, id_is_bad) = match envelope.id {
        None => (None, false),
        Some(raw) => match serde_json::from_str::<Id<'a>>(raw.get()) {
            Ok(Id(id)) if id.len() as u64 <= limits.id_bytes => (Some(id), false),
            _ => (None, true),
        },
    };
    let data = envelope.data.map_or("{}", RawValue::get);
    let data = if is_object(data) { data } else { "null" };
    let parsed = Command::read(&envelope.cmd, data);
    match parsed {
        Ok(command) if !id_is_bad => Ok(Request { id, command }),
        Ok(command) => {
            let room_id = room_of(data);
            let field = Some("id".to_owned());
            Err(Box::new(Refused { command: Some(command.name()), room_id, field, ..refused(ErrorCode::BadRequest) }))
        }
        Err((command, error)) => Err(Box::new(Refused {
            command,
            id: id.map(Cow::into_owned),
            room_id: command.and_then(|_| room_of(data)),
            code: if command.is_some() { ErrorCode::BadRequest } else { ErrorCode::UnknownCommand },
            field: error.and_then(|error| named_field(&error)),
        })),
    }
}

/// Whether JSON text can be an object. Left to itself, serde also fills a struct's fields from a list, by their place.
fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{')
}

/// A string that borrows where it can: serde reads a bare `Cow` as owned.
#[derive(Deserialize)]
struct Id<'a>(#[serde(borrow)] Cow<'a, str>);

/// The room that a command names where that is well formed.
fn room_of(data: &str) -> Option<RoomId> {
    #[derive(Deserialize)]
    struct Named {
        room_id: RoomId,
    }
    serde_json::from_str::<Named>(data).ok().map(|named| named.room_id)
}

/// Which field is missing or doubled. Only these two messages are made of our own names; the others may quote the client.
fn named_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let rest = text.strip_prefix("missing field `").or_else(|| text.strip_prefix("duplicate field `"))?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests;

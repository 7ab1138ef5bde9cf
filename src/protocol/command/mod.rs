//! Commands: what a client asks of the server.
//!
//! A frame is `{"cmd": NAME, "id"?: ID, "data"?: {…}}`. Reading borrows from the frame; what members send each other (`content`,
//! `shared`) stays the JSON text that it is ([`RawString`]), so that it can be handed on without being decoded. Unknown fields are ignored.

mod fast;
mod raw_string;

use std::borrow::Cow;

pub use raw_string::RawString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::codes::{ErrorCode, OwnerLeaves};
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

/// `create-room`.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateRoom<'a> {
    /// The room's name, opaque to the server; at most `name_bytes`.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The creator's name in the room; at most `name_bytes`.
    #[serde(borrow)]
    pub username: Cow<'a, str>,
    /// Comes back in the answer, so that a client knows which of its rooms this is; at most `name_bytes`.
    #[serde(borrow, default)]
    pub client_room_id: Cow<'a, str>,
    /// The creator's RSA public key in PEM.
    #[serde(borrow)]
    pub public_key_string: Cow<'a, str>,
    /// Handed to the other members with this member's entry; at most `card_bytes`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Cow<'a, str>>,
    /// Most members that the room admits; at least 1, at most (and by default) `members_per_room`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_members: Option<u64>,
    /// The room's life in seconds, at least 1; by default it has no end of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// What becomes of the room when its owner leaves; by default it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_leaves: Option<OwnerLeaves>,
}

/// A command that needs to know the room and nothing else.
#[derive(Debug, Serialize, Deserialize)]
pub struct InRoom<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
}

/// A command about another member.
#[derive(Debug, Serialize, Deserialize)]
pub struct OfMember<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The member.
    #[serde(borrow)]
    pub user_id: Cow<'a, str>,
}

/// `room-key-onetime`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RoomKeyOnetime<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// How many keys, 1 to 100; one when absent, and then the answer has no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The keys' life in seconds, at least 1; by default the room's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// `room-key-forever`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RoomKeyForever<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The key's life in seconds from now, at least 1; by default as it was, for a new key the room's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// `revoke-key`.
#[derive(Serialize, Deserialize)]
pub struct RevokeKey<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The one-time or forever key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
}

/// `join-room-onetime`.
#[derive(Serialize, Deserialize)]
pub struct JoinRoomOnetime<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The key; spent by success alone.
    #[serde(borrow)]
    pub one_time_key: Cow<'a, str>,
    /// The joiner's name in the room; at most `name_bytes`.
    #[serde(borrow)]
    pub username: Cow<'a, str>,
    /// The joiner's RSA public key in PEM.
    #[serde(borrow)]
    pub public_key: Cow<'a, str>,
    /// Handed to the other members with this member's entry; at most `card_bytes`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Cow<'a, str>>,
}

/// `join-room-forever`.
#[derive(Serialize, Deserialize)]
pub struct JoinRoomForever<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The key.
    #[serde(borrow)]
    pub forever_key: Cow<'a, str>,
    /// The joiner's name in the room; at most `name_bytes`.
    #[serde(borrow)]
    pub username: Cow<'a, str>,
    /// The joiner's RSA public key in PEM.
    #[serde(borrow)]
    pub public_key: Cow<'a, str>,
    /// Handed to the other members with this member's entry; at most `card_bytes`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Cow<'a, str>>,
}

/// `send-message`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendMessage<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The recipient.
    #[serde(borrow)]
    pub to_user_id: Cow<'a, str>,
    /// The payload, a JSON string.
    #[serde(borrow)]
    pub content: RawString<'a>,
}

/// `send-messages`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendMessages<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The payload that every recipient gets with its own, a JSON string.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<RawString<'a>>,
    /// The recipients, nobody twice.
    #[serde(borrow)]
    pub to: Vec<Payload<'a>>,
}

/// One recipient's part of `send-messages`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Payload<'a> {
    /// The recipient.
    #[serde(borrow)]
    pub to_user_id: Cow<'a, str>,
    /// Its payload, a JSON string.
    #[serde(borrow)]
    pub content: RawString<'a>,
}

/// `set-card`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetCard<'a> {
    /// The room.
    #[serde(borrow)]
    pub room_id: Cow<'a, str>,
    /// The new card; at most `card_bytes`.
    #[serde(borrow)]
    pub card: Cow<'a, str>,
}

/// `resume`: without a token, this session shall outlive its connection; with one, take up the session that it names.
#[derive(Serialize, Deserialize)]
pub struct Resume<'a> {
    /// The resume token of the session to take up.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Cow<'a, str>>,
    /// The number of the last event that arrived of that session; needed with a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
}

/// `ack`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ack {
    /// The number of the last event that arrived.
    pub seq: u64,
}

macro_rules! hide {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([REDACTED])"))
            }
        }
    )*};
}

// They carry keys and tokens.
hide!(RevokeKey, JoinRoomOnetime, JoinRoomForever, Resume);

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
    match fast::send_message(frame) {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(frame: &str) -> Result<Request<'_>, Box<Refused>> {
        parse(frame, &Limits::default())
    }

    #[test]
    fn borrows_the_payload_and_ignores_what_it_does_not_know() {
        let frame =
            r#"{"x":1,"data":{"content":"a\nb","y":[],"room_id":"r","to_user_id":"u"},"id":"7","cmd":"send-message"}"#;
        let request = read(frame).unwrap();
        assert_eq!(request.id.as_deref(), Some("7"));
        let Command::SendMessage(message) = request.command else { panic!("another command") };
        assert_eq!(message.content.get(), r#""a\nb""#);
        assert!(matches!(message.room_id, Cow::Borrowed("r")));
    }

    #[test]
    fn says_which_field_is_missing_but_never_quotes_the_client() {
        let refused = read(r#"{"cmd":"leave-room","id":"1","data":{}}"#).unwrap_err();
        assert_eq!((refused.command, refused.code), (Some("leave-room"), ErrorCode::BadRequest));
        assert_eq!((refused.field.as_deref(), refused.id.as_deref()), (Some("room_id"), Some("1")));
        let refused = read(r#"{"cmd":"ack","data":{"seq":"missing field `secret`"}}"#).unwrap_err();
        assert_eq!(refused.field, None);
    }

    #[test]
    fn repeats_room_and_id_only_when_well_formed() {
        let room = RoomId::random();
        let refused = parse_refused(&format!(r#"{{"cmd":"revoke-key","id":5,"data":{{"room_id":"{room}"}}}}"#));
        assert_eq!((refused.id, refused.room_id), (None, Some(room)));
        let refused = parse_refused(r#"{"cmd":"revoke-key","id":"5","data":{"room_id":"x"}}"#);
        assert_eq!((refused.id.as_deref(), refused.room_id), (Some("5"), None));
        let refused = parse_refused(&format!(r#"{{"cmd":"ack","id":"{}","data":{{"seq":1}}}}"#, "i".repeat(65)));
        assert_eq!((refused.code, refused.id, refused.field.as_deref()), (ErrorCode::BadRequest, None, Some("id")));
    }

    fn parse_refused(frame: &str) -> Refused {
        *read(frame).unwrap_err()
    }

    #[test]
    fn a_frame_without_a_command_is_plainly_bad() {
        let list = r#"["ack",null,{"seq":1}]"#;
        let twice = r#"{"cmd":"ack","cmd":"ack"}"#;
        for frame in ["", "nonsense", "[]", list, "{}", r#"{"cmd":7}"#, twice, "{\"cmd\":\"ack\"} x"] {
            assert_eq!(parse_refused(frame).code, ErrorCode::BadJson, "{frame}");
        }
        assert_eq!(parse_refused(r#"{"cmd":"dance"}"#).code, ErrorCode::UnknownCommand);
        let deep = format!(r#"{{"cmd":"ack","data":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(parse_refused(&deep).code, ErrorCode::BadRequest);
    }

    #[test]
    fn debug_shows_no_key() {
        let frame = r#"{"cmd":"revoke-key","data":{"room_id":"r","key":"k3y"}}"#;
        assert!(!format!("{:?}", read(frame).unwrap()).contains("k3y"));
    }

    /// What the two readers make of a frame, in a form that can be compared.
    fn shown(read: Result<Request<'_>, Box<Refused>>) -> String {
        match read {
            Ok(Request { id, command: Command::SendMessage(message) }) => {
                format!("{id:?} {} {} {}", message.room_id, message.to_user_id, message.content.get())
            }
            other => format!("{other:?}"),
        }
    }

    /// Frames near the short way: its form with parts doubled, left out, reordered or strange.
    fn near_send_message() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            Just(r#""r""#.to_owned()),
            Just(r#""""#.to_owned()),
            Just("7".to_owned()),
            Just("\"a\u{1}b\"".to_owned()),
            "\"[a-z\\\\\"u0-9é\u{7f}]{0,8}\"",
        ];
        let name = prop_oneof![Just("room_id"), Just("to_user_id"), Just("content"), Just("x")];
        let field = (name, text.clone()).prop_map(|(name, text)| format!("\"{name}\":{text}"));
        let data = proptest::collection::vec(field, 0..5).prop_map(|fields| fields.join(","));
        let id = proptest::option::of(text);
        let end = prop_oneof![4 => Just("}"), 1 => Just("} "), 1 => Just("}x"), 1 => Just("")];
        (id.clone(), data, id, end).prop_map(|(before, data, after, end)| {
            let id = |id: Option<String>| id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
            let after = id(after).trim_end_matches(',').to_owned();
            let comma = if after.is_empty() { "" } else { "," };
            format!("{{\"cmd\":\"send-message\",{}\"data\":{{{data}}}{comma}{after}{end}", id(before))
        })
    }

    #[test]
    fn the_short_way_is_taken() {
        for frame in [
            r#"{"cmd":"send-message","data":{"room_id":"r","content":"hé","to_user_id":"u"}}"#,
            r#"{"cmd":"send-message","id":"1","data":{"to_user_id":"u","room_id":"r","content":""}}"#,
            r#"{"cmd":"send-message","data":{"room_id":"r","to_user_id":"u","content":"c"},"id":"1"}"#,
        ] {
            assert!(fast::send_message(frame).is_some(), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_way_reads(frame in near_send_message()) {
            if let Some(request) = fast::send_message(&frame) {
                prop_assert_eq!(shown(Ok(request)), shown(parse_any(&frame, &Limits::default())));
            }
        }

        #[test]
        fn never_panics(frame in "\\PC*") {
            let _ = read(&frame);
        }

        #[test]
        fn reads_what_a_client_writes(room in "[a-z]{0,40}", key in "\\PC{0,40}", id in proptest::option::of("\\PC{0,16}")) {
            let command = Command::RevokeKey(RevokeKey { room_id: room.as_str().into(), key: key.as_str().into() });
            let frame = command.to_frame(id.as_deref());
            let request = read(&frame).unwrap();
            prop_assert_eq!(request.id.as_deref(), id.as_deref());
            let Command::RevokeKey(read) = request.command else { panic!("another command") };
            prop_assert_eq!((&*read.room_id, &*read.key), (room.as_str(), key.as_str()));
        }
    }
}

//! The `data` of each command, with bounds and units.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, de::Visitor};

use super::RawString;
use crate::protocol::codes::OwnerLeaves;

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
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub client_room_id: Option<Cow<'a, str>>,
    /// The creator's RSA public key in PEM, for members that seal to it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub public_key_string: Option<Cow<'a, str>>,
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
    /// The joiner's RSA public key in PEM, for members that seal to it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Cow<'a, str>>,
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
    /// The joiner's RSA public key in PEM, for members that seal to it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Cow<'a, str>>,
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
    /// The recipients that are named, nobody twice; empty only with `rest`.
    #[serde(borrow)]
    pub to: Vec<Payload<'a>>,
    /// A version of the room: besides those in `to`, everybody gets the packet that was in the room at that version,
    /// except the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<u64>,
    /// Whether the packet is kept for recipients whose connection is away; by default it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<bool>,
}

/// One recipient's part of `send-messages`.
#[derive(Debug, Serialize)]
pub struct Payload<'a> {
    /// The recipient.
    pub to_user_id: Cow<'a, str>,
    /// Its payload, a JSON string; may be absent if there is a `shared` one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<RawString<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            to_user_id: Cow<'a, str>,
            #[serde(borrow, default)]
            content: Option<RawString<'a>>,
        }
        let Fields { to_user_id, content } = Fields::deserialize(ObjectOnly(deserializer))?;
        Ok(Self { to_user_id, content })
    }
}

/// Left to itself, serde also fills a struct's fields from a list, by their place.
struct ObjectOnly<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
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
#[derive(Default, Serialize, Deserialize)]
pub struct Resume<'a> {
    /// The resume token of the session to take up.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Cow<'a, str>>,
    /// The number of the last event that arrived of that session; needed with a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// For how many seconds the session shall wait for its client, at most `resume_window_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
    /// The client keeps what it needs to come back even when its page is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<bool>,
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

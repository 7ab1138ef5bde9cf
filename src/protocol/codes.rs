//! The closed tables: why a command is refused, why a connection is closed, why a member left, why a room ended.
//!
//! Each reason is one enum value. It is the code in the protocol, a field in the log and a row of a table in
//! `Client-API.md`. A test compares the tables with these values.

use serde::{Deserialize, Serialize};

/// Declares a closed table of codes with a text form each.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every value, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The form on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

codes! {
    /// Why a command is refused.
    ErrorCode {
        /// The frame is not one JSON object with a `cmd`.
        BadJson = "bad-json",
        /// The frame is binary; the protocol is text.
        BinaryFrame = "binary-frame",
        /// The frame exceeds `frame_bytes` (or `first_frame_bytes` before the first membership); the connection is
        /// closed.
        TooLarge = "too-large",
        /// No command has this name.
        UnknownCommand = "unknown-command",
        /// A field is missing, doubled, of the wrong type or out of its range.
        BadRequest = "bad-request",
        /// Unknown room, not a member, or a wrong, spent, expired, revoked or reset key.
        Denied = "denied",
        /// Only the room's owner may do this.
        NotOwner = "not-owner",
        /// The public key is not an RSA key of 2048 to 4096 bits with exponent 65537 in PKCS#1 or SPKI PEM.
        BadPublicKey = "bad-public-key",
        /// This connection is in that room already.
        AlreadyMember = "already-member",
        /// The named user is not in the room (any more).
        Absent = "absent",
        /// A recipient is named twice in one packet.
        DuplicateRecipient = "duplicate-recipient",
        /// A name is longer than `name_bytes`.
        TooLong = "too-long",
        /// The card is longer than `card_bytes`.
        CardTooLarge = "card-too-large",
        /// The room has its `members_per_room`, or the `max_members` that its creator chose.
        RoomFull = "room-full",
        /// The room has its `keys_per_room` unspent keys.
        TooManyKeys = "too-many-keys",
        /// The connection has its `rooms_per_connection`.
        TooManyRooms = "too-many-rooms",
        /// The server has its `rooms`.
        ServerFull = "server-full",
        /// The server is stopping and takes no new rooms or members.
        Stopping = "stopping",
    }
}

impl ErrorCode {
    /// Whether sending the same command again later can succeed without anybody changing it.
    pub fn retry_helps(self) -> bool {
        matches!(self, Self::RoomFull | Self::TooManyKeys | Self::TooManyRooms | Self::ServerFull | Self::Stopping)
    }

    /// The sentence that goes with the code. It never repeats what the client sent.
    pub fn message(self) -> &'static str {
        match self {
            Self::BadJson => "the frame is not a JSON object with a string \"cmd\"",
            Self::BinaryFrame => "binary frames are not part of the protocol; send JSON as text",
            Self::TooLarge => "the frame is larger than the limit",
            Self::UnknownCommand => "there is no such command",
            Self::BadRequest => "a field is missing, occurs twice, has the wrong type or is out of range",
            Self::Denied => "no such room, not a member of it, or the key does not open it",
            Self::NotOwner => "only the room's owner may do this",
            Self::BadPublicKey => {
                "the public key must be RSA, 2048 to 4096 bits, exponent 65537, in PKCS#1 or SPKI PEM"
            }
            Self::AlreadyMember => "this connection is a member of the room already",
            Self::Absent => "that user is not in the room",
            Self::DuplicateRecipient => "a recipient is named twice",
            Self::TooLong => "a name is longer than the limit",
            Self::CardTooLarge => "the card is larger than the limit",
            Self::RoomFull => "the room is full",
            Self::TooManyKeys => "the room has the maximum number of unspent keys",
            Self::TooManyRooms => "this connection is in the maximum number of rooms",
            Self::ServerFull => "the server has the maximum number of rooms",
            Self::Stopping => "the server is stopping",
        }
    }
}

/// Why the server closes a connection: the WebSocket close code and its reason text.
///
/// 1000 to 1011 are those of RFC 6455 §7.4.1. Of our own, 4000 to 4499 mean: come back, after a delay with jitter;
/// 4500 to 4999 mean: coming back the same way will not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed first; its close is answered.
    Normal,
    /// The client broke the WebSocket protocol.
    ProtocolError,
    /// A text frame was not UTF-8.
    NotUtf8,
    /// A frame was larger than the bound.
    TooLarge,
    /// The server failed; the fault is its own.
    Internal,
    /// The server restarts.
    Restarting,
    /// The client read too slowly: what waited for it reached its bound.
    SlowReader,
    /// A ping was not answered in time.
    PingTimeout,
    /// No command came in time.
    FirstCommandTimeout,
    /// Nothing could be written to the client for too long.
    WriteTimeout,
    /// The session was resumed on another connection.
    Replaced,
}

impl CloseReason {
    /// Every value, in the order of the table.
    pub const ALL: &[Self] = &[
        Self::Normal,
        Self::ProtocolError,
        Self::NotUtf8,
        Self::TooLarge,
        Self::Internal,
        Self::Restarting,
        Self::SlowReader,
        Self::PingTimeout,
        Self::FirstCommandTimeout,
        Self::WriteTimeout,
        Self::Replaced,
    ];

    /// The close code.
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::ProtocolError => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::Internal => 1011,
            Self::Restarting => 4000,
            Self::SlowReader => 4001,
            Self::PingTimeout => 4002,
            Self::FirstCommandTimeout => 4003,
            Self::WriteTimeout => 4004,
            Self::Replaced => 4500,
        }
    }

    /// The reason text of the close frame; also the log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "bye",
            Self::ProtocolError => "protocol-error",
            Self::NotUtf8 => "not-utf8",
            Self::TooLarge => "too-large",
            Self::Internal => "internal",
            Self::Restarting => "restarting",
            Self::SlowReader => "slow-reader",
            Self::PingTimeout => "ping-timeout",
            Self::FirstCommandTimeout => "first-command-timeout",
            Self::WriteTimeout => "write-timeout",
            Self::Replaced => "replaced",
        }
    }
}

/// Whether a client that sees this close code should connect again by itself, after a delay with jitter.
pub fn reconnect_after(code: u16) -> bool {
    matches!(code, 1001 | 1006 | 1011 | 1012 | 1013 | 4000..=4499)
}

codes! {
    /// Why a member is gone.
    LeaveReason {
        /// It left.
        Left = "left",
        /// The owner removed it.
        Removed = "removed",
        /// Its connection ended and did not come back in time.
        Lost = "lost",
    }
}

codes! {
    /// Why a room ended.
    RoomClosedReason {
        /// The owner closed it.
        Closed = "closed",
        /// Its owner is gone and it was made to end then.
        OwnerLeft = "owner-left",
        /// Its time was up.
        Expired = "expired",
    }
}

codes! {
    /// Why events are missing from a resumed session.
    GapReason {
        /// More arrived than the window of this session holds.
        Window = "window",
        /// The server's memory for all windows was used up.
        Memory = "memory",
        /// Many members came and went: a `members` event says who is in the room, and messages of members who left are
        /// missing.
        Members = "members",
    }
}

codes! {
    /// Why a session that a token names is over.
    GoneReason {
        /// Its client did not come back in time.
        Time = "time",
        /// The owner of its room removed it.
        Removed = "removed",
        /// It had more than the server keeps for one session.
        Memory = "memory",
    }
}

codes! {
    /// What becomes of a room whose owner leaves.
    OwnerLeaves {
        /// The room ends.
        Close = "close",
        /// The longest-standing member becomes its owner.
        Transfer = "transfer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_the_text_form() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(!code.message().is_empty());
        }
        let mut messages: Vec<_> = ErrorCode::ALL.iter().map(|code| code.message()).collect();
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), ErrorCode::ALL.len(), "each says something else");
    }

    #[test]
    fn a_command_is_worth_repeating_when_time_alone_may_help() {
        let helps: Vec<_> = ErrorCode::ALL.iter().filter(|code| code.retry_helps()).map(|code| code.as_str()).collect();
        assert_eq!(helps, ["room-full", "too-many-keys", "too-many-rooms", "server-full", "stopping"]);
    }

    #[test]
    fn close_codes_are_distinct_and_their_class_says_what_to_do() {
        let mut codes: Vec<_> = CloseReason::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CloseReason::ALL.len());
        let texts: std::collections::BTreeSet<_> = CloseReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(texts.len(), CloseReason::ALL.len());
        assert!(texts.iter().all(|text| !text.is_empty() && text.len() <= 123), "a close frame has room for them");
        assert!(reconnect_after(CloseReason::SlowReader.code()));
        assert!(!reconnect_after(CloseReason::Replaced.code()));
        assert!(!reconnect_after(CloseReason::ProtocolError.code()));
    }
}

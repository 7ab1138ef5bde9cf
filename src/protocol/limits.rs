//! Every bound of the server, with the name under which `hello` publishes it and `--limit NAME=VALUE` sets it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:literal, $min:literal ..= $max:literal;)*) => {
        /// The bounds of one server. [`Limits::default`] is safe for a host on the open internet.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: u64,)*
            /// Largest event in bytes: a `joined` of a full room, or a message as large as `frame_bytes` allows. Follows from the others; a client must be able to take it.
            pub event_bytes: u64,
        }

        impl Default for Limits {
            fn default() -> Self {
                let mut limits = Self { $($name: $default,)* event_bytes: 0 };
                limits.derive();
                limits
            }
        }

        impl Limits {
            /// The names of the bounds that can be set, with default and description.
            pub const TABLE: &[(&str, u64, &str)] = &[$((stringify!($name), $default, concat!($($doc),+)),)*];

            fn field(&mut self, name: &str) -> Option<(&mut u64, u64, u64)> {
                match name {
                    $(stringify!($name) => Some((&mut self.$name, $min, $max)),)*
                    _ => None,
                }
            }
        }
    };
}

limits! {
    /// Largest frame from a client before its first membership, in bytes.
    first_frame_bytes = 16_384, 1_024..=16_777_216;
    /// Largest frame from a member of a room, in bytes. The fragments of a message together are one frame.
    frame_bytes = 1_048_576, 1_024..=16_777_216;
    /// Tokens per second for one connection. A command costs one or more (section 6). Without tokens the server pauses reading.
    commands_per_s = 10_000, 1..=1_000_000_000;
    /// Tokens that a connection may spend at once.
    commands_burst = 20_000, 1..=1_000_000_000;
    /// Tokens per second for all connections of one address. They may spend twice as many at once.
    commands_per_address_per_s = 50_000, 1..=1_000_000_000;
    /// Connections to the server.
    connections = 100_000, 1..=10_000_000;
    /// Connections from one IPv4 address or one IPv6 /64 network.
    connections_per_address = 256, 1..=10_000_000;
    /// Connections from this machine itself, for a local proxy through which all clients connect.
    connections_from_loopback = 100_000, 1..=10_000_000;
    /// Sessions on the server, connected and away.
    sessions = 200_000, 1..=100_000_000;
    /// Sessions of one address, connected and away; also at most a quarter of the free ones.
    sessions_per_address = 1_024, 1..=10_000_000;
    /// Rooms on the server.
    rooms = 100_000, 1..=100_000_000;
    /// Rooms that one address created; also at most a quarter of the free ones.
    rooms_per_address = 1_024, 1..=10_000_000;
    /// Share of `memory_bytes`, `sessions` and `rooms` for all connections from this machine itself, in per cent.
    loopback_share = 50, 1..=100;
    /// Rooms of which one connection may be a member.
    rooms_per_connection = 64, 1..=100_000;
    /// Members of one room.
    members_per_room = 1_024, 1..=1_000_000;
    /// Unspent one-time keys of one room.
    keys_per_room = 128, 1..=1_000_000;
    /// Longest `name`, `username` and `client_room_id`, in bytes of UTF-8.
    name_bytes = 128, 1..=4_096;
    /// Longest `id` of a command, in bytes of UTF-8.
    id_bytes = 64, 1..=1_024;
    /// Longest public key, in bytes of PEM.
    public_key_bytes = 2_048, 1_024..=2_048;
    /// Longest card, in bytes of its JSON form.
    card_bytes = 4_096, 0..=65_536;
    /// Bytes that may wait for one connection. Beyond it the server disconnects the reader.
    queue_bytes = 8_388_608, 65_536..=1_099_511_627_776;
    /// Events that may wait for one connection. Beyond it the server disconnects the reader.
    queue_events = 65_536, 16..=1_000_000_000;
    /// Size of one resumable session's window, in bytes.
    window_bytes = 8_388_608, 65_536..=1_099_511_627_776;
    /// Size of one resumable session's window, in events.
    window_events = 65_536, 256..=1_000_000_000;
    /// Memory that the server uses for its clients, in bytes. 0: half of the memory of the machine, its control group and its resource limits, whichever is least. Beyond it the largest holder loses first.
    memory_bytes = 0, 0..=1_099_511_627_776;
    /// Memory that the clients at one address may make the server hold, in bytes. Past it the largest of its sessions loses first.
    memory_per_address_bytes = 67_108_864, 65_536..=1_099_511_627_776;
    /// Time to come back to a session whose connection ended, in seconds. A client may ask for less.
    resume_window_s = 7_200, 1..=86_400;
    /// The same after a page was closed (close code 1001), unless its client keeps the session, in seconds.
    parked_s = 90, 1..=86_400;
    /// Time from connecting to the first command, in seconds: TCP, TLS, HTTP and WebSocket included.
    first_command_s = 60, 1..=3_600;
    /// Time between pings to a silent client, in seconds.
    ping_interval_s = 25, 1..=3_600;
    /// Time to answer a ping, in seconds.
    pong_timeout_s = 20, 1..=3_600;
    /// Time in which something of what waits for a client must get written, in seconds.
    write_timeout_s = 30, 1..=3_600;
    /// Longest life of a room in seconds; also the life of a room that asks for none. 0: no bound.
    room_expires_s = 0, 0..=315_360_000;
}

/// Why `--limit NAME=VALUE` is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is no such bound.
    #[error("there is no limit named {0:?}; `subrosa limits` lists them")]
    Unknown(String),
    /// Not of the form `NAME=VALUE` with a whole number.
    #[error("a limit is written NAME=VALUE with a whole number, such as members_per_room=50")]
    Form,
    /// Outside what makes sense.
    #[error("{name} must lie between {min} and {max}")]
    Range {
        /// The bound.
        name: String,
        /// Its least value.
        min: u64,
        /// Its largest value.
        max: u64,
    },
    /// A queue could not take the largest event.
    #[error(
        "{name} must be at least {least}: that is the largest event, a `joined` of a full room or a message of frame_bytes"
    )]
    BelowEvent {
        /// The queue's bound.
        name: &'static str,
        /// What it must hold.
        least: u64,
    },
}

/// What an entry of `joined` needs beside its card and its user name: ids, field names and the largest public key.
const ENTRY_BYTES: u64 = 1_024;
/// A byte of a name can take six in JSON.
const ESCAPED: u64 = 6;

impl Limits {
    /// The default bounds with the given ones set, each as `NAME=VALUE`. Queue bounds that are not given grow with
    /// the largest event.
    ///
    /// # Errors
    /// An unknown name, a value out of range, or a queue bound below the largest event.
    pub fn from_settings<S: AsRef<str>>(settings: impl IntoIterator<Item = S>) -> Result<Self, LimitError> {
        let mut limits = Self::default();
        let mut given = Vec::new();
        for setting in settings {
            let (name, value) = setting.as_ref().split_once('=').ok_or(LimitError::Form)?;
            let (name, value) = (name.trim(), value.trim().replace('_', ""));
            let value: u64 = value.parse().map_err(|_| LimitError::Form)?;
            let (field, min, max) = limits.field(name).ok_or_else(|| LimitError::Unknown(name.to_owned()))?;
            if !(min..=max).contains(&value) {
                return Err(LimitError::Range { name: name.to_owned(), min, max });
            }
            *field = value;
            given.push(name.to_owned());
        }
        limits.derive();
        let least = limits.event_bytes;
        for (name, bound) in [("queue_bytes", &mut limits.queue_bytes), ("window_bytes", &mut limits.window_bytes)] {
            if *bound < least {
                if given.iter().any(|given| given == name) {
                    return Err(LimitError::BelowEvent { name, least });
                }
                *bound = least;
            }
        }
        Ok(limits)
    }

    fn derive(&mut self) {
        let names = ENTRY_BYTES + ESCAPED * self.name_bytes;
        let joined = self.members_per_room * (self.card_bytes + names) + ENTRY_BYTES;
        // In small rooms, or with large frames, a message is larger.
        self.event_bytes = joined.max(self.frame_bytes + names);
    }
}

impl fmt::Display for Limits {
    /// A table for people: name, default, description.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, default, description) in Self::TABLE {
            writeln!(f, "{name:<26}{default:>12}  {}", description.trim())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_by_name_and_refuses_the_rest() {
        let limits = Limits::from_settings(["members_per_room=50", "frame_bytes = 65_536"]).unwrap();
        assert_eq!((limits.members_per_room, limits.frame_bytes), (50, 65_536));
        let refused = |setting: &str| Limits::from_settings([setting]).unwrap_err();
        assert_eq!(refused("members=1"), LimitError::Unknown("members".into()));
        assert_eq!(refused("event_bytes=1"), LimitError::Unknown("event_bytes".into()));
        assert_eq!(refused("rooms"), LimitError::Form);
        assert_eq!(refused("rooms=many"), LimitError::Form);
        assert_eq!(refused("rooms=-1"), LimitError::Form);
        assert!(matches!(refused("rooms=0"), LimitError::Range { min: 1, .. }));
    }

    #[test]
    fn no_queue_lies_below_the_largest_event() {
        assert!(Limits::default().queue_bytes >= Limits::default().event_bytes);
        let grown = Limits::from_settings(["members_per_room=10000"]).unwrap();
        assert_eq!(grown.queue_bytes, grown.event_bytes);
        let refused = Limits::from_settings(["members_per_room=10000", "queue_bytes=65536"]).unwrap_err();
        assert!(matches!(refused, LimitError::BelowEvent { name: "queue_bytes", .. }));
    }

    #[test]
    fn the_largest_event_is_the_answer_to_a_join_or_a_message() {
        let small = ["members_per_room=2", "card_bytes=1000", "name_bytes=100", "frame_bytes=20000"];
        let large = ["members_per_room=10", "card_bytes=10000", "name_bytes=100", "frame_bytes=20000"];
        let of = |settings: [&str; 4]| Limits::from_settings(settings).unwrap().event_bytes;
        // For each name six bytes a byte, and 1,024 for what stands beside it.
        assert_eq!((of(small), of(large)), (20_000 + 1_024 + 600, 10 * (10_000 + 1_024 + 600) + 1_024));
    }

    #[test]
    fn a_queue_may_be_as_small_as_the_largest_event() {
        let least = Limits::default().event_bytes;
        let queue = |bytes| Limits::from_settings([format!("queue_bytes={bytes}")]);
        assert_eq!(queue(least).unwrap().queue_bytes, least);
        assert_eq!(queue(least - 1).unwrap_err(), LimitError::BelowEvent { name: "queue_bytes", least });
    }

    #[test]
    fn the_table_for_people_has_a_line_for_each() {
        let table = Limits::default().to_string();
        assert_eq!(table.lines().count(), Limits::TABLE.len());
        for (line, (name, default, _)) in table.lines().zip(Limits::TABLE) {
            assert!(line.starts_with(name) && line.contains(&default.to_string()), "{line}");
        }
    }

    #[test]
    fn hello_publishes_every_name() {
        let hello = serde_json::to_value(Limits::default()).unwrap();
        for (name, default, description) in Limits::TABLE {
            assert_eq!(hello[name], *default);
            assert!(!description.is_empty());
        }
    }
}

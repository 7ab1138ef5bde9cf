//! Identifiers of rooms and memberships: 24 random bytes, written as 32 characters of URL-safe base64.
//!
//! They are names, not secrets: knowing one opens nothing. They are kept in their written form, since that is how every
//! frame names them; comparing the text is comparing the bytes.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Length of a written id in characters; keys and tokens are written the same way.
pub const ID_CHARS: usize = crate::secret::TOKEN_CHARS;
/// Length of an id in random bytes.
pub const ID_BYTES: usize = crate::secret::TOKEN_BYTES;

/// Fills an array from the operating system's generator.
///
/// The process cannot go on safely without randomness, so a failing generator ends it.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system's random generator answers");
    bytes
}

/// Whether `text` has the form of an id or key: 32 characters of URL-safe base64.
pub fn well_formed(text: &str) -> bool {
    text.len() == ID_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; ID_CHARS]);

        impl $name {
            /// A new id from the operating system's randomness.
            pub fn random() -> Self {
                let mut text = [0; ID_CHARS];
                // 24 bytes are exactly 32 characters, so the buffer always fits.
                let written = URL_SAFE_NO_PAD.encode_slice(random::<ID_BYTES>(), &mut text);
                debug_assert_eq!(written, Ok(ID_CHARS));
                Self(text)
            }

            /// Reads a written id; `None` when it is not 32 characters of URL-safe base64.
            pub fn parse(text: &str) -> Option<Self> {
                if !well_formed(text) {
                    return None;
                }
                text.as_bytes().try_into().ok().map(Self)
            }

            /// Reads 32 bytes of text without looking at them closer: enough to look an id up, since none that exists
            /// is written otherwise.
            pub fn candidate(text: &str) -> Option<Self> {
                text.as_bytes().try_into().ok().map(Self)
            }

            /// A short form, which differs for two ids with near certainty: eight random characters are 48 bits.
            pub fn short(&self) -> u64 {
                let mut head = [0; 8];
                head.copy_from_slice(&self.0[..8]);
                u64::from_le_bytes(head)
            }

            /// Whether this is how the id is written.
            pub fn is_written(&self, text: &str) -> bool {
                text.as_bytes() == self.0
            }

            /// The written form, 32 characters.
            pub fn as_str(&self) -> &str {
                // Only `random` and `parse` make one, and both leave ASCII.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                // Enough to spread; the tables compare the whole.
                state.write_u64(self.short());
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        // Logs carry no ids: they would link what a room's life must not leave behind.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("32 characters of URL-safe base64")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).ok_or_else(|| E::custom("not an id"))
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

id!(
    /// Names a room while it lives. Never used twice.
    RoomId
);
id!(
    /// Names one membership of one room: the same person has another one in every room, and after coming back.
    UserId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_form_is_32_characters_and_reads_back() {
        let id = RoomId::random();
        assert_eq!(id.as_str().len(), ID_CHARS);
        assert_eq!(RoomId::parse(id.as_str()), Some(id));
        assert_ne!(RoomId::random(), id);
    }

    #[test]
    fn refuses_other_lengths_and_alphabets() {
        for bad in ["", "short", &"a".repeat(31), &"a".repeat(33), &"+".repeat(32), &"=".repeat(32), &"é".repeat(16)] {
            assert_eq!(UserId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let id = UserId::random();
        assert!(!format!("{id:?}").contains(id.as_str()));
    }
}

//! Join keys and resume tokens: 24 random bytes, written as 32 characters of URL-safe base64.
//!
//! The server looks up a token by its [`Tag`], a keyed hash under a key of this process. The time of the look-up
//! therefore does not depend on the existence of the token or on the quality of a guess. After the look-up the server
//! compares the whole token in constant time.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Locked;

/// Length of a token in random bytes.
pub const TOKEN_BYTES: usize = 24;
/// Length of a written token in characters.
pub const TOKEN_CHARS: usize = 32;

/// A secret of 24 random bytes, on a locked page. The server admits the client that shows it. Wiped on drop, never
/// printed, not cloneable.
pub struct Token(Locked<TOKEN_BYTES>);

impl Token {
    /// A new token from the operating system's randomness.
    pub fn random() -> Self {
        Self(Locked::init(|bytes| {
            aws_lc_rs::rand::fill(bytes).expect("the operating system's random generator answers");
        }))
    }

    /// Reads a written token; `None` when it is not 32 characters of URL-safe base64.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let mut valid = false;
        let token = Locked::init(|bytes| {
            valid = URL_SAFE_NO_PAD.decode_slice(text, bytes) == Ok(TOKEN_BYTES);
        });
        valid.then_some(Self(token))
    }

    /// The written form, 32 characters, in a buffer that wipes itself.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_CHARS));
        URL_SAFE_NO_PAD.encode_string(self.0.expose(), &mut text);
        text
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.expose().ct_eq(other.0.expose()).into()
    }

    /// A copy of the secret, for the one place that must keep a key and also show it.
    pub fn duplicate(&self) -> Self {
        Self(Locked::init(|bytes| bytes.copy_from_slice(self.0.expose())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([REDACTED])")
    }
}

impl Serialize for Token {
    /// Writes the secret: only for the frame that hands it to its owner.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Token;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key of 32 characters")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Token, E> {
                Token::parse(text).ok_or_else(|| E::custom("not a key"))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Where a token is filed: the first 16 bytes of its HMAC-SHA256 (RFC 2104) under the process's [`TagKey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Tag([u8; 16]);

/// The key under which this process files its tokens; random at the start, or taken over from the previous process. On
/// a locked page.
pub struct TagKey(Locked<32>);

impl TagKey {
    /// A new key from the operating system's randomness.
    pub fn random() -> Self {
        Self(Locked::init(|seed| {
            aws_lc_rs::rand::fill(seed).expect("the operating system's random generator answers");
        }))
    }

    /// The key of another process.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Locked::init(|own| own.copy_from_slice(seed)))
    }

    /// The bytes that make the same key in another process.
    pub fn seed(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The tag of a token.
    pub fn tag(&self, token: &Token) -> Tag {
        self.tag_of(token.0.expose())
    }

    /// The tag of anything else that is filed under a key of its own.
    pub fn tag_of(&self, name: &[u8]) -> Tag {
        // The prepared key is made for each tag, under a microsecond, so that it lies in ordinary memory no longer than
        // that.
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.seed());
        let digest = hmac::sign(&key, name);
        let mut tag = [0; 16];
        tag.copy_from_slice(&digest.as_ref()[..16]);
        Tag(tag)
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let token = Token::random();
        let again = Token::parse(&token.expose()).expect("its own writing");
        assert!(token.matches(&again));
        assert!(!token.matches(&Token::random()));
    }

    #[test]
    fn refuses_other_lengths_and_alphabets() {
        for bad in ["", &"a".repeat(31), &"a".repeat(33), &"+".repeat(32), &"=".repeat(32)] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let token = Token::random();
        assert_eq!(format!("{token:?} {:?}", TagKey::random()), "Token([REDACTED]) TagKey([REDACTED])");
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        let error = |json| serde_json::from_str::<Token>(json).unwrap_err().to_string();
        assert!(error("7").contains("a key of 32 characters") && !error("\"secret\"").contains("secret"));
    }

    #[test]
    fn tags_depend_on_token_and_key() {
        let (key, other) = (TagKey::random(), TagKey::random());
        let token = Token::random();
        assert_eq!(key.tag(&token), key.tag(&token.duplicate()));
        assert_ne!(key.tag(&token), other.tag(&token));
        assert_ne!(key.tag(&token), key.tag(&Token::random()));
    }
}

//! A member's fingerprint: what people compare to know each other, and what every state about a member is kept under.
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use super::{encoding, error::SealedError};

/// The BIP-39 English word list (2,048 words), as in the MIT-licensed package `mnemonic` of its reference
/// implementation.
const WORDS: &str = include_str!("words.txt");

/// `SHA-256(LP("subrosa v2 identity", ed25519 pub))`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a member's signing key, given by its 32 bytes.
    pub fn of_key(key: &[u8; 32]) -> Self {
        Self(sha256(&encoding::length_prefixed(&[b"subrosa v2 identity", key])))
    }

    /// From its 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From base64, as `to` carries it.
    ///
    /// # Errors
    /// [`SealedError::Base64`] or [`SealedError::Length`].
    pub fn from_base64(text: &str) -> Result<Self, SealedError> {
        encoding::array_from_base64(text).map(Self)
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As base64: 43 characters.
    pub fn to_base64(self) -> String {
        encoding::to_base64(&self.0)
    }

    /// The twelve groups of five digits that are shown: the first 24 bytes as 16-bit numbers.
    pub fn groups(&self) -> [String; 12] {
        std::array::from_fn(|i| format!("{:05}", u16::from_be_bytes([self.0[2 * i], self.0[2 * i + 1]])))
    }

    /// The first groups, which tell members of similar names apart; a space between them.
    pub fn first_groups(&self, count: usize) -> String {
        self.groups().iter().take(count.max(1)).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Eight words for reading out: the first 88 bits, 11 a word.
    pub fn words(&self) -> [&'static str; 8] {
        std::array::from_fn(|word| {
            let index = (word * 11..word * 11 + 11)
                .fold(0, |index, bit| index << 1 | usize::from(self.0[bit / 8] >> (7 - bit % 8) & 1));
            WORDS.lines().nth(index).unwrap_or_default()
        })
    }
}

/// The twelve groups, a space between them.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.groups().join(" "))
    }
}

/// The first group only: enough to follow a log, too little to compare.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({}…)", self.first_groups(1))
    }
}

/// SHA-256 (FIPS 180-4).
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, data).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_groups_and_words() {
        let mut bytes = [0; 32];
        bytes[0] = 0xff;
        bytes[1] = 0xff;
        bytes[22] = 0x01;
        bytes[23] = 0x02;
        let fingerprint = Fingerprint::from_bytes(bytes);
        let groups = fingerprint.groups();
        assert_eq!((groups[0].as_str(), groups[1].as_str(), groups[11].as_str()), ("65535", "00000", "00258"));
        // 11 ones, then 5 ones and 6 zeros: the last word of the list and number 0b11111000000.
        assert_eq!(fingerprint.words()[0], "zoo");
        assert_eq!(fingerprint.words()[1], WORDS.lines().nth(0b111_1100_0000).unwrap());
        assert_eq!(fingerprint.words()[2..], ["abandon"; 6]);
        assert_eq!(WORDS.lines().count(), 2048);
        assert_eq!(Fingerprint::from_base64(&fingerprint.to_base64()), Ok(fingerprint));
    }
}

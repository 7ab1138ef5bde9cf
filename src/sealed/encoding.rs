//! The small encodings that everything sealed is built from: base64, length-prefixed parts, the header.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::SealedError;

/// The version of the scheme, the first byte of everything sealed.
pub const VERSION: u8 = 2;
/// Bytes of a [`Header`].
pub const HEADER_BYTES: usize = 5;

/// Writes URL-safe base64 without padding (RFC 4648, section 5).
pub fn to_base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads URL-safe base64 without padding (RFC 4648, section 5).
///
/// # Errors
/// [`SealedError::Base64`] for another alphabet, padding, white space, or bits at the end that carry nothing.
pub fn from_base64(text: &str) -> Result<Vec<u8>, SealedError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| SealedError::Base64)
}

/// As [`from_base64`], for exactly `N` bytes.
///
/// # Errors
/// [`SealedError::Base64`], or [`SealedError::Length`] for another number of bytes.
pub fn array_from_base64<const N: usize>(text: &str) -> Result<[u8; N], SealedError> {
    from_base64(text)?.try_into().map_err(|_| SealedError::Length)
}

/// Puts each part behind its length, 4 bytes big-endian: `LP(a, b, …)`.
///
/// The buffer is wiped when dropped, since links put secrets through it.
pub fn length_prefixed(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(parts.iter().map(|p| p.len() + 4).sum()));
    for part in parts {
        // A part of 4 GiB cannot come about: everything that is framed this way is bounded far below.
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// Takes exactly `N` parts apart again.
///
/// # Errors
/// [`SealedError::Length`] if a part reaches past the end or bytes are left over.
pub fn split_length_prefixed<const N: usize>(mut bytes: &[u8]) -> Result<[&[u8]; N], SealedError> {
    let mut parts = [&[][..]; N];
    for part in &mut parts {
        let (length, rest) = bytes.split_first_chunk().ok_or(SealedError::Length)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| SealedError::Length)?;
        (*part, bytes) = rest.split_at_checked(length).ok_or(SealedError::Length)?;
    }
    if bytes.is_empty() { Ok(parts) } else { Err(SealedError::Length) }
}

/// The head of a card, a message and a note: the version and the epoch of the room secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Counts the room secrets, from 0.
    pub epoch: u32,
}

impl Header {
    /// `0x02 ‖ epoch(4)`.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = self.epoch.to_be_bytes();
        [VERSION, a, b, c, d]
    }

    /// Reads the head off `bytes` and returns what follows it.
    ///
    /// # Errors
    /// [`SealedError::Version`] for another first byte, [`SealedError::Length`] for less than five bytes.
    pub fn split(bytes: &[u8]) -> Result<(Self, &[u8]), SealedError> {
        match bytes.first() {
            None => return Err(SealedError::Length),
            Some(&VERSION) => {}
            Some(_) => return Err(SealedError::Version),
        }
        let ([_, epoch @ ..], rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(SealedError::Length)?;
        Ok((Self { epoch: u32::from_be_bytes(*epoch) }, rest))
    }

    /// The epoch that a sealed string names, before anything is opened.
    ///
    /// # Errors
    /// [`SealedError::Base64`], [`SealedError::Version`] or [`SealedError::Length`].
    pub fn peek(sealed: &str) -> Result<Self, SealedError> {
        // Eight characters carry six bytes; a shorter string is decoded whole and found too short.
        let head = sealed.get(..8).unwrap_or(sealed);
        Ok(Self::split(&from_base64(head)?)?.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_is_strict() {
        assert_eq!(from_base64("-_8").unwrap(), [0xfb, 0xff]);
        for bad in ["-_8=", "+/8", "-_9", "A", " -_8", "-_8\n"] {
            assert_eq!(from_base64(bad), Err(SealedError::Base64), "{bad:?}");
        }
    }

    #[test]
    fn parts_must_fill_the_whole() {
        let bytes = length_prefixed(&[b"a", b"", b"bcd"]);
        assert_eq!(split_length_prefixed::<3>(&bytes).unwrap(), [&b"a"[..], b"", b"bcd"]);
        assert_eq!(split_length_prefixed::<2>(&bytes), Err(SealedError::Length));
        assert_eq!(split_length_prefixed::<4>(&bytes), Err(SealedError::Length));
        assert_eq!(split_length_prefixed::<1>(&[255, 255, 255, 255, 0]), Err(SealedError::Length));
    }

    proptest! {
        #[test]
        fn encodings_round_trip(a: Vec<u8>, b: Vec<u8>, epoch: u32) {
            prop_assert_eq!(from_base64(&to_base64(&a)).unwrap(), a.clone());
            let framed = length_prefixed(&[&a, &b]);
            prop_assert_eq!(split_length_prefixed::<2>(&framed).unwrap(), [&a[..], &b[..]]);
            let sealed = [&Header { epoch }.to_bytes()[..], &a].concat();
            prop_assert_eq!(Header::split(&sealed).unwrap(), (Header { epoch }, &a[..]));
            prop_assert_eq!(Header::peek(&to_base64(&sealed)).unwrap(), Header { epoch });
        }

        #[test]
        fn decoders_never_panic(bytes: Vec<u8>, text: String) {
            let _ = split_length_prefixed::<8>(&bytes);
            let _ = Header::split(&bytes);
            let _ = Header::peek(&text);
            let _ = from_base64(&text);
        }
    }
}

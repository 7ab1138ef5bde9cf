//! The pin of a server: the one public key that it may have where no authority vouches for its certificate.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, general_purpose};

/// The SHA-256 of a certificate's public key (its whole SubjectPublicKeyInfo in DER, RFC 5280 §4.1.2.7): 32 bytes. It
/// names the one key that a server may have where no authority vouches for its certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// A text that is no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pin is the SHA-256 of the server's public key: 43 characters of base64, or 64 of hexadecimal")]
pub struct PinError;

impl Pin {
    /// Makes a pin from its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The pin of a public key: a SubjectPublicKeyInfo in DER.
    pub fn of_spki(spki: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Other programs write pins with padding; people paste what they get.
const LENIENT: GeneralPurposeConfig = general_purpose::NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);

impl FromStr for Pin {
    type Err = PinError;

    /// Reads base64 (URL-safe or standard, with or without padding or a leading `sha256//`) and hexadecimal.
    fn from_str(text: &str) -> Result<Self, PinError> {
        let text = text.trim();
        let text = text.strip_prefix("sha256//").unwrap_or(text);
        let mut bytes = [0; 32];
        if text.len() == 64 && text.is_ascii() {
            for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                let digit = |at: usize| char::from(digits[at]).to_digit(16).ok_or(PinError);
                *byte = (digit(0)? << 4 | digit(1)?) as u8;
            }
            return Ok(Self(bytes));
        }
        let alphabet = if text.contains(['+', '/']) { &alphabet::STANDARD } else { &alphabet::URL_SAFE };
        match GeneralPurpose::new(alphabet, LENIENT).decode_slice(text, &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(PinError),
        }
    }
}

impl fmt::Display for Pin {
    /// URL-safe base64 without padding: 43 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_its_bytes_and_prints_as_it_is_read() {
        let bytes = std::array::from_fn(|at| at as u8 * 7);
        let pin = Pin::new(bytes);
        assert_eq!(pin.as_bytes(), &bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((hex.parse(), pin.to_string().parse()), (Ok(pin), Ok(pin)));
        assert_eq!(format!("{pin:?}"), format!("Pin({pin})"));
    }

    #[test]
    fn reads_pins_in_every_common_writing() {
        let pin = Pin::new([0xfb; 32]);
        let hex = "fb".repeat(32);
        let url = pin.to_string();
        let standard = url.replace('-', "+").replace('_', "/");
        for text in
            [&url, &hex, &hex.to_uppercase(), &standard, &format!("{standard}="), &format!("sha256//{standard}=")]
        {
            assert_eq!(text.parse(), Ok(pin), "{text}");
        }
        for bad in ["", "fb", &url[1..], &format!("{url}A"), &format!("{hex}fb"), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Pin>(), Err(PinError), "{bad}");
        }
    }
}

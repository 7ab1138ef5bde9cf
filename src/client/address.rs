//! Where a server is, and which key it must have: `wss://HOST[:PORT]` and the pin of its certificate.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, general_purpose};
use rustls_pki_types::ServerName;

/// The port of `wss` where an address names none (RFC 6455 §3).
pub const DEFAULT_PORT: u16 = 443;

/// A server's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A DNS name or an IP address, IPv6 without its brackets.
    host: String,
    /// The TCP port.
    port: u16,
}

/// Why a text is no server address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme than `wss` or `https`. There is no unencrypted way to a server.
    #[error("a server address starts with wss:// (there are no unencrypted connections)")]
    Scheme,
    /// More than host and port: a user, a path, a query or a fragment.
    #[error("write a server address as wss://HOST:PORT")]
    Extra,
    /// The host is neither a DNS name nor an IP address (IPv6 stands in brackets).
    #[error("the host is neither a DNS name nor an IP address (write IPv6 in brackets)")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

impl Address {
    /// An address of its parts.
    ///
    /// # Errors
    /// The host is neither a DNS name nor an IP address, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        ServerName::try_from(host).map_err(|_| AddressError::Host)?;
        if port == 0 {
            return Err(AddressError::Port);
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// The host: a DNS name or an IP address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST:PORT` as a URL has it: IPv6 in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `wss://HOST[:PORT]` or `https://HOST[:PORT]`, with or without a `/` or `/v1` behind it.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(AddressError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("wss") && !scheme.eq_ignore_ascii_case("https") {
            return Err(AddressError::Scheme);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(path, "" | "v1") || authority.contains(['@', '?', '#']) {
            return Err(AddressError::Extra);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(AddressError::Host)?;
                if !host.contains(':') {
                    return Err(AddressError::Host);
                }
                let port =
                    if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(AddressError::Host)?) };
                (host, port)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        // `parse` alone would take a sign.
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| AddressError::Port)?
            }
            Some(_) => return Err(AddressError::Port),
        };
        Self::new(host, port)
    }
}

impl fmt::Display for Address {
    /// `wss://HOST:PORT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wss://{}", self.authority())
    }
}

/// The SHA-256 of a certificate's public key (its whole SubjectPublicKeyInfo in DER, RFC 5280 §4.1.2.7): 32 bytes. It names the
/// one key that a server may have where no authority vouches for its certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// A text that is no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pin is the SHA-256 of the server's public key: 43 characters of base64, or 64 of hexadecimal")]
pub struct PinError;

impl Pin {
    /// A pin of its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
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
    fn reads_addresses() {
        let read = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(read("wss://Example.org:5656").as_deref(), Ok("wss://example.org:5656"));
        assert_eq!(read("wss://example.org").as_deref(), Ok("wss://example.org:443"));
        assert_eq!(read(" https://127.0.0.1:1/ ").as_deref(), Ok("wss://127.0.0.1:1"));
        assert_eq!(read("WSS://[::1]:5656/v1").as_deref(), Ok("wss://[::1]:5656"));
        assert_eq!(read("wss://[::1]").as_deref(), Ok("wss://[::1]:443"));
    }

    #[test]
    fn refuses_what_is_no_address() {
        let cases = [
            ("ws://example.org", AddressError::Scheme),
            ("http://example.org", AddressError::Scheme),
            ("example.org:5656", AddressError::Scheme),
            ("wss://user@example.org", AddressError::Extra),
            ("wss://example.org/chat", AddressError::Extra),
            ("wss://example.org?x", AddressError::Extra),
            ("wss://example.org#x", AddressError::Extra),
            ("wss://", AddressError::Host),
            ("wss://:5656", AddressError::Host),
            ("wss://a b", AddressError::Host),
            ("wss://[example.org]", AddressError::Host),
            ("wss://[::1", AddressError::Host),
            ("wss://[::1]5656", AddressError::Host),
            ("wss://::1", AddressError::Port),
            ("wss://example.org:", AddressError::Port),
            ("wss://example.org:+1", AddressError::Port),
            ("wss://example.org:0", AddressError::Port),
            ("wss://example.org:65536", AddressError::Port),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
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

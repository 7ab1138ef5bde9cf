//! The address of a server: `wss://HOST[:PORT]`.

use std::fmt;
use std::str::FromStr;

use crate::protocol::authority::{Authority, AuthorityError};

/// A server's address. The scheme is always `wss`, because there are no unencrypted connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Authority);

/// Why a text is not a server address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Another scheme than `wss` or `https`. There are no unencrypted connections.
    #[error("a server address starts with wss:// (there are no unencrypted connections)")]
    Scheme,
    /// More than host and port: a user, a path, a query or a fragment.
    #[error("a server address is wss://HOST:PORT and nothing more")]
    Extra,
    /// The host or the port is wrong.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Address {
    /// Makes an address from its parts; an IPv6 address has no brackets here.
    ///
    /// # Errors
    /// The host is neither a DNS name nor an IP address, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        Ok(Self(Authority::new(host, port)?))
    }

    /// The host and the port.
    pub fn authority(&self) -> &Authority {
        &self.0
    }

    /// The host: a DNS name or an IP address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}

impl From<Authority> for Address {
    fn from(authority: Authority) -> Self {
        Self(authority)
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
        Ok(Self(authority.parse()?))
    }
}

impl fmt::Display for Address {
    /// `wss://HOST:PORT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wss://{}", self.0)
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
            ("wss://", AuthorityError::Host.into()),
            ("wss://[example.org]", AuthorityError::Host.into()),
            ("wss://::1", AuthorityError::Port.into()),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
    }
}

//! `HOST[:PORT]`, as in a URL (RFC 3986 §3.2): one grammar for addresses, invite links and origins.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port of `https` and `wss` where a text names none (RFC 9110 §4.2.2, RFC 6455 §3).
pub const DEFAULT_PORT: u16 = 443;
/// The longest host, in bytes: that of a DNS name (RFC 1035 §2.3.4).
pub const MAX_HOST_BYTES: usize = 253;

/// A host and a port.
///
/// The host is 1 to [`MAX_HOST_BYTES`] ASCII letters, digits, hyphens and dots, or an IPv6 address. Only the characters
/// are checked; the resolver decides whether the name exists. Letters are stored in lower case, because host names do
/// not depend on case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    host: String,
    port: u16,
}

/// Why a text is not an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The host is neither a DNS name nor an IP address. In a text, an IPv6 address is in brackets.
    #[error("the host is neither a DNS name nor an IP address (write an IPv6 address in brackets)")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

impl Authority {
    /// Puts an authority together from its parts; an IPv6 address has no brackets here.
    ///
    /// # Errors
    /// [`AuthorityError::Host`] or, for port 0, [`AuthorityError::Port`].
    pub fn new(host: &str, port: u16) -> Result<Self, AuthorityError> {
        let is_name = (1..=MAX_HOST_BYTES).contains(&host.len())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        if !is_name && host.parse::<Ipv6Addr>().is_err() {
            return Err(AuthorityError::Host);
        }
        if port == 0 {
            return Err(AuthorityError::Port);
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// Reads `HOST[:PORT]`; the port is `default_port` if there is none.
    ///
    /// # Errors
    /// [`AuthorityError::Host`] or [`AuthorityError::Port`].
    pub fn parse(text: &str, default_port: u16) -> Result<Self, AuthorityError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(AuthorityError::Host)?;
                if !host.contains(':') {
                    return Err(AuthorityError::Host);
                }
                (host, port)
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default_port,
            None => return Err(AuthorityError::Host),
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| AuthorityError::Port)?
            }
            Some(_) => return Err(AuthorityError::Port),
        };
        Self::new(host, port)
    }

    /// The host; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as a URL has it: an IPv6 address in brackets.
    pub fn url_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;

    /// Reads `HOST[:PORT]`; the port is [`DEFAULT_PORT`] if there is none.
    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        Self::parse(text, DEFAULT_PORT)
    }
}

impl fmt::Display for Authority {
    /// `HOST:PORT`, an IPv6 address in brackets. The port is always there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.url_host(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, AuthorityError> {
        text.parse::<Authority>().map(|authority| authority.to_string())
    }

    #[test]
    fn reads_names_and_addresses() {
        for (text, written) in [
            ("Example.org:5656", "example.org:5656"),
            ("example.org", "example.org:443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:65535", "[::1]:65535"),
            ("[2001:DB8::1]", "[2001:db8::1]:443"),
            ("xn--bcher-kva.example:00080", "xn--bcher-kva.example:80"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(written), "{text}");
        }
        let parts: Authority = "[::1]:5656".parse().unwrap();
        assert_eq!((parts.host(), parts.url_host().as_str(), parts.port()), ("::1", "[::1]", 5656));
        assert_eq!(read(&"a".repeat(253)), Ok(format!("{}:443", "a".repeat(253))));
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", ":1", "a b", "bücher.example", "a_b", "you@a", "a/b", "[a]", "[::1", "[::1]5", "[::1%1]", "[]", "a?"]
        {
            assert_eq!(read(text), Err(AuthorityError::Host), "{text}");
        }
        for text in ["::1", "a:", "a:+1", "a:0", "a:65536", "a:1:2", "a: 1", "[::1]:"] {
            assert_eq!(read(text), Err(AuthorityError::Port), "{text}");
        }
        assert_eq!(read(&"a".repeat(254)), Err(AuthorityError::Host));
        assert_eq!(Authority::new("[::1]", 1), Err(AuthorityError::Host));
        assert_eq!(Authority::new("a", 0), Err(AuthorityError::Port));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(host in "[a-zA-Z0-9.-]{1,253}", port in 1_u16..) {
            let authority = Authority::new(&host, port).unwrap();
            prop_assert_eq!(authority.to_string().parse(), Ok(authority));
        }

        #[test]
        fn ipv6_reads_as_the_same(address: [u8; 16], port in 1_u16..) {
            let authority = Authority::new(&Ipv6Addr::from(address).to_string(), port).unwrap();
            prop_assert_eq!(authority.to_string().parse(), Ok(authority));
        }

        #[test]
        fn any_text_is_refused_or_has_one_written_form(text in r"[a-c0-9.:\[\]%+ -]{0,24}") {
            if let Ok(authority) = text.parse::<Authority>() {
                prop_assert!(!authority.host().is_empty() && authority.port() > 0);
                prop_assert_eq!(authority.to_string().parse(), Ok(authority));
            }
        }
    }
}

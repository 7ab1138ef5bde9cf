//! How a client connects.

use std::time::Duration;

use super::address::Address;
use super::tls::Trust;

/// The server, and the time-outs.
///
/// ```
/// use std::time::Duration;
/// use subrosa::client::{Config, Trust};
///
/// # fn main() -> Result<(), subrosa::client::AddressError> {
/// let config = Config::new("wss://chat.example.org".parse()?, Trust::System).connect_within(Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The server.
    pub server: Address,
    /// How the client recognises the server.
    pub trust: Trust,
    /// Time for one attempt to connect, from the name look-up to the server's greeting. 15 s by default.
    pub connect_within: Duration,
    /// Time for a command to be answered, new connections included. 120 s by default.
    pub answer_within: Duration,
    /// A ping goes out when nothing came in for this long. 20 s by default: proxies close connections that are silent
    /// for 30 s.
    pub ping_after: Duration,
    /// A connection counts as broken when nothing came in for this long after a ping, or when nothing could be written
    /// for this long. 15 s by default.
    pub pong_within: Duration,
    /// The first attempt to connect again comes after a random wait of at most this long. The bound doubles with each
    /// attempt, up to 60 times this. 0.5 s by default.
    pub first_retry_within: Duration,
    /// For how long the server shall keep the session while the connection is away, in whole seconds. By default, for
    /// as long as the server does (`resume_window_s`); more than that is not possible.
    pub away_for: Option<Duration>,
    /// The largest event that is accepted, in bytes. 16 MiB by default. Twice this may wait for the application before
    /// reading from the server pauses.
    pub max_event_bytes: u32,
}

impl Config {
    /// The usual times for `server`.
    pub fn new(server: Address, trust: Trust) -> Self {
        Self {
            server,
            trust,
            connect_within: Duration::from_secs(15),
            answer_within: Duration::from_secs(120),
            ping_after: Duration::from_secs(20),
            pong_within: Duration::from_secs(15),
            first_retry_within: Duration::from_millis(500),
            away_for: None,
            max_event_bytes: 16 * 1024 * 1024,
        }
    }

    /// Sets [`connect_within`](Self#structfield.connect_within).
    #[must_use]
    pub fn connect_within(self, connect_within: Duration) -> Self {
        Self { connect_within, ..self }
    }

    /// Sets [`answer_within`](Self#structfield.answer_within).
    #[must_use]
    pub fn answer_within(self, answer_within: Duration) -> Self {
        Self { answer_within, ..self }
    }

    /// Sets [`ping_after`](Self#structfield.ping_after).
    #[must_use]
    pub fn ping_after(self, ping_after: Duration) -> Self {
        Self { ping_after, ..self }
    }

    /// Sets [`pong_within`](Self#structfield.pong_within).
    #[must_use]
    pub fn pong_within(self, pong_within: Duration) -> Self {
        Self { pong_within, ..self }
    }

    /// Sets [`first_retry_within`](Self#structfield.first_retry_within).
    #[must_use]
    pub fn first_retry_within(self, first_retry_within: Duration) -> Self {
        Self { first_retry_within, ..self }
    }

    /// Sets [`away_for`](Self#structfield.away_for).
    #[must_use]
    pub fn away_for(self, away_for: impl Into<Option<Duration>>) -> Self {
        Self { away_for: away_for.into(), ..self }
    }

    /// As `resume` says it, in seconds.
    pub(super) fn for_s(&self) -> Option<u64> {
        self.away_for.map(|away| away.as_secs().max(1))
    }

    /// Sets [`max_event_bytes`](Self#structfield.max_event_bytes).
    #[must_use]
    pub fn max_event_bytes(self, max_event_bytes: u32) -> Self {
        Self { max_event_bytes, ..self }
    }
}

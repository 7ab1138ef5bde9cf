//! How a client connects.

use std::time::Duration;

use super::address::Address;
use super::tls::Trust;

/// Where to connect to and how patiently. [`Config::new`] gives the usual times.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server.
    pub server: Address,
    /// What proves that it is the right one.
    pub trust: Trust,
    /// Time for one attempt to connect, from the name look-up to the server's greeting. 15 s.
    pub connect_within: Duration,
    /// Time for a command to be answered, new connections included. 120 s: longer than a server keeps a session by default.
    pub answer_within: Duration,
    /// A ping goes out when nothing came in for this long; below 30 s, so that proxies keep the connection. 20 s.
    pub ping_after: Duration,
    /// The connection counts as dead when nothing came in for this long after a ping, or nothing could be written. 15 s.
    pub pong_within: Duration,
    /// A broken connection is made anew after a random wait of at most this long; the bound doubles with each attempt up to 60 times this. 0.5 s.
    pub first_retry_within: Duration,
    /// Largest event that is accepted, in bytes. 16 MiB. Twice this may wait for the application before reading pauses.
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
            max_event_bytes: 16 * 1024 * 1024,
        }
    }
}

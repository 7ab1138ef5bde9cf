//! The settings of a server that are not limits.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a server that are not limits. Begin with [`Options::default`] and set what differs:
///
/// ```
/// let options = subrosa::server::Options::default().notice("Be kind.").allow_origin("https://chat.example.org").workers(2);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The host's notice to its users. `hello` contains it. May be empty.
    pub notice: String,
    /// Origins of web pages that may connect, as `https://HOST[:PORT]`, beside the server's own.
    pub allowed_origins: Vec<String>,
    /// The pin of a development certificate: the web client puts it into its links, and browsers are not told to insist
    /// on TLS here.
    pub development_pin: Option<String>,
    /// Event loops; 0 means one for each processor that this process may use.
    pub workers: usize,
    /// The path of the Unix socket on which another process can take over from this one.
    pub takeover: Option<PathBuf>,
    /// Maximum time that a process that takes over may be silent. After it, this process continues to serve. Default:
    /// 10 s.
    pub takeover_patience: Option<Duration>,
}

impl Options {
    /// Sets the notice in `hello`.
    pub fn notice(mut self, notice: impl Into<String>) -> Self {
        self.notice = notice.into();
        self
    }

    /// Allows web pages of one more origin to connect, as `https://HOST[:PORT]`.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed_origins.push(origin.into());
        self
    }

    /// Says that the certificate is one for development, with this pin.
    pub fn development_pin(mut self, pin: impl Into<String>) -> Self {
        self.development_pin = Some(pin.into());
        self
    }

    /// Sets the number of event loops; 0 means one for each processor that this process may use.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Lets another process take over from this one, at this path of a Unix socket.
    pub fn takeover(mut self, socket: impl Into<PathBuf>) -> Self {
        self.takeover = Some(socket.into());
        self
    }

    /// Sets how long a process that takes over may be silent; after it this process continues to serve.
    pub fn takeover_patience(mut self, patience: Duration) -> Self {
        self.takeover_patience = Some(patience);
        self
    }
}

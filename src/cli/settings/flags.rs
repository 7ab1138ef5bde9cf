//! The options of `serve`, each of which is a flag, an environment variable and a key of the configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use subrosa::protocol::authority::{self, Authority};

/// The options of one source. `None` and an empty list mean: not given.
#[derive(Debug, Default, Args)]
pub(crate) struct Flags {
    /// Configuration file in TOML. `subrosa config --example` prints one. Environment variables and flags override it.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one. Default: 127.0.0.1:5656.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// Certificate chain in PEM, leaf first. Without it, the server makes a development certificate in `certs/`.
    #[arg(long, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Sets a limit; `subrosa limits` lists them. May be given several times.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(super) limits: Vec<String>,
    /// Allows web pages of this origin to connect, such as `https://chat.example.org`. May be given several times.
    #[arg(long = "allow-origin", value_name = "URL", value_parser = origin)]
    pub(super) allow_origins: Vec<String>,
    /// A message to the users. Clients show it when they connect.
    #[arg(long, value_name = "TEXT")]
    pub(super) notice: Option<String>,
    /// Takes over the port and all rooms from the server that listens on this Unix socket, if there is one. Then
    /// listens there for the next process. An update loses no room this way.
    #[arg(long, value_name = "SOCKET")]
    pub(super) takeover: Option<PathBuf>,
    /// Number of event loops. Default: one for each processor that the process may use.
    #[arg(long, value_name = "COUNT")]
    pub(super) workers: Option<usize>,
    /// Exits unless every hardening measure works: no dumps, no swap, no files, no outgoing connections, filtered
    /// system calls.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) require_hardening: Option<bool>,
}

impl Flags {
    /// These options, and those of `lower` where they are not given. Limits are joined; of two with one name the later
    /// counts.
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            config: self.config.or(lower.config),
            listen: self.listen.or(lower.listen),
            cert: self.cert.or(lower.cert),
            key: self.key.or(lower.key),
            limits: [lower.limits, self.limits].concat(),
            allow_origins: if self.allow_origins.is_empty() { lower.allow_origins } else { self.allow_origins },
            notice: self.notice.or(lower.notice),
            takeover: self.takeover.or(lower.takeover),
            workers: self.workers.or(lower.workers),
            require_hardening: self.require_hardening.or(lower.require_hardening),
        }
    }
}

/// An origin as browsers write it: scheme, host, and port unless it is the scheme's own.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || "write an origin as https://HOST or https://HOST:PORT".to_owned();
    let (scheme, host) = text.trim_end_matches('/').split_once("://").ok_or_else(wrong)?;
    let default_port = match scheme {
        "https" => authority::DEFAULT_PORT,
        "http" => 80,
        _ => return Err(wrong()),
    };
    let authority = Authority::parse(host, default_port).map_err(|error| format!("{}: {error}", wrong()))?;
    if authority.port() == default_port {
        Ok(format!("{scheme}://{}", authority.url_host()))
    } else {
        Ok(format!("{scheme}://{authority}"))
    }
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for (text, written) in [
            ("https://Chat.example.org:443/", "https://chat.example.org"),
            ("https://[::1]:5656", "https://[::1]:5656"),
            ("http://localhost:80", "http://localhost"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(written));
        }
        for text in
            ["chat.example.org", "wss://a", "https://", "https://[x", "https://a/b", "https://you@a", "https://a:0"]
        {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}

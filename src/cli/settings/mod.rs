//! The settings of a server from all their sources.
//!
//! ```text
//! defaults ← configuration file ← environment ← flags         a later source overrides an earlier one
//! ```
//!
//! [`Flags`] is the one list of options. A new option is a field of it, a line of [`Flags::over`] and of [`Settings`],
//! and an example in `config.rs`; file and environment follow by themselves.

mod entries;
mod flags;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use subrosa::protocol::limits::{LimitError, Limits};
use subrosa::server::DEFAULT_PORT;

pub(super) use entries::{LIMITS, Problem, options, variable};
pub(super) use flags::Flags;

use super::output::Failure;

/// Everything that a host can set.
#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    /// Where to listen.
    pub(super) listen: SocketAddr,
    /// Files of the certificate and of its key; without them the server makes a development certificate.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// All limits.
    pub(super) limits: Limits,
    /// Foreign origins whose pages may connect.
    pub(super) allowed_origins: Vec<String>,
    /// A message to the users; may be empty.
    pub(super) notice: String,
    /// The socket for the next process.
    pub(super) takeover: Option<PathBuf>,
    /// Event loops, at least one.
    pub(super) workers: usize,
    /// Whether to exit when a hardening measure is missing.
    pub(super) require_hardening: bool,
}

impl Flags {
    /// These flags over the environment, over the configuration file, over the defaults.
    ///
    /// # Errors
    /// The first fault, with the file and line, the variable or the flag.
    pub(super) fn resolve(
        mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Settings, Failure> {
        let (config, variables) = entries::from_environment(environment)?;
        let file = match self.config.take().or(config) {
            Some(path) => entries::from_file(&path)?,
            None => Vec::new(),
        };
        // A flag's own mistake in a limit is reported without a place: the user has just typed it.
        let typed = self.limits.clone();
        let all = self.over(entries::flags(&variables)).over(entries::flags(&file));
        let limits = Limits::from_settings(&all.limits).map_err(|error| match &error {
            LimitError::BelowEvent { name, .. } if !typed.iter().any(|limit| limit.starts_with(*name)) => {
                let written = file.iter().chain(&variables).rfind(|entry| entry.limit() == Some(name));
                match written {
                    Some(entry) => Failure::from(Problem { place: entry.place.clone(), why: error.to_string() }),
                    None => error.into(),
                }
            }
            _ => error.into(),
        })?;
        let identity = match (all.cert, all.key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err("`cert` and `key` belong together: set both or neither".into()),
        };
        let workers = match all.workers.unwrap_or_default() {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        Ok(Settings {
            listen: all.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT))),
            identity,
            limits,
            allowed_origins: all.allow_origins,
            notice: all.notice.unwrap_or_default(),
            takeover: all.takeover,
            workers,
            require_hardening: all.require_hardening.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;

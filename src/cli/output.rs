//! What all commands share: how they fail, print and log.

use std::io::Write;

/// What a command fails with; printed for people.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints to standard output; a reader that went away (`| head`) is no failure.
pub(crate) fn say(what: &dyn std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match write!(out, "{what}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Sends log lines to standard error. `RUST_LOG` chooses their level; by default it is `info`, which names nobody.
pub(crate) fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Only the first call of a process counts; tests may come second.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).try_init();
}

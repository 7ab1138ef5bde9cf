//! Failing, printing and logging, for all commands.

use std::io::Write;

/// The error of a command, as text for people.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints to standard output. A closed pipe (`| head`) is not an error.
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
    // Only the first call in a process has an effect; tests may call it again.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).try_init();
}

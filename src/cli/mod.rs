//! The command line, with one file per command. [`main`] parses the arguments and runs the command.

mod certificate;
mod chat;
mod config;
mod descriptors;
mod output;
mod serve;
mod settings;
mod web;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use subrosa::protocol::limits::Limits;

/// A private, ephemeral room server, and a chat over it.
///
/// Without a command it serves on 127.0.0.1:5656.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: settings::Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Talks in an end-to-end encrypted room, in the terminal or in a pipe.
    Chat(chat::Chat),
    /// Runs a room server.
    Serve(settings::Flags),
    /// Reads the certificate's files for a server that cannot open them any more.
    #[command(name = certificate::COMMAND, hide = true)]
    CertificateReader(certificate::Reader),
    /// Checks the configuration of `serve`, or prints an example.
    Config(config::Config),
    /// Lists the limits that `serve --limit NAME=VALUE` sets, with their defaults.
    Limits,
    /// Prints the hash of the web client in this program.
    WebHash,
    /// Fetches the web client of a server and compares it with the one in this program.
    WebCheck(web::Check),
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let Cli { command, serve } = Cli::parse();
    let done = match command.unwrap_or(Command::Serve(serve)) {
        Command::Chat(chat) => chat.run(),
        Command::Serve(flags) => serve::run(flags),
        Command::CertificateReader(reader) => reader.run(),
        Command::Config(config) => config.run(),
        Command::Limits => output::say(&Limits::default()),
        Command::WebHash => web::hash(),
        Command::WebCheck(check) => check.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "subrosa: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pin in 64 begins with a hyphen.
    #[test]
    fn a_pin_may_begin_with_a_hyphen() {
        let pin = "-".repeat(42) + "8";
        for command in [&["chat", "create", "--as", "alice"][..], &["web-check", "https://localhost"]] {
            let arguments = [&["subrosa"], command, &["--pin", pin.as_str()]].concat();
            assert!(Cli::try_parse_from(arguments).is_ok(), "{command:?}");
        }
    }
}

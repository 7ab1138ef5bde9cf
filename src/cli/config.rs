//! `subrosa config`: explains and checks the configuration of `serve`.

use std::fmt::Write as _;

use clap::Args;
use subrosa::protocol::limits::Limits;
use subrosa::server::Identity;

use super::output::{Failure, say};
use super::settings::{Flags, LIMITS, options, variable};

/// An example for each option, as TOML. The value is the default where there is one.
const EXAMPLES: &[(&str, &str)] = &[
    ("listen", r#""127.0.0.1:5656""#),
    ("cert", r#""/etc/subrosa/cert.pem""#),
    ("key", r#""/etc/subrosa/key.pem""#),
    ("allow_origin", r#"["https://chat.example.org"]"#),
    ("notice", r#""""#),
    ("takeover", r#""/run/subrosa/takeover""#),
    ("workers", "2"),
    ("require_hardening", "false"),
];

/// Widest line of the example, in columns.
const WIDTH: usize = 100;

/// Options of `config`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["example", "check"])))]
pub(super) struct Config {
    /// Prints a configuration file with every key, its meaning, and its default or an example.
    #[arg(long, exclusive = true)]
    example: bool,
    /// Reads the file, the environment and the flags as `serve` does, and reports the first error. It starts no server.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Config {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.example {
            return say(&example());
        }
        let settings = self.flags.resolve(std::env::vars_os())?;
        if let Some((cert, key)) = &settings.identity {
            Identity::from_pem_files(cert, key)?;
        }
        say(&"The configuration is valid.\n")
    }
}

/// A configuration file in which every key is commented out.
fn example() -> String {
    let mut text = String::new();
    let start = [
        "Configuration of `subrosa serve`; use it with `subrosa serve --config FILE`.".to_owned(),
        "Flags override environment variables, and environment variables override this file.".to_owned(),
        format!(
            "The variable of `listen` is {}, and that of `{LIMITS}.rooms` is {}.",
            variable("listen"),
            variable("limit_rooms")
        ),
        "Relative paths start at the working directory of the server.".to_owned(),
        "A line with a key shows its default, or an example. Remove its # to set it.".to_owned(),
    ];
    start.iter().for_each(|line| comment(&mut text, line));
    for (key, argument) in options() {
        // Without its last full stop, as clap shows it.
        let help = argument.get_help().map(|help| format!("{help}.")).unwrap_or_default();
        let value = EXAMPLES.iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value);
        text.push('\n');
        comment(&mut text, &help);
        let _ = writeln!(text, "#{key} = {value}");
    }
    let _ = writeln!(text, "\n# The limits of the server; `subrosa limits` lists them, too.\n[{LIMITS}]");
    for (name, default, description) in Limits::TABLE {
        text.push('\n');
        comment(&mut text, description.trim());
        let _ = writeln!(text, "#{name} = {default}");
    }
    text
}

/// Writes a comment in lines of at most [`WIDTH`] columns.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_an_example() {
        let known: Vec<_> = options().map(|(key, _)| key).collect();
        assert_eq!(known, EXAMPLES.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    }

    #[test]
    fn the_example_is_valid_with_every_key_set() {
        let text = example();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH || !line.starts_with("# ")), "{text}");
        let set: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with(|first: char| first.is_ascii_lowercase()) => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let file = std::env::temp_dir().join(format!("subrosa-example-{}.toml", std::process::id()));
        std::fs::write(&file, set).unwrap();
        let variable = (variable("config").into(), file.clone().into());
        let settings = Flags::default().resolve([variable]).unwrap();
        std::fs::remove_file(file).unwrap();
        assert_eq!(settings.limits, Limits::default());
        assert_eq!(settings.allowed_origins, ["https://chat.example.org"]);
        assert_eq!(settings.workers, 2);
    }
}

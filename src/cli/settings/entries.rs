//! Options in the configuration file and in the environment, each with the place that an error names.
//!
//! Both are strict: a key or variable that no option has is an error. A value is checked by the parser of its flag.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches as _};
use subrosa::protocol::limits::{LimitError, Limits};
use toml::de::{DeTable, DeValue};

use super::flags::Flags;

/// What the name of an option's environment variable begins with.
pub(crate) const PREFIX: &str = "SUBROSA_SERVE_";
/// The same for a limit.
const LIMIT_PREFIX: &str = "SUBROSA_SERVE_LIMIT_";
/// The flag that sets limits, which are a table in the file and one variable each in the environment.
const LIMIT: &str = "limit";
/// The table of limits in the file.
pub(crate) const LIMITS: &str = "limits";

/// Where a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A line of the file, and the key. No line: the file itself.
    File {
        /// As the user wrote it.
        path: PathBuf,
        /// The line, counted from 1, and the key.
        line: Option<(usize, String)>,
    },
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some((line, key)) } if key.is_empty() => {
                write!(f, "{}, line {line}", path.display())
            }
            Self::File { path, line: Some((line, key)) } => write!(f, "{}, line {line}, {key}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Why the configuration is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub(crate) struct Problem {
    /// Where.
    pub(crate) place: Place,
    /// A sentence for the host.
    pub(crate) why: String,
}

/// A value for the flag `--FLAG`.
pub(super) struct Entry {
    flag: String,
    value: String,
    /// Where it is written.
    pub(super) place: Place,
}

impl Entry {
    /// The limit that this sets.
    pub(super) fn limit(&self) -> Option<&str> {
        if self.flag == LIMIT { self.value.split_once('=').map(|(name, _)| name) } else { None }
    }

    fn argument(&self) -> OsString {
        format!("--{}={}", self.flag, self.value).into()
    }

    /// Whether the flag takes the value.
    fn check(self) -> Result<Self, Problem> {
        let why = match parser().try_get_matches_from([self.argument()]) {
            Err(error) => Some(error.source().map_or_else(|| first_line(&error), ToString::to_string)),
            Ok(_) if self.flag == LIMIT => match Limits::from_settings([&self.value]) {
                // Whether a queue is large enough depends on the other limits.
                Ok(_) | Err(LimitError::BelowEvent { .. }) => None,
                Err(error) => Some(error.to_string()),
            },
            Ok(_) => None,
        };
        match why {
            None => Ok(self),
            Some(why) => Err(Problem { place: self.place, why }),
        }
    }
}

/// The options that the file and the environment can set, as clap knows them.
pub(crate) fn options() -> impl Iterator<Item = (String, Arg)> {
    let arguments: Vec<_> = parser().get_arguments().cloned().collect();
    arguments.into_iter().filter_map(|argument| {
        let flag = argument.get_long()?.to_owned();
        (flag != LIMIT && flag != "config").then(|| (flag.replace('-', "_"), argument))
    })
}

/// The options of one source, from its entries.
pub(super) fn flags(entries: &[Entry]) -> Flags {
    let matches = parser().try_get_matches_from(entries.iter().map(Entry::argument));
    // Every entry has been checked alone, and no option of `Flags` depends on another.
    matches.and_then(|matches| Flags::from_arg_matches(&matches)).unwrap_or_default()
}

fn parser() -> Command {
    Flags::augment_args(Command::new("subrosa").no_binary_name(true).disable_help_flag(true))
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn find(key: &str) -> Option<Arg> {
    options().find(|(known, _)| known == key).map(|(_, argument)| argument)
}

fn entry(argument: &Arg, value: String, place: Place) -> Result<Entry, Problem> {
    let flag = argument.get_long().unwrap_or_default().to_owned();
    Entry { flag, value, place }.check()
}

/// Reads the configuration file.
///
/// # Errors
/// The file cannot be read or is not TOML; a key is unknown or its value cannot be taken.
pub(super) fn from_file(path: &Path) -> Result<Vec<Entry>, Problem> {
    let at = |line| Place::File { path: path.to_owned(), line };
    let text = std::fs::read_to_string(path).map_err(|error| Problem { place: at(None), why: error.to_string() })?;
    from_text(&text, at)
}

fn from_text(text: &str, at: impl Fn(Option<(usize, String)>) -> Place) -> Result<Vec<Entry>, Problem> {
    let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| (line_of(span.start), String::new()));
        Problem { place: at(line), why: error.message().to_owned() }
    })?;
    let mut entries = Vec::new();
    // In the order of the file, so that the first error is that of the first line.
    let mut keys: Vec<_> = table.get_ref().iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in keys {
        let name = key.get_ref();
        let place = || at(Some((line_of(key.span().start), name.to_string())));
        if name == LIMITS {
            let DeValue::Table(limits) = value.get_ref() else {
                return Err(Problem { place: place(), why: "expected a table of limits".to_owned() });
            };
            let mut limits: Vec<_> = limits.iter().collect();
            limits.sort_by_key(|(key, _)| key.span().start);
            for (key, value) in limits {
                let place = at(Some((line_of(key.span().start), format!("{LIMITS}.{}", key.get_ref()))));
                let DeValue::Integer(number) = value.get_ref() else {
                    return Err(Problem { place, why: "expected a whole number".to_owned() });
                };
                let value = format!("{}={number}", key.get_ref());
                entries.push(Entry { flag: LIMIT.to_owned(), value, place }.check()?);
            }
            continue;
        }
        let argument = find(name).ok_or_else(|| Problem { place: place(), why: unknown("key", &keys_known()) })?;
        for value in values(&argument, value.get_ref()).map_err(|why| Problem { place: place(), why })? {
            entries.push(entry(&argument, value, place())?);
        }
    }
    Ok(entries)
}

/// The values of a key: several in an array where the flag may be given several times.
fn values(argument: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let several = matches!(argument.get_action(), ArgAction::Append);
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Boolean(truth) => Ok(truth.to_string()),
        other => Err(format!("expected one value, found {}", other.type_str())),
    };
    match value {
        DeValue::Array(values) if several => values.iter().map(|value| one(value.get_ref())).collect(),
        value => one(value).map(|value| vec![value]),
    }
}

/// Reads the environment variables that begin with [`PREFIX`]. Several values of one option are separated by commas.
///
/// # Errors
/// A variable is unknown, or its value cannot be taken.
pub(super) fn from_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Option<PathBuf>, Vec<Entry>), Problem> {
    let (mut config, mut entries) = (None, Vec::new());
    let mut variables: Vec<_> =
        variables.into_iter().filter_map(|(name, value)| ours(&name).map(|n| (n, value))).collect();
    variables.sort();
    for (name, value) in variables {
        let place = || Place::Variable(name.clone());
        let key = name[PREFIX.len()..].to_lowercase();
        if key == "config" {
            config = Some(PathBuf::from(value));
            continue;
        }
        let value =
            value.into_string().map_err(|_| Problem { place: place(), why: "the value is not UTF-8".to_owned() })?;
        if let Some(limit) = name.strip_prefix(LIMIT_PREFIX) {
            let value = format!("{}={value}", limit.to_lowercase());
            entries.push(Entry { flag: LIMIT.to_owned(), value, place: place() }.check()?);
            continue;
        }
        let argument =
            find(&key).ok_or_else(|| Problem { place: place(), why: unknown("variable", &variables_known()) })?;
        if matches!(argument.get_action(), ArgAction::Append) {
            for value in value.split(',') {
                entries.push(entry(&argument, value.trim().to_owned(), place())?);
            }
        } else {
            entries.push(entry(&argument, value, place())?);
        }
    }
    Ok((config, entries))
}

/// The name of a variable that begins with [`PREFIX`].
fn ours(name: &OsStr) -> Option<String> {
    name.to_string_lossy().starts_with(PREFIX).then(|| name.to_string_lossy().into_owned())
}

/// The variable of an option.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase())
}

fn keys_known() -> Vec<String> {
    options().map(|(key, _)| key).chain([format!("[{LIMITS}]")]).collect()
}

fn variables_known() -> Vec<String> {
    options().map(|(key, _)| variable(&key)).chain([format!("{LIMIT_PREFIX}NAME")]).collect()
}

fn unknown(what: &str, known: &[String]) -> String {
    format!("there is no such {what}; known are {}", known.join(", "))
}

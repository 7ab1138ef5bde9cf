//! Precedence, and every kind of mistake with the place that it is reported at.

use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};

use super::*;

/// A configuration file that is removed with this value.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("subrosa-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn flags(arguments: &[&str]) -> Flags {
    let command = Flags::augment_args(Command::new("serve")).no_binary_name(true);
    Flags::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

fn resolve(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    flags(arguments).resolve(environment).map_err(|error| error.to_string())
}

/// What a file with this text is refused for; `FILE` stands for its path.
fn refused(name: &str, text: &str) -> String {
    let file = File::new(name, text);
    resolve(&["--config", file.path()], &[]).unwrap_err().replace(file.path(), "FILE")
}

#[test]
fn nothing_given_means_the_defaults() {
    let settings = resolve(&[], &[("PATH", "/bin"), ("SUBROSA_SOMETHING_ELSE", "x")]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:5656");
    assert_eq!(settings.limits, Limits::default());
    assert_eq!((settings.identity, settings.takeover, settings.require_hardening), (None, None, false));
    assert!(settings.workers > 0 && settings.notice.is_empty() && settings.allowed_origins.is_empty());
}

#[test]
fn flags_override_the_environment_and_the_environment_overrides_the_file() {
    let file = File::new(
        "precedence",
        "listen = '127.0.0.1:1'\nnotice = 'file'\nworkers = 1\nrequire_hardening = true\ntakeover = 'file'\n\
         cert = 'c'\nkey = 'k'\nallow_origin = ['https://file', 'https://file2']\n\
         [limits]\nrooms = 1\nmembers_per_room = 2\nkeys_per_room = 1_000\n",
    );
    let environment = [
        ("SUBROSA_SERVE_CONFIG", file.path()),
        ("SUBROSA_SERVE_NOTICE", "environment"),
        ("SUBROSA_SERVE_WORKERS", "2"),
        ("SUBROSA_SERVE_ALLOW_ORIGIN", "https://a, https://b/"),
        ("SUBROSA_SERVE_REQUIRE_HARDENING", "false"),
        ("SUBROSA_SERVE_LIMIT_ROOMS", "10"),
        ("SUBROSA_SERVE_LIMIT_MEMBERS_PER_ROOM", "20"),
    ];
    let arguments = ["--workers", "3", "--limit", "rooms=100"];
    let settings = resolve(&arguments, &environment).unwrap();
    assert_eq!((settings.listen.port(), settings.notice.as_str(), settings.workers), (1, "environment", 3));
    assert_eq!(settings.identity, Some(("c".into(), "k".into())));
    assert_eq!(settings.takeover.as_deref(), Some(Path::new("file")));
    assert_eq!(settings.allowed_origins, ["https://a", "https://b"]);
    assert!(!settings.require_hardening);
    let Limits { rooms, members_per_room, keys_per_room, .. } = settings.limits;
    assert_eq!((rooms, members_per_room, keys_per_room), (100, 20, 1_000));

    let settings = resolve(&["--allow-origin", "https://flag", "--require-hardening"], &environment).unwrap();
    assert_eq!((settings.allowed_origins, settings.require_hardening), (vec!["https://flag".to_owned()], true));
    // A flag names another file: that of the environment is not read.
    let other = File::new("other", "notice = 'other'");
    assert_eq!(resolve(&["--config", other.path()], &environment[..1]).unwrap().notice, "other");
}

#[test]
fn the_file_of_the_systemd_service_is_valid() {
    let settings = resolve(&["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/subrosa.toml")], &[]).unwrap();
    assert_eq!(settings.identity, Some(("/etc/subrosa/cert.pem".into(), "/etc/subrosa/key.pem".into())));
    assert_eq!(settings.takeover.as_deref(), Some(Path::new("/run/subrosa/takeover")));
    assert!(settings.require_hardening);
}

#[test]
fn a_file_is_refused_with_line_and_key() {
    let cases = [
        ("listn = '127.0.0.1:1'", "FILE, line 1, listn: there is no such key; known are listen, cert,"),
        ("notice = ''\n\nlisten = 'here'", "FILE, line 3, listen: invalid socket address syntax"),
        ("workers = -1", "FILE, line 1, workers: "),
        ("workers = 1.5", "FILE, line 1, workers: expected one value, found float"),
        ("notice = ['a']", "FILE, line 1, notice: expected one value, found array"),
        ("require_hardening = 'yes'", "FILE, line 1, require_hardening: invalid value 'yes'"),
        ("allow_origin = ['https://a', 'b']", "FILE, line 1, allow_origin: write an origin as https://HOST"),
        ("config = 'x'", "FILE, line 1, config: there is no such key"),
        ("limit = ['rooms=1']", "FILE, line 1, limit: there is no such key"),
        ("limits = 1", "FILE, line 1, limits: expected a table"),
        ("[limits]\nroom = 1", "FILE, line 2, limits.room: there is no limit named \"room\""),
        ("[limits]\n# none\nrooms = 0", "FILE, line 3, limits.rooms: rooms must lie between 1 and 100000000"),
        ("[limits]\nrooms = 'many'", "FILE, line 2, limits.rooms: expected a whole number"),
        ("[limits]\nrooms = 99999999999999999999", "FILE, line 2"),
        ("[limits]\nrooms = 1\nqueue_bytes = 65536", "FILE, line 3, limits.queue_bytes: queue_bytes must be at least"),
        ("notice = 'a'\nnotice = 'b'", "FILE, line 2: "),
        ("notice = 'a\n", "FILE, line 1: "),
        ("cert = 'c'", "`cert` and `key` belong together"),
        // The first mistake of the file, in its order and not in that of the names.
        ("z = 1\na = 2", "FILE, line 1, z: "),
    ];
    for (number, (text, expected)) in cases.iter().enumerate() {
        let said = refused(&format!("mistake-{number}"), text);
        assert!(said.starts_with(expected), "{text:?}: {said}");
    }
}

#[test]
fn a_missing_file_and_one_that_is_not_text_are_named() {
    let said = resolve(&["--config", "/nowhere/subrosa.toml"], &[]).unwrap_err();
    assert!(said.starts_with("/nowhere/subrosa.toml: ") && said.contains("No such file"), "{said}");
    let file = File::new("binary", "");
    std::fs::write(&file.0, [0xff, 0xfe]).unwrap();
    assert!(resolve(&["--config", file.path()], &[]).unwrap_err().starts_with(file.path()));
}

#[test]
fn a_variable_is_refused_with_its_name() {
    for (name, value, expected) in [
        ("SUBROSA_SERVE_LISTN", "x", "SUBROSA_SERVE_LISTN: there is no such variable; known are SUBROSA_SERVE_LISTEN,"),
        ("SUBROSA_SERVE_LISTEN", "x", "SUBROSA_SERVE_LISTEN: invalid socket address syntax"),
        ("SUBROSA_SERVE_LIMIT", "rooms=1", "SUBROSA_SERVE_LIMIT: there is no such variable"),
        ("SUBROSA_SERVE_LIMIT_ROOM", "1", "SUBROSA_SERVE_LIMIT_ROOM: there is no limit named \"room\""),
        ("SUBROSA_SERVE_LIMIT_ROOMS", "", "SUBROSA_SERVE_LIMIT_ROOMS: a limit is written NAME=VALUE"),
        (
            "SUBROSA_SERVE_LIMIT_WINDOW_BYTES",
            "65536",
            "SUBROSA_SERVE_LIMIT_WINDOW_BYTES: window_bytes must be at least",
        ),
    ] {
        let said = resolve(&[], &[(name, value)]).unwrap_err();
        assert!(said.starts_with(expected), "{name}: {said}");
    }
}

#[test]
fn a_value_that_would_be_an_argument_is_a_value() {
    let file = File::new("hyphen", "notice = '--limit=rooms=1'\ntakeover = '-'");
    let settings =
        resolve(&["--config", file.path()], &[("SUBROSA_SERVE_KEY", "-k"), ("SUBROSA_SERVE_CERT", "--")]).unwrap();
    assert_eq!((settings.notice.as_str(), settings.limits), ("--limit=rooms=1", Limits::default()));
    assert_eq!(settings.identity, Some(("--".into(), "-k".into())));
}

//! Test vectors of the sealed rooms, in JSON, for this client and all others. README.md beside this file explains the
//! format.
//!
//! `make` builds every case from a fixed seed and states what must come out; `run` puts the files through the crate. A
//! difference between what `make` builds and the files fails the test; `UPDATE_VECTORS=1` writes them anew.
mod keys;
mod make;
mod make_invites;
mod make_messages;
mod run;
mod seeded;

use std::{fs, path::PathBuf};

use keys::Keys;
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{name}.json"))
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).expect("a vector file")).expect("JSON")
}

#[test]
fn files_are_what_the_generator_makes() {
    let keys = Keys::load(&read("keys"));
    let mut files = make::all(&keys);
    files.extend(make_invites::all(&keys));
    files.extend(make_messages::all(&keys));
    files.push(("keys", keys.to_json()));
    for (name, made) in files {
        if std::env::var_os("UPDATE_VECTORS").is_some() {
            fs::write(path(name), serde_json::to_string_pretty(&made).expect("JSON") + "\n").expect("written");
        } else {
            assert!(read(name) == made, "{name}.json is not what the generator makes; UPDATE_VECTORS=1 rewrites it");
        }
    }
}

#[test]
fn every_case_comes_out_as_stated() {
    let keys = Keys::load(&read("keys"));
    for object in run::OBJECTS {
        let file = read(object);
        let cases = file["cases"].as_array().expect("cases");
        assert!(!cases.is_empty(), "{object}.json has no cases");
        for case in cases {
            let outcome = run::outcome(object, case, &keys);
            assert_eq!(outcome, case["expect"], "{object}.json: {}", case["name"]);
        }
    }
}

#[test]
fn every_error_has_a_case_and_a_line_in_the_table() {
    let readme = fs::read_to_string(path("keys").with_file_name("README.md")).expect("README.md");
    let files: Vec<_> = run::OBJECTS.iter().map(|object| read(object).to_string()).collect();
    for error in subrosa::sealed::SealedError::ALL {
        assert!(readme.contains(&format!("| `{}` |", error.id())), "{} is not in the table", error.id());
        let shown = format!("\"error\":\"{}\"", error.id());
        // A private key that does not work comes from a broken library, which a file cannot show.
        assert!(error.id() == "bad-key" || files.iter().any(|file| file.contains(&shown)), "{shown} has no case");
    }
}

//! The floors of the library, ground floor first, and what holds each file to its floor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::circles::{Graph, circles, describe};
use super::source::{Module, Source};

/// Each module of the crate's root, and the modules that it may use. They stand in the order of `src/lib.rs`: all that
/// one uses are above.
const FLOORS: &[(&str, &[&str])] = &[
    ("sync", &[]),
    ("secret", &["sync"]),
    ("protocol", &["secret"]),
    ("room", &["secret", "protocol"]),
    ("relay", &["sync", "secret", "protocol", "room"]),
    // Never the sealed scheme: the server cannot open what it carries.
    ("server", &["sync", "secret", "protocol", "relay"]),
    ("sealed", &["secret", "protocol"]),
    ("client", &["sync", "secret", "protocol", "sealed"]),
    ("cli", &["secret", "protocol", "server", "sealed", "client"]),
];

/// Modules without sockets, files, threads or a clock: their caller passes in the time, and does what they say.
const PURE: &[&str] = &["protocol", "room", "sealed", "client::session"];

/// What a pure module may not use of other crates. A channel for one answer is a value like any other.
const IMPURE: &[&str] = &[
    "mio",
    "rustix",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio::fs",
    "tokio::io",
    "tokio::net",
    "tokio::runtime",
    "tokio::spawn",
    "tokio::task",
    "tokio::time",
];

fn library() -> Source {
    Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// A module's name as it is written; the file of a folder itself is its `mod.rs`.
fn name(module: &[String]) -> String {
    if module.is_empty() { "lib.rs".to_owned() } else { module.join("::") }
}

/// Every arrow between floors that the table does not allow, and every module that is missing from the table.
fn breaches(source: &Source) -> BTreeSet<String> {
    let allowed: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let mut breaches = BTreeSet::new();
    for module in source.modules().filter(|module| module.len() == 1) {
        if !allowed.contains_key(module[0].as_str()) {
            breaches.insert(format!("{}: is on no floor", module[0]));
        }
    }
    for arrow in source.arrows() {
        let (Some(from), Some(to)) = (arrow.from.first(), arrow.to.first()) else {
            if !arrow.from.is_empty() {
                breaches.insert(format!("{} -> lib.rs (line {})", name(&arrow.from), arrow.line));
            }
            continue;
        };
        if from != to && !allowed.get(from.as_str()).is_some_and(|allowed| allowed.contains(&to.as_str())) {
            breaches.insert(format!("{} -> {} (line {})", name(&arrow.from), name(&arrow.to), arrow.line));
        }
    }
    breaches
}

/// For each folder, which of its files and folders use which; what is defined in its `mod.rs` counts as a file of its
/// own.
fn folders(source: &Source) -> BTreeMap<Module, Graph> {
    let mut folders: BTreeMap<Module, Graph> = BTreeMap::new();
    for arrow in source.arrows() {
        let shared = arrow.from.iter().zip(&arrow.to).take_while(|(from, to)| from == to).count();
        let child = |module: &Module| module.get(shared).map_or("mod.rs", String::as_str).to_owned();
        let place = format!("{}, line {}", name(&arrow.from), arrow.line);
        let graph = folders.entry(arrow.from[..shared].to_vec()).or_default();
        graph.entry(child(&arrow.from)).or_default().entry(child(&arrow.to)).or_insert(place);
    }
    folders
}

/// Every circle between the files of a folder.
fn round(source: &Source) -> BTreeMap<(String, BTreeSet<String>), String> {
    let mut found = BTreeMap::new();
    // Between floors the table decides.
    for (folder, graph) in folders(source).iter().filter(|(folder, _)| !folder.is_empty()) {
        for circle in circles(graph) {
            let arrows = describe(graph, &circle);
            found.insert((name(folder), circle), arrows);
        }
    }
    found
}

#[test]
fn a_module_uses_only_what_its_floor_may() {
    let breaches = breaches(&library());
    assert!(breaches.is_empty(), "not allowed:\n{}", Vec::from_iter(breaches).join("\n"));
}

#[test]
fn the_files_of_a_folder_do_not_go_round_in_circles() {
    let found = round(&library());
    let found = found.iter().map(|((folder, _), arrows)| format!("in {folder}:\n{arrows}"));
    let found = Vec::from_iter(found).join("\n");
    assert!(found.is_empty(), "{found}");
}

#[test]
fn pure_modules_have_no_sockets_files_threads_or_clock() {
    let source = library();
    let pure =
        |module: &Module| PURE.iter().any(|pure| format!("{}::", name(module)).starts_with(&format!("{pure}::")));
    for pure in PURE {
        assert!(source.modules().any(|module| name(module) == *pure), "{pure} is gone: change the table");
    }
    let mut found = Vec::new();
    for (module, path, line) in source.paths().filter(|(module, ..)| pure(module)) {
        let path = path.join("::");
        if IMPURE.iter().any(|impure| format!("{path}::").starts_with(&format!("{impure}::"))) {
            found.push(format!("{}, line {line}: {path}", name(module)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn lib_rs_shows_the_floors_in_their_order() {
    let shown = include_str!("../../../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//! - "));
    let shown: Vec<_> =
        shown.map(|line| line.trim_start_matches(['[', '`']).split('`').next().unwrap_or_default()).collect();
    let floors: Vec<_> = FLOORS.iter().map(|(floor, _)| *floor).collect();
    // The top floor is the program's.
    assert_eq!(floors.split_last(), Some((&"cli", &shown[..])));
    for (place, (floor, allowed)) in FLOORS.iter().enumerate() {
        assert!(allowed.iter().all(|below| floors[..place].contains(below)), "{floor} uses what is not above it");
    }
}

/// The checks find what they are for.
mod planted {
    use super::*;

    fn source(files: &[(&str, &str)]) -> Source {
        let module = |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Source::of(files.iter().map(|(name, text)| (module(name), (*text).to_owned())).collect())
    }

    #[test]
    fn arrows_that_are_not_allowed() {
        let planted = source(&[
            ("", "pub mod room; pub mod sealed; pub mod attic;"),
            ("room", "use crate::{protocol::Id, sealed::{Card, name as n}};"),
            ("room::deep", "fn f() { let _ = super::super::sealed::Card::new(); }"),
            ("sealed", "pub use name::Card;\n\n\nuse std::io;\nfn f(room: &crate::room::Room) {}"),
            ("sealed::name", "/* use crate::room::Room; */ const TEXT: &str = \"crate::room::Room\"; // crate::room\n"),
            ("protocol", "#[cfg(test)] mod tests { use crate::room::Room; }\n#[cfg(test)] mod more;"),
            ("protocol::more", "use crate::server::Server;"),
            ("attic", ""),
            ("server", "use crate::sealed;"),
        ]);
        let expected = [
            "attic: is on no floor",
            "room -> sealed::name (line 1)",
            "room::deep -> sealed::name (line 1)",
            "sealed -> room (line 5)",
            "server -> sealed (line 1)",
        ];
        assert_eq!(breaches(&planted), expected.map(str::to_owned).into());
    }

    #[test]
    fn circles_of_files_folders_and_what_stands_in_mod_rs() {
        let planted = source(&[
            ("relay", "mod a; mod b; mod c; mod d; pub use a::A; pub use d::D; pub struct Own; fn f() { c::go() }"),
            // Through a name that mod.rs passes on.
            ("relay::a", "use super::b::B; pub struct A;"),
            ("relay::b", "pub struct B(super::A);"),
            // To what mod.rs defines itself, while it uses this.
            ("relay::c", "pub fn go() -> super::Own {}"),
            // A folder that uses its neighbour is none.
            ("relay::d", "mod e; pub struct D;"),
            ("relay::d::e", "use crate::relay::a::A;"),
        ]);
        let found: Vec<_> = round(&planted).into_keys().map(|(_, circle)| Vec::from_iter(circle)).collect();
        assert_eq!(found, [["a", "b"], ["c", "mod.rs"]]);
    }

    #[test]
    fn a_clock_in_a_pure_module() {
        let planted = source(&[("room", "use std::{fmt, time::Instant};\nfn f() { std::thread::yield_now() }")]);
        let paths: Vec<_> = planted.paths().map(|(_, path, line)| (path.join("::"), line)).collect();
        let expected = [("std::fmt", 1), ("std::time::Instant", 1), ("std::thread::yield_now", 2)];
        assert_eq!(paths, expected.map(|(path, line)| (path.to_owned(), line)));
    }
}

//! The same for the scripts of the web client, whose folders are floors, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::circles::{Graph, circles, describe};

/// Each folder of `web/app`, and the folders that it may import from; what one uses stands above it.
const FLOORS: &[(&str, &[&str])] = &[
    ("vendor", &[]),
    ("protocol", &[]),
    // ML-KEM for browsers that lack it.
    ("sealed", &["vendor"]),
    ("client", &["protocol", "sealed"]),
    ("ui", &["vendor", "sealed", "client"]),
];

/// The scripts of a folder, by their paths below `web/app`.
fn collect(root: &Path, folder: &Path, scripts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, scripts);
        } else if path.extension().is_some_and(|extension| extension == "js") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            scripts.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

fn web_app() -> BTreeMap<String, String> {
    let (root, mut scripts) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("web/app"), BTreeMap::new());
    collect(&root, &root, &mut scripts);
    scripts
}

/// What a script imports when it runs, with the line; types in comments do not count.
fn imports(text: &str) -> Vec<(&str, usize)> {
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with(['*', '/']));
    let imported = code.flat_map(|(number, line)| {
        ["from \"", "import \"", "await import(\""].into_iter().filter_map(move |word| {
            let path = line.split_once(word)?.1.split('"').next()?;
            Some((path, number + 1))
        })
    });
    imported.filter(|(path, _)| path.starts_with(['.', '/'])).collect()
}

/// `path` as it is written in the script `from`, below `web/app`.
fn resolve(from: &str, path: &str) -> String {
    if let Some(path) = path.strip_prefix('/') {
        return path.to_owned();
    }
    let mut parts: Vec<_> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Every import between folders that the table does not allow, and every circle of scripts.
fn breaches(scripts: &BTreeMap<String, String>) -> BTreeSet<String> {
    let (mut found, mut graph) = (BTreeSet::new(), Graph::new());
    let allowed: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let folder = |path: &str| path.split_once('/').map_or("", |(folder, _)| folder).to_owned();
    for (from, text) in scripts {
        let Some(allowed) = allowed.get(folder(from).as_str()) else {
            found.insert(format!("{from}: is on no floor"));
            continue;
        };
        for (path, line) in imports(text) {
            let to = resolve(from, path);
            if folder(&to) != folder(from) && !allowed.contains(&folder(&to).as_str()) {
                found.insert(format!("{from} -> {to} (line {line})"));
            }
            graph.entry(from.clone()).or_default().insert(to, format!("line {line}"));
        }
    }
    found.extend(circles(&graph).iter().map(|circle| describe(&graph, circle)));
    found
}

#[test]
fn the_web_client_has_floors_and_no_circles() {
    let scripts = web_app();
    for (floor, _) in FLOORS {
        assert!(
            scripts.keys().any(|script| script.starts_with(&format!("{floor}/"))),
            "{floor} is gone: change the table"
        );
    }
    let found = breaches(&scripts);
    assert!(found.is_empty(), "{}", Vec::from_iter(found).join("\n"));
}

#[test]
fn planted_imports_are_found() {
    let scripts = [
        ("sealed/a.js", "import { b } from \"./b.js\";\nimport {\n    c,\n} from \"../client/c.js\";\n"),
        ("sealed/b.js", "/** @type {import(\"../ui/d.js\").D} */\nimport \"./a.js\";\n// import \"../ui/d.js\";\n"),
        ("client/c.js", "export { x } from \"../sealed/b.js\";\nconst late = await import(\"/ui/d.js\");\n"),
        ("ui/d.js", "import { own } from \"https://HOST/client/c.js\";\n"),
        ("attic/e.js", ""),
    ];
    let found = breaches(&scripts.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    let circle = "  client/c.js -> sealed/b.js (line 1)\n  sealed/a.js -> client/c.js (line 4)\n  \
        sealed/a.js -> sealed/b.js (line 1)\n  sealed/b.js -> sealed/a.js (line 2)\n";
    let arrows = ["client/c.js -> ui/d.js (line 2)", "sealed/a.js -> client/c.js (line 4)"];
    let expected = [circle, "attic/e.js: is on no floor", arrows[0], arrows[1]];
    assert_eq!(found, expected.map(str::to_owned).into());
}

//! What the modules of a crate use of each other, read from their files. Tests in the files do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::tokens::{Token, tokens, without_tests};

/// A module's path from the crate's root, without `crate`; the root's own is empty.
pub(crate) type Module = Vec<String>;

/// Somewhere in `from`, a path leads to `to`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: Module,
    pub(crate) to: Module,
    pub(crate) line: usize,
}

/// A path as it is written.
struct Written {
    path: Vec<String>,
    /// The module in which it stands: the file's own, or one that is written in the file.
    within: Module,
    line: usize,
    /// `pub use`: it passes a name on, and uses nothing itself.
    passed_on: bool,
}

/// A file.
#[derive(Default)]
struct File {
    paths: Vec<Written>,
    /// Names that `use` brings in, and the paths they are for.
    names: BTreeMap<String, Vec<String>>,
    /// Paths whose every name is brought in.
    globs: Vec<Vec<String>>,
    /// Names of the items that are defined here.
    defined: BTreeSet<String>,
}

/// The files of a crate, by module.
pub(crate) struct Source {
    files: BTreeMap<Module, File>,
}

impl Source {
    /// Reads all files below `folder`, which has the crate's `lib.rs`.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut texts = BTreeMap::new();
        collect(folder, &mut Vec::new(), &mut texts);
        Self::of(texts)
    }

    /// The same from the files' texts.
    pub(crate) fn of(texts: BTreeMap<Module, String>) -> Self {
        let mut tests = Vec::new();
        let mut files = BTreeMap::new();
        for (module, text) in texts {
            let (tokens, test_modules) = without_tests(tokens(&text));
            tests.extend(test_modules.into_iter().map(|name| [&module[..], &[name]].concat()));
            files.insert(module.clone(), File::parse(&module, &tokens));
        }
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { files }
    }

    /// All modules that are files, the root included.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.files.keys()
    }

    /// All paths as they are written, with the file's module and the line.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&Module, &[String], usize)> {
        self.files
            .iter()
            .flat_map(|(module, file)| file.paths.iter().map(move |written| (module, &written.path[..], written.line)))
    }

    /// All arrows between different files, each place once.
    pub(crate) fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (from, file) in &self.files {
            for written in file.paths.iter().filter(|written| !written.passed_on) {
                if let Some(to) = self.resolve(&written.path, &written.within, 0).filter(|to| to != from) {
                    arrows.insert(Arrow { from: from.clone(), to, line: written.line });
                }
            }
        }
        arrows
    }

    /// The file that a path leads to, through names that other files pass on; none for another crate's.
    fn resolve(&self, path: &[String], within: &[String], depth: usize) -> Option<Module> {
        // Names that lead round in a circle do not compile; the bound is for what this reader misunderstands.
        if depth > 20 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            // The program uses the library by its name.
            "crate" | "subrosa" => Vec::new(),
            "self" => within.to_vec(),
            "super" => within.split_last()?.1.to_vec(),
            name => {
                let child = [within, &[name.to_owned()]].concat();
                if !self.files.contains_key(&child) {
                    return None;
                }
                child
            }
        };
        while let Some((next, after)) = rest.split_first() {
            if next == "super" {
                at.pop();
                rest = after;
                continue;
            }
            let child = [&at[..], std::slice::from_ref(next)].concat();
            if self.files.contains_key(&child) {
                (at, rest) = (child, after);
                continue;
            }
            let Some(file) = self.files.get(&at) else { break };
            if let Some(named) = file.names.get(next) {
                let whole = [named, after].concat();
                if let Some(found) = self.resolve(&whole, &at, depth + 1) {
                    return Some(found);
                }
            } else if !file.defined.contains(next) {
                let from_globs = file.globs.iter().filter_map(|glob| self.resolve(glob, &at, depth + 1));
                let holder = from_globs.into_iter().find(|module| self.files[module].defined.contains(next));
                return holder.or(Some(at));
            }
            break;
        }
        // A module that is written in a file belongs to the file.
        while !self.files.contains_key(&at) {
            at.pop();
        }
        Some(at)
    }
}

fn collect(folder: &Path, module: &mut Module, texts: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            module.push(name);
            collect(&path, module, texts);
            module.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let own = if ["lib", "main", "mod"].contains(&name.as_str()) { Vec::new() } else { vec![name.clone()] };
            // The program's root uses the library as any other program does.
            if !(name == "main" && module.is_empty()) {
                texts.insert([&module[..], &own].concat(), fs::read_to_string(&path).unwrap());
            }
        }
    }
}

impl File {
    fn parse(module: &[String], tokens: &[(Token, usize)]) -> Self {
        let mut file = Self::default();
        // Modules that are written in the file, and the depth of braces at which each ends.
        let (mut inner, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
        let mut at = 0;
        while let Some((token, line)) = tokens.get(at) {
            let line = *line;
            let within = || [module, &inner.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()].concat();
            match token {
                Token::Sign('{') => depth += 1,
                Token::Sign('}') => {
                    depth = depth.saturating_sub(1);
                    inner.pop_if(|(_, end)| *end == depth);
                }
                Token::Word(word) if word == "use" => {
                    let passed_on = at > 0 && is_visibility(&tokens[..at]);
                    let mut leaves = Vec::new();
                    at = tree(tokens, at + 1, &mut Vec::new(), &mut leaves);
                    for (path, name) in leaves {
                        // Names of inner modules count as the file's: close enough, since they are tests' in practice.
                        match name.as_str() {
                            "*" => file.globs.push(path.clone()),
                            _ => drop(file.names.insert(name, path.clone())),
                        }
                        file.paths.push(Written { path, within: within(), line, passed_on });
                    }
                    continue;
                }
                Token::Word(word) if word == "mod" => {
                    if let (Some((Token::Word(name), _)), Some((Token::Sign('{'), _))) =
                        (tokens.get(at + 1), tokens.get(at + 2))
                    {
                        inner.push((name.clone(), depth));
                    }
                }
                Token::Word(word) if is_item(word) => {
                    if let Some((Token::Word(name), _)) = tokens.get(at + 1) {
                        file.defined.insert(name.clone());
                    }
                }
                // `pub(in path)` says who may see, and uses nothing.
                Token::Word(word) if word == "in" && at > 1 && is_visibility(&tokens[..at - 1]) => {
                    while !matches!(tokens.get(at), None | Some((Token::Sign(')'), _))) {
                        at += 1;
                    }
                }
                Token::Word(word) if matches!(tokens.get(at + 1), Some((Token::PathSep, _))) => {
                    let mut path = vec![word.clone()];
                    while let (Some((Token::PathSep, _)), Some((Token::Word(next), _))) =
                        (tokens.get(at + 1), tokens.get(at + 2))
                    {
                        path.push(next.clone());
                        at += 2;
                    }
                    file.paths.push(Written { path, within: within(), line, passed_on: false });
                }
                _ => {}
            }
            at += 1;
        }
        file
    }
}

fn is_item(word: &str) -> bool {
    ["struct", "enum", "fn", "type", "const", "static", "trait", "union", "macro_rules"].contains(&word)
}

/// Whether `pub` or `pub(…)` stands at the end.
fn is_visibility(before: &[(Token, usize)]) -> bool {
    let last = |n: usize| before.len().checked_sub(n).map(|at| &before[at].0);
    match last(1) {
        Some(Token::Word(word)) => word == "pub",
        Some(Token::Sign(')')) => (2..8).any(|n| matches!(last(n), Some(Token::Word(word)) if word == "pub")),
        _ => false,
    }
}

/// Reads a tree of `use` up to the sign that ends it; returns where that stands. A leaf is a path and the name it
/// brings in.
fn tree(
    tokens: &[(Token, usize)],
    mut at: usize,
    prefix: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, String)>,
) -> usize {
    let kept = prefix.len();
    while let Some((token, _)) = tokens.get(at) {
        match token {
            Token::Word(word) if word == "as" => {
                if let (Some(path), Some((Token::Word(name), _))) = (leaves.last_mut(), tokens.get(at + 1)) {
                    path.1 = name.clone();
                }
                at += 2;
            }
            Token::Word(word) => {
                prefix.push(word.clone());
                at += 1;
                if !matches!(tokens.get(at), Some((Token::PathSep, _))) {
                    let mut path = prefix.clone();
                    // `self` at the end of a tree is the module before it.
                    if word == "self" && path.len() > 1 {
                        path.pop();
                    }
                    leaves.push((path.clone(), path.last().cloned().unwrap_or_default()));
                }
            }
            Token::Sign('*') => {
                leaves.push((prefix.clone(), "*".to_owned()));
                at += 1;
            }
            Token::PathSep => at += 1,
            Token::Sign('{') => {
                at += 1;
                while !matches!(tokens.get(at), None | Some((Token::Sign('}'), _))) {
                    at = tree(tokens, at, prefix, leaves);
                    if matches!(tokens.get(at), Some((Token::Sign(','), _))) {
                        at += 1;
                    }
                }
                at += 1;
            }
            _ => break,
        }
    }
    prefix.truncate(kept);
    at
}

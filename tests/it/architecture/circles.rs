//! Circles in a graph of names.

use std::collections::{BTreeMap, BTreeSet};

/// Each module and the modules that it uses, with a place of the use.
pub(crate) type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Everything that can be reached from a node by at least one step.
fn reached<'a>(graph: &'a Graph, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(node) = next.pop() {
        let used = graph.get_key_value(node).map(|(_, used)| used);
        next.extend(
            used.into_iter().flat_map(|used| used.keys()).map(String::as_str).filter(|used| seen.insert(*used)),
        );
    }
    seen
}

/// The sets of nodes that all reach each other, and themselves.
pub(crate) fn circles(graph: &Graph) -> BTreeSet<BTreeSet<String>> {
    let round = |node: &str| -> BTreeSet<String> {
        let both = reached(graph, node).into_iter().filter(|other| reached(graph, other).contains(node));
        both.map(str::to_owned).collect()
    };
    graph.keys().map(|node| round(node)).filter(|circle| !circle.is_empty()).collect()
}

/// The arrows within a circle, one a line.
pub(crate) fn describe(graph: &Graph, circle: &BTreeSet<String>) -> String {
    let mut lines = String::new();
    for (from, used) in graph.iter().filter(|(from, _)| circle.contains(*from)) {
        for (to, place) in used.iter().filter(|(to, _)| circle.contains(*to)) {
            lines += &format!("  {from} -> {to} ({place})\n");
        }
    }
    lines
}

#[test]
fn circles_of_any_length_are_found() {
    let graph = |arrows: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned(), String::new());
        }
        graph
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert!(circles(&graph(&[("a", "b"), ("b", "c"), ("a", "c"), ("d", "b")])).is_empty());
    let long = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("x", "y"), ("y", "x")]);
    assert_eq!(circles(&long), [set(&["a", "b", "c"]), set(&["x", "y"])].into());
    assert_eq!(describe(&long, &set(&["x", "y"])), "  x -> y ()\n  y -> x ()\n");
}

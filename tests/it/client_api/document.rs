//! Reading the document: fenced blocks with their info strings, and the tables that stand behind `<!-- held: NAME -->`.

use std::fs;

/// A fenced block.
pub(crate) struct Block {
    /// Behind the opening fence.
    pub(crate) info: String,
    /// Between the fences, without the last line feed.
    pub(crate) text: String,
}

/// A table without its head: the cells of each row.
pub(crate) type Rows = Vec<Vec<String>>;

fn text() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Client-API.md")).expect("Client-API.md")
}

/// All blocks whose info string starts with `kind`.
pub(crate) fn blocks(kind: &str) -> Vec<Block> {
    let text = text();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        if info == kind || info.starts_with(&format!("{kind} ")) {
            blocks.push(Block { info: info.to_owned(), text: body.join("\n") });
        }
    }
    assert!(!blocks.is_empty(), "the document has no block {kind}");
    blocks
}

/// The names of all held tables.
pub(crate) fn held() -> Vec<String> {
    let marks = text();
    let marks = marks.lines().filter_map(|line| line.strip_prefix("<!-- held: ")?.strip_suffix(" -->"));
    marks.map(str::to_owned).collect()
}

/// One held table.
pub(crate) fn table(name: &str) -> Rows {
    let text = text();
    let mark = format!("<!-- held: {name} -->");
    let rows = text.lines().skip_while(|line| *line != mark).skip(1).take_while(|line| line.starts_with('|'));
    // The first two lines are the head and its underline.
    let rows: Rows = rows.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "the document has no table {name}");
    rows
}

fn cells(row: &str) -> Vec<String> {
    row.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What stands in backquotes in a cell.
pub(crate) fn codes(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

//! The document's tables and the enums say the same, in both directions.

use std::collections::BTreeSet;

use subrosa::protocol::codes::{
    CloseReason, ErrorCode, GapReason, GoneReason, LeaveReason, OwnerLeaves, RoomClosedReason, reconnect_after,
};
use subrosa::protocol::command::Command;
use subrosa::protocol::event::Event;
use subrosa::protocol::limits::{LimitError, Limits};
use subrosa::sealed::SealedError;

use super::document::{Rows, codes, held, table};

/// The first column's names, in order.
fn names(rows: &Rows) -> Vec<&str> {
    rows.iter().flat_map(|row| codes(&row[0])).collect()
}

fn yes_no(cell: &str) -> bool {
    match cell {
        "yes" => true,
        "no" => false,
        other => panic!("{other:?} is neither yes nor no"),
    }
}

#[test]
fn every_held_table_is_held() {
    let known = [
        "limits",
        "commands",
        "events",
        "errors",
        "close-codes",
        "leave-reasons",
        "room-closed-reasons",
        "gap-reasons",
        "gone-reasons",
        "owner-leaves",
        "sealed-errors",
        "worked-example",
    ];
    for name in held() {
        assert!(known.contains(&name.as_str()) || name.starts_with("fields "), "nobody holds the table {name}");
    }
}

#[test]
fn limits() {
    let rows = table("limits");
    assert_eq!(names(&rows), Limits::TABLE.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    for (row, (name, default, _)) in rows.iter().zip(Limits::TABLE) {
        let number = |text: &str| text.replace(',', "").parse::<u64>().unwrap_or_else(|_| panic!("{name}: {text:?}"));
        assert_eq!(number(&row[1]), *default, "{name}");
        let (min, max) = row[2].split_once(" – ").unwrap_or_else(|| panic!("{name} has no range"));
        let refused = Limits::from_settings([format!("{name}={}", u64::MAX)]).unwrap_err();
        let range = LimitError::Range { name: (*name).to_owned(), min: number(min), max: number(max) };
        assert_eq!(refused, range);
        assert!(!row[3].is_empty());
    }
}

#[test]
fn the_largest_event_is_as_stated() {
    let document = include_str!("../../../Client-API.md");
    assert_eq!(Limits::default().event_bytes, 6_030_336);
    assert!(document.contains("6,030,336 by default"));
}

#[test]
fn commands() {
    let rows = table("commands");
    assert_eq!(names(&rows), Command::NAMES);
    for row in &rows {
        for answer in codes(&row[2]) {
            assert!(Event::NAMES.contains(&answer), "{answer} is no event");
        }
        for code in codes(&row[3]) {
            assert!(ErrorCode::ALL.iter().any(|known| known.as_str() == code), "{code} is no error");
        }
    }
}

#[test]
fn events() {
    let rows = table("events");
    let in_table: BTreeSet<_> = names(&rows).into_iter().collect();
    assert_eq!(in_table, Event::NAMES.iter().copied().collect());
    assert_eq!(names(&rows).len(), in_table.len(), "an event stands twice");
    // `relay` pushes these as frames that belong to one connection.
    let uncounted: Vec<_> = rows.iter().filter(|row| !yes_no(&row[1])).flat_map(|row| codes(&row[0])).collect();
    assert_eq!(uncounted, ["hello", "resumed", "gap", "restarting"]);
}

#[test]
fn errors() {
    let rows = table("errors");
    assert_eq!(names(&rows), ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
    for (row, code) in rows.iter().zip(ErrorCode::ALL) {
        assert_eq!(row[1], if code.retry_helps() { "later" } else { "no" }, "{code}");
    }
}

#[test]
fn close_codes() {
    let rows = table("close-codes");
    assert_eq!(rows.len(), CloseReason::ALL.len());
    for (row, reason) in rows.iter().zip(CloseReason::ALL) {
        assert_eq!(row[0], reason.code().to_string());
        assert_eq!(codes(&row[1]), [reason.as_str()]);
        assert_eq!(yes_no(&row[2]), reconnect_after(reason.code()), "{}", row[0]);
    }
}

#[test]
fn reasons() {
    assert_eq!(names(&table("leave-reasons")), LeaveReason::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>());
    assert_eq!(
        names(&table("room-closed-reasons")),
        RoomClosedReason::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>()
    );
    assert_eq!(names(&table("gap-reasons")), GapReason::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>());
    assert_eq!(names(&table("gone-reasons")), GoneReason::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>());
    assert_eq!(names(&table("owner-leaves")), OwnerLeaves::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>());
}

#[test]
fn sealed_errors() {
    assert_eq!(names(&table("sealed-errors")), SealedError::ALL.iter().map(|error| error.id()).collect::<Vec<_>>());
}

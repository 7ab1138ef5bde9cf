//! [`Window`]: what is kept and what is dropped when a bound is just reached, and gaps that are known in part.

use super::window::{MESSAGE, away, deliveries, frame};
use crate::protocol::codes::GapReason;
use crate::protocol::frame::TextFrame;
use crate::room::level;
use crate::room::{Bounds, Change, Kind, Scope, Window};

#[test]
fn bounds_are_kept_when_they_are_just_reached() {
    let mut window = away();
    for number in 1..=8 {
        window.push(frame(number, 98), MESSAGE);
    }
    window.take();
    let (bytes, events) = window.held(Scope::All);
    assert_eq!((bytes, events, window.held(Scope::Written)), (800, 8, (100, 1)));
    let bounds = |bytes, events| Bounds { bytes, events };
    // What waits is all but one.
    assert!(!window.waits_beyond(bounds(700, 7)));
    assert!(window.waits_beyond(bounds(699, 7)) && window.waits_beyond(bounds(700, 6)));
    for (scope, bytes, events) in [(Scope::All, 800, 8), (Scope::Written, 100, 1)] {
        assert!(!window.holds_beyond(bounds(bytes, events), scope));
        assert!(window.holds_beyond(bounds(bytes - 1, events), scope));
        assert!(window.holds_beyond(bounds(bytes, events - 1), scope));
    }
    // Nothing is dropped at the bound; beyond it, so much that a quarter is free.
    assert!(window.keep_within(bounds(800, 8), GapReason::Window, Scope::All));
    assert_eq!(window.held(Scope::All), (800, 8));
    assert!(window.keep_within(bounds(799, 8), GapReason::Window, Scope::All));
    assert_eq!(window.bytes(), 600);
}

#[test]
fn too_many_events_are_dropped_until_a_quarter_is_free() {
    let mut window = away();
    for number in 1..=9 {
        window.push(frame(number, 8), MESSAGE);
    }
    assert!(window.keep_within(Bounds { bytes: 1_000, events: 8 }, GapReason::Window, Scope::All));
    // The gap in their place is an entry, too.
    assert_eq!(window.held(Scope::All), (50, 6));
    assert_eq!(deliveries(&mut window), ["1-4 window", "5", "6", "7", "8", "9"]);
    // Bytes that fit are no reason to drop more.
    assert!(window.keep_within(Bounds { bytes: 50, events: 6 }, GapReason::Window, Scope::Written));
    assert_eq!(window.held(Scope::Written), (50, 6));
}

#[test]
fn a_gap_is_acknowledged_in_part() {
    let mut window = away();
    for number in 1..=4 {
        window.push(frame(number, 10), if number == 4 { Kind::Firm } else { MESSAGE });
    }
    window.keep_within(Bounds { bytes: 0, events: 9 }, GapReason::Window, Scope::All);
    assert_eq!(deliveries(&mut window), ["1-3 window", "4"]);
    window.acknowledge(1).unwrap();
    assert_eq!(window.held(Scope::Written).1, 2, "two numbers of the gap are open");
    window.acknowledge(2).unwrap();
    window.rewind(2).unwrap();
    assert_eq!(deliveries(&mut window), ["3-3 window", "4"]);
    window.acknowledge(3).unwrap();
    assert_eq!(window.held(Scope::Written), (12, 1));
}

#[test]
fn a_gap_behind_one_that_was_written_is_a_gap_of_its_own() {
    let mut window = away();
    for number in 1..=2 {
        window.push(frame(number, 10), MESSAGE);
    }
    window.keep_within(Bounds { bytes: 0, events: 9 }, GapReason::Window, Scope::All);
    assert_eq!(deliveries(&mut window), ["1-2 window"]);
    window.push(frame(3, 10), MESSAGE);
    window.keep_within(Bounds { bytes: 0, events: 9 }, GapReason::Window, Scope::All);
    assert_eq!((window.last(), window.held(Scope::All).1), (3, 2));
    assert_eq!(deliveries(&mut window), ["3-3 window"]);
}

#[test]
fn an_empty_window_gives_back_what_a_burst_took_and_keeps_what_a_trickle_needs() {
    for retains in [false, true] {
        let mut window = if retains { away() } else { Window::default() };
        let through = |window: &mut Window, count: u64| {
            for number in 1..=count {
                window.push(frame(number, 1), MESSAGE);
            }
            while window.take().is_some() {}
            window.acknowledge(window.last()).unwrap();
            assert_eq!(window.held(Scope::All), (0, 0));
            window.entries.capacity()
        };
        assert_eq!(through(&mut window, 100), 0);
        let trickle = through(&mut window, 1);
        assert!(trickle > 0);
        assert_eq!(through(&mut window, 1), trickle, "no new memory for each");
    }
}

#[test]
fn the_largest_sources_are_cut_to_one_level() {
    for (held, excess, expected) in [
        (vec![20, 19, 18], 15, 14),
        (vec![3, 10, 8], 5, 6),
        (vec![10, 8], 2, 8),
        (vec![10, 8], 3, 7),
        (vec![5], 5, 0),
        (vec![5, 5], 11, 0),
        (vec![], 1, 0),
    ] {
        assert_eq!(level(held.iter().copied(), excess), expected, "{held:?} less {excess}");
    }
}

#[test]
fn the_changes_of_a_room_may_have_just_64_kib() {
    let large = |bytes: usize| TextFrame::text(&vec![b'x'; bytes]);
    // Four bytes of header each.
    for (last, compacted) in [(32_764, false), (32_765, true)] {
        let mut window = away();
        window.push(large(32_764), Kind::Members(Change { room: 1, place: 0 }));
        window.push(large(last), Kind::Members(Change { room: 1, place: 1 }));
        window.compact(false);
        assert_eq!(!window.marks().is_empty(), compacted, "{last}");
    }
}

#[test]
fn a_mark_is_settled_by_what_is_said_of_its_own_room() {
    let mut window = away();
    for room in [1, 2] {
        window.push(frame(room, 10), Kind::Members(Change { room, place: room }));
    }
    window.compact(true);
    window.settle(2, Some(TextFrame::text(b"second")), |_| true);
    assert_eq!(window.marks(), [Change { room: 1, place: 1 }]);
    window.settle(1, Some(TextFrame::text(b"first")), |_| true);
    assert_eq!(deliveries(&mut window), ["first", "second"]);
}

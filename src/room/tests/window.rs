//! [`Window`]: numbers, order, gaps and bytes.

use proptest::prelude::*;

use crate::protocol::codes::GapReason;
use crate::protocol::frame::TextFrame;
use crate::room::{Bounds, Change, Delivery, Kind, Origin, OutOfRange, Scope, Source, Window};

pub(super) const MESSAGE: Kind = Kind::Message(Origin { room: 1, sender: 1, source: Source(1) });

#[derive(Clone, Debug)]
enum Step {
    Push {
        bytes: usize,
        message: bool,
    },
    Unnumbered {
        bytes: usize,
    },
    Take,
    /// Everything that waits.
    Drain,
    Acknowledge(u64),
    Rewind(u64),
    RewindAndGreet(u64),
    Forget {
        bytes: usize,
        events: usize,
        written_only: bool,
    },
    Retain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1usize..60, any::<bool>()).prop_map(|(bytes, message)| Step::Push { bytes, message }),
        1 => (1usize..60).prop_map(|bytes| Step::Unnumbered { bytes }),
        4 => Just(Step::Take),
        1 => Just(Step::Drain),
        2 => (0u64..40).prop_map(Step::Acknowledge),
        1 => (0u64..40).prop_map(Step::Rewind),
        1 => (0u64..40).prop_map(Step::RewindAndGreet),
        2 => (0usize..400, 0usize..20, any::<bool>())
            .prop_map(|(bytes, events, written_only)| Step::Forget { bytes, events, written_only }),
        1 => Just(Step::Retain),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What is at one place of the model's line: an event with its number, or a frame without.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Event { number: u64, tag: u64, bytes: usize, message: bool },
    Plain { tag: u64, bytes: usize },
    Lost { number: u64 },
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Event { bytes, .. } | Self::Plain { bytes, .. } => *bytes,
            Self::Lost { .. } => 0,
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Event { number, .. } | Self::Lost { number, .. } => Some(*number),
            Self::Plain { .. } => None,
        }
    }
}

/// Written items that are kept, and items that wait. A gap is nothing of its own here: it is neighbours that are lost.
#[derive(Default)]
struct Model {
    kept: Vec<Item>,
    waits: Vec<Item>,
    /// Last number that is known to have arrived.
    arrived: u64,
    /// Last number that was written.
    written: u64,
    last: u64,
    retains: bool,
}

impl Model {
    fn bytes(items: &[Item]) -> usize {
        items.iter().map(Item::bytes).sum()
    }

    /// Takes the next delivery: an item, or as many lost ones as stand together. The window may tell a gap in several
    /// parts, so this takes as many as it told.
    fn take(&mut self, lost: usize) -> Vec<Item> {
        let items: Vec<_> = self.waits.drain(..lost.max(1)).collect();
        self.written = items.iter().filter_map(Item::number).max().unwrap_or(self.written);
        if self.retains {
            self.kept.extend(items.iter().cloned());
        } else {
            self.arrived = self.written;
        }
        items
    }

    fn acknowledge(&mut self, seq: u64) -> Result<(), OutOfRange> {
        if seq > self.written {
            return Err(OutOfRange);
        }
        // Frames without a number go with the event before them.
        let still = |item: &Item, number: &mut u64| {
            *number = item.number().unwrap_or(*number);
            *number > seq
        };
        let mut number = self.arrived;
        self.kept.retain(|item| still(item, &mut number));
        self.arrived = self.arrived.max(seq);
        Ok(())
    }

    fn rewind(&mut self, seq: u64) -> Result<(), OutOfRange> {
        if seq < self.arrived {
            return Err(OutOfRange);
        }
        self.acknowledge(seq)?;
        self.kept.append(&mut self.waits);
        self.waits = std::mem::take(&mut self.kept);
        self.waits.retain(|item| item.number().is_some());
        self.written = self.arrived;
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Item> {
        self.kept.iter().chain(&self.waits)
    }
}

pub(super) fn frame(tag: u64, bytes: usize) -> TextFrame {
    TextFrame::text(format!("{tag:>bytes$}").as_bytes())
}

/// Takes one delivery from both and compares; whether there was one.
fn take(window: &mut Window, model: &mut Model) -> bool {
    match window.take() {
        None => {
            assert!(model.waits.is_empty());
            false
        }
        Some(Delivery::Frame(got)) => {
            let items = model.take(1);
            let [Item::Event { tag, .. } | Item::Plain { tag, .. }] = items[..] else { panic!("{items:?} is lost") };
            let bytes = got.parts().concat();
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.ends_with(&tag.to_string()), "{text} where {tag} belongs");
            true
        }
        // Neighbours that were lost for different reasons are told as one gap, so the reason is not compared here.
        Some(Delivery::Gap { from, to, .. }) => {
            let items = model.take((to - from + 1) as usize);
            assert!(items.iter().all(|item| matches!(item, Item::Lost { .. })), "{items:?}");
            let numbers: Vec<_> = items.iter().filter_map(Item::number).collect();
            assert_eq!(numbers, (from..=to).collect::<Vec<_>>());
            true
        }
    }
}

/// The window forgot something: the model learns what from the bytes alone, oldest messages first.
fn forget(model: &mut Model, window: &Window, written_only: bool) {
    let kept = model.kept.len();
    let mut left = Model::bytes(&model.kept) + Model::bytes(&model.waits);
    let places = if written_only { kept } else { kept + model.waits.len() };
    for index in 0..places {
        if left == window.bytes() {
            break;
        }
        let item = if index < kept { &mut model.kept[index] } else { &mut model.waits[index - kept] };
        if let Item::Event { number, bytes, message: true, .. } = *item {
            left -= bytes;
            *item = Item::Lost { number };
        }
    }
    assert_eq!(left, window.bytes(), "whole messages, oldest first");
}

fn run(steps: &[Step]) {
    let (mut window, mut model, mut tag) = (Window::default(), Model::default(), 1_000);
    for step in steps {
        tag += 1;
        match *step {
            Step::Push { bytes, message } => {
                let frame = frame(tag, bytes);
                model.last += 1;
                model.waits.push(Item::Event { number: model.last, tag, bytes: frame.len(), message });
                window.push(frame, if message { MESSAGE } else { Kind::Firm });
            }
            Step::Unnumbered { bytes } => {
                let frame = frame(tag, bytes);
                model.waits.push(Item::Plain { tag, bytes: frame.len() });
                window.push_unnumbered(frame);
            }
            Step::Take => drop(take(&mut window, &mut model)),
            Step::Drain => while take(&mut window, &mut model) {},
            // Without retention what is taken has arrived, as far as the window cares.
            Step::Acknowledge(seq) if model.retains => assert_eq!(window.acknowledge(seq), model.acknowledge(seq)),
            Step::Acknowledge(_) => {}
            Step::Rewind(seq) if model.retains => assert_eq!(window.rewind(seq), model.rewind(seq)),
            Step::RewindAndGreet(seq) if model.retains => {
                let (done, expected) = (window.rewind(seq), model.rewind(seq));
                assert_eq!(done, expected);
                if done.is_ok() {
                    let frame = frame(tag, 10);
                    model.waits.insert(0, Item::Plain { tag, bytes: frame.len() });
                    window.push_unnumbered_first(frame);
                }
            }
            Step::Rewind(_) | Step::RewindAndGreet(_) => {}
            Step::Forget { bytes, events, written_only } if model.retains => {
                let bounds = Bounds { bytes, events };
                let before = window.bytes();
                let scope = if written_only { Scope::Written } else { Scope::All };
                let holds = window.keep_within(bounds, GapReason::Window, scope);
                assert!(window.bytes() <= before);
                assert_eq!(holds, !window.holds_beyond(bounds, scope));
                forget(&mut model, &window, written_only);
                let some_left =
                    |items: &[Item]| items.iter().any(|item| matches!(item, Item::Event { message: true, .. }));
                let could = some_left(&model.kept) || !written_only && some_left(&model.waits);
                assert!(holds || !could, "as long as there is a message it can be forgotten");
            }
            Step::Forget { .. } => {}
            Step::Retain => {
                window.retain();
                model.retains = true;
            }
        }
        assert_eq!((window.last(), window.retains()), (model.last, model.retains));
        assert_eq!(window.bytes(), Model::bytes(&model.kept) + Model::bytes(&model.waits));
        let waits = Model::bytes(&model.waits);
        let bounds = |bytes| Bounds { bytes, events: usize::MAX };
        assert!(!window.waits_beyond(bounds(waits)));
        assert!(waits == 0 || window.waits_beyond(bounds(waits - 1)));
    }
    // Whatever happened, all that is still due comes: nothing else never forgotten is missing, and every number is
    // accounted for.
    let due: Vec<_> = model.all().filter_map(Item::number).collect();
    assert_eq!(due, (model.arrived + 1..=model.last).collect::<Vec<_>>());
    while take(&mut window, &mut model) {}
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn a_window_does_what_its_model_does(mut steps in steps(), retains: bool) {
        if retains {
            steps.insert(0, Step::Retain);
        }
        run(&steps);
    }
}

pub(super) fn deliveries(window: &mut Window) -> Vec<String> {
    std::iter::from_fn(|| window.take())
        .map(|delivery| match delivery {
            Delivery::Frame(frame) => String::from_utf8_lossy(&frame.parts().concat()[2..]).trim().to_owned(),
            Delivery::Gap { from, to, reason } => format!("{from}-{to} {reason}"),
        })
        .collect()
}

#[test]
fn forgetting_keeps_joins_and_leaves_in_their_places() {
    let mut window = Window::default();
    window.retain();
    for number in 1..=8 {
        window.push(frame(number, 10), if number % 4 == 0 { Kind::Firm } else { MESSAGE });
    }
    let none = Bounds { bytes: 0, events: usize::MAX };
    assert!(!window.keep_within(none, GapReason::Window, Scope::All));
    assert_eq!(deliveries(&mut window), ["1-3 window", "4", "5-7 window", "8"]);
    window.rewind(2).unwrap();
    assert_eq!(deliveries(&mut window), ["3-3 window", "4", "5-7 window", "8"], "a gap is known in part");
}

#[test]
fn numbers_that_were_never_sent_are_refused() {
    let mut window = Window::default();
    window.retain();
    window.push(frame(1, 1), MESSAGE);
    assert_eq!(window.acknowledge(1), Err(OutOfRange), "pushed but not taken");
    window.take();
    assert_eq!(window.acknowledge(1), Ok(()));
    assert_eq!(window.acknowledge(0), Ok(()), "acknowledged before");
    assert_eq!(window.rewind(0), Err(OutOfRange), "what was acknowledged is gone");
    assert_eq!(window.rewind(1), Ok(()));
    assert_eq!(window.bytes(), 0);
}

/// A window that nobody reads.
pub(super) fn away() -> Window {
    let mut window = Window::default();
    window.retain();
    window
}

fn message(room: u64, sender: u64, source: u64) -> Kind {
    Kind::Message(Origin { room, sender, source: Source(source) })
}

fn change(room: u64, place: u64) -> Kind {
    Kind::Members(Change { room, place })
}

#[test]
fn the_source_that_has_most_loses_first() {
    let mut window = away();
    // A quiet source between the many messages of a noisy one.
    for number in 1..=30 {
        let source = if number % 10 == 0 { 7 } else { 8 };
        window.push(frame(number, 98), message(1, source, source));
    }
    assert_eq!(window.bytes(), 3_000);
    assert!(window.keep_within(Bounds { bytes: 2_000, events: 100 }, GapReason::Window, Scope::All));
    assert_eq!(window.bytes(), 1_500, "a quarter of the bounds is free");
    let left = deliveries(&mut window);
    for number in ["10", "20", "30"] {
        assert!(left.iter().any(|own| own == number), "{number} of the quiet source is there: {left:?}");
    }
    assert!(left.ends_with(&["28".into(), "29".into(), "30".into()]), "the oldest went: {left:?}");
}

#[test]
fn two_noisy_sources_are_cut_to_the_same_level() {
    let mut window = away();
    for number in 1..=40 {
        // Three of four are of source 1.
        window.push(frame(number, 98), message(1, 1, if number % 4 == 0 { 2 } else { 1 }));
    }
    window.keep_within(Bounds { bytes: 1_600, events: 100 }, GapReason::Memory, Scope::All);
    let left: Vec<_> = deliveries(&mut window).iter().filter_map(|told| told.parse::<u64>().ok()).collect();
    let of_two = left.iter().filter(|number| *number % 4 == 0).count();
    assert_eq!((left.len() - of_two, of_two), (6, 6), "{left:?}");
}

#[test]
fn many_changes_of_one_room_are_compacted_and_settled() {
    let mut window = away();
    window.push(frame(1, 10), message(1, 5, 1));
    for place in 0..64 {
        window.push(frame(2 + place, 10), change(1, 100 + place));
    }
    window.push(frame(66, 10), change(2, 9));
    window.compact(false);
    assert!(window.marks().is_empty(), "64 changes of a room are kept");
    window.push(frame(67, 10), change(1, 164));
    window.compact(false);
    assert_eq!(window.marks(), [Change { room: 1, place: 100 }]);
    // What comes now is in the mark already; messages stay.
    window.push(frame(68, 10), change(1, 165));
    window.push(frame(69, 10), message(1, 5, 1));
    window.push(frame(70, 10), message(1, 6, 1));
    window.push(frame(71, 10), message(2, 6, 1));
    window.settle(1, Some(TextFrame::text(b"members")), |sender| sender == 5);
    assert!(window.marks().is_empty());
    let told = ["1", "members", "3-65 members", "66", "67-68 members", "69", "70-70 members", "71"];
    assert_eq!(deliveries(&mut window), told, "of those who left since nothing more is told");
    window.rewind(40).unwrap();
    assert_eq!(deliveries(&mut window)[0], "41-65 members", "a client may know a part");
}

#[test]
fn a_mark_moves_behind_what_the_client_knows() {
    let mut window = away();
    for place in 0..10 {
        window.push(frame(place + 1, 10), change(1, place));
    }
    (0..4).for_each(|_| drop(window.take()));
    window.push(frame(11, 10), message(1, 5, 1));
    window.compact(true);
    // The client read four of the events that were compacted.
    window.rewind(4).unwrap();
    assert_eq!(window.marks(), [Change { room: 1, place: 0 }]);
    window.settle(1, Some(TextFrame::text(b"members")), |_| true);
    assert_eq!(deliveries(&mut window), ["members", "6-10 members", "11"]);
    // Or all of them: then there is nothing to say.
    let mut window = away();
    for place in 0..4 {
        window.push(frame(place + 1, 10), change(1, place));
    }
    (0..4).for_each(|_| drop(window.take()));
    window.compact(true);
    window.rewind(4).unwrap();
    window.push(frame(5, 10), change(1, 4));
    assert_eq!((window.marks(), deliveries(&mut window)), (vec![], vec!["5".to_owned()]));
}

#[test]
fn changes_never_fill_a_window() {
    let mut window = away();
    for place in 0..100_000 {
        window.push(frame(place, 300), change(1, place));
        window.compact(false);
    }
    assert_eq!((window.last(), window.bytes()), (100_000, 0));
    assert_eq!(window.marks().len(), 1);
    // The room is over for the client: the mark has nothing to say.
    window.settle(1, None, |_| true);
    window.push(frame(1, 10), Kind::Firm);
    assert_eq!(deliveries(&mut window), ["1-100000 members", "1"]);
}

#[test]
fn bytes_of_changes_count_too() {
    let mut window = away();
    for place in 0..20 {
        window.push(frame(place, 4_000), change(1, place));
    }
    window.compact(false);
    assert_eq!(window.marks(), [Change { room: 1, place: 0 }]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Whatever is dropped, compacted and settled: every number is told once and in order, as an event or in a gap.
    #[test]
    fn no_number_is_ever_missing(
        steps in proptest::collection::vec((0u8..8, 1u64..4, 0u64..5, 1usize..400), 1..300),
    ) {
        let mut window = away();
        let mut known = 0;
        for (n, (step, room, sender, bytes)) in steps.into_iter().enumerate() {
            match step {
                0..=2 => window.push(frame(n as u64, bytes), message(room, sender, sender)),
                3 | 4 => window.push(frame(n as u64, bytes), change(room, n as u64)),
                5 => window.compact(bytes > 350),
                6 => {
                    window.keep_within(Bounds { bytes: 10 * bytes, events: 20 }, GapReason::Window, Scope::All);
                }
                _ => {
                    for mark in window.marks() {
                        let frame = (bytes > 100).then(|| frame(0, 50));
                        window.settle(mark.room, frame, |own| own != sender);
                    }
                    let mut next = known;
                    for _ in 0..bytes {
                        match window.take() {
                            None => break,
                            Some(Delivery::Frame(_)) => next += 1,
                            Some(Delivery::Gap { from, to, .. }) => {
                                prop_assert_eq!(from, next + 1);
                                next = to;
                            }
                        }
                    }
                    known = known.max(next.saturating_sub(sender));
                    window.rewind(known).unwrap();
                }
            }
        }
        while let Some(delivery) = window.take() {
            known += match delivery {
                Delivery::Frame(_) => 1,
                Delivery::Gap { from, to, .. } => {
                    prop_assert_eq!(from, known + 1);
                    to - from + 1
                }
            };
        }
        prop_assert_eq!(known, window.last());
    }
}

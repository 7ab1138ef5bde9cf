//! Rooms and windows written down: what is read back is the same, and what contradicts itself is not believed.

use bytes::Bytes;

use super::*;
use crate::room::tests::room::newcomer;
use crate::room::{Admission, Delivery, Scope, Shown, Source, WayIn};

const MESSAGE: Kind = Kind::Message(Origin { room: 1, sender: 2, source: Source(3) });
const CHANGE: Change = Change { room: 7, place: 9 };

/// A room whose owner is session 0, with session 1 by a one-time key and session 2 by the forever key; two keys are
/// left.
fn room(tags: &TagKey) -> (Room<u8>, [Token; 3]) {
    let options = RoomOptions { max_members: 9, expires_at: Some(1_000), owner_leaves: OwnerLeaves::Transfer };
    let (mut room, owner) = Room::new(RoomId::random(), Zeroizing::new("tea".to_owned()), options, newcomer(0, 0));
    room.set_card(&owner, Zeroizing::new("card".to_owned()));
    let mut keys = room.keys.issue(tags, 2, KeyLife::Until(500), 9, 0).unwrap();
    let forever = room.keys.forever(tags, None, 0);
    let (left, spent) = (keys.remove(0), keys.remove(0));
    let mut enter = |way, token: &Token, session| {
        let shown = Shown { tag: &tags.tag(token), token };
        assert!(matches!(room.admit(way, shown, newcomer(session, session), false, 0), Ok(Admission::New(_))));
    };
    enter(WayIn::Onetime, &spent, 1);
    enter(WayIn::Forever, &forever, 2);
    (room, [left, spent, forever])
}

fn state(tags: &TagKey) -> RoomState {
    RoomState::of(&room(tags).0, |session| u64::from(*session))
}

fn read(state: RoomState, tags: &TagKey, shift: i64) -> Option<Room<u8>> {
    state.into_room(tags, shift, |member| u8::try_from(member.session).unwrap())
}

#[test]
fn times_are_shifted_and_none_lies_before_the_start() {
    assert_eq!([shifted(100, 5), shifted(100, -5), shifted(100, -200)], [105, 95, 0]);
}

#[test]
fn a_room_is_read_as_it_was_written() {
    let tags = TagKey::random();
    let (before, [left, spent, forever]) = room(&tags);
    let written = postcard::to_allocvec(&RoomState::of(&before, |session| u64::from(*session))).unwrap();
    let mut after = read(postcard::from_bytes(&written).unwrap(), &tags, 10).unwrap();
    assert_eq!((after.id(), after.name(), after.owner()), (before.id(), "tea", before.owner()));
    assert_eq!(after.version(), before.version());
    let members = |room: &Room<u8>| -> Vec<_> {
        let member = |(user, member): (UserId, &Member<u8>)| {
            let text = |text: &Zeroizing<String>| text.as_str().to_owned();
            let Member { username, public_key, card, handle, since, .. } = member;
            (user, text(username), public_key.clone(), card.as_ref().map(text), *handle, *since)
        };
        room.members().map(member).collect()
    };
    assert_eq!(members(&after), members(&before), "in the order in which they came");
    assert!(!after.is_over(1_009) && after.is_over(1_010));
    assert_eq!((after.options.max_members, after.options.owner_leaves), (9, OwnerLeaves::Transfer));
    // Keys open as before, for as long as before.
    assert!(
        after.keys.opens_once(&tags.tag(&left), &left, 509) && !after.keys.opens_once(&tags.tag(&left), &left, 510)
    );
    assert!(after.keys.opens_always(&tags.tag(&forever), &forever, u64::MAX));
    // The buyer of a spent key is known again, and places go on where they were.
    let bought = after.members().nth(1).unwrap().0;
    let again = Shown { tag: &tags.tag(&spent), token: &spent };
    assert_eq!(after.admit(WayIn::Onetime, again, newcomer(1, 1), true, 20), Ok(Admission::Again(bought)));
    let more = Shown { tag: &tags.tag(&forever), token: &forever };
    assert!(after.admit(WayIn::Forever, more, newcomer(3, 3), false, 20).is_ok());
    assert_eq!(after.members().map(|(_, member)| member.handle).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_room_that_contradicts_itself_is_not_believed() {
    let tags = TagKey::random();
    // The place of a member in the list of those who came, since they are written in no order.
    fn at(state: &RoomState, session: u64) -> usize {
        state.members.iter().position(|member| member.session == session).unwrap()
    }
    type Change = fn(&mut RoomState);
    let wrong: [(&str, Change); 11] = [
        ("a version beyond all that can be", |state| state.version = MOST + 1),
        ("a member since before the room", |state| state.members[0].since = 0),
        ("a member since a version to come", |state| state.members[0].since = state.version + 1),
        ("a place beyond all that can be", |state| state.next_place = MOST + 1),
        ("a user twice", |state| state.members[1].user = state.members[0].user),
        ("a place twice", |state| state.members[1].place = state.members[0].place),
        ("a session twice", |state| state.members[1].session = state.members[0].session),
        ("a key that brought two", |state| {
            let (buyer, other) = (at(state, 1), at(state, 2));
            state.members[other].came_by = state.members[buyer].came_by;
        }),
        ("a place that was not given yet", |state| state.next_place = 2),
        ("an owner who is no member", |state| state.owner = UserId::random()),
        ("a public key that is none", |state| state.members[0].public_key = Some(vec![1, 2, 3])),
    ];
    for (what, change) in wrong {
        let mut state = state(&tags);
        change(&mut state);
        assert!(read(state, &tags, 0).is_none(), "{what}");
    }
    let mut last = state(&tags);
    (last.next_place, last.version) = (MOST, MOST);
    assert!(read(last, &tags, 0).is_some());
    let mut nobody = state(&tags);
    nobody.members.clear();
    assert!(read(nobody, &tags, 0).is_none(), "a room without members could never end");
}

fn text(text: &str) -> TextFrame {
    TextFrame::text(text.as_bytes())
}

/// Written: a firm event; a frame that belongs to the connection; a gap. Waiting: a message, a change, a mark.
fn window() -> Window {
    let mut window = Window::starting_after(40);
    window.retain();
    window.push(text("firm"), Kind::Firm);
    window.push_unnumbered(text("own"));
    window.add(Entry::Gap(Missing { count: 3, changes: 1, reason: GapReason::Window }));
    for _ in 0..3 {
        window.take().unwrap();
    }
    window.push(TextFrame::new(&[b"in two "], Bytes::from_static(b"parts")), MESSAGE);
    window.push(text("came"), Kind::Members(Change { room: 8, place: 1 }));
    window.add(Entry::Mark(CHANGE));
    window.push(text("last"), Kind::Firm);
    window
}

fn deliveries(window: &mut Window) -> Vec<String> {
    let delivery = |delivery| match delivery {
        Delivery::Frame(frame) => String::from_utf8(frame.parts().concat()[2..].to_vec()).unwrap(),
        Delivery::Gap { from, to, reason } => format!("{from}-{to} {reason}"),
    };
    std::iter::from_fn(|| window.take().map(delivery)).collect()
}

#[test]
fn a_window_is_read_as_it_was_written() {
    let written = postcard::to_allocvec(&WindowState::of(&window())).unwrap();
    let read = || postcard::from_bytes::<WindowState>(&written).unwrap().into_window().unwrap();
    let mut after = read();
    assert!(after.retains());
    assert_eq!((after.last(), after.held(Scope::Written).1, after.marks()), (48, 2, vec![CHANGE]));
    // What waits comes now, and nothing that was written comes twice.
    assert_eq!(deliveries(&mut after), ["in two parts", "came", "47-47 members", "last"]);
    let mut lost = read();
    lost.rewind(40).unwrap();
    assert_eq!(deliveries(&mut lost), ["firm", "42-44 window", "in two parts", "came", "47-47 members", "last"]);
    let mut arrived = read();
    assert_eq!(arrived.acknowledge(45), Err(crate::room::OutOfRange), "what was not written cannot have arrived");
    arrived.acknowledge(44).unwrap();
    assert_eq!(arrived.held(Scope::All), (read().bytes() - text("firm").len(), 4));
    // A message is still one: it may be dropped when there is no room, and the others may not.
    let bounds = crate::room::Bounds { bytes: 0, events: 9 };
    assert!(!read().keep_within(bounds, GapReason::Window, Scope::All));
    let mut full = read();
    full.keep_within(bounds, GapReason::Window, Scope::All);
    assert_eq!(deliveries(&mut full), ["45-45 window", "came", "47-47 members", "last"]);
}

#[test]
fn a_window_that_contradicts_itself_is_not_believed() {
    type Change = fn(&mut WindowState);
    let wrong: [(&str, Change); 5] = [
        ("more is taken than there is", |state| state.taken = 7),
        ("more is taken than was numbered", |state| state.taken = 3),
        ("less is taken than was numbered", |state| state.taken = 1),
        ("the numbers end beyond all that can be", |state| {
            (state.before, state.last_taken) = (MOST - 7, MOST - 3);
        }),
        ("the numbers end beyond all numbers", |state| {
            state.entries.push(EntryState::Gap { count: u64::MAX, reason: GapReason::Window });
        }),
    ];
    for (what, change) in wrong {
        let mut state = WindowState::of(&window());
        change(&mut state);
        assert!(state.into_window().is_none(), "{what}");
    }
    let mut last = WindowState::of(&window());
    (last.before, last.last_taken) = (MOST - 8, MOST - 4);
    assert_eq!(last.into_window().unwrap().last(), MOST);
}

#[test]
fn a_frame_in_another_form_is_refused_with_a_sentence() {
    let error = serde_json::from_str::<FrameState>("7").err().unwrap().to_string();
    assert!(error.contains("a frame's bytes"), "{error}");
}

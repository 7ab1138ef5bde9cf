//! Handing a room over, and what happens when its owner goes.
use subrosa::sealed::{
    Alarm, InviteKind,
    room::{Command, Event, Fact, IntentError, LeaveReason},
};

use super::world::World;

fn transfer_room(names: &[&str]) -> World {
    let mut world = World::new(true);
    names.iter().for_each(|name| world.come_in(name));
    world
}

fn hand_over(world: &mut World, from: &str, to: &str) {
    let to = world.print(to);
    world.act(from, |room, now| room.hand_over(to, now));
}

#[test]
fn a_room_is_taken_over_and_the_new_owner_governs() {
    let mut world = World::with(&["bob", "carol"]);
    let old = world.link("alice", InviteKind::Forever, None);
    hand_over(&mut world, "alice", "bob");
    let bob = world.print("bob");
    for id in ["alice", "bob", "carol"] {
        assert_eq!((world.room(id).owner(), world.room(id).epoch()), (bob, 1), "{id}");
    }
    assert!(world.room("bob").is_owner() && !world.room("alice").is_owner());
    assert!(!world.join("eve", "eve", &old));
    let link = world.link("bob", InviteKind::OneTime, None);
    assert!(world.join("dave", "dave", &link));
    world.say("dave", "hello");
    assert_eq!(world.heard("alice"), ["dave: hello"]);
    // And back again.
    hand_over(&mut world, "bob", "alice");
    assert!(world.room("alice").is_owner());
    assert_eq!(world.room("dave").owner(), world.print("alice"));
    world.say("carol", "fine");
    assert_eq!(world.heard("dave"), ["carol: fine"]);
    world.pass(300_000);
    world.assert_calm();
}

#[test]
fn nothing_else_happens_while_a_room_is_taken_over() {
    let mut world = World::with(&["bob", "carol"]);
    world.swallow = |command| matches!(command, Command::HandOver { .. });
    hand_over(&mut world, "alice", "bob");
    let (carol, now) = (world.print("carol"), world.now);
    let alice = world.room("alice");
    assert_eq!(alice.rekey(now).unwrap_err(), IntentError::Busy);
    assert_eq!(alice.remove(carol, now).unwrap_err(), IntentError::Busy);
    assert_eq!(alice.hand_over(carol, now).unwrap_err(), IntentError::Busy);
}

#[test]
fn a_newcomer_waits_for_the_owners_card_without_an_alarm() {
    let mut world = World::with(&["bob"]);
    let new_card = world.rekey_without_card_of("alice");
    world.come_in("carol");
    world.pass(30_000);
    world.clients.get_mut("alice").unwrap().listed.card = new_card;
    world.pass(60_000);
    assert_eq!(world.sees("carol"), ["bob", "alice"]);
    world.assert_calm();
}

#[test]
fn the_longest_standing_member_succeeds() {
    let mut world = transfer_room(&["bob", "carol", "dave", "erin"]);
    world.go("bob");
    world.go("alice");
    let carol = world.print("carol");
    for id in ["carol", "dave", "erin"] {
        assert_eq!((world.room(id).owner(), world.room(id).epoch()), (carol, 1), "{id}");
    }
    world.say("dave", "carry on");
    assert_eq!(world.heard("erin"), ["dave: carry on"]);
    // The new owner has made heirs in turn.
    world.go("carol");
    assert!(world.room("dave").is_owner());
    assert_eq!(world.room("erin").owner(), world.print("dave"));
    world.pass(300_000);
    world.assert_calm();
}

#[test]
fn only_three_heirs_are_made_and_none_where_the_room_closes() {
    let mut world = transfer_room(&["bob", "carol", "dave", "erin"]);
    let private: Vec<_> = world.packets.iter().map(|packet| packet.recipients[0].0.clone()).collect();
    assert_eq!(private, ["bob", "carol", "dave"]);
    world.go("carol");
    assert_eq!(world.packets.last().unwrap().recipients[0].0, "erin");
    let world = World::with(&["bob"]);
    assert!(world.packets.is_empty());
}

#[test]
fn an_owner_without_proof_is_not_accepted() {
    let mut world = World::with(&["bob", "carol"]);
    world.name_owner("bob");
    world.settle();
    assert_eq!(world.alarms("bob"), [Alarm::OwnershipImposed]);
    world.pass(59_999);
    assert!(world.alarms("carol").is_empty());
    world.pass(1);
    assert!(matches!(&world.alarms("carol")[..], [Alarm::OwnerUnproven(who)] if who.user_id == "bob"));
    assert_eq!(world.room("carol").owner(), world.print("alice"));
    assert!(!world.room("bob").is_owner());
}

#[test]
fn the_relay_alone_cannot_give_an_heir_the_room() {
    let mut world = World::with(&["bob", "carol"]);
    // A member who holds no grant announces a rekey with a chain that it signed itself: its client would not, so it comes as a
    // proper client of another room would make it.
    let mut other = World::new(false);
    other.come_in("bob");
    other.act("alice", |room, now| room.rekey(now));
    let packet = other.packets.last().unwrap();
    let fact = Fact::Message {
        user_id: "bob".into(),
        content: packet.recipients[0].1.clone(),
        shared: Some(packet.shared.clone()),
    };
    world.fact("carol", fact);
    assert!(matches!(&world.alarms("carol")[..], [Alarm::MessageDoesNotOpen(..)]));
    assert_eq!(world.room("carol").epoch(), 0);
}

#[test]
fn an_absent_successor_does_not_get_the_room() {
    let mut world = World::with(&["bob"]);
    world.order.retain(|member| member != "bob");
    hand_over(&mut world, "alice", "bob");
    assert!(world.clients["alice"].events.iter().any(|event| matches!(event, Event::HandOverFailed { .. })));
    assert!(world.room("alice").is_owner());
}

#[test]
fn a_former_owners_links_are_dead_even_if_the_relay_honours_them() {
    let mut world = World::with(&["bob", "carol"]);
    let link = world.link("alice", InviteKind::OneTime, None);
    let (room, listed, _) = world.prepare("eve", "eve", &link);
    hand_over(&mut world, "alice", "bob");
    world.admit("eve", room, listed);
    for id in ["alice", "bob", "carol"] {
        assert!(matches!(&world.alarms(id)[..], [Alarm::CardOutdated(who)] if who.user_id == "eve"), "{id}");
        assert!(!world.sees(id).contains(&"eve".to_owned()));
    }
    world.say("carol", "without eve");
    world.assert_nothing_sealed_to("eve");
}

#[test]
fn the_owner_leaving_a_room_that_closes_ends_it() {
    let mut world = World::with(&["bob"]);
    world.leave("alice", LeaveReason::Lost);
    world.settle();
    assert_eq!(world.clients["bob"].ended, Some(subrosa::sealed::room::Ending::Closed));
}

//! Rooms in which nobody cheats.
use std::time::Duration;

use subrosa::sealed::{
    InviteKind, Link,
    room::{Answer, Command, Ending, Event, Fact, IntentError, NotSent},
};

use super::world::World;

#[test]
fn two_talk_in_a_room_by_a_one_time_link() {
    let mut world = World::new(false);
    assert_eq!(world.room("alice").send_text("hello?", 0).unwrap_err(), IntentError::Alone);
    let link = world.link("alice", InviteKind::OneTime, Some(Duration::from_secs(600)));
    assert_eq!(Link::parse(&link).unwrap().room_name, "tea");
    assert!(world.join("bob", "bob", &link));
    world.say("alice", "hello");
    world.say("bob", "hi");
    world.say("bob", "how are you?");
    assert_eq!(world.heard("bob"), ["alice: hello"]);
    assert_eq!(world.heard("alice"), ["bob: hi", "bob: how are you?"]);
    assert!(!world.join("eve", "eve", &link), "the link is spent");
    assert_eq!(world.room("bob").room_name(), "tea");
    let alice = world.print("alice");
    assert!(world.room("bob").member(&alice).unwrap().owner);
    world.pass(300_000);
    world.assert_calm();
}

#[test]
fn many_join_by_a_forever_link_and_private_words_stay_private() {
    let mut world = World::new(false);
    let link = world.link("alice", InviteKind::Forever, None);
    for name in ["bob", "carol", "dave"] {
        assert!(world.join(name, name, &link));
    }
    assert_eq!(world.sees("dave"), ["alice", "bob", "carol"]);
    world.tell("carol", "bob", "a secret");
    world.say("carol", "to all");
    world.tell("carol", "bob", "another");
    assert_eq!(world.heard("bob"), ["carol (private): a secret", "carol: to all", "carol (private): another"]);
    assert_eq!(world.heard("alice"), ["carol: to all"]);
    assert_eq!(world.packets[0].recipients.len(), 1);
    // A newcomer takes the first number that it sees as the base.
    assert!(world.join("erin", "erin", &link));
    world.say("carol", "welcome");
    world.tell("carol", "erin", "hello");
    assert_eq!(world.heard("erin"), ["carol: welcome", "carol (private): hello"]);
    world.pass(300_000);
    world.assert_calm();
}

#[test]
fn the_relay_sees_no_names_and_no_words() {
    let mut world = World::with(&["bob"]);
    world.say("alice", "meet me at the old mill");
    for text in ["meet me", "alice", "bob", "tea"] {
        assert!(world.packets.iter().all(|packet| !packet.shared.contains(text)));
    }
    let bucket = |text: &str, world: &mut World| {
        world.say("alice", text);
        world.packets.last().unwrap().shared.len()
    };
    assert_eq!(bucket("yes", &mut world), bucket("no, not today", &mut world));
}

#[test]
fn a_removed_member_reads_nothing_and_the_others_go_on() {
    let mut world = World::with(&["bob", "carol"]);
    let old = world.link("alice", InviteKind::Forever, None);
    world.remove("carol");
    assert_eq!(world.clients["carol"].ended, Some(Ending::Removed));
    assert_eq!((world.room("alice").epoch(), world.room("bob").epoch()), (1, 1));
    let before = world.packets.len();
    world.say("alice", "just us");
    world.say("bob", "good");
    assert!(world.packets[before..].iter().all(|p| p.recipients.iter().all(|(to, _)| to != "carol")));
    assert_eq!(world.heard("bob"), ["alice: just us"]);
    assert_eq!(world.heard("alice"), ["bob: good"]);
    assert!(!world.join("eve", "eve", &old), "links from before are dead");
    // Cards were set anew, so that a newcomer reads them.
    world.come_in("dave");
    assert_eq!(world.sees("dave"), ["alice", "bob"]);
    world.say("dave", "hello");
    assert_eq!(world.heard("bob"), ["dave: hello"]);
    world.pass(300_000);
    world.assert_calm();
}

#[test]
fn a_rekey_goes_out_even_if_the_relay_does_not_answer() {
    let mut world = World::with(&["bob"]);
    world.swallow = |command| matches!(command, Command::ResetKeys);
    world.act("alice", |room, now| room.rekey(now));
    let (bob, now) = (world.print("bob"), world.now);
    assert_eq!(world.room("alice").hand_over(bob, now).unwrap_err(), IntentError::Busy);
    world.pass(9_000);
    assert_eq!(world.room("bob").epoch(), 0);
    world.pass(1_000);
    assert_eq!((world.room("alice").epoch(), world.room("bob").epoch()), (1, 1));
    world.assert_calm();
}

#[test]
fn a_rekey_that_is_refused_at_first_goes_out_again_in_the_old_epoch() {
    let mut world = World::with(&["bob"]);
    world.refusals.push_back(Answer::Refused { retry_after_ms: Some(1_000) });
    world.act("alice", |room, now| room.rekey(now));
    assert_eq!((world.room("alice").epoch(), world.room("bob").epoch()), (1, 0));
    world.say("alice", "in the new epoch");
    world.pass(1_000);
    assert_eq!(world.room("bob").epoch(), 1);
    assert_eq!(world.heard("bob"), ["alice: in the new epoch"]);
    world.refusals.push_back(Answer::Refused { retry_after_ms: None });
    world.act("alice", |room, now| room.rekey(now));
    let undelivered = |event: &Event| matches!(event, Event::RekeyUndelivered { members } if members.len() == 1);
    assert!(world.clients["alice"].events.iter().any(undelivered));
    world.assert_calm();
}

#[test]
fn old_messages_open_until_the_resume_window_is_over() {
    for (wait, opens) in [(89_000, true), (90_000, false)] {
        let mut world = World::with(&["bob"]);
        let held = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let keep = held.clone();
        world.intercept = Some(Box::new(move |to, fact| {
            if to == "alice" && matches!(fact, Fact::Message { .. }) {
                keep.borrow_mut().push(fact);
                return vec![];
            }
            vec![fact]
        }));
        world.say("bob", "in the old epoch");
        world.intercept = None;
        world.act("alice", |room, now| room.rekey(now));
        world.pass(wait);
        let fact = held.borrow_mut().pop().unwrap();
        world.fact("alice", fact);
        assert_eq!(world.heard("alice").len(), usize::from(opens), "after {wait} ms");
    }
}

#[test]
fn a_joiner_waits_for_cards_that_are_not_sealed_anew_yet() {
    let mut world = World::with(&["bob", "carol"]);
    let new_card = world.rekey_without_card_of("bob");
    world.come_in("dave");
    assert_eq!(world.sees("dave"), ["alice", "carol"]);
    assert!(
        world.clients["dave"].events.iter().any(|e| matches!(e, Event::NotHereYet { user_id } if user_id == "bob"))
    );
    world.say("dave", "who is here?");
    assert_eq!(world.packets.last().unwrap().recipients.len(), 2);
    // What bob says is kept until its card is there.
    world.say("bob", "wait for me");
    assert!(world.heard("dave").is_empty());
    world.clients.get_mut("bob").unwrap().listed.card = new_card;
    world.pass(5_000);
    assert_eq!(world.sees("dave"), ["alice", "carol", "bob"]);
    assert_eq!(world.heard("dave"), ["bob: wait for me"]);
    world.assert_calm();
}

#[test]
fn a_refused_message_is_sent_again_with_the_same_number() {
    let mut world = World::with(&["bob"]);
    world.refusals.push_back(Answer::Refused { retry_after_ms: Some(2_000) });
    world.say("alice", "one");
    world.say("alice", "two");
    assert!(world.heard("bob").is_empty());
    world.pass(2_000);
    assert_eq!(world.heard("bob"), ["alice: one", "alice: two"]);
    world.refusals.push_back(Answer::Refused { retry_after_ms: None });
    world.say("alice", "three");
    world.say("alice", "four");
    assert_eq!(world.heard("bob"), ["alice: four"], "a void message took the number of the third");
    let not_sent = |e: &Event| matches!(e, Event::NotSent(_, NotSent::Refused));
    assert_eq!(world.clients["alice"].events.iter().filter(|e| not_sent(e)).count(), 1);
    assert_eq!(world.clients["alice"].events.iter().filter(|e| matches!(e, Event::Sent { .. })).count(), 3);
    world.assert_calm();
}

#[test]
fn a_message_whose_answer_was_lost_is_heard_once() {
    let mut world = World::with(&["bob"]);
    world.say("alice", "zero");
    let Some(packet) = world.packets.last() else { panic!("nothing was sent") };
    assert_eq!(packet.from, "alice");
    // The relay delivers, but the answer is lost: the client cannot know and sends again.
    let now = world.now;
    let (_, step) = world.room("alice").send_text("one", now).unwrap();
    let (id, command) = step.commands.into_iter().next().unwrap();
    let Command::Send { recipients, shared } = command else { panic!("no packet") };
    let content = recipients[0].1.clone();
    world.fact("bob", Fact::Message { user_id: "alice".into(), content, shared: Some(shared) });
    world.act("alice", |room, now| Ok::<_, ()>(room.answer(id, Answer::Lost, now)));
    world.pass(0);
    assert_eq!(world.heard("bob"), ["alice: zero", "alice: one"]);
    world.assert_calm();
}

#[test]
fn a_large_room_is_served_in_several_packets() {
    let mut world = World::with_frames(13_500);
    let link = world.link("alice", InviteKind::Forever, None);
    for i in 0..12 {
        assert!(world.join(&format!("m{i}"), &format!("m{i}"), &link));
    }
    let too_long = world.room("alice").send_text(&"x".repeat(13_500), 0);
    assert_eq!(too_long.unwrap_err(), IntentError::TooLong);
    world.say("m0", &"x".repeat(7_500));
    assert_eq!(world.packets.iter().map(|packet| packet.recipients.len()).collect::<Vec<_>>(), [5, 5, 2]);
    for packet in &world.packets {
        let each = packet.recipients.iter().map(|(to, content)| to.len() + content.len() + 40);
        assert!(packet.shared.len() + each.sum::<usize>() < 13_500);
    }
    assert_eq!((world.heard("alice").len(), world.heard("m11").len()), (1, 1));
    // One of three packets is refused: only its recipients get the message again.
    world.packets.clear();
    world.refusals.push_back(Answer::Refused { retry_after_ms: Some(500) });
    world.say("m1", &"y".repeat(7_500));
    world.pass(1_000);
    assert_eq!(world.packets.iter().map(|packet| packet.recipients.len()).collect::<Vec<_>>(), [5, 2, 5]);
    assert_eq!((world.heard("alice").len(), world.heard("m11").len()), (1, 1));
    world.assert_calm();
}

#[test]
fn members_of_one_name_are_told_apart() {
    let mut world = World::with(&["bob"]);
    let link = world.link("alice", InviteKind::OneTime, None);
    assert!(world.join("bob2", "bob", &link));
    let mark = format!("bob ({})", world.print("bob2").first_group());
    assert_eq!(world.sees("alice"), ["bob".to_owned(), mark.clone()]);
    assert_eq!(world.sees("bob"), ["alice".to_owned(), mark]);
    world.assert_calm();
}

#[test]
fn a_verified_member_stays_so_and_leaving_ends_it_all() {
    let mut world = World::with(&["bob"]);
    let bob = world.print("bob");
    world.room("alice").set_verified(bob, true).unwrap();
    world.act("alice", |room, now| room.rekey(now));
    assert!(world.room("alice").member(&bob).unwrap().verified);
    world.go("bob");
    assert_eq!(world.clients["bob"].ended, Some(Ending::Left));
    assert!(world.sees("alice").is_empty());
    assert_eq!(world.room("bob").send_text("still here?", 0).unwrap_err(), IntentError::NotInside);
    world.go("alice");
    world.assert_calm();
}

#[test]
fn only_the_owner_governs() {
    let mut world = World::with(&["bob", "carol"]);
    let (carol, now) = (world.print("carol"), world.now);
    let bob = world.room("bob");
    assert_eq!(bob.invite(InviteKind::OneTime, None, now).unwrap_err(), IntentError::NotOwner);
    assert_eq!(bob.remove(carol, now).unwrap_err(), IntentError::NotOwner);
    assert_eq!(bob.rekey(now).unwrap_err(), IntentError::NotOwner);
    assert_eq!(bob.hand_over(carol, now).unwrap_err(), IntentError::NotOwner);
    assert!(!bob.is_owner());
}

#[test]
fn each_of_two_invites_gets_its_own_answer_when_a_rekey_comes_between() {
    let mut world = World::with(&["bob"]);
    // The first invite's key is asked for, and then a rekey begins: the key that comes is dead, and the invite waits.
    let now = world.now;
    let (first, step) = world.room("alice").invite(InviteKind::OneTime, Some(Duration::from_secs(60)), now).unwrap();
    let [(first_key, Command::IssueKey { .. })] = step.commands[..] else { panic!("{step:?}") };
    let step = world.room("alice").rekey(now).unwrap();
    let [(reset, Command::ResetKeys)] = step.commands[..] else { panic!("{step:?}") };
    let step = world.room("alice").answer(first_key, Answer::Key("dead".into()), now);
    assert!(step.events.is_empty() && step.commands.is_empty(), "{step:?}");
    // The second is asked for meanwhile. Afterwards the server gives a key to the first alone.
    let (second, _) = world.room("alice").invite(InviteKind::OneTime, None, now).unwrap();
    let step = world.room("alice").answer(reset, Answer::Done, now);
    let key_for = |life| {
        let is_it = |command: &Command| matches!(command, Command::IssueKey { expires_in, .. } if *expires_in == life);
        step.commands.iter().find(|(_, command)| is_it(command)).expect("a command").0
    };
    let (first_key, second_key) = (key_for(Some(Duration::from_secs(60))), key_for(None));
    let refused = world.room("alice").answer(second_key, Answer::Refused { retry_after_ms: None }, now);
    assert!(matches!(&refused.events[..], [Event::InviteFailed { id, .. }] if *id == second), "{refused:?}");
    let given = world.room("alice").answer(first_key, Answer::Key("good".into()), now);
    let [Event::Invite { id, link }] = &given.events[..] else { panic!("{given:?}") };
    assert_eq!((*id, link.certificate.expiry), (first, now / 1000 + 60));
}

//! Relays that cheat, alone or with a member. Whatever they try, nothing is sealed to the intruder and the alarm names the case.
use std::time::Duration;

use std::{cell::RefCell, rc::Rc};

use subrosa::sealed::{
    Alarm, Card, Certificate, InviteKind, Link, OwnerChain,
    room::{Command, Event, Fact, LeaveReason, Listed},
};

use super::{
    puppet::Puppet,
    world::{World, foreign_key, identity},
};

type IsCase = fn(&Alarm) -> bool;

/// Fails unless exactly this happened and the intruder got nothing out of it.
fn assert_refused(world: &mut World, id: &str, intruder: &str, is_case: IsCase) {
    let alarms = world.alarms(id);
    assert!(matches!(&alarms[..], [alarm] if is_case(alarm)), "{id}: {alarms:?}");
    if world.sees(id).is_empty() {
        assert!(world.room(id).send_text("hello", 0).is_err());
    } else {
        world.say(id, "without the intruder");
    }
    world.assert_nothing_sealed_to(intruder);
}

pub(crate) fn listed(puppet: &Puppet, id: &str) -> Fact {
    Fact::UserJoined(puppet.listed(id, "eve"))
}

#[test]
fn a_member_without_a_card_is_an_intruder() {
    let mut world = World::with(&["bob"]);
    let eve = identity();
    let entry = Listed { user_id: "eve".into(), public_key_pem: eve.public_key().pkcs1_pem(), card: None };
    world.fact("alice", Fact::UserJoined(entry.clone()));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::NoCard(_)));
    world.fact("alice", Fact::UserJoined(Listed { public_key_pem: "no key".into(), card: Some("AQ".into()), ..entry }));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::BadPublicKey(_)));
}

#[test]
fn a_member_who_does_not_know_the_secret_is_an_intruder() {
    let mut world = World::with(&["bob"]);
    // A card of a room of the relay's own.
    let mut other = World::new(false);
    let link = other.link("alice", InviteKind::OneTime, None);
    world.fact("alice", listed(&Puppet::new(&link), "eve"));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::CardDoesNotOpen(_)));
}

#[test]
fn invites_are_judged_by_the_certificate() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, Some(Duration::from_secs(60)));
    let link = Link::parse(&url).unwrap();
    let root = *link.root();
    let with = |change: &dyn Fn(&mut Puppet)| {
        let mut puppet = Puppet::new(&url);
        change(&mut puppet);
        puppet
    };
    let no_invite = with(&|eve| eve.invite = None);
    let own_word = with(&|eve| {
        let issued = Certificate::issue(&eve.identity, &root, 0, [1; 16], InviteKind::Forever, 0);
        eve.invite = Some(issued.unwrap());
    });
    world.fact("alice", listed(&no_invite, "eve"));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::NoInvite(_)));
    world.fact("alice", listed(&own_word, "eve"));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::InviteForged(_)));
    world.pass(60_000 + 601_000);
    world.fact("alice", listed(&Puppet::new(&url), "eve"));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::InviteExpired(_)));
    // A member gives away the new secret, but the invite is of the old epoch.
    world.act("alice", |room, now| room.rekey(now));
    let new = Link::parse(&world.link("alice", InviteKind::Forever, None)).unwrap();
    let outdated = with(&|eve| {
        eve.secret = subrosa::sealed::RoomSecret::from_slice(1, new.secret.expose()).unwrap();
    });
    world.fact("bob", listed(&outdated, "eve"));
    assert_refused(&mut world, "bob", "eve", |alarm| matches!(alarm, Alarm::InviteOutdated(_)));
}

#[test]
fn a_one_time_invite_lets_in_one_only() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, None);
    let (first, second) = (Puppet::new(&url), Puppet::new(&url));
    world.fact("alice", listed(&first, "first"));
    world.fact("alice", listed(&second, "second"));
    assert_eq!(world.sees("alice"), ["bob", "eve"], "the first stays");
    assert_refused(&mut world, "alice", "second", |alarm| matches!(alarm, Alarm::InviteReused(_)));
    // Also after the first has left.
    world.fact("alice", Fact::UserLeft { user_id: "first".into(), reason: LeaveReason::Left });
    world.fact("alice", listed(&Puppet::new(&url), "third"));
    assert_refused(&mut world, "alice", "third", |alarm| matches!(alarm, Alarm::InviteReused(_)));
}

#[test]
fn of_two_on_one_invite_in_a_list_neither_is_let_in() {
    let mut world = World::with(&["bob"]);
    let (url, newcomer) =
        (world.link("alice", InviteKind::OneTime, None), world.link("alice", InviteKind::OneTime, None));
    let (room, own, _) = world.prepare("carol", "carol", &newcomer);
    let extra = [Puppet::new(&url).listed("e1", "eve"), Puppet::new(&url).listed("e2", "eva")];
    world.intercept = Some(Box::new(move |to, fact| match fact {
        Fact::Joined { user_id, owner_id, mut members } if to == "carol" => {
            members.extend(extra.clone());
            vec![Fact::Joined { user_id, owner_id, members }]
        }
        other => vec![other],
    }));
    world.admit("carol", room, own);
    let alarms = world.alarms("carol");
    assert!(
        matches!(&alarms[..], [Alarm::InviteReused(a), Alarm::InviteReused(b)] if a.user_id == "e1" && b.user_id == "e2")
    );
    assert_eq!(world.sees("carol"), ["alice", "bob"]);
    world.say("carol", "hello");
    world.assert_nothing_sealed_to("e1");
    world.assert_nothing_sealed_to("e2");
}

#[test]
fn nobody_else_came_by_ones_own_one_time_invite() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, None);
    let (room, own, _) = world.prepare("carol", "carol", &url);
    let thief = Puppet::new(&url).listed("thief", "eve");
    world.intercept = Some(Box::new(move |to, fact| match fact {
        Fact::Joined { user_id, owner_id, mut members } if to == "carol" => {
            members.push(thief.clone());
            vec![Fact::Joined { user_id, owner_id, members }]
        }
        other => vec![other],
    }));
    world.admit("carol", room, own);
    assert_refused(&mut world, "carol", "thief", |alarm| matches!(alarm, Alarm::InviteReused(_)));
}

#[test]
fn swapped_keys_and_cards_do_not_open() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, None);
    let (room, own, _) = world.prepare("carol", "carol", &url);
    let swapped = foreign_key();
    world.intercept = Some(Box::new(move |_, fact| match fact {
        Fact::UserJoined(listed) => vec![Fact::UserJoined(Listed { public_key_pem: swapped.clone(), ..listed })],
        Fact::Joined { user_id, owner_id, mut members } => {
            // And for the newcomer, the members' cards change places.
            let card = members[0].card.take();
            members[0].card = members[1].card.take();
            members[1].card = card;
            vec![Fact::Joined { user_id, owner_id, members }]
        }
        other => vec![other],
    }));
    world.admit("carol", room, own);
    for id in ["alice", "bob"] {
        assert_refused(&mut world, id, "carol", |alarm| matches!(alarm, Alarm::CardDoesNotOpen(_)));
    }
    let alarms = world.alarms("carol");
    assert!(matches!(&alarms[..], [Alarm::CardDoesNotOpen(_), Alarm::CardDoesNotOpen(_)]), "{alarms:?}");
    assert!(world.sees("carol").is_empty());
}

#[test]
fn a_list_with_another_key_or_card_than_before_is_noticed() {
    let mut world = World::with(&["bob", "carol"]);
    // Someone is not readable for carol's sake, so that a newcomer asks for the list.
    let old = world.clients["bob"].listed.clone();
    world.act("alice", |room, now| room.rekey(now));
    let new = std::mem::replace(&mut world.clients.get_mut("bob").unwrap().listed, old);
    world.come_in("dave");
    world.clients.get_mut("bob").unwrap().listed = new;
    world.clients.get_mut("carol").unwrap().listed.public_key_pem = foreign_key();
    world.clients.get_mut("alice").unwrap().listed.card = world.clients["bob"].listed.card.clone();
    let stray = Listed { user_id: "eve".into(), ..world.clients["bob"].listed.clone() };
    let url = world.link("alice", InviteKind::Forever, None);
    let (room, _, _) = world.prepare("eve", "eve", &url);
    let silent: fn(&Command) -> bool = |_| false;
    world.swallow = silent;
    world.add("eve", room, stray);
    world.order.push("eve".into());
    world.pass(1_000);
    let alarms = world.alarms("dave");
    assert!(alarms.iter().any(|alarm| matches!(alarm, Alarm::KeySwapped(who) if who.user_id == "carol")), "{alarms:?}");
    assert!(alarms.iter().any(|alarm| matches!(alarm, Alarm::CardSwapped(who) if who.user_id == "alice")));
    assert!(alarms.iter().any(|alarm| matches!(alarm, Alarm::Unannounced(who) if who.user_id == "eve")));
    world.say("dave", "hello");
    world.assert_nothing_sealed_to("eve");
}

#[test]
fn a_member_is_accepted_once() {
    let mut world = World::with(&["bob", "carol"]);
    let bob = world.clients["bob"].listed.clone();
    world.fact("alice", Fact::UserJoined(Listed { user_id: "bob2".into(), ..bob.clone() }));
    assert_refused(&mut world, "alice", "bob2", |alarm| matches!(alarm, Alarm::FingerprintTwice(_)));
    world.fact("alice", Fact::UserJoined(Listed { user_id: "carol".into(), ..bob.clone() }));
    assert!(matches!(&world.alarms("alice")[..], [Alarm::UserIdTwice(who)] if who.user_id == "carol"));
    world.fact("alice", Fact::UserJoined(Listed { user_id: "alice".into(), ..bob.clone() }));
    assert!(matches!(&world.alarms("alice")[..], [Alarm::UserIdTwice(_)]));
    world.leave("bob", LeaveReason::Lost);
    world.settle();
    world.fact("alice", Fact::UserJoined(Listed { user_id: "bob3".into(), ..bob }));
    assert_refused(&mut world, "alice", "bob3", |alarm| matches!(alarm, Alarm::MemberReturned(_)));
}

#[test]
fn a_removed_member_does_not_come_back() {
    let mut world = World::with(&["bob", "carol"]);
    let carol = world.clients["carol"].listed.clone();
    // Between the removal and the new secret …
    world.swallow = |command| matches!(command, Command::ResetKeys);
    world.remove("carol");
    world.fact("alice", Fact::UserJoined(Listed { user_id: "carol2".into(), ..carol.clone() }));
    assert_refused(&mut world, "alice", "carol2", |alarm| matches!(alarm, Alarm::RemovedMemberReturned(_)));
    world.pass(10_000);
    assert_eq!(world.room("bob").epoch(), 1);
    // … and after it.
    world.fact("bob", Fact::UserJoined(Listed { user_id: "carol3".into(), ..carol }));
    assert_refused(&mut world, "bob", "carol3", |alarm| matches!(alarm, Alarm::CardOutdated(_)));
}

#[test]
fn a_removal_holds_even_if_the_relay_keeps_the_member() {
    let mut world = World::with(&["bob", "carol"]);
    world.swallow = |command| matches!(command, Command::RemoveMember { .. });
    world.remove("carol");
    world.pass(10_000);
    assert_eq!(world.sees("bob"), ["alice"]);
    world.packets.clear();
    world.say("bob", "without carol");
    world.say("alice", "yes");
    world.assert_nothing_sealed_to("carol");
    // What carol still says under the old secret is not heard.
    world.say("carol", "hello?");
    assert_eq!(world.heard("bob"), ["alice: yes"]);
    assert_eq!(world.heard("alice"), ["bob: without carol"]);
    assert_eq!((world.alarms("alice"), world.alarms("bob")), (vec![], vec![]));
}

/// A message on its way: sender, `content`, `shared`.
pub(crate) type Kept = (String, String, Option<String>);

/// Everything that is delivered to `id` from here on, kept back.
pub(crate) fn keep_messages(world: &mut World, id: &'static str) -> Rc<RefCell<Vec<Kept>>> {
    let kept = Rc::new(RefCell::new(Vec::new()));
    let into = kept.clone();
    world.intercept = Some(Box::new(move |to, fact| match fact {
        Fact::Message { user_id, content, shared } if to == id => {
            into.borrow_mut().push((user_id, content, shared));
            vec![]
        }
        other => vec![other],
    }));
    kept
}

pub(crate) fn deliver(world: &mut World, to: &str, (user_id, content, shared): Kept) {
    world.fact(to, Fact::Message { user_id, content, shared });
}

#[test]
fn replayed_reordered_and_dropped_messages_show() {
    let mut world = World::with(&["bob", "carol"]);
    let kept = keep_messages(&mut world, "bob");
    for text in ["one", "two", "three", "four"] {
        world.say("alice", text);
    }
    let kept = kept.borrow().clone();
    deliver(&mut world, "bob", kept[0].clone());
    deliver(&mut world, "bob", kept[0].clone());
    assert!(matches!(&world.alarms("bob")[..], [Alarm::Replayed(who)] if who.user_id == "alice"));
    deliver(&mut world, "bob", kept[2].clone());
    assert!(matches!(&world.alarms("bob")[..], [Alarm::MessagesMissing { count: 1, private: false, .. }]));
    deliver(&mut world, "bob", kept[1].clone());
    assert!(matches!(&world.alarms("bob")[..], [Alarm::Replayed(_)]));
    deliver(&mut world, "bob", kept[3].clone());
    assert_eq!(world.heard("bob"), ["alice: one", "alice: three", "alice: four"]);
    assert!(world.alarms("bob").is_empty());
}

#[test]
fn the_first_dropped_message_of_a_live_joiner_shows() {
    let mut world = World::with(&["bob"]);
    let kept = keep_messages(&mut world, "alice");
    world.say("bob", "one");
    world.tell("bob", "alice", "private one");
    world.say("bob", "two");
    world.tell("bob", "alice", "private two");
    let kept = kept.borrow().clone();
    deliver(&mut world, "alice", kept[2].clone());
    deliver(&mut world, "alice", kept[3].clone());
    let alarms = world.alarms("alice");
    assert!(matches!(
        &alarms[..],
        [
            Alarm::MessagesMissing { count: 1, private: false, .. },
            Alarm::MessagesMissing { count: 1, private: true, .. }
        ]
    ));
    assert_eq!(alarms[0].to_string(), "1 message missing from bob");
}

#[test]
fn messages_under_another_name_or_changed_are_refused() {
    let mut world = World::with(&["bob", "carol"]);
    let kept = keep_messages(&mut world, "bob");
    world.say("alice", "by alice");
    world.say("carol", "by carol");
    let kept = kept.borrow().clone();
    let (alice, carol) = (&kept[0], &kept[1]);
    let renamed = ("carol".to_owned(), alice.1.clone(), alice.2.clone());
    let mixed = ("alice".to_owned(), alice.1.clone(), carol.2.clone());
    let bare = ("alice".to_owned(), "a message in the clear".to_owned(), None);
    let strange = ("eve".to_owned(), alice.1.clone(), alice.2.clone());
    let garbled = ("alice".to_owned(), alice.1.clone(), Some("AQ".to_owned()));
    let future = ("alice".to_owned(), "AgAAAAAA".to_owned(), alice.2.clone());
    let cases: [(_, IsCase); 6] = [
        (renamed, |alarm| matches!(alarm, Alarm::MessageForged(who) if who.user_id == "carol")),
        (mixed, |alarm| matches!(alarm, Alarm::MessageDoesNotOpen(..))),
        (bare, |alarm| matches!(alarm, Alarm::MessageUnsealed(_))),
        (strange, |alarm| matches!(alarm, Alarm::MessageFromStranger(_))),
        (garbled, |alarm| matches!(alarm, Alarm::MessageDoesNotOpen(..))),
        (future, |alarm| matches!(alarm, Alarm::MessageOfUnknownVersion(_))),
    ];
    for (message, is_case) in cases {
        deliver(&mut world, "bob", message);
        let alarms = world.alarms("bob");
        assert!(matches!(&alarms[..], [alarm] if is_case(alarm)), "{alarms:?}");
    }
    assert!(world.heard("bob").is_empty());
}

#[test]
fn a_relay_that_shows_different_rooms_is_found_out() {
    let mut world = World::with(&["bob", "carol"]);
    let url = world.link("alice", InviteKind::OneTime, None);
    // Bob is not told of dave.
    world.intercept = Some(Box::new(|to, fact| match fact {
        Fact::UserJoined(_) if to == "bob" => vec![],
        other => vec![other],
    }));
    assert!(world.join("dave", "dave", &url));
    world.say("alice", "four of us");
    world.pass(59_999);
    assert!(world.alarms("bob").is_empty());
    world.pass(1);
    assert!(matches!(&world.alarms("bob")[..], [Alarm::SeesAnotherRoom(who)] if who.user_id == "alice"));
    world.say("carol", "indeed");
    world.pass(60_000);
    let alarms = world.alarms("bob");
    assert!(matches!(&alarms[..], [Alarm::SeesAnotherRoom(_), Alarm::RelayShowsDifferentRooms]), "{alarms:?}");
    world.say("bob", "three of us");
    world.pass(60_000);
    assert!(matches!(&world.alarms("alice")[..], [Alarm::SeesAnotherRoom(who)] if who.user_id == "bob"));
}

#[test]
fn a_member_cannot_pass_on_a_private_message_or_play_the_owner() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, None);
    let eve = Puppet::new(&url);
    world.fact("bob", listed(&eve, "eve"));
    let bob = world.clients["bob"].listed.clone();
    let to_alice = world.print("alice");
    let chain = OwnerChain::new(eve.root).to_bytes();
    let cases: [(Fact, IsCase); 7] = [
        (eve.text(&bob, "eve", 1, Some(to_alice)), |alarm| matches!(alarm, Alarm::MessageNotForMe(_))),
        (eve.rekey(&bob, "eve", 1, 1, &chain), |alarm| matches!(alarm, Alarm::RekeyByStranger(_))),
        (eve.rekey(&bob, "eve", 2, 1, &eve.own_chain()), |alarm| matches!(alarm, Alarm::RekeyByStranger(_))),
        (eve.succession(&bob, "eve", 3, &chain, None), |alarm| matches!(alarm, Alarm::SuccessionForged(_))),
        (eve.raw(&bob, "eve", br#"{"n":4}"#), |alarm| matches!(alarm, Alarm::MessageMalformed(..))),
        (eve.text(&bob, "eve", 9, None), |alarm| matches!(alarm, Alarm::MessagesMissing { count: 5, .. })),
        (eve.text(&bob, "eve", 8, None), |alarm| matches!(alarm, Alarm::Replayed(_))),
    ];
    for (fact, is_case) in cases {
        world.fact("bob", fact);
        let alarms = world.alarms("bob");
        assert!(matches!(&alarms[..], [alarm] if is_case(alarm)), "{alarms:?}");
    }
    assert_eq!((world.room("bob").epoch(), world.room("bob").owner()), (0, to_alice));
    assert_eq!(world.heard("bob"), ["eve: tea"]);
}

#[test]
fn unknown_types_are_shown_as_such() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, None);
    let eve = Puppet::new(&url);
    world.fact("bob", listed(&eve, "eve"));
    let bob = world.clients["bob"].listed.clone();
    let json = br#"{"n":1,"at":1,"type":"poll\u001b[2J","view":"AAAAAAAAAAAAAAAAAAAAAA"}"#;
    world.fact("bob", eve.raw(&bob, "eve", json));
    assert!(matches!(&world.clients["bob"].events.last(), Some(Event::Unsupported { kind, .. }) if kind == "poll[2J"));
}

#[test]
fn a_card_from_the_future_asks_for_an_update() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, None);
    let mut entry = Puppet::new(&url).listed("eve", "eve");
    entry.card = entry.card.map(|card| format!("Ag{}", &card[2..]));
    world.fact("alice", Fact::UserJoined(entry));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::CardOfUnknownVersion(_)));
    let eve = Puppet::new(&url);
    let stolen = Puppet::new(&url);
    // A card whose signing key is somebody else's.
    let json = format!(r#"{{"name":"eve","key":"{}"}}"#, stolen.key());
    let card =
        Card::seal_json(&eve.identity, json.as_bytes(), &eve.root, &eve.secret, &mut subrosa::sealed::SystemRandom);
    let public_key_pem = eve.identity.public_key().pkcs1_pem();
    world.fact("alice", Fact::UserJoined(Listed { user_id: "eve".into(), public_key_pem, card: card.ok() }));
    assert_refused(&mut world, "alice", "eve", |alarm| matches!(alarm, Alarm::CardForged(_)));
}

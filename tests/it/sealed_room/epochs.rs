//! Epochs that somebody merely claims: a header is anybody's word, so a false one may hurt nobody but its sender.
use std::time::Duration;

use subrosa::sealed::{
    Alarm, InviteKind,
    encoding::{Header, to_base64},
    room::{Event, Fact, Listed},
};

use super::{
    hostile::{deliver, keep_messages, listed},
    puppet::Puppet,
    world::{World, foreign_key},
};

/// A header of this epoch, with what is no more than noise behind it.
fn claim(epoch: u32) -> String {
    to_base64(&[&Header { epoch }.to_bytes()[..], &[7; 300]].concat())
}

fn message(from: &str, epoch: u32) -> Fact {
    Fact::Message { user_id: from.into(), content: claim(epoch), shared: Some(claim(epoch)) }
}

/// Someone who knows nothing but the relay's join key.
fn stranger(epoch: u32) -> Listed {
    Listed { user_id: "eve".into(), public_key_pem: foreign_key(), card: Some(claim(epoch)) }
}

fn assert_all_talk(world: &mut World, ids: &[&str]) {
    for id in ids {
        assert_eq!(world.clients[*id].ended, None, "{id}");
        world.heard(id);
    }
    for id in ids {
        world.say(id, "still here");
    }
    for id in ids {
        assert_eq!(world.heard(id).len(), ids.len() - 1, "{id}");
    }
}

#[test]
fn a_withheld_rekey_is_noticed_and_survived() {
    let mut world = World::with(&["bob", "carol"]);
    let kept = keep_messages(&mut world, "bob");
    world.act("alice", |room, now| room.rekey(now));
    world.intercept = None;
    let rekey = kept.borrow()[0].clone();
    world.say("carol", "in the new epoch");
    world.say("carol", "and again");
    world.pass(9_999);
    assert!(world.alarms("bob").is_empty() && world.heard("bob").is_empty());
    world.pass(1);
    assert!(matches!(&world.alarms("bob")[..], [Alarm::NewerSecretInUse(who)] if who.user_id == "carol"));
    // It comes late: all is well.
    deliver(&mut world, "bob", rekey);
    assert_eq!(world.heard("bob"), ["carol: in the new epoch", "carol: and again"]);
    world.pass(100_000);
    assert!(world.alarms("bob").is_empty());
    // It comes too late for what was said: that shows, and the room goes on.
    let kept = keep_messages(&mut world, "bob");
    world.act("alice", |room, now| room.rekey(now));
    world.intercept = None;
    world.say("carol", "lost");
    world.pass(60_000);
    world.say("carol", "kept");
    world.pass(59_999);
    assert!(matches!(&world.alarms("bob")[..], [Alarm::NewerSecretInUse(who)] if who.user_id == "carol"), "once");
    let rekey = kept.borrow()[0].clone();
    deliver(&mut world, "bob", rekey);
    assert_eq!(world.heard("bob"), ["carol: kept"]);
    assert!(matches!(&world.alarms("bob")[..], [Alarm::MessagesMissing { count: 1, .. }]));
    assert_all_talk(&mut world, &["alice", "bob", "carol"]);
}

#[test]
fn an_old_secret_opens_what_was_under_way_and_is_wiped_then() {
    let mut world = World::with(&["bob", "carol"]);
    let kept = keep_messages(&mut world, "carol");
    world.say("bob", "slow");
    world.say("bob", "too slow");
    world.intercept = None;
    let kept = kept.borrow().clone();
    world.act("alice", |room, now| room.rekey(now));
    // For as long as a session may be away, and 30 s more.
    world.pass(89_999);
    deliver(&mut world, "carol", kept[0].clone());
    assert_eq!(world.heard("carol"), ["bob: slow"]);
    world.pass(1);
    assert!(world.alarms("carol").is_empty());
    deliver(&mut world, "carol", kept[1].clone());
    assert!(matches!(&world.alarms("carol")[..], [Alarm::MessageOutdated(who)] if who.user_id == "bob"));
    assert!(world.heard("carol").is_empty());
    // Nothing of it is left to wait for.
    let now = world.now;
    assert!(world.room("carol").next_deadline().is_none_or(|at| at > now));
    assert_all_talk(&mut world, &["alice", "bob", "carol"]);
}

#[test]
fn a_member_who_claims_the_next_epoch_drives_nobody_out() {
    let mut world = World::with(&["bob", "carol"]);
    // So much that it would crowd out others, if it could.
    for _ in 0..1_000 {
        world.fact("carol", message("bob", 1));
    }
    assert!(world.alarms("carol").is_empty());
    world.pass(300_000);
    assert!(matches!(&world.alarms("carol")[..], [Alarm::NewerSecretInUse(who)] if who.user_id == "bob"), "once");
    assert_all_talk(&mut world, &["alice", "bob", "carol"]);
    for _ in 0..1_000 {
        world.fact("carol", message("bob", 1));
    }
    let kept = keep_messages(&mut world, "carol");
    world.act("alice", |room, now| room.rekey(now));
    world.intercept = None;
    world.say("alice", "kept for carol");
    let rekey = kept.borrow()[0].clone();
    deliver(&mut world, "carol", rekey);
    assert_eq!(world.heard("carol"), ["alice: kept for carol"]);
}

#[test]
fn an_epoch_that_cannot_be_is_refused_at_once_and_told_once() {
    let mut world = World::with(&["bob", "carol"]);
    for epoch in [1, 5, u32::MAX] {
        world.fact("alice", message("bob", epoch));
    }
    // The owner makes the epochs: it waits for none.
    assert!(matches!(&world.alarms("alice")[..], [Alarm::SecretNeverIssued(who)] if who.user_id == "bob"));
    for epoch in [2, 5, u32::MAX] {
        world.fact("carol", message("bob", epoch));
    }
    assert!(matches!(&world.alarms("carol")[..], [Alarm::SecretTooNew(who)] if who.user_id == "bob"));
    world.pass(300_000);
    assert_all_talk(&mut world, &["alice", "bob", "carol"]);
    // A new epoch is a new chance.
    world.act("alice", |room, now| room.rekey(now));
    world.fact("alice", message("bob", 2));
    assert!(matches!(&world.alarms("alice")[..], [Alarm::SecretNeverIssued(_)]));
    world.pass(300_000);
    world.assert_calm();
}

#[test]
fn a_card_of_a_newer_epoch_keeps_out_its_owner_alone() {
    let mut world = World::with(&["bob", "carol"]);
    for id in ["alice", "bob", "carol"] {
        let epoch = if id == "bob" { 7 } else { 1 };
        world.fact(id, Fact::UserJoined(stranger(epoch)));
    }
    assert!(matches!(&world.alarms("alice")[..], [Alarm::SecretNeverIssued(who)] if who.user_id == "eve"));
    assert!(matches!(&world.alarms("bob")[..], [Alarm::SecretTooNew(who)] if who.user_id == "eve"));
    let not_here = |event: &Event| matches!(event, Event::NotHereYet { user_id } if user_id == "eve");
    assert!(world.clients["carol"].events.iter().any(not_here));
    world.pass(300_000);
    assert!(matches!(&world.alarms("carol")[..], [Alarm::NewerSecretInUse(who)] if who.user_id == "eve"));
    assert_all_talk(&mut world, &["alice", "bob", "carol"]);
    world.assert_nothing_sealed_to("eve");
    world.assert_calm();
}

#[test]
fn who_came_in_the_next_epoch_is_judged_as_one_who_came_live() {
    // Somebody comes with an invite of an epoch whose secret carol has not got yet: at once, and after what waits was dropped.
    for (wait, name) in [(0, "in time"), (70_000, "too late")] {
        let mut world = World::with(&["bob", "carol"]);
        let kept = keep_messages(&mut world, "carol");
        world.act("alice", |room, now| room.rekey(now));
        world.intercept = None;
        let expiring = Puppet::new(&world.link("alice", InviteKind::OneTime, Some(Duration::from_secs(60))))
            .listed("erin", "erin");
        world.fact("carol", Fact::UserJoined(expiring.clone()));
        world.come_in("dave");
        world.say("dave", "hello");
        world.pass(if wait == 0 { 0 } else { 661_000 + wait });
        world.alarms("carol");
        // What the relay lists now has erin in it.
        let (room, _, _) = {
            let link = world.link("alice", InviteKind::OneTime, None);
            world.prepare("erin", "erin", &link)
        };
        world.add("erin", room, expiring);
        world.order.push("erin".into());
        let rekey = kept.borrow()[0].clone();
        deliver(&mut world, "carol", rekey);
        world.settle();
        let sees = world.sees("carol");
        assert!(sees.contains(&"dave".to_owned()), "{name}: {sees:?}");
        assert_eq!(sees.contains(&"erin".to_owned()), wait == 0, "{name}: {sees:?}");
        let expired = |alarm: &Alarm| matches!(alarm, Alarm::InviteExpired(who) if who.user_id == "erin");
        assert_eq!(world.alarms("carol").iter().any(expired), wait != 0, "{name}");
    }
}

#[test]
fn a_listed_card_of_a_newer_epoch_is_waited_for_or_refused() {
    let mut world = World::with(&["bob", "carol", "dave"]);
    world.clients.get_mut("bob").unwrap().listed.card = Some(claim(1));
    world.clients.get_mut("carol").unwrap().listed.card = Some(claim(2));
    world.come_in("erin");
    assert_eq!(world.sees("erin"), ["alice", "dave"]);
    assert!(matches!(&world.alarms("erin")[..], [Alarm::SecretTooNew(who)] if who.user_id == "carol"));
    world.pass(10_000);
    assert!(matches!(&world.alarms("erin")[..], [Alarm::NewerSecretInUse(who)] if who.user_id == "bob"));
    world.pass(300_000);
    assert!(world.alarms("erin").is_empty());
    assert_eq!(world.clients["erin"].ended, None);
}

#[test]
fn a_new_list_with_newer_cards_of_members_costs_them_nothing() {
    let mut world = World::with(&["bob", "carol"]);
    // Someone has to be not here yet, so that dave asks again.
    let new = world.rekey_without_card_of("bob");
    world.come_in("dave");
    world.clients.get_mut("alice").unwrap().listed.card = Some(claim(2));
    world.clients.get_mut("carol").unwrap().listed.card = Some(claim(9));
    world.pass(30_000);
    let alarms = world.alarms("dave");
    let told = |alarm: &Alarm| match alarm {
        Alarm::NewerSecretInUse(who) => who.user_id == "alice",
        Alarm::SecretTooNew(who) => who.user_id == "carol",
        _ => false,
    };
    assert!(alarms.len() == 2 && alarms.iter().all(told), "{alarms:?}");
    world.clients.get_mut("bob").unwrap().listed.card = new;
    world.pass(60_000);
    assert_eq!(world.sees("dave"), ["alice", "carol", "bob"]);
    assert!(world.alarms("dave").is_empty());
}

#[test]
fn an_invite_is_good_for_ten_minutes_after_its_expiry() {
    for (late_s, accepted) in [(599, true), (601, false)] {
        let mut world = World::with(&["bob"]);
        let url = world.link("alice", InviteKind::OneTime, Some(Duration::from_secs(60)));
        let eve = Puppet::new(&url);
        world.pass((60 + late_s) * 1_000);
        world.fact("bob", listed(&eve, "eve"));
        assert_eq!(world.sees("bob").contains(&"eve".to_owned()), accepted, "{late_s} s late");
        let alarms = world.alarms("bob");
        assert_eq!(matches!(&alarms[..], [Alarm::InviteExpired(who)] if who.user_id == "eve"), !accepted, "{alarms:?}");
    }
}

#[test]
fn who_was_refused_for_an_invite_stays_refused() {
    let mut world = World::with(&["bob"]);
    let url = world.link("alice", InviteKind::OneTime, Some(Duration::from_secs(60)));
    let eve = Puppet::new(&url);
    world.pass(60_000 + 601_000);
    world.fact("alice", listed(&eve, "eve"));
    assert!(matches!(&world.alarms("alice")[..], [Alarm::InviteExpired(_)]));
    world.fact("alice", listed(&eve, "eve2"));
    assert!(matches!(&world.alarms("alice")[..], [Alarm::RefusedBefore(who)] if who.user_id == "eve2"));
    // A good invite, got later, does not help the same keys.
    let later = Puppet::new(&world.link("alice", InviteKind::Forever, None));
    let again = Puppet { invite: later.invite, ..eve };
    world.fact("alice", listed(&again, "eve3"));
    assert!(matches!(&world.alarms("alice")[..], [Alarm::RefusedBefore(_)]));
    assert_eq!(world.sees("alice"), ["bob"]);
    // Who comes later cannot know.
    assert_eq!(world.sees("bob"), ["alice"]);
}

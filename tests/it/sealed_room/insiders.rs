//! Members that cheat, with or without the relay's help: what the others' clients make of it.
use subrosa::sealed::{
    Body, Leaf, Note, OwnerChain, SystemRandom,
    chain::Right,
    hand::{self, Between, Position},
    message,
    note::Lacks,
    plain::After,
    room::Fact,
    said::SaidHash,
    step::ChainKey,
};
use zeroize::Zeroizing;

use super::puppet::{Puppet, Said};
use super::world::World;

fn text(text: &str) -> Body {
    Body::Text { text: Zeroizing::new(text.into()), re: None }
}

/// bob and carol, with mallory as a puppet that all have accepted.
fn stage() -> (World, Puppet) {
    let mut world = World::with(&["bob", "carol"]);
    let mallory = Puppet::come_in(&mut world, "mallory", &["alice", "bob", "carol"]);
    (world, mallory)
}

/// The alarms of a member, but for those of the views, which the puppet makes up.
fn alarms(world: &mut World, id: &str) -> Vec<String> {
    world.alarms(id).into_iter().filter(|line| !line.contains("sees-another-room")).collect()
}

#[test]
fn a_puppet_can_talk_properly() {
    let (mut world, mallory) = stage();
    let fact = mallory.first(&world, "mallory", "bob", mallory.plain(1, text("hello"), 0, vec![]));
    world.fact("bob", fact);
    assert_eq!(world.heard("bob").len(), 1);
    assert!(alarms(&mut world, "bob").is_empty());
}

#[test]
fn a_member_cannot_hand_on_the_chain_of_another() {
    let (mut world, mallory) = stage();
    world.rules.push(super::world::Rule { what: "messages".into(), from: None, to: None, keep: true });
    world.say("alice", "Yes, do it now");
    world.rules.clear();
    // mallory has alice's chain key, as every member does; here it is one of her own making, which changes nothing before the signature.
    world.come_in("dave");
    world.clear();
    let (_, _, _, shared) = world.pile[0].clone();
    let keys = mallory.keys();
    let card = subrosa::sealed::Card::open(&world.listed("dave").card.unwrap(), mallory.chain.root(), &keys).unwrap();
    let between =
        Between { root: mallory.chain.root(), keys: &keys, from: world.print("alice"), to: card.fingerprint() };
    let key = ChainKey::from_slice(&[7; 32]).unwrap();
    let at = Position { generation: 0, index: 0 };
    let content = hand::seal_hand(&mallory.identity, &between, &card.leaf, at, 0, &key).unwrap();
    world.fact("dave", Fact::Message { user_id: "alice".into(), content, shared });
    assert_eq!(world.lines("dave"), ["alarm message-forged alice"]);
    // alice's own hand still counts.
    world.say("alice", "hello dave");
    assert_eq!(world.heard("dave"), ["alice: hello dave"]);
}

#[test]
fn a_message_that_fails_behind_its_signature_costs_that_message_alone() {
    let (mut world, mallory) = stage();
    let bad = mallory.first(&world, "mallory", "bob", b"\0\0\0\x02{}{}".to_vec());
    world.fact("bob", bad);
    assert_eq!(alarms(&mut world, "bob"), [format!("alarm message-malformed {}", mallory.print().first_groups(1))]);
    // The chain that came with it is kept: the next needs no hand.
    let said = Said {
        at: Position { generation: 0, index: 1 },
        plain: mallory.plain(1, text("better"), 0, vec![]),
        hand: false,
    };
    let next = mallory.send(&world, "mallory", "bob", &said);
    world.fact("bob", next);
    assert_eq!(world.heard("bob").len(), 1);
}

#[test]
fn two_things_under_one_number_are_told_and_so_is_counting_backwards() {
    let (mut world, mallory) = stage();
    let said = |index: u32, n: u32, words: &str| (index, mallory.plain(n, text(words), 0, vec![]));
    let name = mallory.print().first_groups(1);
    for (index, plain) in [said(0, 2, "one"), said(1, 2, "two"), said(2, 1, "three"), said(3, 2, "one")] {
        let fact = mallory.at(&world, "mallory", "bob", index, plain);
        world.fact("bob", fact);
    }
    let expected = [format!("alarm says-two-things {name}"), format!("alarm counts-backwards {name}")];
    assert_eq!(alarms(&mut world, "bob"), [&expected[0], &expected[1]].map(String::as_str).as_slice());
}

#[test]
fn different_words_to_different_members_come_to_light() {
    let (mut world, mallory) = stage();
    let words = |words: &str| mallory.plain(1, text(words), 0, vec![]);
    for (to, said) in [("bob", "yes"), ("carol", "no")] {
        let fact = mallory.first(&world, "mallory", to, words(said));
        world.fact(to, fact);
    }
    world.clear();
    world.say("carol", "as mallory says");
    let alarms = alarms(&mut world, "bob");
    assert!(alarms[0].starts_with("alarm disagree carol and "), "{alarms:?}");
    // It is told once.
    world.say("carol", "again");
    assert!(world.alarms("bob").is_empty());
}

#[test]
fn a_made_up_predecessor_holds_a_message_back_for_five_seconds_alone() {
    let (mut world, mallory) = stage();
    world.say("carol", "hi");
    world.clear();
    let mut author = [0; 8];
    author.copy_from_slice(&world.print("carol").as_bytes()[..8]);
    let after = vec![After { author, n: 9, said: SaidHash([1; 16]) }];
    let fact = mallory.first(&world, "mallory", "bob", mallory.plain(1, text("late"), 0, after));
    world.fact("bob", fact);
    assert!(world.heard("bob").is_empty());
    world.pass(5_000);
    assert!(world.heard("bob")[0].ends_with(": late [early]"));
    // carol suffers nothing by it.
    world.say("carol", "still here");
    assert_eq!(world.heard("bob"), ["carol: still here"]);
}

#[test]
fn only_the_owner_begins_epochs() {
    let (mut world, mallory) = stage();
    let name = mallory.print().first_groups(1);
    let own = OwnerChain::new(*mallory.identity.verifying_key());
    let bodies = [
        // Under a chain of another room, under the room's chain, and under a chain that ends in a link of nobody's.
        mallory.secret_body(1, &own, Vec::new()),
        mallory.secret_body(
            1,
            &own,
            own.handed_to(&mallory.identity, *own.root(), Right::HandOver, 0).unwrap().to_bytes(),
        ),
        mallory.secret_body(9_000, &own, Vec::new()),
    ];
    for (index, body) in (0..).zip(bodies) {
        let fact = mallory.at(&world, "mallory", "bob", index, mallory.plain(index + 1, body, 0, vec![]));
        world.fact("bob", fact);
        assert_eq!(alarms(&mut world, "bob"), [format!("alarm secret-forged {name}")], "{index}");
    }
    assert_eq!(world.room("bob").epoch(), 0);
    assert_eq!(world.sees("bob").len(), 3);
}

#[test]
fn an_old_hand_over_does_not_work_again() {
    // alice → mallory → alice, then mallory alone, with alice's first signature once more.
    let mut world = World::with(&["bob"]);
    let mallory = Puppet::come_in(&mut world, "mallory", &["alice", "bob"]);
    let alice = subrosa::sealed::Identity::from_seed(&[3; 32]).unwrap();
    let none = OwnerChain::new(*alice.verifying_key());
    let there = none.handed_to(&alice, *mallory.identity.verifying_key(), Right::HandOver, 0).unwrap();
    let back = there.handed_to(&mallory.identity, *alice.verifying_key(), Right::HandOver, 1).unwrap();
    let stolen = [back.to_bytes(), there.to_bytes()].concat();
    assert!(OwnerChain::from_bytes(*alice.verifying_key(), &stolen).is_err());
    // And at a machine: a chain that does not hold proves nothing.
    let body = mallory.secret_body(1, &OwnerChain::new(*mallory.identity.verifying_key()), stolen);
    let fact = mallory.first(&world, "mallory", "bob", mallory.plain(1, body, 0, vec![]));
    world.fact("bob", fact);
    let name = mallory.print().first_groups(1);
    assert_eq!(alarms(&mut world, "bob"), [format!("alarm secret-forged {name}")]);
}

#[test]
fn only_the_owner_names_heirs() {
    let (mut world, mallory) = stage();
    let keys = mallory.keys();
    let card = subrosa::sealed::Card::open(&world.listed("bob").card.unwrap(), mallory.chain.root(), &keys).unwrap();
    let own = OwnerChain::new(*mallory.identity.verifying_key());
    let grant = own.handed_to(&mallory.identity, card.key, Right::Heir, 0).unwrap();
    let between = Between { root: mallory.chain.root(), keys: &keys, from: mallory.print(), to: card.fingerprint() };
    let body = Body::Succession { chain: grant.to_bytes(), transfer: true };
    let core = subrosa::sealed::plain::Core {
        n: 1,
        at: 0,
        body,
        to: Some(card.fingerprint()),
        gone: None,
        settings: None,
        quiet: false,
    };
    let extra = subrosa::sealed::plain::Extra { view: subrosa::sealed::View::from_bytes([0; 16]), after: vec![] };
    let plain = subrosa::sealed::plain::write(&core.to_json().unwrap(), &extra, None).unwrap();
    let key = ChainKey::generate(&mut SystemRandom);
    let content = hand::seal_private(&between, &card.leaf, &key).unwrap();
    let shared = message::seal_private(&mallory.identity, &between, key.step().unwrap().1, &plain).unwrap();
    world.fact("bob", Fact::Message { user_id: "mallory".into(), content, shared: Some(shared) });
    let name = mallory.print().first_groups(1);
    assert_eq!(alarms(&mut world, "bob"), [format!("alarm succession-forged {name}")]);
}

#[test]
fn a_false_epoch_hurts_its_sender_alone() {
    let (mut world, mut mallory) = stage();
    let name = mallory.print().first_groups(1);
    let card = world.listed("bob").card;
    mallory.secret = subrosa::sealed::RoomSecret::from_slice(7, &[1; 32]).unwrap();
    let shared = message::seal_room(
        &mallory.identity,
        mallory.chain.root(),
        7,
        Position { generation: 0, index: 0 },
        ChainKey::from_slice(&[1; 32]).unwrap().step().unwrap().1,
        b"",
    );
    let fact = || Fact::Message { user_id: "mallory".into(), content: String::new(), shared: shared.clone().ok() };
    // The owner knows that there is no such epoch.
    world.fact("alice", fact());
    world.fact("alice", fact());
    assert_eq!(alarms(&mut world, "alice"), [format!("alarm secret-never-issued {name}")]);
    // The others ask for it, and are warned after a minute; they go on as before.
    world.fact("bob", fact());
    assert!(alarms(&mut world, "bob").is_empty());
    world.pass(60_000);
    assert_eq!(alarms(&mut world, "bob"), [format!("alarm newer-secret-in-use {name}")]);
    world.say("alice", "calm");
    assert_eq!(world.heard("bob"), ["alice: calm"]);
    assert_eq!(world.listed("bob").card.is_some(), card.is_some());
}

#[test]
fn a_repeated_note_and_one_for_others_change_nothing() {
    let (mut world, mallory) = stage();
    world.say("alice", "hi");
    let note = |generation: u32, to| {
        let leaf = Leaf::generate(generation).unwrap();
        let note = Note { to: vec![to], epoch: 0, lacks: Lacks::Secret, leaf: leaf.public().clone() };
        let shared = note.seal(&mallory.identity, mallory.chain.root(), &mallory.keys(), &mut SystemRandom).unwrap();
        Fact::Message { user_id: "mallory".into(), content: String::new(), shared: Some(shared) }
    };
    world.clear();
    for (generation, to) in [(0, world.print("alice")), (5, world.print("bob"))] {
        let fact = note(generation, to);
        world.fact("alice", fact);
        world.pass(11_000);
    }
    assert!(alarms(&mut world, "alice").is_empty());
    assert!(world.clients["alice"].commands.iter().all(|command| !command.contains("mallory")));
}

#[test]
fn two_leaves_of_one_generation_are_told() {
    let (mut world, mallory) = stage();
    let other = mallory.listed_with("mallory", &Leaf::generate(0).unwrap());
    world.extra = vec![other];
    // bob asks for the list before he hands his chain on.
    world.say("bob", "hi");
    let name = mallory.print().first_groups(1);
    assert_eq!(alarms(&mut world, "bob"), [format!("alarm leaf-swapped {name}")]);
}

#[test]
fn something_unsealed_is_dropped() {
    let (mut world, _) = stage();
    world.fact("bob", Fact::Message { user_id: "alice".into(), content: "tea".into(), shared: None });
    assert_eq!(world.lines("bob"), ["alarm message-unsealed alice"]);
    for (shared, kind) in [("tea", "message-does-not-open"), ("AQAAAAAA", "message-of-unknown-version")] {
        let fact = Fact::Message { user_id: "alice".into(), content: String::new(), shared: Some(shared.into()) };
        world.fact("bob", fact);
        assert_eq!(world.lines("bob"), [format!("alarm {kind} alice")]);
    }
}

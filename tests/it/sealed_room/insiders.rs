//! Members and owners who cheat: here the creator and others are puppets, and bob's client has to see through them.
use subrosa::sealed::{
    Alarm, Certificate, Fingerprint, Identity, InviteKind, Link, OwnerChain, RoomSecret, Server, SystemRandom,
    room::{Ending, Event, Fact, IntentError, Machine, Settings, Step},
};

use super::{
    puppet::Puppet,
    world::{START, identity},
};

/// A room that a puppet has created, with a second puppet and bob in it.
struct Stage {
    creator: Puppet,
    second: Puppet,
    bob: Machine,
    /// How bob is listed, for sealing to him.
    listed: subrosa::sealed::room::Listed,
}

fn invite(owner: &Identity, creator: &Identity, epoch: u32, id: u8) -> Certificate {
    Certificate::issue(owner, creator.verifying_key(), epoch, [id; 16], InviteKind::OneTime, 0).unwrap()
}

fn secret(epoch: u32) -> RoomSecret {
    RoomSecret::from_slice(epoch, &[7; 32]).unwrap()
}

fn stage() -> Stage {
    let creator = identity();
    let root = *creator.verifying_key();
    let second =
        Puppet { identity: identity(), root, secret: secret(0), invite: Some(invite(&creator, &creator, 0, 2)) };
    let link = Link {
        server: Server { authority: "localhost:5656".parse().unwrap(), pin: None },
        room_id: "room".into(),
        join_key: "key".into(),
        secret: secret(0),
        room_name: String::new(),
        certificate: invite(&creator, &creator, 0, 3),
        chain: OwnerChain::new(root),
    };
    let creator = Puppet { identity: creator, root, secret: secret(0), invite: None };
    let settings = Settings { resume_window_ms: 60_000, frame_bytes: 1 << 20 };
    let (mut bob, request) = Machine::join(identity(), "bob", link, settings, Box::new(SystemRandom)).unwrap();
    let members = vec![creator.listed("creator", "creator"), second.listed("second", "second")];
    let step = bob.handle(Fact::Joined { user_id: "bob".into(), owner_id: "creator".into(), members }, START);
    assert!(alarms(&step).is_empty(), "{step:?}");
    let listed = subrosa::sealed::room::Listed {
        user_id: "bob".into(),
        public_key_pem: request.public_key_pem,
        card: Some(request.card),
    };
    Stage { creator, second, bob, listed }
}

/// What bob is warned of, but for the views, which the puppets make up.
fn alarms(step: &Step) -> Vec<&Alarm> {
    let of_views = |alarm: &&Alarm| matches!(alarm, Alarm::SeesAnotherRoom(_) | Alarm::RelayShowsDifferentRooms);
    let alarms =
        step.events.iter().filter_map(|event| if let Event::Alarm(alarm) = event { Some(alarm) } else { None });
    alarms.filter(|alarm| !of_views(alarm)).collect()
}

impl Stage {
    fn give(&mut self, fact: Fact) -> Step {
        self.bob.handle(fact, START)
    }

    fn name_owner(&mut self, id: &str) -> Step {
        self.give(Fact::OwnerChanged { owner_id: id.into() })
    }

    fn chain_to_second(&self) -> OwnerChain {
        OwnerChain::new(self.creator.root)
            .handed_to(&self.creator.identity, *self.second.identity.verifying_key())
            .unwrap()
    }

    fn bob_print(&self) -> Fingerprint {
        self.bob.fingerprint()
    }
}

macro_rules! assert_alarm {
    ($step:expr, $case:pat) => {
        let step = $step;
        assert!(matches!(&alarms(&step)[..], [$case]), "{step:?}");
    };
}

#[test]
fn an_owner_cannot_rekey_in_private_or_out_of_turn() {
    let mut stage = stage();
    let (bob, me) = (stage.listed.clone(), stage.bob_print());
    let private = stage.creator.rekey_to(&bob, "creator", 1, 1, &[], Some(me));
    assert_alarm!(stage.give(private), Alarm::RekeyOutOfTurn(_));
    let skipping = stage.creator.rekey(&bob, "creator", 1, 2, &[]);
    assert_alarm!(stage.give(skipping), Alarm::RekeyOutOfTurn(_));
    let again = stage.creator.rekey(&bob, "creator", 2, 0, &[]);
    assert_alarm!(stage.give(again), Alarm::RekeyOutOfTurn(_));
    assert_eq!(stage.bob.epoch(), 0);
    // One that is in order, and then one that is still sealed in the epoch before.
    let good = stage.creator.rekey(&bob, "creator", 3, 1, &[]);
    assert!(alarms(&stage.give(good)).is_empty());
    let late = stage.creator.rekey(&bob, "creator", 4, 2, &[]);
    assert_alarm!(stage.give(late), Alarm::RekeyOutOfTurn(_));
    assert_eq!(stage.bob.epoch(), 1);
}

#[test]
fn a_new_owner_needs_both_the_chain_and_the_relays_word() {
    let mut stage = stage();
    let (bob, chain) = (stage.listed.clone(), stage.chain_to_second().to_bytes());
    let early = stage.second.rekey(&bob, "second", 1, 1, &chain);
    assert_alarm!(stage.give(early), Alarm::RekeyByStranger(_));
    assert!(alarms(&stage.name_owner("second")).is_empty());
    let without = stage.second.rekey(&bob, "second", 2, 1, &[]);
    assert_alarm!(stage.give(without), Alarm::RekeyByStranger(_));
    let proper = stage.second.rekey(&bob, "second", 3, 1, &chain);
    let step = stage.give(proper);
    assert!(step.events.iter().any(|event| matches!(event, Event::OwnerChanged { .. })), "{step:?}");
    assert_eq!(stage.bob.owner(), stage.second.identity.fingerprint());
    assert!(alarms(&stage.bob.tick(START + 60_000)).is_empty());
}

#[test]
fn a_chain_must_start_at_the_present_owner() {
    let mut stage = stage();
    let (bob, chain) = (stage.listed.clone(), stage.chain_to_second());
    assert!(alarms(&stage.name_owner("second")).is_empty());
    let first = stage.second.rekey_with(&bob, "second", 1, secret(1), &chain.to_bytes());
    assert!(alarms(&stage.give(first)).is_empty());
    // The creator has handed the room over; an old grant of its own does not bring it back.
    assert!(alarms(&stage.name_owner("creator")).is_empty());
    stage.creator.secret = secret(1);
    let own = OwnerChain::new(stage.creator.root).handed_to(&stage.creator.identity, stage.creator.root).unwrap();
    let fork = stage.creator.rekey(&bob, "creator", 1, 2, &own.to_bytes());
    assert_alarm!(stage.give(fork), Alarm::RekeyByStranger(_));
    let none = stage.creator.rekey(&bob, "creator", 2, 2, &[]);
    assert_alarm!(stage.give(none), Alarm::RekeyByStranger(_));
    assert_alarm!(stage.bob.tick(START + 60_000), Alarm::OwnerUnproven(_));
    // Nor do its invites count, even if it knows the present secret.
    let certificate = invite(&stage.creator.identity, &stage.creator.identity, 1, 9);
    let guest = Puppet { identity: identity(), root: stage.creator.root, secret: secret(1), invite: Some(certificate) };
    assert_alarm!(stage.give(Fact::UserJoined(guest.listed("guest", "guest"))), Alarm::InviteOfFormerOwner(_));
}

#[test]
fn a_former_owner_cannot_fork_the_chain_even_with_the_servers_help() {
    let mut stage = stage();
    let (bob, root, chain) = (stage.listed.clone(), stage.creator.root, stage.chain_to_second());
    assert!(alarms(&stage.name_owner("second")).is_empty());
    let first = stage.second.rekey_with(&bob, "second", 1, secret(1), &chain.to_bytes());
    assert!(alarms(&stage.give(first)).is_empty());
    // The creator signs another hand-over in the place of the one to `second`, and from there one to itself. The chain
    // is one longer than the present one, every signature is good, and the server names the creator the owner.
    let (creator, third) = (&stage.creator.identity, identity());
    let fork = OwnerChain::new(root).handed_to(creator, *third.verifying_key()).unwrap();
    let fork = fork.handed_to(&third, root).unwrap();
    assert!(!fork.follows(&chain) && fork.follows(&OwnerChain::from_bytes(root, &fork.to_bytes()[..96]).unwrap()));
    assert!(alarms(&stage.name_owner("creator")).is_empty());
    stage.creator.secret = secret(1);
    let rekey = stage.creator.rekey(&bob, "creator", 1, 2, &fork.to_bytes());
    assert_alarm!(stage.give(rekey), Alarm::RekeyByStranger(_));
    assert_eq!((stage.bob.epoch(), stage.bob.owner()), (1, stage.second.identity.fingerprint()));
}

#[test]
fn a_member_that_the_owner_removed_is_out_though_the_server_kept_it() {
    let mut stage = stage();
    let (bob, me) = (stage.listed.clone(), stage.bob_print());
    let removed = stage.creator.rekey_without(&bob, "creator", 1, secret(1), vec![me]);
    let step = stage.give(removed);
    assert!(matches!(&step.events[..], [Event::Ended(Ending::Removed)]), "{step:?}");
    assert_eq!(stage.bob.epoch(), 0);
    // Nothing is believed or sent any more.
    let text = stage.creator.text(&bob, "creator", 2, None);
    let step = stage.give(text);
    assert!(step.events.is_empty() && step.commands.is_empty(), "{step:?}");
    assert_eq!(stage.bob.send_text("still here?", START).unwrap_err(), IntentError::NotInside);
}

#[test]
fn only_the_present_owner_names_heirs() {
    let mut stage = stage();
    let (bob, me) = (stage.listed.clone(), stage.bob_print());
    let bobs_key = subrosa::sealed::Card::open(
        bob.card.as_deref().unwrap(),
        &subrosa::protocol::public_key::PublicKey::from_pem(&bob.public_key_pem).unwrap(),
        &stage.creator.root,
        &secret(0),
    );
    let bobs_key = bobs_key.unwrap().key;
    let chain = OwnerChain::new(stage.creator.root).handed_to(&stage.creator.identity, bobs_key).unwrap().to_bytes();
    // Passed on by a member who is not the owner, and said to the whole room.
    let passed_on = stage.second.succession(&bob, "second", 1, &chain, Some(me));
    assert_alarm!(stage.give(passed_on), Alarm::SuccessionForged(_));
    let aloud = stage.creator.succession(&bob, "creator", 1, &chain, None);
    assert_alarm!(stage.give(aloud), Alarm::SuccessionForged(_));
    let for_another = stage.creator.succession(&bob, "creator", 1, &stage.chain_to_second().to_bytes(), Some(me));
    assert_alarm!(stage.give(for_another), Alarm::SuccessionForged(_));
    assert_alarm!(stage.name_owner("bob"), Alarm::OwnershipImposed);
    assert!(alarms(&stage.name_owner("creator")).is_empty());
    let proper = stage.creator.succession(&bob, "creator", 2, &chain, Some(me));
    assert!(alarms(&stage.give(proper)).is_empty());
    // A grant is worth nothing once the room has gone to somebody else.
    assert!(alarms(&stage.name_owner("second")).is_empty());
    let chain = stage.chain_to_second();
    let rekey = stage.second.rekey(&bob, "second", 2, 1, &chain.to_bytes());
    assert!(alarms(&stage.give(rekey)).is_empty());
    assert_alarm!(stage.name_owner("bob"), Alarm::OwnershipImposed);
    assert!(!stage.bob.is_owner());
}

#[test]
fn a_grant_makes_an_owner_whose_first_act_is_a_rekey() {
    let mut stage = stage();
    let (bob, me) = (stage.listed.clone(), stage.bob_print());
    let public_key = subrosa::protocol::public_key::PublicKey::from_pem(&bob.public_key_pem).unwrap();
    let card = subrosa::sealed::Card::open(bob.card.as_deref().unwrap(), &public_key, &stage.creator.root, &secret(0));
    let chain = OwnerChain::new(stage.creator.root).handed_to(&stage.creator.identity, card.unwrap().key).unwrap();
    let grant = stage.creator.succession(&bob, "creator", 1, &chain.to_bytes(), Some(me));
    assert!(alarms(&stage.give(grant)).is_empty());
    let step = stage.name_owner("bob");
    assert!(stage.bob.is_owner() && alarms(&step).is_empty());
    assert!(matches!(&step.commands[..], [(_, subrosa::sealed::room::Command::ResetKeys)]), "{step:?}");
}

//! Explores the real machines of four members under an honest relay: every short schedule of what people do and what connections suffer, and
//! long random ones. After each schedule everybody must be whole again, without any alarm, and the room must come to rest.
//!
//! Faults are lost connections, gaps, lost and refused answers, and time that passes meanwhile. Nobody lies here; the scripts and the tests of
//! insiders have the lies.
use std::panic::{AssertUnwindSafe, catch_unwind};

use subrosa::sealed::room::Answer;

use super::world::{World, without_id};

const MEMBERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Say(&'static str),
    Tell(&'static str, &'static str),
    Away(&'static str),
    Gap(&'static str),
    Live(&'static str),
    Rekey,
    HandOver(&'static str),
    Remove(&'static str),
    Join,
    LoseAnswer,
    Refuse,
    Pass(u64),
}

/// What a schedule is made of.
const ACTS: [Act; 18] = [
    Act::Say("alice"),
    Act::Say("bob"),
    Act::Say("carol"),
    Act::Tell("bob", "carol"),
    Act::Away("bob"),
    Act::Away("carol"),
    Act::Away("alice"),
    Act::Gap("bob"),
    Act::Gap("carol"),
    Act::Live("bob"),
    Act::Live("carol"),
    Act::Rekey,
    Act::HandOver("bob"),
    Act::Remove("dave"),
    Act::Join,
    Act::LoseAnswer,
    Act::Refuse,
    Act::Pass(130_000),
];

struct Run {
    world: World,
    away: Vec<&'static str>,
    /// How many guests there have been.
    guests: u32,
}

impl Run {
    fn new() -> Self {
        let world = World::with(&MEMBERS[1..]);
        Self { world, away: Vec::new(), guests: 0 }
    }

    fn is_here(&self, id: &str) -> bool {
        self.world.order.iter().any(|member| member == id)
    }

    fn owner(&self) -> Option<String> {
        self.world.order.iter().find(|id| self.world.clients[*id].room.is_owner()).cloned()
    }

    /// Does one thing; what cannot be done now is left out, as the people would.
    fn act(&mut self, act: Act) {
        let owner = self.owner();
        if let Act::Away(who) = act
            && self.is_here(who)
            && !self.away.contains(&who)
        {
            self.away.push(who);
            return self.world.go_away(who);
        }
        let world = &mut self.world;
        match act {
            Act::Say(who) if world.order.iter().any(|member| member == who) => {
                let _ = world.act(who, |room, now| room.send_text("words", now).map(without_id));
            }
            Act::Tell(who, to) if world.order.iter().any(|member| member == who) => {
                let to = world.print(to);
                let _ = world.act(who, |room, now| room.tell(to, "psst", now).map(without_id));
            }
            Act::Gap(who) if self.away.contains(&who) => world.gap(who),
            Act::Live(who) if self.away.contains(&who) => {
                self.away.retain(|away| *away != who);
                self.world.live(who);
            }
            Act::Rekey => {
                if let Some(owner) = owner {
                    let _ = world.act(&owner, |room, now| room.rekey(now));
                }
            }
            Act::HandOver(to) => {
                if let Some(owner) = owner.filter(|owner| owner != to) {
                    let to = world.print(to);
                    let _ = world.act(&owner, |room, now| room.hand_over(to, now));
                }
            }
            Act::Remove(who) => {
                if let Some(owner) = owner.filter(|owner| owner != who) {
                    let member = world.print(who);
                    let _ = world.act(&owner, |room, now| room.remove(member, now));
                }
            }
            Act::Join => {
                if let Some(owner) = owner.filter(|owner| *owner == world.owner && !self.away.contains(&owner.as_str()))
                {
                    self.join(&owner);
                }
            }
            Act::LoseAnswer => world.lose_answers = 1,
            Act::Refuse => world.refusals.push_back(Answer::Refused { retry_after_ms: Some(1_000) }),
            Act::Pass(ms) => world.pass(ms),
            Act::Say(_) | Act::Tell(..) | Act::Away(_) | Act::Gap(_) | Act::Live(_) => {}
        }
    }

    fn join(&mut self, owner: &str) {
        self.guests += 1;
        let id = format!("guest-{}", self.guests);
        let link = self.world.try_link(owner, subrosa::sealed::InviteKind::OneTime, None);
        if let Some(link) = link {
            self.world.join(&id, &id, &link);
        }
    }

    /// Lets the room come to rest, and checks that all are whole.
    fn check(&mut self) {
        for who in std::mem::take(&mut self.away) {
            self.world.live(who);
        }
        self.world.lose_answers = 0;
        self.world.refusals.clear();
        self.world.pass(400_000);
        let world = &mut self.world;
        let order = world.order.clone();
        let alone = order.len() < 2;
        // What was lost before shows at the next message of its author.
        for who in order.iter().filter(|_| !alone) {
            world.act(who, |room, now| room.send_text("first", now).map(without_id)).unwrap();
            world.pass(2_000);
        }
        world.pass(15_000);
        for id in world.clients.keys().cloned().collect::<Vec<_>>() {
            let alarms: Vec<_> = world.lines(&id).into_iter().filter(|line| line.starts_with("alarm")).collect();
            assert!(alarms.is_empty(), "alarms of {id}: {alarms:?}");
        }
        for who in order.iter().filter(|_| !alone) {
            let words = format!("hello from {who}");
            world.act(who, |room, now| room.send_text(&words, now).map(without_id)).unwrap();
        }
        world.pass(10_000);
        let epoch = world.room(&order[0]).epoch();
        let owner = world.room(&order[0]).owner();
        for id in &order {
            let room = world.room(id);
            assert_eq!((room.epoch(), room.owner()), (epoch, owner), "{id}");
            assert_eq!(room.members().len() + 1, order.len(), "{id} sees {:?}", room.members());
            let heard = world.heard(id);
            for other in order.iter().filter(|other| *other != id) {
                assert!(heard.iter().any(|line| line.contains(&format!("hello from {other}"))), "{id}: {heard:?}");
            }
        }
        // And it comes to rest: nothing but changed cards and the owner's beat.
        world.pass(200_000);
        world.clear();
        world.pass(120_000);
        for id in &order {
            let commands = &world.clients[id].commands;
            let busy: Vec<_> = commands.iter().filter(|line| *line != "set-card" && *line != "send rest").collect();
            assert!(busy.is_empty(), "{id}: {busy:?}");
            assert!(commands.len() <= 2, "{id}: {commands:?}");
        }
        world.assert_calm();
    }
}

/// Runs a schedule; says which one failed.
fn run(schedule: &[Act]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Run::new();
        for act in schedule {
            run.act(*act);
        }
        run.check();
    }));
    assert!(outcome.is_ok(), "failed: {schedule:?}");
}

#[test]
fn every_schedule_of_two_steps_heals() {
    for first in ACTS {
        for second in ACTS {
            run(&[first, second]);
        }
    }
}

/// Longer schedules, at random from fixed seeds. `EXPLORE_WALKS` sets how many; the default takes some seconds.
#[test]
fn random_schedules_heal() {
    let walks = std::env::var("EXPLORE_WALKS").ok().and_then(|walks| walks.parse().ok()).unwrap_or(40);
    for seed in 0..walks {
        let mut state: u64 = seed * 2 + 1;
        let schedule: Vec<_> = (0..12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ACTS[(state >> 33) as usize % ACTS.len()]
            })
            .collect();
        run(&schedule);
    }
}

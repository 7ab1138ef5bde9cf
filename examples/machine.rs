//! Two members of a sealed room without a network: both machines, and between them a server of forty lines.
//!
//! `cargo run --example machine`. It shows the loop of `subrosa::sealed::room`: push in facts and answers, carry out
//! the commands of each step in order. A real client puts a connection in the place of [`Server`].

use std::collections::VecDeque;
use std::error::Error;

use subrosa::protocol::codes::OwnerLeaves;
use subrosa::sealed::room::{Answer, Command, CommandId, Event, Fact, Listed, Machine, NewRoom, Now, Settings, Step};
use subrosa::sealed::{Identity, InviteKind, SystemRandom};

const SETTINGS: Settings = Settings { frame_bytes: 1 << 20 };
/// The time, which the machines do not look up themselves.
const NOW: Now = Now { mono_ms: 0, wall_ms: 1_790_000_000_000 };

/// A server with one room, which carries out what the example needs.
#[derive(Default)]
struct Server {
    members: Vec<(Machine, Listed)>,
    /// What each member still has to be given.
    queue: VecDeque<(usize, Push)>,
    /// What each member's user was shown.
    shown: Vec<(usize, Event)>,
}

enum Push {
    Fact(Fact),
    Answer(CommandId, Answer),
}

impl Server {
    /// Takes a step of a member's machine: its events go to the user, its commands are carried out.
    fn follow(&mut self, member: usize, step: Step) {
        self.shown.extend(step.events.into_iter().map(|event| (member, event)));
        for (id, command) in step.commands {
            let answer = self.carry_out(member, command);
            self.queue.push_back((member, Push::Answer(id, answer)));
        }
    }

    fn carry_out(&mut self, from: usize, command: Command) -> Answer {
        match command {
            Command::IssueKey { .. } => Answer::Key("a join key".into()),
            Command::Send { to, shared, .. } => {
                // Named or left to the server, there is one recipient: the other member.
                let (user_id, other) = (self.members[from].1.user_id.clone(), 1 - from);
                let content = to.into_iter().find_map(|(_, content)| content).unwrap_or_default();
                let fact = Fact::Message { user_id, content, shared: Some(shared) };
                self.queue.push_back((other, Push::Fact(fact)));
                let reached = vec![self.members[other].1.user_id.clone()];
                Answer::Sent { reached, held: Vec::new(), absent: Vec::new() }
            }
            Command::ListMembers => {
                let members = self.members.iter().map(|(_, listed)| listed.clone()).collect();
                Answer::Members { owner_id: "alice".into(), members, version: 2 }
            }
            _ => Answer::Done,
        }
    }

    /// Gives the machines what waits for them, until nothing does.
    fn run(&mut self) {
        while let Some((member, push)) = self.queue.pop_front() {
            let machine = &mut self.members[member].0;
            let step = match push {
                Push::Fact(fact) => machine.handle(fact, NOW),
                Push::Answer(id, answer) => machine.answer(id, answer, NOW),
            };
            self.follow(member, step);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    for line in talk()? {
        eprintln!("{line}");
    }
    Ok(())
}

/// Alice opens a room and invites bob, and bob says something: the lines that the users see.
pub(crate) fn talk() -> Result<Vec<String>, Box<dyn Error>> {
    let mut server = Server::default();
    let listed = |user_id: &str, card| Listed { user_id: user_id.into(), card: Some(card) };

    // Alice's request goes to the server as `create-room`; the answer comes back as a fact.
    let server_address = subrosa::sealed::Server { authority: "chat.example.org".parse()?, pin: None };
    let new = NewRoom { room_name: "tea".into(), server: server_address, owner_leaves: OwnerLeaves::Transfer };
    let identity = Identity::generate(&mut SystemRandom)?;
    let (alice, request) = Machine::create(identity, "alice", new, SETTINGS, Box::new(SystemRandom))?;
    server.members.push((alice, listed("alice", request.card)));
    let created = Fact::Created { room_id: "a-room".into(), user_id: "alice".into() };
    server.queue.push_back((0, Push::Fact(created)));
    server.run();

    // The link comes as an event, when the server has given a join key.
    let (invite, step) = server.members[0].0.invite(InviteKind::OneTime, None, NOW)?;
    server.follow(0, step);
    server.run();
    let at = server.shown.iter().position(|(_, event)| matches!(event, Event::Invite { id, .. } if *id == invite));
    let Some((_, Event::Invite { link, .. })) = at.map(|at| server.shown.remove(at)) else {
        return Err("no invite".into());
    };

    // Bob's request goes to the server as `join-room-onetime`, and alice is told.
    let identity = Identity::generate(&mut SystemRandom)?;
    let (bob, request) = Machine::join(identity, "bob", *link, SETTINGS, Box::new(SystemRandom))?;
    server.members.push((bob, listed("bob", request.card)));
    let (user_id, owner_id) = ("bob".into(), "alice".into());
    let joined = Fact::Joined { user_id, owner_id, members: vec![server.members[0].1.clone()], version: 2 };
    let user_joined = Fact::UserJoined { user: server.members[1].1.clone(), version: 2 };
    server.queue.extend([(1, Push::Fact(joined)), (0, Push::Fact(user_joined))]);
    server.run();

    let (_, step) = server.members[1].0.send_text("good evening", NOW)?;
    server.follow(1, step);
    server.run();

    let lines = server.shown.iter().filter_map(|(member, event)| {
        let member = ["alice", "bob"][*member];
        match event {
            Event::MemberJoined { name, .. } => Some(format!("{member} sees {name}")),
            Event::Message { place, text, .. } => Some(format!("{member} reads: <{}> {}", place.name, text.as_str())),
            Event::Sent { reached, .. } => Some(format!("{member}'s message reached {}", reached.len())),
            Event::Alarm(alarm) => Some(format!("{member} is warned: {alarm}")),
            _ => None,
        }
    });
    Ok(lines.collect())
}

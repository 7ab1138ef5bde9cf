//! A relay in memory, honest unless a test interferes, and the clients around it. User ids are the names that tests use.
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use secrecy::ExposeSecret as _;
use subrosa::protocol::codes::OwnerLeaves;
use subrosa::sealed::{
    Fingerprint, Identity, InviteKind, Link, Server, SystemRandom,
    room::{
        Answer, Command, CommandId, Event, Fact, IntentError, LeaveReason, Listed, Machine, MessageId, NewRoom, Now,
        Settings, Step,
    },
};

use super::lines;

/// Some time in unix milliseconds; nothing here reads a clock.
pub(crate) const START: u64 = 1_790_000_000_000;

pub(crate) fn identity() -> Identity {
    Identity::generate(&mut SystemRandom).unwrap()
}

pub(crate) struct Client {
    pub(crate) room: Machine,
    /// Every card that it has shown, the one that it joined with first.
    pub(crate) cards: Vec<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) lines: Vec<String>,
    pub(crate) commands: Vec<String>,
    joined: u64,
    away: bool,
    held: Vec<Fact>,
}

enum Work {
    Fact(String, Fact),
    Answer(String, CommandId, Answer),
}

/// What the relay does to facts on their way.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) what: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// Kept on a pile instead of dropped.
    pub(crate) keep: bool,
}

/// A message that the relay keeps: for whom, from whom, `content` and `shared`.
pub(crate) type Kept = (String, String, String, Option<String>);

pub(crate) struct World {
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) mono: u64,
    pub(crate) owner: String,
    /// The members in the order of joining.
    pub(crate) order: Vec<String>,
    pub(crate) version: u64,
    pub(crate) keys: HashMap<String, InviteKind>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) pile: Vec<Kept>,
    /// Commands, by their names on the wire, that are neither carried out nor answered.
    pub(crate) swallowed: BTreeSet<String>,
    /// Answers that the relay gives to the next packets instead of carrying them out.
    pub(crate) refusals: VecDeque<Answer>,
    /// How many of the next packets are carried out without an answer that arrives.
    pub(crate) lose_answers: u32,
    /// Which card of a member the relay shows, if not the last.
    pub(crate) shown: BTreeMap<String, usize>,
    /// What the relay lists besides its members.
    pub(crate) extra: Vec<Listed>,
    /// Invites for later, by name.
    pub(crate) links: HashMap<String, String>,
    transfer: bool,
    settings: Settings,
    work: VecDeque<Work>,
    next_key: u32,
}

impl World {
    /// A room that alice has created, without heirs and with large frames.
    pub(crate) fn new() -> Self {
        Self::create(false, 1 << 20)
    }

    pub(crate) fn create(transfer: bool, frame_bytes: usize) -> Self {
        let settings = Settings { frame_bytes };
        let owner_leaves = if transfer { OwnerLeaves::Transfer } else { OwnerLeaves::Close };
        let server = Server { authority: "localhost:5656".parse().unwrap(), pin: None };
        let new = NewRoom { room_name: "tea".into(), server, owner_leaves };
        let (room, request) = Machine::create(identity(), "alice", new, settings, Box::new(SystemRandom)).unwrap();
        let mut world = Self {
            clients: BTreeMap::new(),
            mono: 0,
            owner: "alice".into(),
            order: vec!["alice".into()],
            version: 1,
            keys: HashMap::new(),
            rules: Vec::new(),
            pile: Vec::new(),
            swallowed: BTreeSet::new(),
            refusals: VecDeque::new(),
            lose_answers: 0,
            shown: BTreeMap::new(),
            extra: Vec::new(),
            links: HashMap::new(),
            transfer,
            settings,
            work: VecDeque::new(),
            next_key: 0,
        };
        world.add("alice", room, request.card);
        world.fact("alice", Fact::Created { room_id: "the-room".into(), user_id: "alice".into() });
        world.clear();
        world
    }

    /// A room with alice and others, who came by one-time invites.
    pub(crate) fn with(names: &[&str]) -> Self {
        let mut world = Self::new();
        names.iter().for_each(|name| world.come_in(name));
        world.clear();
        world
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono_ms: self.mono, wall_ms: START + self.mono }
    }

    /// A client that nobody was told of.
    pub(crate) fn add(&mut self, id: &str, room: Machine, card: String) {
        let client = Client {
            room,
            cards: vec![card],
            events: Vec::new(),
            lines: Vec::new(),
            commands: Vec::new(),
            joined: self.version,
            away: false,
            held: Vec::new(),
        };
        self.clients.insert(id.into(), client);
    }

    /// Asks an owner's client for a link.
    pub(crate) fn link(&mut self, owner: &str, kind: InviteKind, expires_in_s: Option<u64>) -> String {
        self.try_link(owner, kind, expires_in_s).expect("an invite")
    }

    /// The same, where the client may have something else to finish first.
    pub(crate) fn try_link(&mut self, owner: &str, kind: InviteKind, expires_in_s: Option<u64>) -> Option<String> {
        let now = self.now();
        let life = expires_in_s.map(std::time::Duration::from_secs);
        let (_, step) = self.room(owner).invite(kind, life, now).ok()?;
        self.step(owner, step);
        let events = &mut self.clients.get_mut(owner).unwrap().events;
        let at = events.iter().rposition(|event| matches!(event, Event::Invite { .. }))?;
        match events.remove(at) {
            Event::Invite { link, .. } => Some(link.to_url().expose_secret().to_owned()),
            _ => None,
        }
    }

    /// A one-time invite from alice, used by a newcomer.
    pub(crate) fn come_in(&mut self, name: &str) {
        let link = self.link("alice", InviteKind::OneTime, None);
        assert!(self.join(name, name, &link), "the relay refused {name}");
    }

    /// Joins by the relay's rules; false if the key is spent.
    pub(crate) fn join(&mut self, id: &str, name: &str, link: &str) -> bool {
        let link = Link::parse(link).unwrap();
        let (room, request) = Machine::join(identity(), name, link, self.settings, Box::new(SystemRandom)).unwrap();
        match self.keys.get(request.join_key.expose_secret()) {
            None => return false,
            Some(InviteKind::OneTime) => drop(self.keys.remove(request.join_key.expose_secret())),
            Some(InviteKind::Forever) => {}
        }
        self.admit(id, room, request.card);
        true
    }

    /// Joins although the key is spent: the relay helps.
    pub(crate) fn break_in(&mut self, id: &str, name: &str, link: &str) {
        let link = Link::parse(link).unwrap();
        let (room, request) = Machine::join(identity(), name, link, self.settings, Box::new(SystemRandom)).unwrap();
        self.admit(id, room, request.card);
    }

    /// Lets somebody in, by the rules or not.
    pub(crate) fn admit(&mut self, id: &str, room: Machine, card: String) {
        let members = self.order.iter().map(|other| self.listed(other)).collect();
        self.version += 1;
        let (version, user) = (self.version, Listed { user_id: id.into(), card: Some(card.clone()) });
        self.queue_all("", id, || Fact::UserJoined { user: user.clone(), version });
        self.add(id, room, card);
        self.order.push(id.into());
        let owner_id = self.owner.clone();
        self.queue(id, id, Fact::Joined { user_id: id.into(), owner_id, members, version });
        self.work();
    }

    /// A member as the relay lists it.
    pub(crate) fn listed(&self, id: &str) -> Listed {
        let cards = &self.clients[id].cards;
        let at = self.shown.get(id).copied().unwrap_or(cards.len() - 1);
        Listed { user_id: id.into(), card: cards.get(at).cloned() }
    }

    pub(crate) fn room(&mut self, id: &str) -> &mut Machine {
        &mut self.clients.get_mut(id).unwrap_or_else(|| panic!("no {id}")).room
    }

    pub(crate) fn print(&self, id: &str) -> Fingerprint {
        self.clients[id].room.fingerprint()
    }

    /// The name that tests use for a fingerprint.
    pub(crate) fn id_of(&self, member: &Fingerprint) -> String {
        let found = self.clients.iter().find(|(_, client)| client.room.fingerprint() == *member);
        found.map_or_else(|| member.first_groups(1), |(id, _)| id.clone())
    }

    /// Does something with a client's room and carries out what comes of it.
    pub(crate) fn act(
        &mut self,
        id: &str,
        act: impl FnOnce(&mut Machine, Now) -> Result<Step, IntentError>,
    ) -> Result<(), IntentError> {
        let now = self.now();
        let step = act(self.room(id), now)?;
        self.step(id, step);
        Ok(())
    }

    pub(crate) fn say(&mut self, id: &str, text: &str) {
        self.act(id, |room, now| room.send_text(text, now).map(without_id)).unwrap();
    }

    /// Gives a client a fact, past the interference.
    pub(crate) fn fact(&mut self, id: &str, fact: Fact) {
        self.work.push_back(Work::Fact(id.into(), fact));
        self.work();
    }

    /// Gives a kept message to its client.
    pub(crate) fn deliver(&mut self, (to, user_id, content, shared): Kept) {
        self.fact(&to, Fact::Message { user_id, content, shared });
    }

    /// A fact about `from` goes to a client, unless a rule stands in its way.
    fn queue(&mut self, id: &str, from: &str, fact: Fact) {
        let what = match &fact {
            Fact::Message { .. } => "messages",
            Fact::UserJoined { .. } => "joins",
            Fact::UserLeft { .. } => "leaves",
            Fact::OwnerChanged { .. } => "owner",
            _ => "",
        };
        let fits = |rule: &&Rule| {
            (rule.what == what || (rule.what == "all" && !what.is_empty()))
                && rule.from.as_deref().is_none_or(|wanted| wanted == from)
                && rule.to.as_deref().is_none_or(|wanted| wanted == id)
        };
        if let Some(rule) = self.rules.iter().find(fits) {
            if let (true, Fact::Message { user_id, content, shared }) = (rule.keep, fact) {
                self.pile.push((id.into(), user_id, content, shared));
            }
            return;
        }
        match self.clients.get_mut(id) {
            Some(client) if client.away => client.held.push(fact),
            _ => self.work.push_back(Work::Fact(id.into(), fact)),
        }
    }

    fn queue_all(&mut self, except: &str, from: &str, fact: impl Fn() -> Fact) {
        for other in self.order.clone() {
            if other != except {
                self.queue(&other, from, fact());
            }
        }
    }

    fn step(&mut self, id: &str, step: Step) {
        self.take(id, step);
        self.work();
    }

    /// Works off what has come about.
    pub(crate) fn work(&mut self) {
        while let Some(work) = self.work.pop_front() {
            let now = self.now();
            let (id, step) = match work {
                Work::Fact(id, fact) => {
                    let step = self.room(&id).handle(fact, now);
                    (id, step)
                }
                Work::Answer(id, command, answer) => {
                    let step = self.room(&id).answer(command, answer, now);
                    (id, step)
                }
            };
            self.take(&id, step);
        }
    }

    fn take(&mut self, id: &str, step: Step) {
        for event in step.events {
            let line = lines::event(self, &event);
            let client = self.clients.get_mut(id).unwrap();
            client.lines.extend(line);
            client.events.push(event);
        }
        for (command_id, command) in step.commands {
            let (line, name) = lines::command(&command);
            self.clients.get_mut(id).unwrap().commands.push(line);
            if self.swallowed.contains(name) {
                continue;
            }
            let answer = self.carry_out(id, command);
            self.work.push_back(Work::Answer(id.into(), command_id, answer));
        }
    }

    fn carry_out(&mut self, id: &str, command: Command) -> Answer {
        let owns = self.owner == id;
        let denied = Answer::Refused { retry_after_ms: None };
        match command {
            _ if !self.order.iter().any(|member| member == id) => return denied,
            Command::Send { to, shared, rest, keep } => return self.send(id, to, shared, rest, keep),
            Command::SetCard { card } => self.clients.get_mut(id).unwrap().cards.push(card),
            Command::ListMembers => {
                let members = self.order.iter().map(|member| self.listed(member)).chain(self.extra.clone()).collect();
                return Answer::Members { owner_id: self.owner.clone(), members, version: self.version };
            }
            Command::Leave => self.leave(id, LeaveReason::Left),
            _ if !owns => return denied,
            Command::IssueKey { kind, .. } => {
                self.next_key += 1;
                let key = format!("key-{}", self.next_key);
                self.keys.insert(key.clone(), kind);
                return Answer::Key(key.into());
            }
            Command::ResetKeys => self.keys.clear(),
            Command::RemoveMember { user_id } => self.leave(&user_id, LeaveReason::Removed),
            Command::HandOver { user_id } => self.name_owner(&user_id),
            Command::Close => self.queue_all("", "", || Fact::Closed),
        }
        Answer::Done
    }

    fn send(
        &mut self,
        id: &str,
        to: Vec<(String, Option<String>)>,
        shared: String,
        rest: Option<u64>,
        keep: bool,
    ) -> Answer {
        if let Some(refusal) = self.refusals.pop_front() {
            return refusal;
        }
        let (mut reached, mut held, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        let named: Vec<String> = to.iter().map(|(user_id, _)| user_id.clone()).collect();
        let others = self.order.iter().filter(|member| {
            let here = rest.is_some_and(|version| self.clients[*member].joined <= version);
            here && *member != id && !named.contains(member)
        });
        let all: Vec<_> = to.iter().cloned().chain(others.map(|member| (member.clone(), None))).collect();
        for (member, content) in all {
            if !self.order.contains(&member) {
                absent.push(member);
                continue;
            }
            let away = self.clients[&member].away;
            if away && !keep {
                absent.push(member);
                continue;
            }
            let content = content.unwrap_or_default();
            let fact = Fact::Message { user_id: id.into(), content, shared: Some(shared.clone()) };
            self.queue(&member, id, fact);
            if away {
                held.push(member);
            } else if named.contains(&member) {
                reached.push(member);
            }
        }
        if self.lose_answers > 0 {
            self.lose_answers -= 1;
            return Answer::Lost;
        }
        Answer::Sent { reached, held, absent }
    }

    /// Somebody is gone.
    pub(crate) fn leave(&mut self, id: &str, reason: LeaveReason) {
        if !self.order.iter().any(|member| member == id) {
            return;
        }
        self.version += 1;
        let (user_id, version) = (id.to_owned(), self.version);
        let left = || Fact::UserLeft { user_id: user_id.clone(), reason, version };
        if reason != LeaveReason::Left {
            self.queue(id, id, left());
        }
        self.order.retain(|member| member != id);
        self.queue_all("", id, left);
        if self.owner == id {
            match self.order.first().cloned() {
                Some(heir) if self.transfer => self.name_owner(&heir),
                _ => self.queue_all("", "", || Fact::Closed),
            }
        }
    }

    /// Names an owner, by the rules or not.
    pub(crate) fn name_owner(&mut self, id: &str) {
        self.owner = id.to_owned();
        let (owner_id, version) = (self.owner.clone(), self.version);
        self.queue_all("", id, || Fact::OwnerChanged { owner_id: owner_id.clone(), version });
    }

    /// The connection of a client is lost; the relay keeps what comes for it.
    pub(crate) fn go_away(&mut self, id: &str) {
        self.clients.get_mut(id).unwrap().away = true;
        self.fact(id, Fact::Away);
    }

    /// The relay had to drop the messages that it kept for a client.
    pub(crate) fn gap(&mut self, id: &str) {
        let held = &mut self.clients.get_mut(id).unwrap().held;
        held.retain(|fact| !matches!(fact, Fact::Message { .. } | Fact::Gap));
        held.insert(0, Fact::Gap);
    }

    /// A client is back: it is told what it missed.
    pub(crate) fn live(&mut self, id: &str) {
        let client = self.clients.get_mut(id).unwrap();
        client.away = false;
        let held = std::mem::take(&mut client.held);
        self.work.extend(held.into_iter().chain([Fact::Live]).map(|fact| Work::Fact(id.into(), fact)));
        self.work();
    }

    /// Lets time pass, each deadline at its moment.
    pub(crate) fn pass(&mut self, ms: u64) {
        let (end, mut stuck) = (self.mono + ms, 0);
        loop {
            let due = |id: &String| {
                let client = &self.clients[id];
                client.room.next_deadline().filter(|_| !client.away)
            };
            let next = self.order.iter().filter_map(due).min().filter(|due| *due <= end);
            stuck = if next.is_some_and(|due| due <= self.mono) { stuck + 1 } else { 0 };
            assert!(stuck < 100, "a deadline that never passes");
            self.mono = next.map_or(end, |due| due.max(self.mono));
            for id in self.order.clone() {
                let now = self.now();
                let step = self.room(&id).tick(now);
                self.step(&id, step);
            }
            if next.is_none() {
                return;
            }
        }
    }

    /// Forgets events and commands.
    pub(crate) fn clear(&mut self) {
        for client in self.clients.values_mut() {
            client.events.clear();
            client.lines.clear();
            client.commands.clear();
        }
    }

    /// The lines of a client since the last call.
    pub(crate) fn lines(&mut self, id: &str) -> Vec<String> {
        let client = self.clients.get_mut(id).unwrap();
        client.events.clear();
        std::mem::take(&mut client.lines)
    }

    /// What a client was told by members, and by nobody else, since the last call.
    pub(crate) fn heard(&mut self, id: &str) -> Vec<String> {
        let client = self.clients.get_mut(id).unwrap();
        let said: Vec<_> = client.events.iter().map(|event| matches!(event, Event::Message { .. })).collect();
        let lines = self.lines(id);
        assert_eq!(said.len(), lines.len(), "an event without a line: {lines:?}");
        lines.into_iter().zip(said).filter_map(|(line, said)| said.then_some(line)).collect()
    }

    /// The alarms of a client since the last call.
    pub(crate) fn alarms(&mut self, id: &str) -> Vec<String> {
        self.lines(id).into_iter().filter(|line| line.starts_with("alarm ")).collect()
    }

    /// Fails if anybody was alarmed.
    pub(crate) fn assert_calm(&mut self) {
        for id in self.clients.keys().cloned().collect::<Vec<_>>() {
            assert_eq!(self.alarms(&id), [""; 0], "alarms of {id}");
        }
    }

    /// The members that a client takes to be in the room.
    pub(crate) fn sees(&mut self, id: &str) -> Vec<String> {
        self.room(id).members().into_iter().map(|member| member.name).collect()
    }
}

/// The step alone.
pub(crate) fn without_id((_, step): (MessageId, Step)) -> Step {
    step
}

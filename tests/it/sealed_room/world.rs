//! A relay in memory, honest unless a test interferes, and the clients around it.
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use secrecy::ExposeSecret as _;
use subrosa::protocol::codes::OwnerLeaves;
use subrosa::sealed::{
    Alarm, Fingerprint, Identity, InviteKind, Link, Random, Server, SystemRandom,
    room::{Answer, Command, CommandId, Ending, Event, Fact, LeaveReason, Listed, Machine, NewRoom, Settings, Step},
};

/// Some time in unix milliseconds; nothing here reads a clock.
pub(crate) const START: u64 = 1_790_000_000_000;

/// Fresh keys; the RSA part is one of the checked-in test keys, since making one takes long.
pub(crate) fn identity() -> Identity {
    // Every test has its own thread, so that the first five identities of a test have different RSA keys.
    thread_local!(static NEXT: Cell<usize> = const { Cell::new(0) });
    let keys: serde_json::Value = serde_json::from_str(include_str!("../../vectors/keys.json")).unwrap();
    let names = ["alice", "bob", "dave", "erin", "mallory"];
    let name = names[NEXT.replace(NEXT.get() + 1) % names.len()];
    let pem = keys["members"][name]["rsa_pkcs8_pem"].as_str().unwrap();
    let (_, der) = rsa::pkcs1::pem::decode_vec(pem.as_bytes()).unwrap();
    let mut seed = [0; 32];
    SystemRandom.fill(&mut seed);
    Identity::from_pkcs8(&der, &seed).unwrap()
}

/// A public key that no identity here has.
pub(crate) fn foreign_key() -> String {
    let keys: serde_json::Value = serde_json::from_str(include_str!("../../vectors/keys.json")).unwrap();
    keys["members"]["carol"]["rsa_public_pkcs1_pem"].as_str().unwrap().to_owned()
}

pub(crate) struct Client {
    pub(crate) room: Machine,
    pub(crate) listed: Listed,
    pub(crate) inside: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) ended: Option<Ending>,
}

/// One packet as the relay saw it.
pub(crate) struct Packet {
    pub(crate) from: String,
    pub(crate) recipients: Vec<(String, String)>,
    pub(crate) shared: String,
}

enum Work {
    Fact(String, Fact),
    Answer(String, CommandId, Answer),
}

type Intercept = Box<dyn FnMut(&str, Fact) -> Vec<Fact>>;

pub(crate) struct World {
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) now: u64,
    pub(crate) owner: String,
    /// The members in the order of joining.
    pub(crate) order: Vec<String>,
    pub(crate) keys: HashMap<String, InviteKind>,
    pub(crate) packets: Vec<Packet>,
    /// What the relay does to facts on their way to a client.
    pub(crate) intercept: Option<Intercept>,
    /// Answers that the relay gives to the next packets instead of carrying them out.
    pub(crate) refusals: VecDeque<Answer>,
    /// Commands that are swallowed without an answer.
    pub(crate) swallow: fn(&Command) -> bool,
    transfer: bool,
    settings: Settings,
    work: VecDeque<Work>,
    next_key: u32,
}

impl World {
    /// A room that alice has created.
    pub(crate) fn new(transfer: bool) -> Self {
        Self::create(transfer, 1 << 20)
    }

    /// A relay with frames of at most so many bytes.
    pub(crate) fn with_frames(frame_bytes: usize) -> Self {
        Self::create(false, frame_bytes)
    }

    fn create(transfer: bool, frame_bytes: usize) -> Self {
        let settings = Settings { resume_window_ms: 60_000, frame_bytes };
        let server = Server { authority: "localhost:5656".parse().unwrap(), pin: None };
        let owner_leaves = if transfer { OwnerLeaves::Transfer } else { OwnerLeaves::Close };
        let new = NewRoom { room_name: "tea".into(), server, owner_leaves };
        let (room, request) = Machine::create(identity(), "alice", new, settings, Box::new(SystemRandom)).unwrap();
        let mut world = Self {
            clients: BTreeMap::new(),
            now: START,
            owner: "alice".into(),
            order: vec!["alice".into()],
            keys: HashMap::new(),
            packets: Vec::new(),
            intercept: None,
            refusals: VecDeque::new(),
            swallow: |_| false,
            transfer,
            settings,
            work: VecDeque::new(),
            next_key: 0,
        };
        let listed =
            Listed { user_id: "alice".into(), public_key_pem: request.public_key_pem, card: Some(request.card) };
        world.add("alice", room, listed);
        world.fact("alice", Fact::Created { room_id: "the-room".into(), user_id: "alice".into() });
        world
    }

    /// A room with alice and others, who came by one-time invites.
    pub(crate) fn with(names: &[&str]) -> Self {
        let mut world = Self::new(false);
        names.iter().for_each(|name| world.come_in(name));
        world
    }

    /// A client that nobody was told of.
    pub(crate) fn add(&mut self, id: &str, room: Machine, listed: Listed) {
        let client = Client { room, listed, inside: true, events: Vec::new(), ended: None };
        self.clients.insert(id.into(), client);
    }

    /// Asks an owner's client for a link.
    pub(crate) fn link(&mut self, owner: &str, kind: InviteKind, expires_in: Option<Duration>) -> String {
        let now = self.now;
        let (id, step) = self.room(owner).invite(kind, expires_in, now).unwrap();
        self.step(owner, step);
        let events = &mut self.clients.get_mut(owner).unwrap().events;
        let is_it = |event: &Event| matches!(event, Event::Invite { id: made, .. } if *made == id);
        let at = events.iter().position(is_it).expect("an invite");
        match events.remove(at) {
            Event::Invite { link, .. } => link.to_url().expose_secret().to_owned(),
            _ => unreachable!(),
        }
    }

    /// A one-time invite from alice, used by a newcomer.
    pub(crate) fn come_in(&mut self, name: &str) {
        let link = self.link("alice", InviteKind::OneTime, None);
        assert!(self.join(name, name, &link), "the relay refused {name}");
    }

    /// Makes a client with a link, without joining.
    pub(crate) fn prepare(&mut self, id: &str, name: &str, link: &str) -> (Machine, Listed, String) {
        let link = Link::parse(link).unwrap();
        let (room, request) = Machine::join(identity(), name, link, self.settings, Box::new(SystemRandom)).unwrap();
        let listed = Listed { user_id: id.into(), public_key_pem: request.public_key_pem, card: Some(request.card) };
        (room, listed, request.join_key.expose_secret().to_owned())
    }

    /// Joins by the relay's rules; false if the key is spent.
    pub(crate) fn join(&mut self, id: &str, name: &str, link: &str) -> bool {
        let (room, listed, key) = self.prepare(id, name, link);
        match self.keys.get(&key) {
            None => return false,
            Some(InviteKind::OneTime) => {
                self.keys.remove(&key);
            }
            Some(InviteKind::Forever) => {}
        }
        self.admit(id, room, listed);
        true
    }

    /// Lets somebody in, by the rules or not.
    pub(crate) fn admit(&mut self, id: &str, room: Machine, listed: Listed) {
        let members = self.order.iter().map(|other| self.clients[other].listed.clone()).collect();
        for other in self.order.clone() {
            self.queue(&other, Fact::UserJoined(listed.clone()));
        }
        self.add(id, room, listed);
        self.order.push(id.into());
        let owner_id = self.owner.clone();
        self.queue(id, Fact::Joined { user_id: id.into(), owner_id, members });
        self.work();
    }

    pub(crate) fn room(&mut self, id: &str) -> &mut Machine {
        &mut self.clients.get_mut(id).unwrap().room
    }

    pub(crate) fn print(&self, id: &str) -> Fingerprint {
        self.clients[id].room.fingerprint()
    }

    /// Does something with a client's room and carries out what comes of it.
    pub(crate) fn act<E: std::fmt::Debug>(&mut self, id: &str, act: impl FnOnce(&mut Machine, u64) -> Result<Step, E>) {
        let now = self.now;
        let step = act(self.room(id), now).unwrap();
        self.step(id, step);
    }

    /// Alice seals a new secret, but the client of `id` does not get to replace its card; the card that it would have set.
    pub(crate) fn rekey_without_card_of(&mut self, id: &str) -> Option<String> {
        let old = self.clients[id].listed.card.clone();
        self.act("alice", |room, now| room.rekey(now));
        std::mem::replace(&mut self.clients.get_mut(id).unwrap().listed.card, old)
    }

    pub(crate) fn say(&mut self, id: &str, text: &str) {
        self.act(id, |room, now| room.send_text(text, now).map(|(_, step)| step));
    }

    pub(crate) fn tell(&mut self, id: &str, to: &str, text: &str) {
        let to = self.print(to);
        self.act(id, |room, now| room.tell(to, text, now).map(|(_, step)| step));
    }

    pub(crate) fn remove(&mut self, member: &str) {
        let member = self.print(member);
        self.act("alice", |room, now| room.remove(member, now));
    }

    /// Gives a client a fact, past the interception.
    pub(crate) fn fact(&mut self, id: &str, fact: Fact) {
        self.work.push_back(Work::Fact(id.into(), fact));
        self.work();
    }

    fn queue(&mut self, id: &str, fact: Fact) {
        let facts = match &mut self.intercept {
            Some(intercept) => intercept(id, fact),
            None => vec![fact],
        };
        self.work.extend(facts.into_iter().map(|fact| Work::Fact(id.into(), fact)));
    }

    fn queue_all(&mut self, except: &str, fact: impl Fn() -> Fact) {
        for other in self.order.clone() {
            if other != except {
                self.queue(&other, fact());
            }
        }
    }

    fn step(&mut self, id: &str, step: Step) {
        self.take(id, step);
        self.work();
    }

    fn work(&mut self) {
        while let Some(work) = self.work.pop_front() {
            let now = self.now;
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
        let client = self.clients.get_mut(id).unwrap();
        for event in step.events {
            if let Event::Ended(ending) = event {
                client.ended = Some(ending);
            }
            client.events.push(event);
        }
        for (command_id, command) in step.commands {
            if (self.swallow)(&command) {
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
            Command::Send { recipients, shared } => return self.send(id, recipients, shared),
            Command::SetCard { card } => self.clients.get_mut(id).unwrap().listed.card = Some(card),
            Command::ListMembers => {
                let members = self.order.iter().map(|member| self.clients[member].listed.clone()).collect();
                return Answer::Members { owner_id: self.owner.clone(), members };
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
            Command::Close => self.queue_all("", || Fact::Closed),
        }
        Answer::Done
    }

    fn send(&mut self, id: &str, recipients: Vec<(String, String)>, shared: String) -> Answer {
        if let Some(refusal) = self.refusals.pop_front() {
            return refusal;
        }
        let (mut reached, mut absent) = (Vec::new(), Vec::new());
        for (to, content) in &recipients {
            if self.order.contains(to) {
                let (content, shared) = (content.clone(), Some(shared.clone()));
                self.queue(to, Fact::Message { user_id: id.into(), content, shared });
                reached.push(to.clone());
            } else {
                absent.push(to.clone());
            }
        }
        self.packets.push(Packet { from: id.into(), recipients, shared });
        Answer::Sent { reached, held: Vec::new(), absent }
    }

    /// Somebody is gone.
    pub(crate) fn leave(&mut self, id: &str, reason: LeaveReason) {
        let user_id = id.to_owned();
        if reason != LeaveReason::Left {
            self.queue(id, Fact::UserLeft { user_id: user_id.clone(), reason });
        }
        self.order.retain(|member| member != id);
        self.clients.get_mut(id).unwrap().inside = false;
        self.queue_all("", || Fact::UserLeft { user_id: user_id.clone(), reason });
        if self.owner == id {
            match self.order.first().cloned() {
                Some(heir) if self.transfer => self.name_owner(&heir),
                _ => self.queue_all("", || Fact::Closed),
            }
        }
    }

    /// Names an owner, by the rules or not.
    pub(crate) fn name_owner(&mut self, id: &str) {
        self.owner = id.to_owned();
        let owner_id = self.owner.clone();
        self.queue_all("", || Fact::OwnerChanged { owner_id: owner_id.clone() });
    }

    /// A user leaves of its own accord.
    pub(crate) fn go(&mut self, id: &str) {
        let now = self.now;
        let step = self.room(id).leave(now);
        self.step(id, step);
    }

    /// Carries out what was queued by hand.
    pub(crate) fn settle(&mut self) {
        self.work();
    }

    /// Lets time pass, each deadline at its moment.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let due = |client: &Client| client.inside.then(|| client.room.next_deadline()).flatten();
            let next = self.clients.values().filter_map(due).min().filter(|due| *due <= end);
            self.now = next.map_or(end, |due| due.max(self.now));
            let (now, order) = (self.now, self.order.clone());
            for id in &order {
                let step = self.room(id).tick(now);
                self.step(id, step);
            }
            if next.is_none() {
                return;
            }
        }
    }

    /// What a client was told by members, as "NAME: TEXT", and "NAME (private): TEXT".
    pub(crate) fn heard(&mut self, id: &str) -> Vec<String> {
        let client = self.clients.get_mut(id).unwrap();
        let name = |from: &Fingerprint| client.room.member(from).map_or("gone".into(), |member| member.name);
        let mut heard = Vec::new();
        for event in &client.events {
            if let Event::Message { from, text, private, .. } = event {
                let private = if *private { " (private)" } else { "" };
                heard.push(format!("{}{private}: {}", name(from), text.as_str()));
            }
        }
        client.events.retain(|event| !matches!(event, Event::Message { .. }));
        heard
    }

    /// The alarms since the last call.
    pub(crate) fn alarms(&mut self, id: &str) -> Vec<Alarm> {
        let events = &mut self.clients.get_mut(id).unwrap().events;
        let mut alarms = Vec::new();
        events.retain(|event| match event {
            Event::Alarm(alarm) => {
                alarms.push(alarm.clone());
                false
            }
            _ => true,
        });
        alarms
    }

    /// Fails if anybody was alarmed.
    pub(crate) fn assert_calm(&mut self) {
        for id in self.clients.keys().cloned().collect::<Vec<_>>() {
            assert_eq!(self.alarms(&id), [], "alarms of {id}");
        }
    }

    /// Whom a client takes to be in the room.
    pub(crate) fn sees(&mut self, id: &str) -> Vec<String> {
        self.room(id).members().into_iter().map(|member| member.name).collect()
    }

    /// Fails if anything was ever sealed to a user id.
    pub(crate) fn assert_nothing_sealed_to(&self, id: &str) {
        for packet in &self.packets {
            assert!(packet.recipients.iter().all(|(to, _)| to != id), "{} sealed something to {id}", packet.from);
        }
    }
}

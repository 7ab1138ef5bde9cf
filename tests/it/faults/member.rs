//! A member that talks as long as it is told to, comes back whenever its connection breaks, and remembers everything
//! that it was told.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::line::{Broken, Line};
use super::random::Random;
use crate::support::keys::public_key;
use crate::support::test_server::soon;

/// Sends that wait for their answer at most.
const AT_ONCE: usize = 8;

/// What all members do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Talk.
    Talk,
    /// Say nothing new, but wait until everything said is answered.
    Finish,
    /// Read to the end.
    End,
}

/// What members of one test share.
pub(crate) struct Shared {
    pub(crate) phase: watch::Sender<Phase>,
    /// Members that have finished.
    pub(crate) finished: AtomicUsize,
    /// Sends of all, and the word that there are more.
    pub(crate) sends: AtomicU64,
    pub(crate) more: Notify,
    /// By room: its id, and the user ids of all members by their index.
    pub(crate) rooms: Vec<(String, Vec<String>)>,
    /// Close codes that may come.
    pub(crate) close_codes: Vec<u16>,
}

impl Shared {
    pub(crate) fn room(&self, id: &Value) -> usize {
        self.rooms.iter().position(|(room, _)| id == room).expect("a known room")
    }
}

/// Something that a member was told.
#[derive(Debug)]
pub(crate) enum Seen {
    /// Who is in the room, in the place of joins and leaves that are missing.
    Members {
        room: usize,
    },
    Message {
        sender: usize,
        number: u64,
    },
    /// A join, a leave or a change of the owner.
    Control {
        room: usize,
        what: String,
    },
    Gap {
        events: u64,
        reason: String,
    },
}

/// Something that a member said.
pub(crate) struct Said {
    pub(crate) to: BTreeSet<String>,
    pub(crate) frame: String,
}

pub(crate) struct Member {
    pub(crate) index: usize,
    way: SocketAddr,
    tls: Arc<ClientConfig>,
    random: Random,
    /// It says nothing.
    silent: bool,
    /// Tokens of its connections, newest first.
    tokens: Vec<String>,
    /// Number of the last event that it saw.
    seen: u64,
    unacked: u64,
    ack_after: u64,
    owns: Vec<bool>,
    pub(crate) known: Vec<HashSet<String>>,
    gone: Vec<Option<String>>,
    outstanding: BTreeSet<u64>,
    transfer: Option<(u64, String)>,
    since_transfer: u64,
    asked: u64,
    pub(crate) log: Vec<Seen>,
    pub(crate) said: BTreeMap<u64, Said>,
    pub(crate) answers: BTreeMap<u64, Value>,
    pub(crate) comebacks: u64,
    pub(crate) answered_again: u64,
}

/// What fills a message up; some frames are large enough to be written in pieces, or to be shared.
pub(crate) fn filling(number: u64) -> String {
    let length = match number {
        n if n % 29 == 0 => 17_000,
        n if n % 7 == 0 => 1_500,
        n => n * 37 % 400,
    };
    char::from(b'a' + (number % 26) as u8).to_string().repeat(length as usize)
}

impl Member {
    /// A member on its first connection, which is for setting up alone.
    pub(crate) async fn new(index: usize, way: SocketAddr, tls: Arc<ClientConfig>, seed: u64) -> (Self, Line) {
        let (mut line, hello) = Line::open(way, &tls).await.unwrap();
        let mut member = Self {
            index,
            way,
            tls,
            random: Random::new(seed),
            silent: false,
            tokens: vec![hello["resume_token"].as_str().unwrap().to_owned()],
            seen: 0,
            unacked: 0,
            ack_after: 1,
            owns: Vec::new(),
            known: Vec::new(),
            gone: Vec::new(),
            outstanding: BTreeSet::new(),
            transfer: None,
            since_transfer: 0,
            asked: 0,
            log: Vec::new(),
            said: BTreeMap::new(),
            answers: BTreeMap::new(),
            comebacks: 0,
            answered_again: 0,
        };
        let resumed = member.ask(&mut line, "resume", json!({})).await;
        assert_eq!((&resumed["cmd"], &resumed["data"]["seq"]), (&json!("resumed"), &json!(0)));
        member.seen = 0;
        (member, line)
    }

    /// Its further connections go this way.
    pub(crate) fn take_way(&mut self, way: SocketAddr) {
        self.way = way;
    }

    /// From now on it only listens.
    pub(crate) fn be_silent(&mut self) {
        self.silent = true;
    }

    // ---- setting up ----

    async fn ask(&mut self, line: &mut Line, cmd: &str, data: Value) -> Value {
        line.send(&json!({"cmd": cmd, "id": "set-up", "data": data}).to_string()).await.unwrap();
        loop {
            let frame = soon("an answer", line.next()).await.unwrap();
            self.seen += 1;
            if frame["id"] == "set-up" {
                return frame;
            }
            self.meet(&frame);
        }
    }

    /// Makes a room: its id, its forever key and the member's own user id.
    pub(crate) async fn create(&mut self, line: &mut Line) -> (String, String, String) {
        let data = json!({
            "name": "tea", "username": "m0", "public_key_string": public_key(1), "owner_leaves": "transfer"
        });
        let made = self.ask(line, "create-room", data).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let room = text(&made["room"]["room_id"]);
        let key = self.ask(line, "room-key-forever", json!({"room_id": room})).await;
        self.owns.push(true);
        self.known.push(HashSet::new());
        self.gone.push(None);
        (room, text(&key["data"]["forever_join_key"]), text(&made["room"]["owner_id"]))
    }

    /// Joins a room: its own user id.
    pub(crate) async fn join(&mut self, line: &mut Line, room: &str, key: &str) -> String {
        let joined = self.ask(line, "join-room-forever", joining(room, key, self.index)).await;
        assert_eq!(joined["cmd"], "joined", "{joined}");
        let users = joined["data"]["users"].as_array().unwrap();
        self.known.push(users.iter().map(|user| user["user_id"].as_str().unwrap().to_owned()).collect());
        self.owns.push(false);
        self.gone.push(None);
        joined["data"]["user_id"].as_str().unwrap().to_owned()
    }

    /// While setting up: others come. The newest room is meant.
    fn meet(&mut self, frame: &Value) {
        assert_eq!(frame["cmd"], "user-joined-forever", "{frame}");
        let user = frame["data"]["user_id"].as_str().unwrap().to_owned();
        self.known.last_mut().unwrap().insert(user);
    }

    /// Reads what others did meanwhile.
    pub(crate) async fn catch_up(&mut self, line: &mut Line) {
        self.ask(line, "ack", json!({"seq": 0})).await;
    }

    // ---- the test ----

    /// Talks, and comes back, until all is said and read. Returns with its connection still open.
    pub(crate) async fn run(mut self, shared: Arc<Shared>) -> (Self, Line) {
        let mut phase = shared.phase.subscribe();
        let mut finished = false;
        loop {
            let Ok(mut line) = self.come_back(&shared).await else { continue };
            self.comebacks += 1;
            match self.talk(&mut line, &shared, &mut phase, &mut finished).await {
                Ok(()) => return (self, line),
                Err(Broken(None)) => {}
                Err(Broken(Some(code))) => {
                    assert!(shared.close_codes.contains(&code), "member {} was closed with {code}", self.index);
                }
            }
        }
    }

    /// A connection that has taken up the session. Tokens are tried newest first, since a `resume` without an answer
    /// may have been carried out; and twice, since it may be carried out meanwhile.
    async fn come_back(&mut self, shared: &Shared) -> Result<Line, Broken> {
        let (mut line, hello) = Line::open(self.way, &self.tls).await?;
        self.tokens.insert(0, hello["resume_token"].as_str().unwrap().to_owned());
        let old = &self.tokens[1..];
        for token in old.iter().chain(old) {
            let data = json!({"token": token, "last_seq": self.seen});
            line.send(&json!({"cmd": "resume", "id": "back", "data": data}).to_string()).await?;
            let answer = soon("the answer to a resume, or the connection's end", async {
                loop {
                    let frame = line.next().await?;
                    if frame["cmd"] != "restarting" {
                        return Ok::<_, Broken>(frame);
                    }
                }
            })
            .await?;
            assert_eq!(answer["id"], "back", "{answer}");
            if answer["cmd"] == "resumed" {
                assert_eq!(answer["data"]["seq"], self.seen);
                self.tokens.truncate(1);
                self.unacked = 0;
                return Ok(line);
            }
            assert_eq!(answer["data"]["code"], "denied", "{answer}");
        }
        panic!("member {} lost its session; rooms: {:?}", self.index, shared.rooms.len());
    }

    async fn talk(
        &mut self,
        line: &mut Line,
        shared: &Shared,
        phase: &mut watch::Receiver<Phase>,
        finished: &mut bool,
    ) -> Result<(), Broken> {
        // A client may repeat what was not answered at once, or wait for the end of the replay.
        let mut sync = self.random.once_in(2).then(|| self.fresh_id("sync"));
        match &sync {
            Some(id) => line.send(&ack(self.seen, Some(id))).await?,
            None => self.repeat(line).await?,
        }
        let mut end = None;
        loop {
            let now = *phase.borrow_and_update();
            if sync.is_none() {
                while now == Phase::Talk && !self.silent && self.outstanding.len() < AT_ONCE {
                    let frame = self.say(shared);
                    line.send(&frame).await?;
                }
                self.transfer_on(line, shared, now).await?;
            }
            let nothing_open = self.outstanding.is_empty() && self.transfer.is_none() && sync.is_none();
            if now >= Phase::Finish && nothing_open && !*finished {
                *finished = true;
                shared.finished.fetch_add(1, Ordering::AcqRel);
            }
            if now == Phase::End && end.is_none() {
                let id = self.fresh_id("end");
                line.send(&ack(0, Some(&id))).await?;
                end = Some(id);
            }
            if self.unacked >= self.ack_after {
                let id = self.random.once_in(8).then(|| self.fresh_id("ack"));
                line.send(&ack(self.seen, id.as_deref())).await?;
                self.unacked = 0;
                self.ack_after = 1 + self.random.below(32);
            }
            let frame = tokio::select! {
                frame = soon("a frame or the connection's end", line.next()) => frame?,
                Ok(()) = phase.changed() => continue,
            };
            let id = self.told(&frame, shared);
            if sync.is_some() && id == sync {
                sync = None;
                self.repeat(line).await?;
            }
            if end.is_some() && id == end {
                return Ok(());
            }
        }
    }

    fn fresh_id(&mut self, what: &str) -> String {
        self.asked += 1;
        format!("{what}-{}", self.asked)
    }

    /// Sends again what was not answered, in its order.
    async fn repeat(&mut self, line: &mut Line) -> Result<(), Broken> {
        for number in &self.outstanding {
            line.send(&self.said[number].frame).await?;
        }
        if let Some((_, frame)) = &self.transfer {
            line.send(frame).await?;
        }
        Ok(())
    }

    /// Says something new to one member or to several.
    fn say(&mut self, shared: &Shared) -> String {
        let number = self.said.len() as u64 + 1;
        let room = self.random.below(shared.rooms.len() as u64) as usize;
        let (room_id, ids) = &shared.rooms[room];
        let mut others: Vec<_> = ids.iter().filter(|id| **id != ids[self.index]).cloned().collect();
        let text = format!("{}:{number}", self.index);
        let (to, cmd, data) = if self.random.once_in(2) {
            let to = others.swap_remove(self.random.below(others.len() as u64) as usize);
            let data = json!({"room_id": room_id, "to_user_id": to, "content": format!("{text}:{}", filling(number))});
            (vec![to], "send-message", data)
        } else {
            others.retain(|_| !self.random.once_in(4));
            // Somebody who is gone by now is absent, and nothing else suffers.
            others.extend(self.gone[room].clone());
            if others.is_empty() {
                others.push(ids[(self.index + 1) % ids.len()].clone());
            }
            let part = |to: &String| json!({"to_user_id": to, "content": text});
            let parts: Vec<_> = others.iter().map(part).collect();
            (others, "send-messages", json!({"room_id": room_id, "shared": filling(number), "to": parts}))
        };
        let frame = json!({"cmd": cmd, "id": format!("say-{number}"), "data": data}).to_string();
        self.said.insert(number, Said { to: to.into_iter().collect(), frame: frame.clone() });
        self.outstanding.insert(number);
        self.since_transfer += 1;
        if shared.sends.fetch_add(1, Ordering::AcqRel).is_multiple_of(32) {
            shared.more.notify_waiters();
        }
        frame
    }

    /// Who owns a room gives it away now and then.
    async fn transfer_on(&mut self, line: &mut Line, shared: &Shared, now: Phase) -> Result<(), Broken> {
        if now != Phase::Talk || self.transfer.is_some() || self.since_transfer < 60 {
            return Ok(());
        }
        let Some(room) = self.owns.iter().position(|owns| *owns) else { return Ok(()) };
        self.since_transfer = 0;
        let (room_id, ids) = &shared.rooms[room];
        let heir = &ids[(self.index + 1) % ids.len()];
        self.asked += 1;
        let id = format!("transfer-{}", self.asked);
        let data = json!({"room_id": room_id, "user_id": heir});
        let frame = json!({"cmd": "transfer-owner", "id": id, "data": data}).to_string();
        line.send(&frame).await?;
        self.transfer = Some((self.asked, frame));
        Ok(())
    }

    /// Takes in one frame; the id of the command that it answers.
    fn told(&mut self, frame: &Value, shared: &Shared) -> Option<String> {
        let (cmd, data) = (frame["cmd"].as_str().unwrap(), &frame["data"]);
        match cmd {
            "restarting" => return None,
            "gap" => {
                let (from, to) = (data["from"].as_u64().unwrap(), data["to"].as_u64().unwrap());
                assert_eq!(from, self.seen + 1, "a gap begins where knowledge ends");
                assert!(to >= from);
                self.seen = to;
                let reason = data["reason"].as_str().unwrap().to_owned();
                self.log.push(Seen::Gap { events: to - from + 1, reason });
                return None;
            }
            _ => {}
        }
        self.seen += 1;
        self.unacked += 1;
        let id = frame["id"].as_str().map(str::to_owned);
        match cmd {
            "send-message" => self.hear(data, shared),
            "sent" => self.answered(id.as_deref().unwrap(), data),
            "ack" => {}
            "transfer-owner" | "transfer-owner-error" => {
                let repeated = data["code"] == "not-owner";
                assert!(cmd == "transfer-owner" || repeated, "{frame}");
                if self.transfer.as_ref().is_some_and(|(n, _)| id == Some(format!("transfer-{n}"))) {
                    self.transfer = None;
                }
            }
            "user-joined-forever" | "user-left" | "owner-changed" => {
                let room = shared.room(&data["room_id"]);
                let user = |field: &str| data[field].as_str().unwrap().to_owned();
                match cmd {
                    "user-joined-forever" => assert!(self.known[room].insert(user("user_id")), "told twice of a join"),
                    "user-left" => {
                        assert!(self.known[room].remove(&user("user_id")), "a stranger left");
                        self.gone[room] = Some(user("user_id"));
                    }
                    _ => self.owns[room] = data["owner_id"] == *shared.rooms[room].1[self.index],
                }
                self.log.push(Seen::Control { room, what: format!("{cmd} {data}") });
            }
            "members" => {
                let room = shared.room(&data["room_id"]);
                let ids = |list: &Value| -> Vec<String> {
                    let id = |entry: &Value| entry.as_str().or(entry["user_id"].as_str()).unwrap().to_owned();
                    list.as_array().unwrap().iter().map(id).collect()
                };
                let own = shared.rooms[room].1[self.index].clone();
                self.known[room] = ids(&data["here"]).into_iter().chain(ids(&data["users"])).collect();
                self.owns[room] = data["owner_id"] == *own;
                self.log.push(Seen::Members { room });
            }
            other => panic!("member {}: {other}: {frame}", self.index),
        }
        id
    }

    fn hear(&mut self, data: &Value, shared: &Shared) {
        let room = shared.room(&data["room_id"]);
        assert!(self.known[room].contains(data["user_id"].as_str().unwrap()), "a message of a stranger: {data}");
        let mut words = data["content"].as_str().unwrap().split(':');
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (sender, number) = (number() as usize, number());
        let filled = words.next().or(data["shared"].as_str()).unwrap();
        assert_eq!(filled, filling(number), "a message is whole");
        if let Some(id) = shared.rooms[room].1.get(sender) {
            assert_eq!(data["user_id"], **id);
        }
        self.log.push(Seen::Message { sender, number });
    }

    fn answered(&mut self, id: &str, data: &Value) {
        let number = id.strip_prefix("say-").unwrap().parse().unwrap();
        if !self.outstanding.remove(&number) {
            self.answered_again += 1;
            assert_eq!(self.answers[&number], *data, "a repetition is answered alike");
        }
        self.answers.insert(number, data.clone());
    }
}

pub(crate) fn joining(room: &str, key: &str, index: usize) -> Value {
    json!({"room_id": room, "forever_key": key, "username": format!("m{index}"), "public_key": public_key(2)})
}

fn ack(seq: u64, id: Option<&str>) -> String {
    match id {
        Some(id) => json!({"cmd": "ack", "id": id, "data": {"seq": seq}}).to_string(),
        None => json!({"cmd": "ack", "data": {"seq": seq}}).to_string(),
    }
}

//! Rooms full of members, a witness whose connection is good, and guests who come and go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::line::Line;
use super::member::{Member, Phase, Shared, filling, joining};
use super::model::{Figures, Speaker, check};
use crate::support::test_server::{soon, until};

pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    server: SocketAddr,
    tls: Arc<ClientConfig>,
    keys: Vec<String>,
    members: Vec<Member>,
    witness: Member,
}

/// Members that talk.
pub(crate) struct Talking {
    pub(crate) shared: Arc<Shared>,
    running: Vec<JoinHandle<(Member, Line)>>,
    witness: JoinHandle<(Member, Line)>,
    guests: Vec<JoinHandle<Speaker>>,
}

impl World {
    /// `rooms` rooms with the same `members` members and a witness in each; all can come back, and nobody is connected.
    pub(crate) async fn new(
        server: SocketAddr,
        tls: ClientConfig,
        rooms: usize,
        members: usize,
        close_codes: &[u16],
    ) -> Self {
        let tls = Arc::new(tls);
        let mut people = Vec::new();
        for index in 0..=members {
            people.push(Member::new(index, server, tls.clone(), index as u64).await);
        }
        let (mut places, mut keys) = (Vec::new(), Vec::new());
        for _ in 0..rooms {
            let (host, others) = people.split_first_mut().unwrap();
            let (room, key, owner) = host.0.create(&mut host.1).await;
            let mut ids = vec![owner];
            for (member, line) in others {
                ids.push(member.join(line, &room, &key).await);
            }
            for (member, line) in &mut people {
                member.catch_up(line).await;
            }
            places.push((room, ids));
            keys.push(key);
        }
        let shared = Arc::new(Shared {
            phase: watch::Sender::new(Phase::Talk),
            finished: AtomicUsize::new(0),
            sends: AtomicU64::new(0),
            more: Notify::new(),
            rooms: places,
            close_codes: close_codes.to_vec(),
        });
        let mut members: Vec<_> = people.into_iter().map(|(member, _)| member).collect();
        let mut witness = members.pop().unwrap();
        witness.be_silent();
        Self { shared, server, tls, keys, members, witness }
    }

    /// Members' connections go these ways.
    pub(crate) fn take_ways(&mut self, ways: &[SocketAddr]) {
        for (member, way) in self.members.iter_mut().zip(ways) {
            member.take_way(*way);
        }
    }

    /// Lets everybody talk; a guest for each room comes and goes when `guests`.
    pub(crate) fn talk(self, guests: bool) -> Talking {
        let Self { shared, server, tls, keys, members, witness } = self;
        let first_guest = members.len() + 1;
        let running = members.into_iter().map(|member| tokio::spawn(member.run(shared.clone()))).collect();
        let witness = tokio::spawn(witness.run(shared.clone()));
        let guests = keys
            .into_iter()
            .enumerate()
            .filter(|_| guests)
            .map(|(room, key)| {
                tokio::spawn(come_and_go(first_guest + room, server, tls.clone(), room, key, shared.clone()))
            })
            .collect();
        Talking { shared, running, witness, guests }
    }
}

/// A guest who comes, says something to all members, and goes, as often as the members have talked a while.
async fn come_and_go(
    index: usize,
    server: SocketAddr,
    tls: Arc<ClientConfig>,
    room: usize,
    key: String,
    shared: Arc<Shared>,
) -> Speaker {
    let (room_id, ids) = &shared.rooms[room];
    let mut said = BTreeMap::new();
    let mut phase = shared.phase.subscribe();
    while *phase.borrow_and_update() == Phase::Talk {
        let number = said.len() as u64 + 1;
        let (mut line, _) = Line::open(server, &tls).await.unwrap();
        ask(&mut line, "join-room-forever", joining(room_id, &key, index)).await;
        let part = |to| json!({"to_user_id": to, "content": format!("{index}:{number}")});
        let to: Vec<_> = ids.iter().map(part).collect();
        let data = json!({"room_id": room_id, "shared": filling(number), "to": to});
        let mut answer = ask(&mut line, "send-messages", data).await;
        said.insert(number, (ids.iter().cloned().collect(), answer["data"].take()));
        if number.is_multiple_of(2) {
            ask(&mut line, "leave-room", json!({"room_id": room_id})).await;
        }
        line.goodbye().await;
        let enough = shared.sends.load(Ordering::Acquire) + 64;
        while shared.sends.load(Ordering::Acquire) < enough && *phase.borrow_and_update() == Phase::Talk {
            let more = shared.more.notified();
            tokio::select! {
                () = more => {}
                _ = phase.changed() => {}
            }
        }
    }
    Speaker { index, said }
}

async fn ask(line: &mut Line, cmd: &str, data: Value) -> Value {
    line.send(&json!({"cmd": cmd, "id": "ask", "data": data}).to_string()).await.unwrap();
    loop {
        let frame = soon("an answer", line.next()).await.unwrap();
        if frame["id"] == "ask" {
            assert!(!frame["cmd"].as_str().unwrap().ends_with("-error"), "{frame}");
            return frame;
        }
    }
}

impl Talking {
    /// Whether a member has failed.
    pub(crate) fn failed(&self) -> bool {
        self.running.iter().any(JoinHandle::is_finished) || self.witness.is_finished()
    }

    /// Lets everybody finish and read to the end, and checks what they were told. They leave then.
    pub(crate) async fn finish(self) -> Figures {
        let Self { shared, running, witness, guests } = self;
        shared.phase.send_replace(Phase::Finish);
        let mut speakers = Vec::new();
        for guest in guests {
            speakers.push(guest.await.unwrap());
        }
        let all = running.len() + 1;
        let failed = || running.iter().any(JoinHandle::is_finished);
        until("everything said is answered", || shared.finished.load(Ordering::Acquire) == all || failed()).await;
        shared.phase.send_replace(Phase::End);
        let (mut members, mut lines) = (Vec::new(), Vec::new());
        for member in running {
            let (member, line) = member.await.unwrap();
            members.push(member);
            lines.push(line);
        }
        let (witness, line) = witness.await.unwrap();
        lines.push(line);
        speakers.extend(members.iter().map(Speaker::of));
        let figures = check(&shared, &members, &speakers, &witness);
        for line in lines {
            line.goodbye().await;
        }
        figures
    }
}

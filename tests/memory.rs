//! Ten thousand clients that drop with much to read: the memory for it is bounded by `memory_per_address_bytes`, and
//! given back when their time is up. A program of its own, since it looks at the memory of its process. Without
//! `SUBROSA_SOAK` it is shortened to a fifth.

#[path = "support/keys.rs"]
mod keys;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use keys::public_key;
use serde_json::{Value, json};
use subrosa::protocol::frame::read_server_frame;
use subrosa::protocol::limits::Limits;
use subrosa::relay::{Attached, Ending, Relay, Stats, Woken};

const MEMBERS: usize = 20;
const MB: usize = 1024 * 1024;

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// A connection. Nobody writes for it but the test.
struct Peer(Mutex<Attached>);

impl Peer {
    fn connect(relay: &Arc<Relay>) -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
        let peer = Self(Mutex::new(relay.greet(CONNECTIONS.fetch_add(1, Ordering::Relaxed), relay.accounts().local())));
        peer.read();
        peer
    }

    fn attached(&self) -> MutexGuard<'_, Attached> {
        self.0.lock().unwrap()
    }

    /// Reads everything: how many frames, and the last.
    fn read(&self) -> (u64, Value) {
        let (mut count, mut last) = (0, Vec::new());
        let taken = self.attached().take(|frame| {
            count += 1;
            last = frame.parts().concat();
            true
        });
        taken.unwrap();
        let last =
            read_server_frame(&last).map_or(Value::Null, |(_, text)| serde_json::from_slice(&last[text]).unwrap());
        (count, last)
    }

    fn say(&self, cmd: &str, data: Value) {
        self.attached().handle(&json!({"cmd": cmd, "data": data}).to_string(), &mut Woken::new());
    }

    fn disconnected(&self, ending: Ending) {
        self.attached().disconnected(ending, &mut Woken::new());
    }

    fn ask(&self, cmd: &str, data: Value) -> Value {
        self.say(cmd, data);
        self.read().1
    }
}

/// A room: its owner, who stays, its id, and its members with their ids.
fn room(relay: &Arc<Relay>) -> (Peer, String, Vec<(Peer, String)>) {
    let owner = Peer::connect(relay);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let made = owner.ask("create-room", json!({"name": "", "username": "", "public_key_string": public_key(1)}));
    let id = text(&made["room"]["room_id"]);
    let key = owner.ask("room-key-forever", json!({"room_id": id}))["data"]["forever_join_key"].take();
    let join = json!({"room_id": id, "forever_key": key, "username": "", "public_key": public_key(2)});
    let members: Vec<_> = (0..MEMBERS)
        .map(|_| {
            let member = Peer::connect(relay);
            member.ask("resume", json!({}));
            let user = text(&member.ask("join-room-forever", join.clone())["data"]["user_id"]);
            (member, user)
        })
        .collect();
    for (n, (member, _)) in members.iter().enumerate() {
        assert_eq!(member.read().0, (MEMBERS - 1 - n) as u64);
        member.say("ack", json!({"seq": MEMBERS - n}));
    }
    owner.read();
    (owner, id, members)
}

/// Fills the windows of clients that dropped, and lets their time pass: resident memory before, at most, and after.
fn drop_them_all(relay: &Arc<Relay>, count: usize, budget: usize) -> [usize; 3] {
    let clients = count * MEMBERS;
    let rooms: Vec<_> = (0..count).map(|_| room(relay)).collect();
    let connected = resident();
    for (member, _) in rooms.iter().flat_map(|(_, _, members)| members) {
        member.disconnected(Ending::Lost);
    }
    assert_eq!(relay.stats().away, clients);
    let (mut most, mut most_resident) = (0, 0);
    // Five times what all windows may hold, to everybody in turn.
    let content = "x".repeat(budget * 5 / clients / 8);
    for _ in 0..8 {
        for (owner, id, members) in &rooms {
            let part = |(_, user): &(Peer, String)| json!({"to_user_id": user, "content": content});
            owner.say("send-messages", json!({"room_id": id, "to": members.iter().map(part).collect::<Vec<_>>()}));
            owner.read();
            most = most.max(relay.stats().memory_bytes);
        }
        most_resident = most_resident.max(resident());
    }
    assert!(most <= budget, "{most} bytes in all windows");
    assert!(most > budget / 2, "the windows were never full");
    assert_eq!(relay.stats().away, clients, "nobody has to go for messages' sake");
    relay.expire(relay.now() + relay.limits().resume_window_s * 1_000 + 1, &mut Woken::new());
    let stats = relay.stats();
    assert_eq!((stats.away, stats.members, stats.sessions), (0, count, count));
    for (owner, _, _) in rooms {
        owner.disconnected(Ending::Lost);
    }
    assert_eq!(relay.stats(), Stats::default());
    relay.check_consistency().unwrap();
    [connected, most_resident, resident()]
}

#[test]
fn ten_thousand_clients_that_drop_stay_within_the_budget() {
    let (rooms, budget) = if std::env::var_os("SUBROSA_SOAK").is_some() { (500, 64 * MB) } else { (100, 16 * MB) };
    let memory = format!("memory_per_address_bytes={budget}");
    let settings = [memory.as_str(), "connections_from_loopback=256", "sessions=1000000"];
    let relay = Relay::new(Limits::from_settings(settings).unwrap(), String::new());
    let start = resident();
    let [connected, most, end] = drop_them_all(&relay, rooms, budget);
    let [_, most_again, end_again] = drop_them_all(&relay, rooms, budget);
    let figures = [start, connected, most, end, most_again, end_again].map(|bytes| bytes / MB);
    eprintln!("{} clients, budget {} MB: {figures:?} MB", rooms * MEMBERS, budget / MB);
    assert!(most - connected < budget + budget / 2, "{figures:?}");
    // The system's allocator keeps what it was given back, for the next time; nothing more is ever needed.
    assert!(most_again < most + most / 10 && end_again < most + most / 10, "{figures:?}");
}

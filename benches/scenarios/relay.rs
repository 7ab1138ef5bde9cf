//! A relay with members whose connections are buffers.

use std::hint::black_box;
use std::sync::Arc;

use serde_json::{Value, json};
use subrosa::protocol::frame::{Opcode, read_client_frame, read_server_frame, unmask, write_client_frame};
use subrosa::protocol::limits::Limits;
use subrosa::relay::{Attached, Relay, Woken};

use super::payload;

/// A 2,048-bit RSA public key whose private part nobody kept.
const PUBLIC_KEY: &str = include_str!("../../bench/src/wire/public_key.pem");
/// A recipient's own part of a packet: a wrapped key in base64.
const KEY_CHARS: usize = 520;

/// A connection, and the buffer in the place of its socket.
struct Member {
    attached: Attached,
    woken: Woken,
    user: String,
    written: Vec<u8>,
}

impl Member {
    /// What a turn of the event loop does for a connection that was woken: everything that waits into one buffer.
    fn write(&mut self) {
        self.written.clear();
        let written = &mut self.written;
        let taken = self.attached.take(|frame| {
            for part in frame.parts() {
                written.extend_from_slice(part);
            }
            true
        });
        assert!(taken.is_ok() && !written.is_empty(), "nothing arrived");
        black_box(written);
    }

    /// What a connection does with bytes that came: frame, text, command.
    fn receive(&mut self, buffer: &mut [u8]) {
        let frame = read_client_frame(buffer, 1 << 24).expect("a frame").expect("a whole frame");
        let payload = &mut buffer[frame.payload];
        unmask(payload, frame.mask);
        self.attached.handle(std::str::from_utf8(payload).expect("text"), &mut self.woken);
        black_box(&self.woken);
        self.woken.clear();
    }

    /// Throws away what waits.
    fn forget(&mut self) {
        assert!(self.attached.take(|_| true).is_ok());
    }

    /// Asks and returns the answer, which is the last thing told.
    fn ask(&mut self, cmd: &str, data: Value) -> Value {
        // With an id every command is answered.
        self.attached.handle(&json!({"cmd": cmd, "id": "7", "data": data}).to_string(), &mut self.woken);
        self.woken.clear();
        let mut last = Vec::new();
        let taken = self.attached.take(|frame| {
            last = frame.parts().concat();
            true
        });
        assert!(taken.is_ok());
        let (_, payload) = read_server_frame(&last).expect("a frame");
        serde_json::from_slice(&last[payload]).expect("an answer in JSON")
    }
}

/// A relay with one room of interest.
struct World {
    relay: Arc<Relay>,
    members: Vec<Member>,
    room: String,
    key: String,
}

impl World {
    /// A room with `members` members, all of which have read all their events.
    fn new(members: usize) -> Self {
        let limits = Limits::from_settings(["queue_bytes=1000000000", "window_bytes=1000000000"]).expect("limits");
        let relay = Relay::new(limits, String::new());
        let mut world = Self { relay, members: Vec::new(), room: String::new(), key: String::new() };
        let mut owner = world.connect();
        (world.room, world.key) = world.create_room(&mut owner);
        world.members.push(owner);
        for _ in 1..members {
            let mut member = world.connect();
            member.user = world.join(&mut member);
            world.members.push(member);
        }
        world.members.iter_mut().for_each(Member::forget);
        world
    }

    fn connect(&self) -> Member {
        let connection = self.members.len() as u64 + 1;
        let attached = self.relay.greet(connection, self.relay.accounts().local());
        Member { attached, woken: Woken::new(), user: String::new(), written: Vec::new() }
    }

    fn create_room(&self, owner: &mut Member) -> (String, String) {
        let created =
            owner.ask("create-room", json!({"name": "room", "username": "alice", "public_key_string": PUBLIC_KEY}));
        owner.user = text(&created["room"]["owner_id"]);
        let room = text(&created["room"]["room_id"]);
        let key = text(&owner.ask("room-key-forever", json!({"room_id": room}))["data"]["forever_join_key"]);
        (room, key)
    }

    fn join(&self, member: &mut Member) -> String {
        let data = json!({"room_id": self.room, "forever_key": self.key, "username": "bob", "public_key": PUBLIC_KEY});
        text(&member.ask("join-room-forever", data)["data"]["user_id"])
    }

    /// A member sends `frames`, masked, as they come out of TLS; then `written` get what waits for them.
    fn send(mut self, from: usize, frames: Vec<Vec<u8>>, written: Vec<usize>) -> Box<dyn FnMut()> {
        let mut buffers = frames.clone();
        Box::new(move || {
            for (buffer, frame) in buffers.iter_mut().zip(&frames) {
                buffer.copy_from_slice(frame);
                self.members[from].receive(buffer);
            }
            for member in &written {
                self.members[*member].write();
            }
        })
    }

    fn message(&self, to: usize, id: Option<&str>, bytes: usize) -> Vec<u8> {
        let (room, user, content) = (&self.room, &self.members[to].user, payload(bytes));
        let id = id.map(|id| format!(r#","id":"{id}""#)).unwrap_or_default();
        masked(&format!(
            r#"{{"cmd":"send-message","data":{{"room_id":"{room}","content":"{content}","to_user_id":"{user}"}}{id}}}"#
        ))
    }

    fn packet(self, bytes: usize) -> Box<dyn FnMut()> {
        let others = self.members[1..].iter().map(|member| member.user.clone());
        let frame = masked(&packet_frame(&self.room, others, &payload(bytes)));
        let everybody = (1..self.members.len()).collect();
        self.send(0, vec![frame], everybody)
    }
}

/// A client's frame.
pub(super) fn masked(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_client_frame(&mut out, true, Opcode::Text, [0x12, 0x34, 0x56, 0x78], text.as_bytes());
    out
}

/// A `send-messages` with `shared` for all and a wrapped key for each.
pub(super) fn packet_frame(room: &str, users: impl Iterator<Item = String>, shared: &str) -> String {
    let key = payload(KEY_CHARS);
    let to: Vec<_> = users.map(|user| format!(r#"{{"to_user_id":"{user}","content":"{key}"}}"#)).collect();
    let to = to.join(",");
    format!(r#"{{"cmd":"send-messages","data":{{"room_id":"{room}","shared":"{shared}","to":[{to}]}}}}"#)
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

pub(super) fn unicast() -> Box<dyn FnMut()> {
    let world = World::new(100);
    let frame = world.message(50, None, 256);
    world.send(0, vec![frame], vec![50])
}

/// The same with an id, so that there is an answer. Ids differ: the answer to one that was answered is only looked up.
pub(super) fn unicast_answered() -> Box<dyn FnMut()> {
    let mut world = World::new(100);
    let frames: Vec<_> = (0..512).map(|id| world.message(50, Some(&format!("{id:04}")), 256)).collect();
    let (mut buffer, mut turn) = (frames[0].clone(), 0);
    Box::new(move || {
        buffer.copy_from_slice(&frames[turn % frames.len()]);
        turn += 1;
        world.members[0].receive(&mut buffer);
        world.members[50].write();
        world.members[0].write();
    })
}

pub(super) fn unicast_in_one_of_many_rooms() -> Box<dyn FnMut()> {
    let mut world = World::new(2);
    let mut sender = world.members.swap_remove(0);
    for _ in 1..64 {
        world.create_room(&mut sender);
    }
    // The last of its rooms, with the other member in it.
    let mut other = world.members.swap_remove(0);
    sender.ask("leave-room", json!({"room_id": world.room}));
    (world.room, world.key) = world.create_room(&mut sender);
    other.user = world.join(&mut other);
    world.members = vec![sender, other];
    let frame = world.message(1, None, 256);
    world.members.iter_mut().for_each(Member::forget);
    world.send(0, vec![frame], vec![1])
}

pub(super) fn fanout() -> Box<dyn FnMut()> {
    let world = World::new(100);
    let frames = (1..100).map(|to| world.message(to, None, 256)).collect();
    world.send(0, frames, (1..100).collect())
}

pub(super) fn packet() -> Box<dyn FnMut()> {
    World::new(100).packet(256)
}

pub(super) fn large_packet() -> Box<dyn FnMut()> {
    World::new(300).packet(1_024)
}

/// The recipient keeps what it gets until it acknowledges, which it does with every message.
pub(super) fn resumable_unicast() -> Box<dyn FnMut()> {
    let mut world = World::new(2);
    world.members[1].ask("resume", json!({}));
    let frame = world.message(1, None, 256);
    let (mut buffer, mut seq) = (frame.clone(), 0);
    Box::new(move || {
        buffer.copy_from_slice(&frame);
        world.members[0].receive(&mut buffer);
        world.members[1].write();
        seq += 1;
        let mut ack = masked(&format!(r#"{{"cmd":"ack","data":{{"seq":{seq}}}}}"#));
        world.members[1].receive(&mut ack);
    })
}

/// A member comes and goes; everybody is told both.
pub(super) fn join_and_leave() -> Box<dyn FnMut()> {
    let mut world = World::new(100);
    let mut guest = world.connect();
    Box::new(move || {
        world.join(&mut guest);
        guest.ask("leave-room", json!({"room_id": world.room}));
        world.members.iter_mut().for_each(Member::write);
    })
}

//! This server's protocol: JSON commands in text frames (`Client-API.md`).

use super::{Frames, Outgoing, Sink, To, Wire};
use crate::shape::Plan;
use crate::stamp::Stamp;
use subrosa::protocol::PATH;
use subrosa::protocol::command::{Command, CreateRoom, JoinRoomForever, RoomKeyForever};
use subrosa::protocol::event::Event;
use subrosa::protocol::frame::Opcode;
use subrosa::secret::Token;

/// A public key whose private part nobody kept: the server wants one of every member.
const PUBLIC_KEY: &str = include_str!("public_key.pem");
/// Rooms that are filled at a time.
const ROOMS_AT_ONCE: usize = 32;
/// Members that enter one room at a time.
const JOINS_AT_ONCE: usize = 8;
/// A packet for more recipients than fit into this many bytes becomes several, as with any client: `frame_bytes` is 1
/// MiB by default.
const PACKET_BYTES: usize = 1_000_000;
/// How a delivered message starts.
const MESSAGE: &[u8] = br#"{"cmd":"send-message","#;

/// One room while it is filled.
#[derive(Default)]
struct Room {
    id: String,
    key: Option<Token>,
    /// Members that were told to enter.
    asked: usize,
    entered: usize,
}

/// See the module.
pub(crate) struct Ours {
    members: usize,
    packets: bool,
    /// A recipient's own part of a packet, quotes included.
    key: Vec<u8>,
    rooms: Vec<Room>,
    /// The next room to fill.
    next_room: usize,
    full_rooms: usize,
    users: Vec<String>,
}

impl Ours {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            members: plan.members,
            packets: plan.shape.is_packet(),
            key: [b"\"", "k".repeat(plan.key_bytes).as_bytes(), b"\""].concat(),
            rooms: (0..plan.rooms).map(|_| Room::default()).collect(),
            next_room: 0,
            full_rooms: 0,
            users: vec![String::new(); plan.connections()],
        }
    }

    fn fill_next(&mut self, sink: &mut Sink) {
        if self.next_room == self.rooms.len() {
            return;
        }
        let command = Command::CreateRoom(CreateRoom {
            name: "bench".into(),
            username: "member".into(),
            client_room_id: None,
            public_key_string: Some(PUBLIC_KEY.into()),
            card: None,
            max_members: None,
            expires_in_s: None,
            owner_leaves: None,
        });
        sink.say(self.next_room * self.members, Opcode::Text, command.to_frame(None));
        self.next_room += 1;
    }

    fn ask_next(&mut self, index: usize, sink: &mut Sink) {
        let room = &mut self.rooms[index];
        let Some(key) = room.key.as_ref().filter(|_| room.asked < self.members).map(Token::expose) else { return };
        let command = Command::JoinRoomForever(JoinRoomForever {
            room_id: room.id.as_str().into(),
            forever_key: key.as_str().into(),
            username: "member".into(),
            public_key: Some(PUBLIC_KEY.into()),
            card: None,
        });
        sink.say(index * self.members + room.asked, Opcode::Text, command.to_frame(None));
        room.asked += 1;
    }

    fn entered(&mut self, index: usize, sink: &mut Sink) {
        self.rooms[index].entered += 1;
        if self.rooms[index].entered == self.members {
            self.full_rooms += 1;
            self.fill_next(sink);
        } else {
            self.ask_next(index, sink);
        }
    }

    /// Anything but a message.
    fn set_up(&mut self, member: usize, text: &[u8], sink: &mut Sink) {
        let index = member / self.members;
        // A full room's `joined` is megabytes of others' keys; what matters stands in front.
        if text.starts_with(br#"{"cmd":"joined""#) {
            match own_id(text) {
                Some(user) => self.users[member] = user,
                None => sink.refused(b"a joined without the own user_id in front"),
            }
            return self.entered(index, sink);
        }
        let name = text.strip_prefix(br#"{"cmd":""#).unwrap_or_default();
        if name.starts_with(b"hello") || name.starts_with(b"user-joined") {
            return;
        }
        match std::str::from_utf8(text).map(Event::from_json) {
            Ok(Ok(Some((_, Event::CreateRoom(created))))) => {
                self.users[member] = created.room.owner_id.to_string();
                self.rooms[index].id = created.room.room_id.to_string();
                let room_id = self.rooms[index].id.as_str().into();
                let command = Command::RoomKeyForever(RoomKeyForever { room_id, expires_in_s: None });
                sink.say(member, Opcode::Text, command.to_frame(None));
            }
            Ok(Ok(Some((_, Event::RoomKeyForever(key))))) => {
                self.rooms[index].key = Some(key.forever_join_key);
                self.rooms[index].asked = 1;
                for _ in 1..JOINS_AT_ONCE {
                    self.ask_next(index, sink);
                }
                self.entered(index, sink);
            }
            Ok(Ok(Some((_, Event::Error(_))))) => sink.refused(text),
            _ => {}
        }
    }

    fn write_packets(&mut self, from: usize, payload: &[&[u8]; 2], frames: &mut Frames) {
        let index = from / self.members;
        let first = index * self.members;
        let mut to = Vec::new();
        for member in (first..first + self.members).filter(|member| *member != from) {
            let separator = if to.is_empty() { r#"{"to_user_id":""# } else { r#",{"to_user_id":""# };
            to.extend_from_slice(separator.as_bytes());
            to.extend_from_slice(self.users[member].as_bytes());
            to.extend_from_slice(br#"","content":"#);
            to.extend_from_slice(&self.key);
            to.push(b'}');
            if to.len() >= PACKET_BYTES - payload[0].len() - payload[1].len() - 1_024 {
                self.write_packet(index, &to, payload, frames);
                to.clear();
            }
        }
        if !to.is_empty() {
            self.write_packet(index, &to, payload, frames);
        }
    }

    fn write_packet(&self, index: usize, to: &[u8], [stamp, filler]: &[&[u8]; 2], frames: &mut Frames) {
        frames.push(
            Opcode::Text,
            &[
                br#"{"cmd":"send-messages","data":{"room_id":""#,
                self.rooms[index].id.as_bytes(),
                br#"","shared":""#,
                stamp,
                filler,
                br#"","to":["#,
                to,
                b"]}}",
            ],
        );
    }
}

/// The joiner's own id, which a `joined` tells first.
fn own_id(joined: &[u8]) -> Option<String> {
    const FIELD: &[u8] = br#""user_id":""#;
    let start = memchr::memmem::find(joined.get(..256.min(joined.len()))?, FIELD)? + FIELD.len();
    let id = joined.get(start..)?;
    let end = memchr::memchr(b'"', id)?;
    String::from_utf8(id[..end].to_vec()).ok()
}

impl Wire for Ours {
    fn path(&self, _member: usize) -> String {
        PATH.to_owned()
    }

    fn opened(&mut self, _member: usize, sink: &mut Sink) {
        sink.ready += 1;
    }

    fn enter(&mut self, sink: &mut Sink) {
        for _ in 0..ROOMS_AT_ONCE {
            self.fill_next(sink);
        }
    }

    fn all_entered(&self) -> bool {
        self.full_rooms == self.rooms.len()
    }

    fn received(&mut self, member: usize, message: &[u8], sink: &mut Sink) {
        if !message.starts_with(MESSAGE) {
            return self.set_up(member, message, sink);
        }
        if let Some(start) = Stamp::find(message) {
            let payload = &message[start..];
            let end = memchr::memchr(b'"', payload).unwrap_or(payload.len());
            sink.arrived(&payload[..end]);
        }
    }

    fn has_fanout(&self) -> bool {
        self.packets
    }

    fn write(&mut self, message: &Outgoing<'_>, frames: &mut Frames) {
        match message.to {
            To::Room => self.write_packets(message.from, &[&message.stamp, message.filler], frames),
            To::Member(to) => frames.push(
                Opcode::Text,
                &[
                    br#"{"cmd":"send-message","data":{"room_id":""#,
                    self.rooms[message.from / self.members].id.as_bytes(),
                    br#"","content":""#,
                    &message.stamp,
                    message.filler,
                    br#"","to_user_id":""#,
                    self.users[to].as_bytes(),
                    br#""}}"#,
                ],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_own_id_among_others() {
        let joined = br#"{"cmd":"joined","id":"7","data":{"user_id":"me","room_id":"r","users":[{"user_id":"you"}]}}"#;
        assert_eq!(own_id(joined).as_deref(), Some("me"));
        assert_eq!(own_id(br#"{"cmd":"joined"}"#), None);
        assert_eq!(own_id(br#"{"user_id":"cut"#), None);
    }
}

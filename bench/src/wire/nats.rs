//! The NATS client protocol in binary frames, for nats-server's WebSocket port. A member is a subject, and so is a
//! room.

use super::{Frames, Outgoing, Sink, To, Wire};
use crate::shape::Plan;
use crate::stamp::STAMP_BYTES;
use subrosa::protocol::frame::Opcode;

/// See the module.
pub(crate) struct Nats {
    members: usize,
    first: usize,
    /// What came of a line or message that is not all there, by member.
    unfinished: Vec<Vec<u8>>,
}

impl Nats {
    /// `first` keeps apart the subjects of two generators that share a server.
    pub(crate) fn new(plan: &Plan, first: usize) -> Self {
        Self { members: plan.members, first, unfinished: vec![Vec::new(); plan.connections()] }
    }

    fn room_of(&self, member: usize) -> usize {
        self.first + member / self.members
    }

    /// Takes whole lines and messages from the front; how many bytes they were.
    fn take(&self, member: usize, stream: &[u8], sink: &mut Sink) -> usize {
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &stream[at..]) {
            let line = stream[at..at + end].trim_ascii_end();
            let mut next = at + end + 1;
            if line.starts_with(b"MSG ") {
                let length = line.rsplit(|byte| *byte == b' ').next().and_then(|size| std::str::from_utf8(size).ok());
                let Some(length) = length.and_then(|size| size.parse::<usize>().ok()) else {
                    sink.refused(line);
                    return stream.len();
                };
                // The payload, and the end of line behind it.
                let Some(payload) = stream.get(next..next + length + 2) else { return at };
                sink.arrived(&payload[..length]);
                next += length + 2;
            } else if line.starts_with(b"INFO") {
                let (own, room) = (self.first + member, self.room_of(member));
                let connect =
                    r#"{"verbose":false,"pedantic":false,"echo":false,"protocol":1,"lang":"rust","version":"0"}"#;
                let hello = format!("CONNECT {connect}\r\nSUB member.{own} 1\r\nSUB room.{room} 2\r\nPING\r\n");
                sink.say(member, Opcode::Binary, hello);
            } else if line.starts_with(b"PING") {
                sink.say(member, Opcode::Binary, "PONG\r\n");
            } else if line.starts_with(b"PONG") {
                sink.ready += 1;
            } else if line.starts_with(b"-ERR") {
                sink.refused(line);
            }
            at = next;
        }
        at
    }
}

impl Wire for Nats {
    fn path(&self, _member: usize) -> String {
        "/".to_owned()
    }

    fn opened(&mut self, _member: usize, _sink: &mut Sink) {}

    fn received(&mut self, member: usize, message: &[u8], sink: &mut Sink) {
        let mut stream = std::mem::take(&mut self.unfinished[member]);
        if stream.is_empty() {
            let used = self.take(member, message, sink);
            stream.extend_from_slice(&message[used..]);
        } else {
            stream.extend_from_slice(message);
            let used = self.take(member, &stream, sink);
            stream.drain(..used);
        }
        self.unfinished[member] = stream;
    }

    fn has_fanout(&self) -> bool {
        true
    }

    fn write(&mut self, message: &Outgoing<'_>, frames: &mut Frames) {
        let length = STAMP_BYTES + message.filler.len();
        let head = match message.to {
            To::Member(member) => format!("PUB member.{} {length}\r\n", self.first + member),
            To::Room => format!("PUB room.{} {length}\r\n", self.room_of(message.from)),
        };
        frames.push(Opcode::Binary, &[head.as_bytes(), &message.stamp, message.filler, b"\r\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::tests::plan;
    use crate::stamp::Stamp;

    #[test]
    fn messages_arrive_however_they_are_cut() {
        let payload = [&Stamp { at: 1, sender: 0 }.to_bytes()[..], b"x"].concat();
        let stream =
            [b"PONG\r\nMSG member.0 1 27\r\n", &payload[..], b"\r\nPING\r\nMSG room.0 2 27\r\n", &payload, b"\r\n"]
                .concat();
        for cut in 0..stream.len() {
            let (mut nats, mut sink) = (Nats::new(&plan("--members 2"), 0), Sink::default());
            nats.received(0, &stream[..cut], &mut sink);
            nats.received(0, &stream[cut..], &mut sink);
            assert_eq!((sink.delivered, sink.ready, sink.said.len(), sink.refused), (2, 1, 1, 0), "cut at {cut}");
        }
    }
}

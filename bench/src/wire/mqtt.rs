//! MQTT 3.1.1 at most once, in binary frames (OASIS MQTT 3.1.1 §6). A member is a topic, and so is a room.
//!
//! This version has no way to leave out the sender: a room's first member, which sends the fan-outs, does not subscribe
//! to its room.

use super::{Frames, Outgoing, Sink, To, Wire};
use crate::shape::Plan;
use crate::stamp::STAMP_BYTES;
use subrosa::protocol::frame::Opcode;

/// Packet types in the upper half of the first byte (§2.2.1); `SUBSCRIBE` with its reserved bits.
const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const CONNECT_ANSWER: u8 = 2;
const PUBLISHED: u8 = 3;
const SUBSCRIBE_ANSWER: u8 = 9;

/// See the module.
pub(crate) struct Mqtt {
    members: usize,
    first: usize,
    unfinished: Vec<Vec<u8>>,
}

impl Mqtt {
    /// `first` keeps apart the topics of two generators that share a server.
    pub(crate) fn new(plan: &Plan, first: usize) -> Self {
        Self { members: plan.members, first, unfinished: vec![Vec::new(); plan.connections()] }
    }

    fn room_of(&self, member: usize) -> usize {
        self.first + member / self.members
    }

    fn take(&self, member: usize, stream: &[u8], sink: &mut Sink) -> usize {
        let mut at = 0;
        while let Some((body, end)) = packet(&stream[at..]) {
            let (kind, body) = (stream[at] >> 4, &stream[at + body..at + end]);
            match kind {
                PUBLISHED => {
                    let topic = body.first_chunk().map_or(0, |length| u16::from_be_bytes(*length) as usize);
                    sink.arrived(body.get(2 + topic..).unwrap_or_default());
                }
                CONNECT_ANSWER if body.get(1) == Some(&0) => {
                    let mut subscribe = vec![0, 1];
                    string(&mut subscribe, &format!("member/{}", self.first + member));
                    subscribe.push(0);
                    if !member.is_multiple_of(self.members) {
                        string(&mut subscribe, &format!("room/{}", self.room_of(member)));
                        subscribe.push(0);
                    }
                    sink.say(member, Opcode::Binary, [head(SUBSCRIBE, subscribe.len()), subscribe].concat());
                }
                CONNECT_ANSWER => sink.refused(b"the broker refused to connect"),
                SUBSCRIBE_ANSWER => sink.ready += 1,
                _ => {}
            }
            at += end;
        }
        at
    }
}

/// Where the body of the packet at the start of `stream` begins and ends (§2.2.3). `None` until all of it is there.
fn packet(stream: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (at, byte) in stream.iter().enumerate().skip(1).take(4) {
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        if byte & 0x80 == 0 {
            let (start, end) = (at + 1, at + 1 + length);
            return (end <= stream.len()).then_some((start, end));
        }
    }
    None
}

/// A packet's fixed header (§2.2).
fn head(kind: u8, mut length: usize) -> Vec<u8> {
    let mut out = vec![kind];
    loop {
        let more = length >= 0x80;
        out.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            return out;
        }
    }
}

/// A string with its length (§1.5.3).
fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

impl Wire for Mqtt {
    fn path(&self, _member: usize) -> String {
        "/mqtt".to_owned()
    }

    fn subprotocol(&self) -> Option<&'static str> {
        Some("mqtt")
    }

    fn opened(&mut self, member: usize, sink: &mut Sink) {
        let mut connect = Vec::new();
        string(&mut connect, "MQTT");
        // Level 4, a clean session, no keep-alive (§3.1.2).
        connect.extend_from_slice(&[4, 2, 0, 0]);
        string(&mut connect, &format!("c{}", self.first + member));
        sink.say(member, Opcode::Binary, [head(CONNECT, connect.len()), connect].concat());
    }

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
        let mut topic = Vec::new();
        match message.to {
            To::Member(member) => string(&mut topic, &format!("member/{}", self.first + member)),
            To::Room => string(&mut topic, &format!("room/{}", self.room_of(message.from))),
        }
        let length = topic.len() + STAMP_BYTES + message.filler.len();
        frames.push(Opcode::Binary, &[&head(PUBLISH, length), &topic, &message.stamp, message.filler]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::tests::plan;
    use crate::stamp::Stamp;

    #[test]
    fn packets_are_read_however_they_are_cut() {
        let payload = [&Stamp { at: 1, sender: 0 }.to_bytes()[..], &[b'x'; 200]].concat();
        let mut publish = Vec::new();
        string(&mut publish, "member/0");
        publish.extend_from_slice(&payload);
        let publish = [head(PUBLISH, publish.len()), publish].concat();
        let stream = [&[0x20, 2, 0, 0][..], &publish, &[0x90, 3, 0, 1, 0], &publish].concat();
        for cut in 0..stream.len() {
            let (mut mqtt, mut sink) = (Mqtt::new(&plan("--members 2"), 0), Sink::default());
            mqtt.received(0, &stream[..cut], &mut sink);
            mqtt.received(0, &stream[cut..], &mut sink);
            assert_eq!((sink.delivered, sink.bytes), (2, 2 * payload.len() as u64), "cut at {cut}");
            assert_eq!((sink.ready, sink.said.len(), sink.refused), (1, 1, 0));
        }
    }

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for length in [0, 127, 128, 16_383, 16_384, 2_097_152] {
            let mut whole = head(PUBLISH, length);
            let start = whole.len();
            whole.resize(start + length, 0);
            assert_eq!(packet(&whole), Some((start, start + length)));
            assert_eq!(packet(&whole[..whole.len() - 1]), None);
        }
    }
}

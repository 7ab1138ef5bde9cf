//! The protocol of the floor (`floor.rs`): a binary frame is four bytes of recipient, little-endian, and the payload.

use super::{Frames, Outgoing, Sink, To, Wire};
use crate::shape::Plan;
use subrosa::protocol::frame::Opcode;

/// The recipient that means everybody else in the room.
pub(crate) const EVERYBODY: u32 = u32::MAX;

/// See the module.
pub(crate) struct Raw {
    members: usize,
    /// The number of the first member, which differs where two generators share a server.
    first: usize,
}

impl Raw {
    pub(crate) fn new(plan: &Plan, first: usize) -> Self {
        Self { members: plan.members, first }
    }
}

impl Wire for Raw {
    fn path(&self, member: usize) -> String {
        // Rooms are named after their first member.
        let room = self.first + member / self.members * self.members;
        format!("/?member={}&room={room}", self.first + member)
    }

    fn opened(&mut self, _member: usize, sink: &mut Sink) {
        sink.ready += 1;
    }

    fn received(&mut self, _member: usize, message: &[u8], sink: &mut Sink) {
        sink.arrived(message);
    }

    fn has_fanout(&self) -> bool {
        true
    }

    fn write(&mut self, message: &Outgoing<'_>, frames: &mut Frames) {
        let to = match message.to {
            To::Member(member) => (self.first + member) as u32,
            To::Room => EVERYBODY,
        };
        frames.push(Opcode::Binary, &[&to.to_le_bytes(), &message.stamp, message.filler]);
    }
}

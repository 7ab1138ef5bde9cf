//! What goes over the WebSocket: one file a protocol. The generator knows members, rooms and payloads; a [`Wire`] puts
//! them into words.

mod mqtt;
mod nats;
mod ours;
mod raw;

use std::time::Instant;

pub(super) use mqtt::Mqtt;
pub(super) use nats::Nats;
pub(super) use ours::Ours;
pub(super) use raw::{EVERYBODY, Raw};

use super::frame::write_client_frame;
use super::stamp::{STAMP_BYTES, Stamp};
use hdrhistogram::Histogram;
use subrosa::protocol::frame::Opcode;

/// The recipients of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A member, counted over all rooms.
    Member(usize),
    /// Everybody else in the sender's room. Only where [`Wire::has_fanout`].
    Room,
}

/// A message to write.
pub(super) struct Outgoing<'a> {
    pub(super) from: usize,
    pub(super) to: To,
    pub(super) stamp: [u8; STAMP_BYTES],
    /// The rest of the payload: printable, nothing that JSON escapes.
    pub(super) filler: &'a [u8],
}

/// A protocol. Members are counted over all rooms, from 0.
pub(super) trait Wire: Send {
    /// Path and query of the upgrade.
    fn path(&self, member: usize) -> String;

    /// The subprotocol to ask for.
    fn subprotocol(&self) -> Option<&'static str> {
        None
    }

    /// The WebSocket is open. [`Sink::ready`] when there is nothing more to say before rooms are entered.
    fn opened(&mut self, member: usize, sink: &mut Sink);

    /// Everybody is ready: rooms are to be entered.
    fn enter(&mut self, _sink: &mut Sink) {}

    /// Whether all members are in their rooms.
    fn all_entered(&self) -> bool {
        true
    }

    /// A message came.
    fn received(&mut self, member: usize, message: &[u8], sink: &mut Sink);

    /// Whether one message can go to the whole room.
    fn has_fanout(&self) -> bool;

    /// Writes a message as one frame or several.
    fn write(&mut self, message: &Outgoing<'_>, frames: &mut Frames);
}

/// Frames to send, one after the other.
#[derive(Default)]
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<usize>,
    seed: u32,
}

impl Frames {
    /// Adds a frame.
    pub(super) fn push(&mut self, opcode: Opcode, parts: &[&[u8]]) {
        // Masks must be there, and here nobody needs them to be a secret (a step of a linear congruence).
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        write_client_frame(&mut self.bytes, opcode, self.seed.to_le_bytes(), parts);
        self.ends.push(self.bytes.len());
    }

    /// Forgets all frames; the buffers are used again.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// A sender's window.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) inflight: u64,
    /// It is in the list of those that may send again.
    pub(super) listed: bool,
}

/// Where everything that arrives goes.
pub(super) struct Sink {
    started: Instant,
    /// What members have to say, as text or binary frames.
    pub(super) said: Vec<(usize, Opcode, Vec<u8>)>,
    pub(super) ready: usize,
    /// Latencies of what arrived since measuring began, in nanoseconds.
    pub(super) latencies: Histogram<u64>,
    pub(super) windows: Vec<Window>,
    /// Senders whose window has room.
    pub(super) may_send: Vec<usize>,
    // Since the start.
    pub(super) delivered: u64,
    pub(super) bytes: u64,
    pub(super) frames: u64,
    pub(super) reads: u64,
    pub(super) closed: usize,
    /// Refusals by the server.
    pub(super) refused: u64,
    /// What went wrong first.
    pub(super) trouble: Option<String>,
}

/// Counts latencies in nanoseconds, exact to three digits. A latency above an hour counts as an hour.
fn latencies() -> Histogram<u64> {
    const HOUR: u64 = 3_600_000_000_000;
    Histogram::new_with_bounds(1, HOUR, 3).unwrap_or_else(|error| unreachable!("the bounds are fixed: {error}"))
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            said: Vec::new(),
            ready: 0,
            latencies: latencies(),
            windows: Vec::new(),
            may_send: Vec::new(),
            delivered: 0,
            bytes: 0,
            frames: 0,
            reads: 0,
            closed: 0,
            refused: 0,
            trouble: None,
        }
    }
}

impl Sink {
    /// Nanoseconds on the generator's clock.
    pub(super) fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// A payload arrived, stamp first.
    pub(super) fn arrived(&mut self, payload: &[u8]) {
        let Some(stamp) = Stamp::read(payload) else { return };
        self.delivered += 1;
        self.bytes += payload.len() as u64;
        self.latencies.saturating_record(self.now().saturating_sub(stamp.at));
        let sender = stamp.sender as usize;
        if let Some(window) = self.windows.get_mut(sender) {
            window.inflight = window.inflight.saturating_sub(1);
            if !std::mem::replace(&mut window.listed, true) {
                self.may_send.push(sender);
            }
        }
    }

    /// A member has something to say.
    pub(super) fn say(&mut self, member: usize, opcode: Opcode, what: impl Into<Vec<u8>>) {
        self.said.push((member, opcode, what.into()));
    }

    /// A connection is over.
    pub(super) fn lost_connection(&mut self, reason: String) {
        self.closed += 1;
        self.trouble.get_or_insert(reason);
    }

    /// The server refused something.
    pub(super) fn refused(&mut self, answer: &[u8]) {
        self.refused += 1;
        self.trouble.get_or_insert_with(|| String::from_utf8_lossy(answer).into_owned());
    }
}

//! One WebSocket connection: TLS in, frames in place, commands to the relay, events out, deadlines.

mod reading;

use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::admission::Permit;
use super::bucket::Bucket;
use super::lanes::Lane;
use super::output::{Flushed, Output, Wire};
use crate::protocol::codes::CloseReason;
use crate::protocol::event::{Event, Restarting};
use crate::protocol::frame::{Opcode, TextFrame};
use crate::protocol::limits::Limits;
use crate::relay::{Attached, ConnectionId, Ending, Woken};

/// How long a closed connection may take to read the close frame.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read from one socket before it is others' turn.
const READ_TURN: usize = 64 * 1024;
/// A read of as many bytes is much.
const MUCH: usize = 16 * 1024;
/// What an incomplete frame's buffer grows by at least, in bytes.
const GROWTH: usize = 4 * 1024;

/// Buffers that a worker lends to whichever connection it serves.
pub(super) struct Scratch {
    /// Ciphertext from the socket.
    pub(super) raw: Box<[u8]>,
    /// Plaintext of one read batch.
    pub(super) plain: Vec<u8>,
    /// Plaintext to encrypt.
    pub(super) out: Vec<u8>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            raw: vec![0; READ_TURN].into(),
            plain: Vec::with_capacity(READ_TURN),
            out: Vec::with_capacity(2 * READ_TURN),
        }
    }
}

/// What a connection needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To be told when its socket is ready.
    Wait,
    /// Another turn: there may be more to read.
    Read,
    /// Another turn: there is more to write.
    Write,
    /// To be dropped.
    Drop,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The close frame is on its way; what still comes is thrown away.
    Closing {
        until: Instant,
    },
}

/// A fragmented message of which the last fragment has not come (RFC 6455 §5.4).
enum Unfinished {
    /// The text so far.
    Text(Vec<u8>),
    /// A binary message will be refused: its bytes are counted and dropped.
    Binary(usize),
}

impl Unfinished {
    /// Bytes of memory.
    fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(_) => 0,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(len) => *len,
        }
    }
}

/// A WebSocket connection on its worker.
pub(super) struct Connection {
    permit: Permit,
    // The way to the client, and to the relay.
    pub(super) wire: Wire,
    attached: Attached,
    state: State,
    /// How the connection ends, for its session.
    ending: Ending,
    // The reader's.
    inbound: Vec<u8>,
    unfinished: Option<Unfinished>,
    bucket: Bucket,
    /// Tokens that were drawn from the address's account and are not spent yet; negative when more were spent.
    credit: i64,
    /// Tokens spent since the account was last told.
    spent: u32,
    /// Bytes of buffers that the session's account knows of.
    buffers: usize,
    paused_until: Option<Instant>,
    /// A pause is over, and whole frames may wait in `inbound`.
    stalled: bool,
    /// The last read brought much.
    reads_much: bool,
    /// The client will send no more: reading goes on to the end at once, since no further event tells of it.
    peer_done: bool,
    joined: bool,
    // The writer's.
    output: Output,
    draining: bool,
    // Deadlines.
    first_command_by: Option<Instant>,
    last_heard: Instant,
    pinged: Option<Instant>,
    /// When the worker looks at the deadlines next.
    pub(super) timer: Option<Instant>,
}

impl Connection {
    pub(super) fn new(
        attached: Attached,
        mut wire: Wire,
        permit: Permit,
        first_command_by: Instant,
        now: Instant,
    ) -> Self {
        wire.tls.set_buffer_limit(None);
        let bucket = Bucket::new(attached.relay().limits(), now);
        Self {
            permit,
            wire,
            attached,
            state: State::Open,
            ending: Ending::Lost,
            inbound: Vec::new(),
            unfinished: None,
            bucket,
            credit: 0,
            spent: 0,
            buffers: 0,
            paused_until: None,
            stalled: false,
            reads_much: false,
            peer_done: false,
            joined: false,
            output: Output::default(),
            draining: false,
            first_command_by: Some(first_command_by),
            last_heard: now,
            pinged: None,
            timer: None,
        }
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.attached.id()
    }

    fn limits(&self) -> &Limits {
        self.attached.relay().limits()
    }

    /// Where it waits to be read.
    pub(super) fn lane(&self) -> Lane {
        if self.reads_much { Lane::Large } else { Lane::Small }
    }

    /// How much the connection's address was served lately.
    pub(super) fn usage(&self, now: Instant) -> u32 {
        self.permit.account().usage(self.attached.relay().time_of(now))
    }

    // ---- writing ----

    /// Encrypts what waits, as far as one write may take it.
    pub(super) fn encrypt(&mut self, scratch: &mut Scratch, woken: &mut Woken, now: Instant) {
        if self.state == State::Open
            && let Err(reason) = self.output.encrypt(&mut self.wire.tls, &mut self.attached, &mut scratch.out)
        {
            self.close(reason, woken, now);
        }
    }

    /// Writes what is encrypted, and what waits behind it.
    pub(super) fn flush(&mut self, scratch: &mut Scratch, woken: &mut Woken, now: Instant) -> Next {
        if let State::Closing { .. } = self.state {
            return self.flush_close(now);
        }
        match self.output.flush(&mut self.wire, &mut self.attached, &mut scratch.out, now) {
            Flushed::All if self.draining => {
                self.close(CloseReason::Restarting, woken, now);
                self.flush_close(now)
            }
            Flushed::All => Next::Wait,
            Flushed::Blocked => match self.attached.closing() {
                // A reader that takes nothing at all would not be asked for what waits until it does.
                Some(reason) => {
                    self.close(reason, woken, now);
                    self.flush_close(now)
                }
                None => Next::Wait,
            },
            Flushed::More => Next::Write,
            Flushed::Close(reason) => {
                self.close(reason, woken, now);
                self.flush_close(now)
            }
            Flushed::Broken => Next::Drop,
        }
    }

    fn flush_close(&mut self, now: Instant) -> Next {
        match self.output.write_out(&mut self.wire, now) {
            Flushed::Broken => Next::Drop,
            Flushed::All => {
                // A socket that is gone already is closed enough.
                let _ = self.wire.stream.shutdown(Shutdown::Write);
                Next::Wait
            }
            _ => Next::Wait,
        }
    }

    /// Whether something waits that the session does not know of: control frames, TLS messages.
    pub(super) fn must_write(&self) -> bool {
        !self.waits_to_write() && (self.wire.tls.wants_write() || self.output.has_control())
    }

    /// The client will send no more.
    pub(super) fn peer_done(&mut self) {
        self.peer_done = true;
    }

    /// Whether the socket's readiness to write matters.
    pub(super) fn waits_to_write(&self) -> bool {
        self.output.blocked_since.is_some()
    }

    // ---- closing ----

    /// Queues the close frame and gives the session up.
    fn close(&mut self, reason: CloseReason, woken: &mut Woken, now: Instant) {
        if self.state != State::Open {
            return;
        }
        // What earlier frames of the same batch were answered goes out first.
        if matches!(
            reason,
            CloseReason::Normal | CloseReason::ProtocolError | CloseReason::NotUtf8 | CloseReason::TooLarge
        ) {
            self.output.encrypt_all(&mut self.wire.tls, &mut self.attached, &mut Vec::new());
        }
        self.output.close(&mut self.wire.tls, reason);
        self.state = State::Closing { until: now + LINGER };
        self.inbound = Vec::new();
        self.unfinished = None;
        tracing::debug!(reason = reason.as_str(), "closing a connection");
        self.give_up(woken);
    }

    /// The session goes on without this connection, or ends with it.
    pub(super) fn give_up(&mut self, woken: &mut Woken) {
        self.attached.disconnected(self.ending, woken);
    }

    /// Says that the server restarts; once that is written the connection is closed.
    pub(super) fn drain(&mut self, reconnect_in_ms: u64, woken: &mut Woken) {
        self.attached.announce_restart(reconnect_in_ms, woken);
        self.draining = true;
    }

    /// Another process goes on with the session: says so and closes. The session is not touched any more.
    pub(super) fn leave(&mut self, reconnect_in_ms: u64, woken: &mut Woken, now: Instant) {
        if self.state == State::Open {
            if self.first_command_by.is_some() {
                // The greeting comes first, and may still wait.
                self.output.encrypt_all(&mut self.wire.tls, &mut self.attached, &mut Vec::new());
            }
            let restarting = Event::Restarting(Restarting { reconnect_in_ms });
            self.output.text(&TextFrame::text(&restarting.to_json(None)));
            self.close(CloseReason::Restarting, woken, now);
        }
    }

    // ---- deadlines ----

    /// The earliest deadline.
    pub(super) fn next_due(&self) -> Instant {
        if let State::Closing { until } = self.state {
            return until;
        }
        let limits = self.limits();
        let alive = match (self.paused_until, self.pinged) {
            // While the server does not read, it cannot see a sign of life.
            (Some(paused_until), _) => paused_until,
            (None, Some(pinged)) => pinged + Duration::from_secs(limits.pong_timeout_s),
            (None, None) => self.last_heard + Duration::from_secs(limits.ping_interval_s),
        };
        let written = self.output.blocked_since.map(|since| since + Duration::from_secs(limits.write_timeout_s));
        [self.first_command_by, written].into_iter().flatten().fold(alive, Instant::min)
    }

    /// Acts on the deadlines that are past.
    pub(super) fn on_timer(&mut self, woken: &mut Woken, now: Instant) -> Next {
        if let State::Closing { until } = self.state {
            return if until <= now { Next::Drop } else { Next::Wait };
        }
        let limits = self.limits();
        let (ping_interval, pong_timeout) = (limits.ping_interval_s, limits.pong_timeout_s);
        let past = |since: Option<Instant>, s: u64| since.is_some_and(|since| since + Duration::from_secs(s) <= now);
        if past(self.output.blocked_since, limits.write_timeout_s) {
            self.close(CloseReason::WriteTimeout, woken, now);
            // It reads nothing: there is no use in waiting for it to read why.
            return Next::Drop;
        }
        if self.first_command_by.is_some_and(|by| by <= now) {
            self.close(CloseReason::FirstCommandTimeout, woken, now);
        } else if let Some(until) = self.paused_until {
            if until <= now {
                self.paused_until = None;
                self.stalled = true;
                (self.last_heard, self.pinged) = (now, None);
                return Next::Read;
            }
        } else if past(self.pinged, pong_timeout) {
            self.close(CloseReason::PingTimeout, woken, now);
        } else if self.pinged.is_none() && past(Some(self.last_heard), ping_interval) {
            self.output.control(Opcode::Ping, &[]);
            self.pinged = Some(now);
        }
        Next::Wait
    }
}

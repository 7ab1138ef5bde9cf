//! One WebSocket connection: TLS in, frames in place, commands to the relay, events out, deadlines.

use std::io::{self, BufRead, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustls::ServerConnection;

use super::admission::Permit;
use super::output::{Flushed, Output};
use crate::protocol::codes::{CloseReason, ErrorCode, LeaveReason};
use crate::protocol::event::{Event, Restarting};
use crate::protocol::frame::{ClientFrame, FrameError, Opcode, TextFrame, read_client_frame, unmask};
use crate::protocol::limits::Limits;
use crate::relay::{ConnectionId, Relay, Session};

/// How long a closed connection may take to read the close frame.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read from one socket before it is others' turn.
const READ_TURN: usize = 64 * 1024;
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

/// A bucket of commands (`commands_per_s`, `commands_burst`); may be overdrawn by what a command hands out.
struct Bucket {
    per_s: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

/// Handing out this many bytes costs as much as a command.
const BYTES_PER_TOKEN: f64 = 4096.0;

impl Bucket {
    fn new(limits: &Limits, now: Instant) -> Self {
        let burst = limits.commands_burst as f64;
        Self { per_s: limits.commands_per_s as f64, burst, level: burst, at: now }
    }

    /// When the next command may be read, if not now.
    fn wait(&mut self, now: Instant) -> Option<Instant> {
        if self.level > 0.0 {
            return None;
        }
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_s;
        self.level = (self.level + gained).min(self.burst);
        self.at = now;
        (self.level <= 0.0).then(|| now + Duration::from_secs_f64(((1.0 - self.level) / self.per_s).max(0.001)))
    }

    fn charge(&mut self, bytes_out: usize, now: Instant) {
        if self.level >= self.burst {
            self.at = now;
        }
        self.level -= 1.0 + bytes_out as f64 / BYTES_PER_TOKEN;
    }
}

/// See the module.
pub(super) struct Connection {
    // Fixed at start.
    id: ConnectionId,
    relay: Arc<Relay>,
    _permit: Permit,
    // The way to the client.
    pub(super) stream: TcpStream,
    tls: ServerConnection,
    session: Arc<Session>,
    state: State,
    /// The client said goodbye: its session shall not wait for it.
    left: bool,
    // The reader's.
    inbound: Vec<u8>,
    fragments: Option<Vec<u8>>,
    bucket: Bucket,
    paused_until: Option<Instant>,
    /// A pause is over, and whole frames may wait in `inbound`.
    stalled: bool,
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
        (id, session): (ConnectionId, Arc<Session>),
        relay: Arc<Relay>,
        (stream, mut tls): (TcpStream, ServerConnection),
        permit: Permit,
        first_command_by: Instant,
        now: Instant,
    ) -> Self {
        tls.set_buffer_limit(None);
        let bucket = Bucket::new(relay.limits(), now);
        Self {
            id,
            relay,
            _permit: permit,
            stream,
            tls,
            session,
            state: State::Open,
            left: false,
            inbound: Vec::new(),
            fragments: None,
            bucket,
            paused_until: None,
            stalled: false,
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
        self.id
    }

    // ---- reading ----

    /// Takes in what was read before this connection came to its worker.
    pub(super) fn read_earlier(&mut self, read: Vec<u8>, scratch: &mut Scratch, now: Instant) -> Next {
        self.inbound = read;
        if self.tls.process_new_packets().is_err() {
            return Next::Drop;
        }
        match self.drain_plaintext() {
            Ok(()) => self.frames_of_inbound(scratch, now),
            Err(_) => Next::Drop,
        }
    }

    /// Moves decrypted bytes behind `inbound`.
    fn drain_plaintext(&mut self) -> io::Result<()> {
        let mut piece = [0; GROWTH];
        loop {
            match self.tls.reader().read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(n) => self.inbound.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one turn's worth from the socket and carries out what is in it.
    pub(super) fn read(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        if let State::Closing { .. } = self.state {
            return self.throw_away(scratch);
        }
        if self.paused_until.is_some() {
            return Next::Wait;
        }
        if std::mem::take(&mut self.stalled) {
            match self.frames_of_inbound(scratch, now) {
                Next::Wait if self.paused_until.is_none() => {}
                other => return other,
            }
        }
        let n = match self.stream.read(&mut scratch.raw) {
            Ok(0) => return Next::Drop,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Wait,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Next::Read,
            Err(_) => return Next::Drop,
        };
        self.last_heard = now;
        self.pinged = None;
        // A whole batch is decrypted into the worker's buffer; only what starts in an earlier batch goes to our own.
        let mut plain = std::mem::take(&mut scratch.plain);
        let own = !self.inbound.is_empty();
        if own {
            std::mem::swap(&mut plain, &mut self.inbound);
        }
        let decrypted = decrypt(&mut self.tls, &scratch.raw[..n], &mut plain);
        if own {
            std::mem::swap(&mut plain, &mut self.inbound);
        }
        let next = match decrypted {
            Err(()) => {
                // The alert that says why goes out as far as it can.
                let _ = self.output.write_out(&mut self.tls, &mut self.stream, now);
                Next::Drop
            }
            Ok(ended) => {
                let next = if own {
                    self.frames_of_inbound(scratch, now)
                } else {
                    let used = self.frames(&mut plain, scratch, now);
                    if used < plain.len() && self.state == State::Open {
                        self.inbound.extend_from_slice(&plain[used..]);
                    }
                    self.after_frames()
                };
                match next {
                    Next::Wait if ended => Next::Drop,
                    Next::Wait if n == scratch.raw.len() || self.peer_done => Next::Read,
                    other => other,
                }
            }
        };
        plain.clear();
        scratch.plain = plain;
        next
    }

    fn frames_of_inbound(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        let mut inbound = std::mem::take(&mut self.inbound);
        let used = self.frames(&mut inbound, scratch, now);
        if used < inbound.len() && self.state == State::Open {
            inbound.drain(..used);
            self.inbound = inbound;
        }
        self.after_frames()
    }

    fn after_frames(&self) -> Next {
        match self.state {
            State::Open => Next::Wait,
            State::Closing { .. } => Next::Read,
        }
    }

    /// Carries out the whole frames at the start of `buffer`; how many bytes they were.
    fn frames(&mut self, buffer: &mut [u8], scratch: &mut Scratch, now: Instant) -> usize {
        let mut at = 0;
        while self.state == State::Open && at < buffer.len() {
            if let Some(until) = self.bucket.wait(now) {
                self.paused_until = Some(until);
                break;
            }
            let rest = &mut buffer[at..];
            match read_client_frame(rest, self.max_payload()) {
                Ok(Some(frame)) if frame.payload.end <= rest.len() => {
                    at += frame.payload.end;
                    let payload = &mut rest[frame.payload.clone()];
                    unmask(payload, frame.mask);
                    self.frame(&frame, payload, scratch, now);
                }
                Ok(_) => break,
                Err(FrameError::TooLarge) => self.too_large(now),
                Err(_) => self.close(CloseReason::ProtocolError, now),
            }
        }
        at
    }

    /// Most payload of a frame that may come now.
    fn max_payload(&mut self) -> usize {
        self.joined = self.joined || self.session.rooms() > 0;
        let limits = self.relay.limits();
        let most = if self.joined { limits.frame_bytes } else { limits.first_frame_bytes };
        most as usize - self.fragments.as_ref().map_or(0, Vec::len).min(most as usize)
    }

    fn too_large(&mut self, now: Instant) {
        self.session.refuse_frame(ErrorCode::TooLarge);
        self.close(CloseReason::TooLarge, now);
    }

    fn frame(&mut self, frame: &ClientFrame, payload: &[u8], scratch: &mut Scratch, now: Instant) {
        match frame.opcode {
            Opcode::Text if frame.fin && self.fragments.is_none() => self.text(payload, scratch, now),
            Opcode::Text if self.fragments.is_none() => self.fragments = Some(payload.to_vec()),
            Opcode::Continuation => match self.fragments.take() {
                Some(mut fragments) => {
                    fragments.extend_from_slice(payload);
                    if frame.fin {
                        self.text(&fragments, scratch, now);
                    } else {
                        self.fragments = Some(fragments);
                    }
                }
                None => self.close(CloseReason::ProtocolError, now),
            },
            // An unfinished message of another kind (RFC 6455 §5.4).
            Opcode::Text => self.close(CloseReason::ProtocolError, now),
            Opcode::Binary if self.fragments.is_some() => self.close(CloseReason::ProtocolError, now),
            Opcode::Binary => {
                self.bucket.charge(0, now);
                self.session.refuse_frame(ErrorCode::BinaryFrame);
                if !frame.fin {
                    self.close(CloseReason::ProtocolError, now);
                }
            }
            Opcode::Ping => {
                self.bucket.charge(0, now);
                self.output.control(Opcode::Pong, payload);
            }
            Opcode::Pong => self.bucket.charge(0, now),
            Opcode::Close => {
                // 1000, or no code at all, means that the client is done; anything else may be an accident.
                self.left = payload.is_empty() || payload.first_chunk() == Some(&1000u16.to_be_bytes());
                self.close(if bad_close(payload) { CloseReason::ProtocolError } else { CloseReason::Normal }, now);
            }
        }
    }

    fn text(&mut self, payload: &[u8], scratch: &mut Scratch, now: Instant) {
        let Ok(text) = std::str::from_utf8(payload) else { return self.close(CloseReason::NotUtf8, now) };
        self.first_command_by = None;
        // A session that went on elsewhere takes no more commands from here: the client may be sending them again there.
        if let Some(reason) = self.session.closing(self.id) {
            return self.close(reason, now);
        }
        let outcome = self.session.handle(text);
        self.bucket.charge(outcome.bytes_out, now);
        if let Some(resumed) = outcome.resumed {
            // What this connection's own session still had to say comes before what the resumed one has.
            self.output.encrypt_all(&mut self.tls, (&self.session, self.id), &mut scratch.out);
            self.session.end(LeaveReason::Left);
            self.session = resumed;
        }
    }

    /// After the close: reads on, so that the client's last frames do not reset the connection before it has read ours.
    fn throw_away(&mut self, scratch: &mut Scratch) -> Next {
        match self.stream.read(&mut scratch.raw) {
            Ok(0) => Next::Drop,
            Ok(_) => Next::Read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Next::Wait,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Next::Read,
            Err(_) => Next::Drop,
        }
    }

    // ---- writing ----

    /// Writes what waits.
    pub(super) fn flush(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        if let State::Closing { .. } = self.state {
            return self.flush_close(now);
        }
        let io = (&mut self.tls, &mut self.stream);
        match self.output.flush(io, (&self.session, self.id), &mut scratch.out, now) {
            Flushed::All if self.draining => {
                self.close(CloseReason::Restarting, now);
                self.flush_close(now)
            }
            Flushed::All => Next::Wait,
            Flushed::Blocked => match self.session.closing(self.id) {
                // A reader that takes nothing at all would not be asked for what waits until it does.
                Some(reason) => {
                    self.close(reason, now);
                    self.flush_close(now)
                }
                None => Next::Wait,
            },
            Flushed::More => Next::Write,
            Flushed::Close(reason) => {
                self.close(reason, now);
                self.flush_close(now)
            }
            Flushed::Broken => Next::Drop,
        }
    }

    fn flush_close(&mut self, now: Instant) -> Next {
        match self.output.write_out(&mut self.tls, &mut self.stream, now) {
            Flushed::Broken => Next::Drop,
            Flushed::All => {
                // A socket that is gone already is closed enough.
                let _ = self.stream.shutdown(Shutdown::Write);
                Next::Wait
            }
            _ => Next::Wait,
        }
    }

    /// Whether something waits that the session does not know of: control frames, TLS messages.
    pub(super) fn must_write(&self) -> bool {
        !self.waits_to_write() && (self.tls.wants_write() || self.output.has_control())
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
    fn close(&mut self, reason: CloseReason, now: Instant) {
        if self.state != State::Open {
            return;
        }
        // What earlier frames of the same batch were answered goes out first.
        if matches!(
            reason,
            CloseReason::Normal | CloseReason::ProtocolError | CloseReason::NotUtf8 | CloseReason::TooLarge
        ) {
            self.output.encrypt_all(&mut self.tls, (&self.session, self.id), &mut Vec::new());
        }
        self.output.close(&mut self.tls, reason);
        self.state = State::Closing { until: now + LINGER };
        self.inbound = Vec::new();
        self.fragments = None;
        tracing::debug!(reason = reason.as_str(), "closing a connection");
        self.give_up();
    }

    /// The session goes on without this connection, or ends with it.
    pub(super) fn give_up(&mut self) {
        self.session.disconnected(self.id, self.left);
    }

    /// Says that the server restarts; once that is written the connection is closed.
    pub(super) fn drain(&mut self, reconnect_in_ms: u64) {
        self.session.announce_restart(reconnect_in_ms);
        self.draining = true;
    }

    /// Another process goes on with the session: says so and closes. The session is not touched any more.
    pub(super) fn leave(&mut self, reconnect_in_ms: u64, now: Instant) {
        if self.state == State::Open {
            let restarting = Event::Restarting(Restarting { reconnect_in_ms });
            self.output.text(&TextFrame::text(&restarting.to_json(None)));
            self.close(CloseReason::Restarting, now);
        }
    }

    // ---- deadlines ----

    /// The earliest deadline.
    pub(super) fn next_due(&self) -> Instant {
        if let State::Closing { until } = self.state {
            return until;
        }
        let limits = self.relay.limits();
        let alive = match self.pinged {
            Some(pinged) => pinged + Duration::from_secs(limits.pong_timeout_s),
            None => self.last_heard + Duration::from_secs(limits.ping_interval_s),
        };
        let written = self.output.blocked_since.map(|since| since + Duration::from_secs(limits.write_timeout_s));
        [self.first_command_by, self.paused_until, written].into_iter().flatten().fold(alive, Instant::min)
    }

    /// Acts on the deadlines that are past.
    pub(super) fn on_timer(&mut self, now: Instant) -> Next {
        if let State::Closing { until } = self.state {
            return if until <= now { Next::Drop } else { Next::Wait };
        }
        let limits = self.relay.limits();
        let (ping_interval, pong_timeout) = (limits.ping_interval_s, limits.pong_timeout_s);
        let past = |since: Option<Instant>, s: u64| since.is_some_and(|since| since + Duration::from_secs(s) <= now);
        if past(self.output.blocked_since, limits.write_timeout_s) {
            self.close(CloseReason::WriteTimeout, now);
            // It reads nothing: there is no use in waiting for it to read why.
            return Next::Drop;
        }
        if self.first_command_by.is_some_and(|by| by <= now) {
            self.close(CloseReason::FirstCommandTimeout, now);
        } else if past(self.pinged, pong_timeout) {
            self.close(CloseReason::PingTimeout, now);
        } else if self.pinged.is_none() && past(Some(self.last_heard), ping_interval) {
            self.output.control(Opcode::Ping, &[]);
            self.pinged = Some(now);
        } else if self.paused_until.take_if(|until| *until <= now).is_some() {
            self.stalled = true;
            return Next::Read;
        }
        Next::Wait
    }
}

/// Decrypts `raw` behind what is in `plain`. `Ok(true)` when the peer ended the TLS session.
fn decrypt(tls: &mut ServerConnection, mut raw: &[u8], plain: &mut Vec<u8>) -> Result<bool, ()> {
    let mut ended = false;
    while !raw.is_empty() && !ended {
        tls.read_tls(&mut raw).map_err(drop)?;
        let state = tls.process_new_packets().map_err(drop)?;
        let mut bytes = state.plaintext_bytes_to_read();
        ended = state.peer_has_closed();
        plain.reserve(bytes);
        while bytes > 0 {
            let mut reader = tls.reader();
            let record = reader.fill_buf().map_err(drop)?;
            plain.extend_from_slice(record);
            let read = record.len();
            reader.consume(read);
            bytes = bytes.saturating_sub(read.max(1));
        }
    }
    Ok(ended)
}

/// Whether a close frame's payload is none that a client may send (RFC 6455 §5.5.1 and §7.4).
fn bad_close(payload: &[u8]) -> bool {
    match payload {
        [] => false,
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) || std::str::from_utf8(reason).is_err()
        }
        _ => true,
    }
}

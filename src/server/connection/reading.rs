//! The reading side: ciphertext to frames, frames to commands.

use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

use rustls::ServerConnection;

use super::super::lanes::TURN;
use super::{Connection, GROWTH, MUCH, Next, Scratch, State, Unfinished};
use crate::protocol::codes::{CloseReason, ErrorCode};
use crate::protocol::frame::{ClientFrame, FrameError, MAX_CONTROL_PAYLOAD, Opcode, read_client_frame, unmask};
use crate::relay::{Cost, Ending, Woken};
use crate::secret::wipe;

/// Tokens of a frame after which the clock and the session are looked at …
const DEAR: u32 = 10;
/// … and the number of cheaper frames.
const FRAMES_PER_LOOK: u32 = 32;
/// Tokens that a connection draws from its address's account at a time, so that most frames change no number that event
/// loops share.
const TOKENS_AT_ONCE: i64 = 64;
/// Memory of the system for a connection whose reader takes nothing, in bytes.
const BLOCKED: usize = 300 * 1024;
/// A change of a connection's buffers of less than this many bytes is not worth telling.
const WORTH_TELLING: usize = 1024;

impl Connection {
    /// Takes in what was read before this connection came to its worker.
    pub(in crate::server) fn read_earlier(&mut self, read: Vec<u8>, woken: &mut Woken, now: Instant) -> Next {
        self.inbound = read;
        if self.wire.tls.process_new_packets().is_err() {
            return Next::Drop;
        }
        let drained = self.drain_plaintext();
        wipe_decrypted(&mut self.wire.tls);
        match drained {
            Ok(()) => self.frames_of_inbound(woken, now),
            Err(_) => Next::Drop,
        }
    }

    /// Moves decrypted bytes behind `inbound`.
    fn drain_plaintext(&mut self) -> io::Result<()> {
        let mut piece = [0; GROWTH];
        loop {
            match self.wire.tls.reader().read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(n) => self.inbound.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one turn's worth from the socket and carries out what is in it.
    pub(in crate::server) fn read(&mut self, scratch: &mut Scratch, woken: &mut Woken, now: Instant) -> Next {
        if let State::Closing { .. } = self.state {
            return self.throw_away(scratch);
        }
        let next = self.read_on(scratch, woken, now);
        self.settle(woken, now);
        next
    }

    fn read_on(&mut self, scratch: &mut Scratch, woken: &mut Woken, now: Instant) -> Next {
        if self.paused_until.is_some() {
            return Next::Wait;
        }
        if std::mem::take(&mut self.stalled) {
            match self.frames_of_inbound(woken, now) {
                Next::Wait if self.paused_until.is_none() => {}
                other => return other,
            }
        }
        let n = match self.wire.stream.read(&mut scratch.raw) {
            Ok(0) => return Next::Drop,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Wait,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Next::Read,
            Err(_) => return Next::Drop,
        };
        self.last_heard = now;
        self.pinged = None;
        self.reads_much = n >= MUCH;
        // A whole batch is decrypted into the worker's buffer; only what starts in an earlier batch goes to our own.
        let mut plain = std::mem::take(&mut scratch.plain);
        let own = !self.inbound.is_empty();
        if own {
            std::mem::swap(&mut plain, &mut self.inbound);
        }
        let decrypted = decrypt(&mut self.wire.tls, &scratch.raw[..n], &mut plain);
        if own {
            std::mem::swap(&mut plain, &mut self.inbound);
        }
        let next = match decrypted {
            Err(BadTls) => {
                // The alert that says why goes out as far as it can.
                let _ = self.output.write_out(&mut self.wire, now);
                Next::Drop
            }
            Ok(tls) => {
                let next = if own {
                    self.frames_of_inbound(woken, now)
                } else {
                    let used = self.frames(&mut plain, woken, now);
                    if used < plain.len() && self.state == State::Open {
                        self.inbound.extend_from_slice(&plain[used..]);
                    }
                    self.after_frames()
                };
                match next {
                    Next::Wait if matches!(tls, TlsState::Ended) => Next::Drop,
                    Next::Wait if n == scratch.raw.len() || self.peer_done => Next::Read,
                    other => other,
                }
            }
        };
        wipe::empty(&mut plain);
        scratch.plain = plain;
        next
    }

    fn frames_of_inbound(&mut self, woken: &mut Woken, now: Instant) -> Next {
        let mut inbound = std::mem::take(&mut self.inbound);
        let used = self.frames(&mut inbound, woken, now);
        if used < inbound.len() && self.state == State::Open {
            wipe::forget_front(&mut inbound, used);
            self.inbound = inbound;
        }
        self.after_frames()
    }

    fn after_frames(&self) -> Next {
        match self.state {
            State::Open if self.stalled => Next::Read,
            State::Open => Next::Wait,
            State::Closing { .. } => Next::Read,
        }
    }

    /// Carries out the whole frames at the start of `buffer`; how many bytes they were.
    fn frames(&mut self, buffer: &mut [u8], woken: &mut Woken, now: Instant) -> usize {
        let mut at = 0;
        let mut turn = Turn { spent: self.spent, ..Turn::default() };
        while self.state == State::Open && at < buffer.len() {
            if let Some(until) = self.wait_for_tokens(now) {
                self.paused_until = Some(until);
                break;
            }
            if turn.asks_for_a_look(self.spent) {
                // The session may have ended, or moved: then nothing of the batch has an effect any more.
                if let Some(reason) = self.attached.closing() {
                    self.close(reason, woken, now);
                    break;
                }
                if turn.is_over() {
                    self.stalled = true;
                    self.reads_much = true;
                    break;
                }
            }
            let rest = &mut buffer[at..];
            let most = self.max_payload();
            // A control frame has its own bound, however much of a message has come.
            match read_client_frame(rest, most.max(MAX_CONTROL_PAYLOAD)) {
                Ok(Some(frame)) if !frame.opcode.is_control() && frame.payload.len() > most => {
                    self.too_large(woken, now)
                }
                Ok(Some(frame)) if frame.payload.end <= rest.len() => {
                    at += frame.payload.end;
                    let payload = &mut rest[frame.payload.clone()];
                    unmask(payload, frame.mask);
                    self.frame(&frame, payload, woken, now);
                }
                Ok(_) => break,
                Err(FrameError::TooLarge) => self.too_large(woken, now),
                Err(_) => self.close(CloseReason::ProtocolError, woken, now),
            }
        }
        at
    }

    /// Most payload of a frame that may come now.
    fn max_payload(&mut self) -> usize {
        self.joined = self.joined || self.attached.is_member();
        let limits = self.limits();
        let most = if self.joined { limits.frame_bytes } else { limits.first_frame_bytes };
        most as usize - self.unfinished.as_ref().map_or(0, Unfinished::len).min(most as usize)
    }

    fn too_large(&mut self, woken: &mut Woken, now: Instant) {
        self.attached.refuse_frame(ErrorCode::TooLarge, woken);
        self.close(CloseReason::TooLarge, woken, now);
    }

    fn frame(&mut self, frame: &ClientFrame, payload: &[u8], woken: &mut Woken, now: Instant) {
        match (frame.opcode, self.unfinished.take()) {
            (Opcode::Text, None) if frame.fin => self.text(payload, woken, now),
            (Opcode::Text, None) => self.fragment(Unfinished::Text(payload.to_vec()), now),
            (Opcode::Binary, None) if frame.fin => self.binary(woken, now),
            (Opcode::Binary, None) => self.fragment(Unfinished::Binary(payload.len()), now),
            (Opcode::Continuation, Some(Unfinished::Text(mut text))) => {
                text.extend_from_slice(payload);
                if frame.fin { self.text(&text, woken, now) } else { self.fragment(Unfinished::Text(text), now) }
            }
            (Opcode::Continuation, Some(Unfinished::Binary(len))) => {
                if frame.fin {
                    self.binary(woken, now);
                } else {
                    self.fragment(Unfinished::Binary(len + payload.len()), now);
                }
            }
            // A new message within another one, or a fragment of none (RFC 6455 §5.4).
            (Opcode::Text | Opcode::Binary, Some(_)) | (Opcode::Continuation, None) => {
                self.close(CloseReason::ProtocolError, woken, now);
            }
            (Opcode::Ping | Opcode::Pong | Opcode::Close, unfinished) => {
                self.unfinished = unfinished;
                self.control(frame.opcode, payload, woken, now);
            }
        }
    }

    /// A control frame, which may come between the fragments of a message.
    fn control(&mut self, opcode: Opcode, payload: &[u8], woken: &mut Woken, now: Instant) {
        match opcode {
            Opcode::Ping => {
                self.charge(Cost::COMMAND, now);
                self.output.control(Opcode::Pong, payload);
            }
            Opcode::Pong => self.charge(Cost::COMMAND, now),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
            Opcode::Close => {
                // 1000, or no code at all, means that the client is done; anything else may be an accident.
                self.ending = match payload.first_chunk().map(|code| u16::from_be_bytes(*code)) {
                    None if payload.is_empty() => Ending::Goodbye,
                    Some(1000) => Ending::Goodbye,
                    Some(1001) => Ending::PageGone,
                    _ => Ending::Lost,
                };
                self.close(
                    if bad_close(payload) { CloseReason::ProtocolError } else { CloseReason::Normal },
                    woken,
                    now,
                );
            }
        }
    }

    fn fragment(&mut self, unfinished: Unfinished, now: Instant) {
        self.charge(Cost::COMMAND, now);
        self.unfinished = Some(unfinished);
    }

    /// A binary message is refused. Like any other frame that is no command it counts as the first one.
    fn binary(&mut self, woken: &mut Woken, now: Instant) {
        self.charge(Cost::COMMAND, now);
        self.first_command_by = None;
        self.attached.refuse_frame(ErrorCode::BinaryFrame, woken);
    }

    fn text(&mut self, payload: &[u8], woken: &mut Woken, now: Instant) {
        let Ok(text) = std::str::from_utf8(payload) else { return self.close(CloseReason::NotUtf8, woken, now) };
        self.first_command_by = None;
        self.attached.handle(text, woken);
        self.charge(woken.take_cost().max(Cost::COMMAND), now);
    }

    /// When the next frame may be read, if not now: by the connection's own rate, and by that of its address.
    fn wait_for_tokens(&mut self, now: Instant) -> Option<Instant> {
        let until = self.bucket.wait(self.attached.relay().limits(), now);
        if until.is_some() || self.credit > 0 {
            return until;
        }
        let tokens = u32::try_from(TOKENS_AT_ONCE - self.credit).unwrap_or(u32::MAX);
        match self.permit.account().draw(tokens, self.attached.relay().time_of(now)) {
            Ok(()) => {
                self.credit += i64::from(tokens);
                None
            }
            Err(wait) => Some(now + Duration::from_millis(wait)),
        }
    }

    /// Tells the account what the connection spent and what it holds.
    fn settle(&mut self, woken: &mut Woken, now: Instant) {
        if self.spent > 0 {
            let now = self.attached.relay().time_of(now);
            self.permit.account().was_served(std::mem::take(&mut self.spent), now);
        }
        let unfinished = self.unfinished.as_ref().map_or(0, Unfinished::capacity);
        let blocked = if self.output.blocked_since.is_some() { BLOCKED } else { 0 };
        let buffers = self.inbound.capacity() + unfinished + blocked;
        if buffers.abs_diff(self.buffers) >= WORTH_TELLING {
            self.buffers = buffers;
            self.attached.hold_buffers(buffers, woken);
        }
    }

    fn charge(&mut self, cost: Cost, now: Instant) {
        let tokens = cost.whole_tokens();
        self.credit -= i64::from(tokens);
        self.spent = self.spent.saturating_add(tokens);
        self.bucket.charge(cost, self.attached.relay().limits(), now);
    }

    /// After the close: reads on, so that the client's last frames do not reset the connection before it has read ours.
    fn throw_away(&mut self, scratch: &mut Scratch) -> Next {
        match self.wire.stream.read(&mut scratch.raw) {
            Ok(0) => Next::Drop,
            Ok(_) => Next::Read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Next::Wait,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Next::Read,
            Err(_) => Next::Drop,
        }
    }
}

/// One batch of one connection, which takes 1 ms at most and then waits for the others' turns.
#[derive(Default)]
struct Turn {
    since: Option<Instant>,
    frames: u32,
    spent: u32,
}

impl Turn {
    /// Whether the clock and the session are to be looked at, before the next frame is read. `spent` are the tokens
    /// spent so far.
    fn asks_for_a_look(&mut self, spent: u32) -> bool {
        let dear = spent.saturating_sub(std::mem::replace(&mut self.spent, spent)) > DEAR;
        self.frames += 1;
        // Most batches are one frame, and need no clock.
        if self.frames == 2 {
            self.since = Some(Instant::now());
        }
        self.frames > 1 && (dear || self.frames.is_multiple_of(FRAMES_PER_LOOK))
    }

    fn is_over(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() > TURN)
    }
}

/// The peer's bytes are not TLS.
struct BadTls;

/// Whether the peer may send more.
enum TlsState {
    Open,
    Ended,
}

/// Decrypts `raw` behind what is in `plain`.
fn decrypt(tls: &mut ServerConnection, mut raw: &[u8], plain: &mut Vec<u8>) -> Result<TlsState, BadTls> {
    let mut ended = false;
    while !raw.is_empty() && !ended {
        tls.read_tls(&mut raw).map_err(|_| BadTls)?;
        let state = tls.process_new_packets().map_err(|_| BadTls)?;
        let mut bytes = state.plaintext_bytes_to_read();
        ended = state.peer_has_closed();
        plain.reserve(bytes);
        while bytes > 0 {
            let mut reader = tls.reader();
            let record = reader.fill_buf().map_err(|_| BadTls)?;
            plain.extend_from_slice(record);
            let read = record.len();
            reader.consume(read);
            bytes = bytes.saturating_sub(read.max(1));
        }
    }
    wipe_decrypted(tls);
    Ok(if ended { TlsState::Ended } else { TlsState::Open })
}

/// Wipes what the TLS library decrypted in its own buffer, which it keeps for what comes next.
fn wipe_decrypted(tls: &mut ServerConnection) {
    /// A reader that has nothing, and zeroes the place where it was to put it.
    struct Nothing;
    impl Read for Nothing {
        fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
            place.fill(0);
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
    // It fails as it should; an incomplete record, still encrypted, stays before the place.
    let _ = tls.read_tls(&mut Nothing);
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

//! The reading side: ciphertext to frames, frames to commands.

use std::io::{self, BufRead, Read};
use std::time::Instant;

use rustls::ServerConnection;

use super::{Connection, GROWTH, MUCH, Next, Scratch, State};
use crate::protocol::codes::{CloseReason, ErrorCode, LeaveReason};
use crate::protocol::frame::{ClientFrame, FrameError, MAX_CONTROL_PAYLOAD, Opcode, read_client_frame, unmask};
use crate::secret::wipe;

impl Connection {
    /// Takes in what was read before this connection came to its worker.
    pub(in crate::server) fn read_earlier(&mut self, read: Vec<u8>, scratch: &mut Scratch, now: Instant) -> Next {
        self.inbound = read;
        if self.tls.process_new_packets().is_err() {
            return Next::Drop;
        }
        let drained = self.drain_plaintext();
        wipe_decrypted(&mut self.tls);
        match drained {
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
    pub(in crate::server) fn read(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
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
        self.reads_much = n >= MUCH;
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
        wipe::empty(&mut plain);
        scratch.plain = plain;
        next
    }

    fn frames_of_inbound(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        let mut inbound = std::mem::take(&mut self.inbound);
        let used = self.frames(&mut inbound, scratch, now);
        if used < inbound.len() && self.state == State::Open {
            wipe::forget_front(&mut inbound, used);
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
            if let Some(until) = self.bucket.wait(self.relay.limits(), now) {
                self.paused_until = Some(until);
                break;
            }
            let rest = &mut buffer[at..];
            let most = self.max_payload();
            // A control frame has its own bound, however much of a message has come.
            match read_client_frame(rest, most.max(MAX_CONTROL_PAYLOAD)) {
                Ok(Some(frame)) if !frame.opcode.is_control() && frame.payload.len() > most => self.too_large(now),
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
        self.session.refuse_frame(self.id, ErrorCode::TooLarge);
        self.close(CloseReason::TooLarge, now);
    }

    fn frame(&mut self, frame: &ClientFrame, payload: &[u8], scratch: &mut Scratch, now: Instant) {
        match frame.opcode {
            Opcode::Text if frame.fin && self.fragments.is_none() => self.text(payload, scratch, now),
            Opcode::Text if self.fragments.is_none() => {
                self.bucket.charge(0, self.relay.limits(), now);
                self.fragments = Some(payload.to_vec());
            }
            Opcode::Continuation => match self.fragments.take() {
                Some(mut fragments) => {
                    fragments.extend_from_slice(payload);
                    if frame.fin {
                        self.text(&fragments, scratch, now);
                    } else {
                        self.bucket.charge(0, self.relay.limits(), now);
                        self.fragments = Some(fragments);
                    }
                }
                None => self.close(CloseReason::ProtocolError, now),
            },
            // An unfinished message of another kind (RFC 6455 §5.4).
            Opcode::Text => self.close(CloseReason::ProtocolError, now),
            Opcode::Binary if self.fragments.is_some() => self.close(CloseReason::ProtocolError, now),
            Opcode::Binary => {
                self.bucket.charge(0, self.relay.limits(), now);
                self.session.refuse_frame(self.id, ErrorCode::BinaryFrame);
                if !frame.fin {
                    self.close(CloseReason::ProtocolError, now);
                }
            }
            Opcode::Ping => {
                self.bucket.charge(0, self.relay.limits(), now);
                self.output.control(Opcode::Pong, payload);
            }
            Opcode::Pong => self.bucket.charge(0, self.relay.limits(), now),
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
        let outcome = self.session.handle(self.id, text);
        self.bucket.charge(outcome.bytes_out, self.relay.limits(), now);
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
    wipe_decrypted(tls);
    Ok(ended)
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

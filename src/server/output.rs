//! The output of one connection: events in order, control frames between them, in as few TLS records and writes as
//! possible.

use std::io::{self, Write};
use std::time::Instant;

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::protocol::codes::CloseReason;
use crate::protocol::frame::{MAX_CONTROL_PAYLOAD, Opcode, TextFrame, write_server_header};
use crate::relay::Attached;
use crate::secret::wipe;

/// Plaintext that is encrypted at once, in bytes: four TLS records. Encrypted data that does not fit into the socket
/// stays in memory.
const CHUNK: usize = 64 * 1024;
/// A frame of at least this many bytes is encrypted in pieces and not copied together with others.
const LARGE: usize = 16 * 1024;
/// Maximum size of the waiting control frames, in bytes, without the answer to the last ping.
const MAX_CONTROL_WAITING: usize = 1024;
/// Plaintext that is written for one connection before the others have their turn, in bytes.
const TURN: usize = 512 * 1024;

/// The TLS state and the socket of one client.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    pub(super) tls: ServerConnection,
}

/// The result of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// The kernel has everything.
    All,
    /// The socket is full.
    Blocked,
    /// There is more, but the others have their turn now.
    More,
    /// The connection is to be closed.
    Close(CloseReason),
    /// The socket is broken.
    Broken,
}

/// The writing side of one connection.
#[derive(Default)]
pub(super) struct Output {
    /// A large frame, and the size of its encrypted part. Boxed, because it is rare.
    partial: Option<Box<(TextFrame, usize)>>,
    /// Control frames that wait for the end of a frame.
    control: Vec<u8>,
    /// The answer to the latest ping, when too many wait: of many pings only the last needs one (RFC 6455 §5.5.3).
    last_pong: Option<Box<[u8]>>,
    /// The session may have more events.
    more: bool,
    /// The time since which the socket has accepted nothing.
    pub(super) blocked_since: Option<Instant>,
}

impl Output {
    /// Queues a control frame.
    pub(super) fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        let payload = payload.get(..payload.len().min(MAX_CONTROL_PAYLOAD)).unwrap_or_default();
        if self.control.len() < MAX_CONTROL_WAITING {
            write_server_header(&mut self.control, opcode, payload.len());
            self.control.extend_from_slice(payload);
        } else if opcode == Opcode::Pong {
            self.last_pong = Some(payload.into());
        }
    }

    /// Queues a text frame that is not the session's. Impossible in the middle of a frame.
    pub(super) fn text(&mut self, frame: &TextFrame) {
        if self.partial.is_none() {
            self.control.extend(frame.parts().concat());
        }
    }

    /// Whether control frames wait.
    pub(super) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// Queues the close frame, and the end of the TLS session behind it. In the middle of a frame there is no place for
    /// one.
    pub(super) fn close(&mut self, tls: &mut ServerConnection, reason: CloseReason) {
        if self.partial.take().is_none() {
            let mut payload = reason.code().to_be_bytes().to_vec();
            payload.extend_from_slice(reason.as_str().as_bytes());
            write_server_header(&mut self.control, Opcode::Close, payload.len());
            self.control.extend_from_slice(&payload);
            encrypt(tls, &self.control);
        }
        self.control = Vec::new();
        tls.send_close_notify();
    }

    /// Writes the encrypted data. Returns whether the kernel has all of it.
    pub(super) fn write_out(&mut self, wire: &mut Wire, now: Instant) -> Flushed {
        while wire.tls.wants_write() {
            match wire.tls.write_tls(&mut Sender(&mut wire.stream)) {
                Ok(0) => return Flushed::Broken,
                Ok(_) => self.blocked_since = None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked_since.get_or_insert(now);
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Broken,
            }
        }
        Flushed::All
    }

    /// Writes what the session has, until that is all, the socket is full, or it is others' turn. `scratch` is the
    /// worker's.
    pub(super) fn flush(
        &mut self,
        wire: &mut Wire,
        attached: &mut Attached,
        scratch: &mut Vec<u8>,
        now: Instant,
    ) -> Flushed {
        let mut written = 0;
        loop {
            match self.write_out(wire, now) {
                Flushed::All => {}
                other => return other,
            }
            if !self.more {
                return Flushed::All;
            }
            if written >= TURN {
                return Flushed::More;
            }
            match self.encrypt_next(&mut wire.tls, attached, scratch) {
                Ok(bytes) => written += bytes,
                Err(reason) => return Flushed::Close(reason),
            }
        }
    }

    /// Encrypts about a chunk of what the session has, for [`Output::flush`] to write; nothing while the socket has not
    /// taken the one before.
    pub(super) fn encrypt(
        &mut self,
        tls: &mut ServerConnection,
        attached: &mut Attached,
        scratch: &mut Vec<u8>,
    ) -> Result<(), CloseReason> {
        self.more = true;
        if !tls.wants_write() {
            self.encrypt_next(tls, attached, scratch)?;
        }
        Ok(())
    }

    /// Encrypts all that the session has, however much.
    pub(super) fn encrypt_all(&mut self, tls: &mut ServerConnection, attached: &mut Attached, scratch: &mut Vec<u8>) {
        self.more = true;
        while self.more && self.encrypt_next(tls, attached, scratch).is_ok() {}
    }

    /// Encrypts about a chunk of what is next; how many bytes that were. `more` is set before, and stays until the
    /// session has nothing left.
    fn encrypt_next(
        &mut self,
        tls: &mut ServerConnection,
        attached: &mut Attached,
        scratch: &mut Vec<u8>,
    ) -> Result<usize, CloseReason> {
        if let Some((frame, done)) = self.partial.as_deref_mut() {
            let piece = rest_of(frame, *done);
            let piece = &piece[..piece.len().min(CHUNK)];
            encrypt(tls, piece);
            *done += piece.len();
            let bytes = piece.len();
            if *done == frame.len() {
                self.partial = None;
            }
            return Ok(bytes);
        }
        scratch.clear();
        scratch.append(&mut self.control);
        self.control = Vec::new();
        if let Some(payload) = self.last_pong.take() {
            write_server_header(scratch, Opcode::Pong, payload.len());
            scratch.extend_from_slice(&payload);
        }
        let partial = &mut self.partial;
        let taken = attached.take(|frame| {
            if frame.len() >= LARGE {
                *partial = Some(Box::new((frame, 0)));
                return false;
            }
            for part in frame.parts() {
                scratch.extend_from_slice(part);
            }
            scratch.len() < CHUNK
        });
        encrypt(tls, scratch);
        let bytes = scratch.len();
        wipe::empty(scratch);
        self.more = taken?;
        Ok(bytes)
    }
}

/// The part of a frame that lies together in memory after `done` bytes.
fn rest_of(frame: &TextFrame, done: usize) -> &[u8] {
    let [head, tail] = frame.parts();
    head.get(done..)
        .filter(|rest| !rest.is_empty())
        .or_else(|| tail.get(done.saturating_sub(head.len())..))
        .unwrap_or_default()
}

/// A socket to which a lone record goes by the plain call, which the kernel carries out faster than a vectored one.
struct Sender<'a>(&'a mut TcpStream);

impl Write for Sender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => self.0.write(one),
            several => self.0.write_vectored(several),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn encrypt(tls: &mut ServerConnection, plain: &[u8]) {
    // The TLS library's own buffer has no bound here: this file gives it a chunk only when the one before is written.
    let _ = tls.writer().write_all(plain);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pongs_do_not_pile_up_and_the_last_ping_is_answered() {
        let mut output = Output::default();
        for n in 0..100_000_u32 {
            let mut payload = [0; MAX_CONTROL_PAYLOAD];
            payload[..4].copy_from_slice(&n.to_be_bytes());
            output.control(Opcode::Pong, &payload);
        }
        let most = MAX_CONTROL_WAITING + 2 + MAX_CONTROL_PAYLOAD;
        assert!(output.control.len() <= most, "{} bytes of control frames wait", output.control.len());
        assert_eq!(output.last_pong.unwrap()[..4], 99_999_u32.to_be_bytes());
    }
}

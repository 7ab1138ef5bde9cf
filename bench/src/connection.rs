//! One member's connection: a socket, TLS, the upgrade, and frames out of the bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::Failure;
use super::frame::{Kind, read_server_frame};
use super::wire::{Frames, Sink, Wire};
use subrosa::protocol::frame::Opcode;

/// Bytes read from a socket at once.
const READ_BYTES: usize = 256 * 1024;
/// Plaintext is taken apart when this much of it is there, or when there is no more.
const PLAIN_BYTES: usize = 256 * 1024;

/// Buffers that all connections share.
pub(super) struct Scratch {
    raw: Vec<u8>,
    plain: Vec<u8>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { raw: vec![0; READ_BYTES], plain: Vec::with_capacity(PLAIN_BYTES) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// TLS, then the answer to the upgrade.
    Upgrading,
    Open,
    Closed,
}

/// See the module.
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    tls: ClientConnection,
    phase: Phase,
    /// A frame, or the answer to the upgrade, that is not all there.
    rest: Vec<u8>,
    /// Earlier fragments of a message.
    fragments: Vec<u8>,
    blocked: bool,
}

impl Connection {
    /// Begins to connect. `source` is the address to come from, where one is chosen.
    pub(super) fn start(to: SocketAddr, source: Option<Ipv4Addr>, config: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        if let Some(source) = source {
            rustix::net::bind(&socket, &SocketAddr::from((source, 0)))?;
        }
        match rustix::net::connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(format!("cannot connect to {to}: {error}").into()),
        }
        let mut tls = ClientConnection::new(config.clone(), ServerName::try_from("localhost")?)?;
        tls.set_buffer_limit(None);
        Ok(Self {
            socket: TcpStream::from_std(socket.into()),
            tls,
            phase: Phase::Connecting,
            rest: Vec::new(),
            fragments: Vec::new(),
            blocked: false,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Encrypts frames, each in a TLS record of its own as if it had come alone, and writes all of them at once.
    pub(super) fn send(&mut self, frames: &Frames) -> Result<(), String> {
        let mut start = 0;
        for end in &frames.ends {
            self.tls.writer().write_all(&frames.bytes[start..*end]).map_err(|error| error.to_string())?;
            start = *end;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), String> {
        self.blocked = false;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// The socket is ready. What arrives goes to `wire`.
    ///
    /// # Errors
    /// Why the connection is over; said once.
    pub(super) fn ready(
        &mut self,
        (readable, writable): (bool, bool),
        member: usize,
        wire: &mut dyn Wire,
        sink: &mut Sink,
        scratch: &mut Scratch,
    ) -> Result<(), String> {
        if self.phase == Phase::Closed {
            return Ok(());
        }
        let done = self.go_on((readable, writable), member, wire, sink, scratch);
        if done.is_err() {
            self.phase = Phase::Closed;
        }
        done
    }

    fn go_on(
        &mut self,
        (readable, writable): (bool, bool),
        member: usize,
        wire: &mut dyn Wire,
        sink: &mut Sink,
        scratch: &mut Scratch,
    ) -> Result<(), String> {
        if self.phase == Phase::Connecting {
            if !writable {
                return Ok(());
            }
            if let Ok(Some(error)) = self.socket.take_error() {
                return Err(format!("cannot connect: {error}"));
            }
            self.phase = Phase::Upgrading;
            // It waits in the TLS library for the end of the handshake.
            let _ = self.tls.writer().write_all(upgrade_request(wire, member).as_bytes());
            self.flush()?;
        }
        if readable {
            self.read(member, wire, sink, scratch)?;
        }
        if writable && self.blocked { self.flush() } else { Ok(()) }
    }

    fn read(
        &mut self,
        member: usize,
        wire: &mut dyn Wire,
        sink: &mut Sink,
        scratch: &mut Scratch,
    ) -> Result<(), String> {
        let Scratch { raw, plain } = scratch;
        loop {
            let bytes = match self.socket.read(raw) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            sink.reads += 1;
            plain.clear();
            plain.append(&mut self.rest);
            let mut received = &raw[..bytes];
            while !received.is_empty() {
                self.tls.read_tls(&mut received).map_err(|error| error.to_string())?;
                let state = self.tls.process_new_packets().map_err(trouble)?;
                take_plaintext(&mut self.tls, state.plaintext_bytes_to_read(), plain)
                    .map_err(|error| error.to_string())?;
                if self.tls.wants_write() {
                    self.flush()?;
                }
                if plain.len() >= PLAIN_BYTES {
                    let used = self.frames(plain, member, wire, sink)?;
                    plain.drain(..used);
                }
            }
            let used = self.frames(plain, member, wire, sink)?;
            self.rest = Vec::from(&plain[used..]);
            if bytes < raw.len() {
                return Ok(());
            }
        }
    }

    /// Takes whole frames from the front of `plain`; how many bytes they were.
    fn frames(&mut self, plain: &[u8], member: usize, wire: &mut dyn Wire, sink: &mut Sink) -> Result<usize, String> {
        let mut at = 0;
        if self.phase == Phase::Upgrading {
            let Some(head) = memchr::memmem::find(plain, b"\r\n\r\n") else { return Ok(0) };
            if !plain.starts_with(b"HTTP/1.1 101 ") {
                let status = plain.split(|byte| *byte == b'\r').next().unwrap_or_default();
                return Err(format!("the server opens no WebSocket: {}", String::from_utf8_lossy(status)));
            }
            at = head + 4;
            self.phase = Phase::Open;
            wire.opened(member, sink);
        }
        while let Some((kind, payload)) = read_server_frame(&plain[at..]) {
            let frame = &plain[at + payload.start..at + payload.end];
            at += payload.end;
            match kind {
                Kind::Data { ends: true } if self.fragments.is_empty() => {
                    sink.frames += 1;
                    wire.received(member, frame, sink);
                }
                Kind::Data { ends } => {
                    self.fragments.extend_from_slice(frame);
                    if ends {
                        sink.frames += 1;
                        wire.received(member, &std::mem::take(&mut self.fragments), sink);
                    }
                }
                Kind::Ping => sink.say(member, Opcode::Pong, frame),
                Kind::Close => {
                    let reason = String::from_utf8_lossy(frame.get(2..).unwrap_or_default());
                    return Err(format!("the server closed the WebSocket: {reason}"));
                }
                Kind::Other => {}
            }
        }
        Ok(at)
    }
}

/// What the TLS library found wrong. Its own words for a key that is not the pinned one are of no use to people.
fn trouble(error: rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(inner)) => inner.0.to_string(),
        other => other.to_string(),
    }
}

/// Moves `bytes` of plaintext behind `plain`.
fn take_plaintext(tls: &mut ClientConnection, bytes: usize, plain: &mut Vec<u8>) -> io::Result<()> {
    let start = plain.len();
    plain.resize(start + bytes, 0);
    tls.reader().read_exact(&mut plain[start..])
}

fn upgrade_request(wire: &dyn Wire, member: usize) -> String {
    let key = tungstenite::handshake::client::generate_key();
    let subprotocol = wire.subprotocol().map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{subprotocol}\r\n",
        wire.path(member)
    )
}

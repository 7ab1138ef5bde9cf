//! The floor: the least that a relay over TLS and WebSocket can do on this machine, to compare with.
//!
//! One thread, one epoll, the same TLS library. No JSON, no limits, no membership, no acknowledgements; whatever is
//! wrong ends the connection. What arrives in a turn is queued for its recipients, and each is then written once. Not
//! for use.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::{ServerConfig, ServerConnection};
use tungstenite::handshake::derive_accept_key;

use super::wire::EVERYBODY;
use super::{Failure, say};
use subrosa::protocol::frame::{Opcode, read_client_frame, unmask, write_server_header};
use subrosa::server::Identity;

/// The hidden command that runs it.
pub(super) const COMMAND: &str = "floor";
/// The listening socket's token; connections have their numbers.
const LISTENER: Token = Token(usize::MAX);
/// Bytes read from a socket at once.
const READ_BYTES: usize = 64 * 1024;
/// Largest frame, in bytes.
const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

/// Options of the hidden command.
#[derive(Debug, Args)]
pub(super) struct Floor {
    /// Certificate chain in PEM.
    #[arg(long)]
    cert: PathBuf,
    /// Its key in PEM.
    #[arg(long)]
    key: PathBuf,
}

struct Member {
    socket: TcpStream,
    tls: ServerConnection,
    /// Bytes that are no whole frame yet.
    rest: Vec<u8>,
    /// Frames to write.
    out: Vec<u8>,
    id: u32,
    room: u32,
    upgraded: bool,
    listed: bool,
}

#[derive(Default)]
struct State {
    members: Vec<Option<Member>>,
    by_id: HashMap<u32, usize, foldhash::fast::RandomState>,
    rooms: HashMap<u32, Vec<usize>, foldhash::fast::RandomState>,
    to_write: Vec<usize>,
    plain: Vec<u8>,
}

impl Floor {
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = Identity::from_pem_files(&self.cert, &self.key)?.server_config();
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let mut poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        say(&format_args!("The floor listens on {}\n", listener.local_addr()?))?;
        let (mut state, mut raw, mut events) = (State::default(), vec![0; READ_BYTES], Events::with_capacity(1024));
        loop {
            match poll.poll(&mut events, None::<Duration>) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                let index = event.token().0;
                if event.token() == LISTENER {
                    while let Ok((socket, _)) = listener.accept() {
                        state.accept(socket, &config, &poll)?;
                    }
                    continue;
                }
                if (event.is_readable() || event.is_read_closed()) && state.read(index, &mut raw).is_none() {
                    state.close(index);
                }
                if event.is_writable() {
                    state.flush(index);
                }
            }
            state.write_all();
        }
    }
}

impl State {
    fn accept(&mut self, mut socket: TcpStream, config: &Arc<ServerConfig>, poll: &Poll) -> Result<(), Failure> {
        socket.set_nodelay(true)?;
        let index = self.members.len();
        poll.registry().register(&mut socket, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        let mut tls = ServerConnection::new(config.clone())?;
        tls.set_buffer_limit(None);
        let (rest, out) = (Vec::new(), Vec::new());
        self.members.push(Some(Member { socket, tls, rest, out, id: 0, room: 0, upgraded: false, listed: false }));
        Ok(())
    }

    fn close(&mut self, index: usize) {
        if let Some(member) = self.members[index].take() {
            self.by_id.remove(&member.id);
            if let Some(room) = self.rooms.get_mut(&member.room) {
                room.retain(|other| *other != index);
            }
        }
    }

    /// Reads all that is there; `None` ends the connection.
    fn read(&mut self, index: usize, raw: &mut [u8]) -> Option<()> {
        loop {
            let member = self.members[index].as_mut()?;
            let bytes = match member.socket.read(raw) {
                Ok(0) => return None,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(()),
                Err(_) => return None,
            };
            let mut plain = std::mem::take(&mut self.plain);
            plain.append(&mut member.rest);
            let mut received = &raw[..bytes];
            while !received.is_empty() {
                member.tls.read_tls(&mut received).ok()?;
                let waiting = member.tls.process_new_packets().ok()?.plaintext_bytes_to_read();
                let start = plain.len();
                plain.resize(start + waiting, 0);
                member.tls.reader().read_exact(&mut plain[start..]).ok()?;
            }
            if member.tls.wants_write() {
                self.flush(index);
            }
            let used = self.take(index, &mut plain)?;
            if used < plain.len() {
                self.members[index].as_mut()?.rest.extend_from_slice(&plain[used..]);
            }
            plain.clear();
            self.plain = plain;
            if bytes < raw.len() {
                return Some(());
            }
        }
    }

    /// Takes whole frames from the front; how many bytes they were.
    fn take(&mut self, index: usize, plain: &mut [u8]) -> Option<usize> {
        let mut at = 0;
        if !self.members[index].as_ref()?.upgraded {
            let Some(head) = memchr::memmem::find(plain, b"\r\n\r\n") else { return Some(0) };
            self.upgrade(index, std::str::from_utf8(&plain[..head]).ok()?)?;
            at = head + 4;
        }
        while at < plain.len() {
            let Ok(frame) = read_client_frame(&plain[at..], MAX_PAYLOAD) else { return None };
            let Some(frame) = frame.filter(|frame| at + frame.payload.end <= plain.len()) else { break };
            let payload = &mut plain[at + frame.payload.start..at + frame.payload.end];
            at += frame.payload.end;
            unmask(payload, frame.mask);
            match frame.opcode {
                Opcode::Binary => {
                    let (to, body) = payload.split_first_chunk()?;
                    self.route(index, u32::from_le_bytes(*to), body);
                }
                Opcode::Close => return None,
                _ => {}
            }
        }
        Some(at)
    }

    fn upgrade(&mut self, index: usize, head: &str) -> Option<()> {
        let number = |name: &str| head.split_once(name)?.1.split(['&', ' ']).next()?.parse::<u32>().ok();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
        let member = self.members[index].as_mut()?;
        (member.id, member.room, member.upgraded) = (number("member=")?, number("room=")?, true);
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        member.tls.writer().write_all(answer.as_bytes()).ok()?;
        self.by_id.insert(member.id, index);
        self.rooms.entry(member.room).or_default().push(index);
        self.flush(index);
        Some(())
    }

    fn route(&mut self, from: usize, to: u32, body: &[u8]) {
        if to != EVERYBODY {
            if let Some(index) = self.by_id.get(&to) {
                queue(&mut self.members, &mut self.to_write, *index, body);
            }
            return;
        }
        let room = self.members[from].as_ref().and_then(|member| self.rooms.get(&member.room));
        for index in room.into_iter().flatten().filter(|index| **index != from) {
            queue(&mut self.members, &mut self.to_write, *index, body);
        }
    }

    fn write_all(&mut self) {
        let mut to_write = std::mem::take(&mut self.to_write);
        for index in to_write.drain(..) {
            if let Some(member) = self.members[index].as_mut() {
                member.listed = false;
                let _ = member.tls.writer().write_all(&member.out);
                member.out.clear();
                self.flush(index);
            }
        }
        self.to_write = to_write;
    }

    /// Gives the socket what it takes.
    fn flush(&mut self, index: usize) {
        let Some(member) = self.members[index].as_mut() else { return };
        while member.tls.wants_write() {
            match member.tls.write_tls(&mut member.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.close(index),
            }
        }
    }
}

fn queue(members: &mut [Option<Member>], to_write: &mut Vec<usize>, index: usize, body: &[u8]) {
    let Some(member) = members[index].as_mut() else { return };
    write_server_header(&mut member.out, Opcode::Binary, body.len());
    member.out.extend_from_slice(body);
    if !std::mem::replace(&mut member.listed, true) {
        to_write.push(index);
    }
}

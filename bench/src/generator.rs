//! All members of a run on one thread and one epoll: connects them, brings them into their rooms, sends and receives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;

use super::Failure;
use super::connection::{Connection, Scratch};
use super::progress::Progress;
use super::wire::{Frames, Outgoing, Sink, Wire};

/// The token of the timer that paces a fixed rate; connections have their numbers.
const TIMER: Token = Token(usize::MAX);
/// Connections from one loopback address: far fewer than it has ports to come from, so that a free one is found at
/// once.
const PER_SOURCE: usize = 10_000;
/// A server that does nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often waiting looks up.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Where to connect, and the key that the server must prove to have.
#[derive(Clone)]
pub(super) struct Destination {
    pub(super) address: SocketAddr,
    pub(super) tls: Arc<ClientConfig>,
    /// Handshakes that are under way at a time.
    pub(super) at_once: usize,
}

/// See the module.
pub(super) struct Generator {
    // Fixed at start.
    destination: Destination,
    poll: Poll,
    // The members.
    connections: Vec<Connection>,
    pub(super) wire: Box<dyn Wire>,
    /// What arrived, and what is to be said.
    pub(super) sink: Sink,
    // Buffers that are used again.
    events: Events,
    scratch: Scratch,
    frames: Frames,
}

impl Generator {
    pub(super) fn new(destination: Destination, wire: Box<dyn Wire>) -> Result<Self, Failure> {
        Ok(Self {
            destination,
            poll: Poll::new()?,
            connections: Vec::new(),
            wire,
            sink: Sink::default(),
            events: Events::with_capacity(4096),
            scratch: Scratch::default(),
            frames: Frames::default(),
        })
    }

    /// Has [`Generator::turn`] end when the timer fires.
    pub(super) fn watch_timer(&self, timer: std::os::fd::RawFd) -> std::io::Result<()> {
        self.poll.registry().register(&mut mio::unix::SourceFd(&timer), TIMER, Interest::READABLE)
    }

    /// Waits for something to arrive, at most `timeout`, and takes in all that did.
    pub(super) fn turn(&mut self, timeout: Duration) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let member = event.token().0;
            let Some(connection) = self.connections.get_mut(member) else { continue };
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            let ready = (readable, event.is_writable() || event.is_write_closed());
            if let Err(reason) = connection.ready(ready, member, self.wire.as_mut(), &mut self.sink, &mut self.scratch)
            {
                self.sink.lost_connection(reason);
            }
            if !self.sink.said.is_empty() {
                speak(&mut self.connections, &mut self.sink, &mut self.frames);
            }
        }
        Ok(())
    }

    /// Writes messages of one member and sends them.
    pub(super) fn send(&mut self, from: usize, messages: &mut dyn Iterator<Item = Outgoing<'_>>) {
        self.frames.clear();
        for message in messages {
            self.wire.write(&message, &mut self.frames);
        }
        if !self.connections[from].is_open() {
            return;
        }
        if let Err(reason) = self.connections[from].send(&self.frames) {
            self.sink.lost_connection(reason);
        }
    }

    /// Opens `count` connections. How long that took.
    pub(super) fn connect(&mut self, count: usize, progress: &mut Progress) -> Result<Duration, Failure> {
        let started = Instant::now();
        let sources = count.div_ceil(PER_SOURCE);
        while self.sink.ready < count {
            while self.connections.len() < count && self.connections.len() - self.sink.ready < self.destination.at_once
            {
                self.open(sources)?;
            }
            let (ready, all) = (self.sink.ready, self.connections.len());
            progress.say(|| format!("connecting: {ready} of {count}"));
            self.wait_for(|sink| sink.ready > ready, "connects nobody any more")?;
            debug_assert!(self.sink.ready <= all);
        }
        Ok(started.elapsed())
    }

    fn open(&mut self, sources: usize) -> Result<(), Failure> {
        let number = self.connections.len();
        // More connections than one address has ports for come from several; all of 127.0.0.0/8 is this machine (RFC
        // 1122 §3.2.1.3).
        let spread = sources > 1 && self.destination.address.ip() == Ipv4Addr::LOCALHOST;
        let source = spread.then(|| Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + (number % sources) as u32));
        let mut connection = Connection::start(self.destination.address, source, &self.destination.tls)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut connection.socket, Token(number), interest)?;
        self.connections.push(connection);
        Ok(())
    }

    /// Brings everybody into their rooms. How long that took.
    pub(super) fn enter(&mut self, progress: &mut Progress) -> Result<Duration, Failure> {
        let started = Instant::now();
        self.wire.enter(&mut self.sink);
        speak(&mut self.connections, &mut self.sink, &mut self.frames);
        while !self.wire.all_entered() {
            let frames = self.sink.frames;
            progress.say(|| format!("entering rooms, {} events so far", frames));
            self.wait_for(|sink| sink.frames > frames, "lets nobody in any more")?;
        }
        Ok(started.elapsed())
    }

    /// Turns until `done`; nobody may be lost on the way.
    fn wait_for(&mut self, done: impl Fn(&Sink) -> bool, what: &str) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        while !done(&self.sink) {
            self.turn(LOOK_UP)?;
            if self.sink.closed > 0 || self.sink.refused > 0 {
                return Err(self.trouble().into());
            }
            if Instant::now() > until {
                return Err(format!("the server {what}").into());
            }
        }
        Ok(())
    }

    /// Turns for `time`, whatever comes.
    pub(super) fn settle(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            self.turn(left.min(LOOK_UP))?;
        }
        Ok(())
    }

    /// What went wrong first.
    fn trouble(&self) -> String {
        self.sink.trouble.clone().unwrap_or_else(|| "a connection was lost".to_owned())
    }
}

/// Sends what members have to say.
fn speak(connections: &mut [Connection], sink: &mut Sink, frames: &mut Frames) {
    let mut said = std::mem::take(&mut sink.said);
    for (member, opcode, what) in said.drain(..) {
        frames.clear();
        frames.push(opcode, &[&what]);
        if let Err(reason) = connections[member].send(frames) {
            sink.lost_connection(reason);
        }
    }
    sink.said = said;
}

//! Updating without losing a room: a new process takes over the listening socket and the whole state from the one that runs.
//!
//! ```text
//! new                                   old
//!  │ ── greeting, with its version ────▶ │  checks that both belong to the same user
//!  │                                     │  accepts no more; every worker stands still
//!  │ ◀── listening socket, records ───── │
//!  │ ── ready ─────────────────────────▶ │
//!  │ ◀── commit ──────────────────────── │
//!  │ ── serving ───────────────────────▶ │  sends its clients over, and ends
//! ```
//!
//! The old process has handed over when it has read `serving`. Whatever goes wrong before, it goes on as if nothing had been. The new one
//! serves only after it could write `serving`; when the old one gives up it first closes its end for writing, so that
//! `serving` is either read or cannot be written, and never do two processes serve. The state goes over a local socket and is never on disk.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use zeroize::Zeroizing;

use crate::protocol::limits::Limits;
use crate::relay::{Record, Relay, RestoreError};

/// What a new process says first: the version of this conversation. The records carry their own.
const GREETING: &[u8; 19] = b"subrosa takeover 1\n";
const LISTENER: u8 = b'L';
const READY: u8 = b'R';
const COMMIT: u8 = b'C';
const SERVING: u8 = b'S';
/// How long either waits for the other at each step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest record in bytes: a session with a full window.
const MAX_RECORD: usize = 1 << 30;

/// Why a takeover did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The path is taken by something that is not a socket.
    #[error("{0}: this is not a socket; choose another path for --takeover")]
    NotASocket(PathBuf),
    /// The other process belongs to another user.
    #[error("the process at the other end of the takeover socket belongs to another user")]
    Stranger,
    /// The other process does not speak this version.
    #[error("the other process speaks another version of the takeover")]
    Version,
    /// What arrived is not a relay's state.
    #[error(transparent)]
    State(#[from] RestoreError),
    /// The conversation broke off.
    #[error("the takeover broke off: {0}")]
    Io(#[from] io::Error),
}

/// What a new process was given: the listening socket and the state. It serves only once the process before agreed to stop.
pub struct Inheritance {
    pub(super) listener: TcpListener,
    pub(super) relay: Arc<Relay>,
    pub(super) claim: Claim,
}

/// The open question which of two processes serves.
pub(super) struct Claim(UnixStream);

impl Inheritance {
    /// Takes over from the process that listens at `path`; `None` when there is none.
    ///
    /// # Errors
    /// There is one, but nothing could be taken over; it goes on serving.
    pub fn receive(path: &Path, limits: Limits, notice: String) -> Result<Option<Self>, TakeoverError> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(TakeoverError::NotASocket(path.to_owned())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        prepare(&stream)?;
        stream.write_all(GREETING)?;
        let listener = receive_listener(&stream)?;
        let relay = Relay::restore(limits, notice, || read_record(&mut stream))?;
        Ok(Some(Self { listener, relay, claim: Claim(stream) }))
    }
}

impl Claim {
    /// Says that everything is ready, and waits for the word. From `Ok` on this process serves.
    pub(super) fn settle(mut self) -> Result<(), TakeoverError> {
        self.0.write_all(&[READY])?;
        expect(&mut self.0, COMMIT)?;
        Ok(self.0.write_all(&[SERVING])?)
    }
}

/// Where a running process waits for the one that will take over.
pub(super) struct TakeoverSocket {
    listener: tokio::net::UnixListener,
    path: PathBuf,
}

impl TakeoverSocket {
    /// Puts a socket at `path`, for this user alone, in the place of the one before.
    pub(super) fn bind(path: &Path) -> Result<Self, TakeoverError> {
        // Under its name only when nobody else can open it.
        let unfinished = path.with_extension(format!("{}.new", std::process::id()));
        let listener = UnixListener::bind(&unfinished)?;
        let named = fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&unfinished, path))
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| tokio::net::UnixListener::from_std(listener));
        match named {
            Ok(listener) => Ok(Self { listener, path: path.to_owned() }),
            Err(error) => {
                let _ = fs::remove_file(&unfinished);
                Err(error.into())
            }
        }
    }

    /// Waits for a process of the same user that wants to take over.
    pub(super) async fn successor(&self) -> Successor {
        loop {
            let attempt = async {
                let stream = self.listener.accept().await?.0.into_std()?;
                tokio::task::spawn_blocking(|| Successor::greet(stream)).await.map_err(io::Error::other)?
            };
            match attempt.await {
                Ok(successor) => return successor,
                Err(error) => tracing::warn!(%error, "refused a takeover"),
            }
        }
    }

    /// Takes the socket away: nobody can take over any more.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A process that wants to take over.
pub(super) struct Successor(UnixStream);

impl Successor {
    fn greet(mut stream: UnixStream) -> Result<Self, TakeoverError> {
        stream.set_nonblocking(false)?;
        prepare(&stream)?;
        let mut greeting = [0; GREETING.len()];
        stream.read_exact(&mut greeting)?;
        if greeting != *GREETING {
            return Err(TakeoverError::Version);
        }
        Ok(Self(stream))
    }

    /// Hands over. Nothing may change in the relay meanwhile. After an error this process goes on serving.
    pub(super) fn hand_over(mut self, listener: &impl AsFd, relay: &Relay) -> Result<(), TakeoverError> {
        send_listener(&self.0, listener)?;
        relay.save(|record| write_record(&mut self.0, record))?;
        expect(&mut self.0, READY)?;
        let told = self.0.write_all(&[COMMIT]).and_then(|()| expect(&mut self.0, SERVING));
        if let Err(error) = told {
            // From here on `serving` cannot be written any more; if it was, it lies here.
            self.0.shutdown(Shutdown::Read)?;
            if expect(&mut self.0, SERVING).is_err() {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// Deadlines, and the check that the other end is the same user's.
fn prepare(stream: &UnixStream) -> Result<(), TakeoverError> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = socket_peercred(stream).map_err(io::Error::from)?;
    if peer.uid != rustix::process::geteuid() {
        return Err(TakeoverError::Stranger);
    }
    Ok(())
}

fn expect(stream: &mut UnixStream, word: u8) -> io::Result<()> {
    let mut read = [0];
    stream.read_exact(&mut read)?;
    if read[0] == word { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "an unexpected word")) }
}

fn send_listener(stream: &UnixStream, listener: &impl AsFd) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [listener.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(stream, &[IoSlice::new(&[LISTENER])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_listener(stream: &UnixStream) -> Result<TcpListener, TakeoverError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0];
    recvmsg(stream, &mut [IoSliceMut::new(&mut word)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .map_err(io::Error::from)?;
    let received = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    let socket: OwnedFd = received.filter(|_| word[0] == LISTENER).ok_or(TakeoverError::Version)?;
    Ok(TcpListener::from(socket))
}

fn write_record(stream: &mut UnixStream, record: &Record) -> io::Result<()> {
    let bytes = Zeroizing::new(postcard::to_allocvec(record).map_err(io::Error::other)?);
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(&bytes)
}

fn read_record(stream: &mut UnixStream) -> Result<Record, TakeoverError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_RECORD {
        return Err(RestoreError::Broken.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut bytes)?;
    Ok(postcard::from_bytes(&bytes).map_err(|_| RestoreError::Broken)?)
}

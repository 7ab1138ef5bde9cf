//! Updating without losing a room: a new process takes over the listening socket and the whole state from the one that
//! runs.
//!
//! ```text
//! new                                   old
//!  │ ── greeting, with its version ────▶ │  checks that both belong to the same user
//!  │                                     │  accepts no more; every worker stands still
//!  │ ◀── listening socket, records ───── │
//!  │ ── ready ─────────────────────────▶ │
//!  │ ◀── commit ──────────────────────── │
//!  │ ── serving ───────────────────────▶ │  sends its clients over
//!  │ ── end of the conversation ───────▶ │  ends, now that the service manager knows the new one
//! ```
//!
//! The takeover is complete when the old process has read `serving`. After any earlier failure the old process
//! continues to serve. The new process serves only after it has written `serving`. When the old process gives up, it
//! first closes its end for reading, so that `serving` is either read or cannot be written. Two processes therefore
//! never serve at once. The state goes through a local socket and is never on disk.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use zeroize::Zeroizing;

use super::complaint::Complaint;
use crate::protocol::limits::Limits;
use crate::relay::{Record, Relay, RestoreError};

/// The first words of a new process: the version of this conversation. The records have their own version.
const GREETING: &[u8; 19] = b"subrosa takeover 1\n";
const LISTENER: u8 = b'L';
const READY: u8 = b'R';
const COMMIT: u8 = b'C';
const SERVING: u8 = b'S';
/// Default time for a takeover; after it the old process continues to serve.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that the new process waits for all of it. Nothing waits for the new process.
const PATIENCE_OF_NEW: Duration = Duration::from_secs(60);
/// Time until the next attempt after the system refused to accept.
const AFTER_ERROR: Duration = Duration::from_millis(100);
/// Largest record, in bytes: a session with a full window.
const MAX_RECORD: usize = 1 << 30;

/// Why a takeover failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// Another kind of file has the path.
    #[error("{0}: this is not a socket; choose another path for --takeover")]
    NotASocket(PathBuf),
    /// The socket for the next process cannot be made.
    #[error(
        "cannot make the takeover socket {0}: {1}; its folder must exist, and this user must be able to write to it"
    )]
    Socket(PathBuf, io::Error),
    /// The server has no port of its own that another process could take over.
    #[error("a server without a port of its own cannot be taken over; leave Options::takeover away")]
    NoPort,
    /// The other process belongs to another user.
    #[error("the process at the other end of the takeover socket belongs to another user")]
    Stranger,
    /// The other process does not speak this version.
    #[error("the other process speaks another version of the takeover")]
    Version,
    /// The received data is not a relay's state.
    #[error(transparent)]
    State(#[from] RestoreError),
    /// The conversation broke off.
    #[error("the takeover was interrupted: {0}")]
    Io(#[from] io::Error),
}

/// What a new process received: the listening socket and the state. It serves only after the old process has agreed to
/// stop.
pub struct Inheritance {
    pub(super) listener: TcpListener,
    pub(super) relay: Arc<Relay>,
    pub(super) claim: Claim,
}

/// A takeover before its decision: either process may still be the one that serves.
pub(super) struct Claim(Conversation);

/// A takeover after its decision. Dropping this tells the old process that it may end.
pub(super) struct Settled {
    _conversation: Conversation,
}

/// The stream between the two processes, with one deadline over the whole conversation.
struct Conversation {
    stream: UnixStream,
    by: Instant,
}

impl Conversation {
    /// Begins, if the other process belongs to the same user.
    fn new(stream: UnixStream, within: Duration) -> Result<Self, TakeoverError> {
        let peer = socket_peercred(&stream).map_err(io::Error::from)?;
        if peer.uid != rustix::process::geteuid() {
            return Err(TakeoverError::Stranger);
        }
        let conversation = Self { stream, by: Instant::now() + within };
        conversation.limit()?;
        Ok(conversation)
    }

    /// The next call may wait until the deadline.
    fn limit(&self) -> io::Result<()> {
        let left = self.by.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.set_write_timeout(Some(left))
    }

    fn expect(&mut self, word: u8) -> io::Result<()> {
        let mut read = [0];
        self.read_exact(&mut read)?;
        if read[0] == word { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "an unexpected word")) }
    }
}

impl Read for Conversation {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.limit()?;
        self.stream.read(into)
    }
}

impl Write for Conversation {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Inheritance {
    /// Takes over from the process that listens at `path`; `None` when there is none.
    ///
    /// # Errors
    /// There is one, but the takeover failed; the other process continues to serve.
    pub fn receive(path: &Path, limits: Limits, notice: String) -> Result<Option<Self>, TakeoverError> {
        only_a_socket(path)?;
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut old = Conversation::new(stream, PATIENCE_OF_NEW)?;
        old.write_all(GREETING)?;
        let listener = receive_listener(&old.stream)?;
        let relay = Relay::restore(limits, notice, || read_record(&mut old))?;
        Ok(Some(Self { listener, relay, claim: Claim(old) }))
    }
}

/// Refuses a file at `path` that is not a socket.
fn only_a_socket(path: &Path) -> Result<(), TakeoverError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(TakeoverError::NotASocket(path.to_owned())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

impl Claim {
    /// Reports that this process is ready and waits for the commit. After `Ok` this process serves.
    pub(super) fn settle(mut self) -> Result<Settled, TakeoverError> {
        self.0.write_all(&[READY])?;
        self.0.expect(COMMIT)?;
        self.0.write_all(&[SERVING])?;
        Ok(Settled { _conversation: self.0 })
    }
}

/// A socket for successors before it has its name: everything that can fail happens before this process serves.
pub(super) struct UnnamedSocket {
    listener: UnixListener,
    unnamed: PathBuf,
    path: PathBuf,
}

impl UnnamedSocket {
    /// Opens a socket beside `path` that only this user can open.
    pub(super) fn open(path: &Path) -> Result<Self, TakeoverError> {
        only_a_socket(path)?;
        let unnamed = path.with_extension(format!("{}.new", std::process::id()));
        // Left by a killed process that had the same id.
        if fs::symlink_metadata(&unnamed).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(&unnamed)?;
        }
        let listener = UnixListener::bind(&unnamed).map_err(|error| TakeoverError::Socket(path.to_owned(), error))?;
        let socket = Self { listener, unnamed, path: path.to_owned() };
        fs::set_permissions(&socket.unnamed, fs::Permissions::from_mode(0o600))?;
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Gives the socket its name and replaces the previous one. A successor has `patience` for its whole takeover.
    pub(super) fn name(self, patience: Option<Duration>) -> Result<TakeoverSocket, TakeoverError> {
        only_a_socket(&self.path)?;
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        fs::rename(&self.unnamed, &self.path)?;
        Ok(TakeoverSocket {
            listener,
            path: self.path.clone(),
            patience: patience.unwrap_or(PATIENCE),
            complaint: Complaint::default(),
        })
    }
}

impl Drop for UnnamedSocket {
    fn drop(&mut self) {
        // After the renaming there is no file of this name.
        let _ = fs::remove_file(&self.unnamed);
    }
}

/// The socket on which a running process waits for its successor.
pub(super) struct TakeoverSocket {
    listener: tokio::net::UnixListener,
    path: PathBuf,
    patience: Duration,
    complaint: Complaint,
}

impl TakeoverSocket {
    /// Waits for a process of the same user that wants to take over.
    pub(super) async fn successor(&self) -> Successor {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors. The request stays in the queue, so the next attempt would fail at once, too.
                    self.complaint.about("cannot accept at the takeover socket", &error);
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
            };
            let patience = self.patience;
            let attempt = async {
                let stream = stream.into_std()?;
                tokio::task::spawn_blocking(move || Successor::greet(stream, patience))
                    .await
                    .map_err(io::Error::other)?
            };
            match attempt.await {
                Ok(successor) => return successor,
                Err(error) => tracing::warn!(%error, "refused a takeover"),
            }
        }
    }

    /// Removes the socket. After that no process can take over.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A process that wants to take over.
pub(super) struct Successor(Conversation);

impl Successor {
    fn greet(stream: UnixStream, patience: Duration) -> Result<Self, TakeoverError> {
        stream.set_nonblocking(false)?;
        let mut new = Conversation::new(stream, patience)?;
        let mut greeting = [0; GREETING.len()];
        new.read_exact(&mut greeting)?;
        if greeting != *GREETING {
            return Err(TakeoverError::Version);
        }
        new.by = Instant::now() + patience;
        Ok(Self(new))
    }

    /// Lets the process take over. The relay must not change during this call. After an error this process continues to
    /// serve.
    pub(super) fn take_over(&mut self, listener: &impl AsFd, relay: &Relay) -> Result<(), TakeoverError> {
        let new = &mut self.0;
        send_listener(&new.stream, listener)?;
        relay.save(|record| write_record(new, record))?;
        new.expect(READY)?;
        let told = new.write_all(&[COMMIT]).and_then(|()| new.expect(SERVING));
        if let Err(error) = told {
            // From here on the new process cannot write `serving`. If it has, the word is in this buffer.
            new.stream.shutdown(Shutdown::Read)?;
            let mut word = [0];
            if !matches!(new.stream.read(&mut word), Ok(1)) || word[0] != SERVING {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Waits until the new process has told its service manager. The manager would miss this process if it ended
    /// earlier.
    pub(super) fn dismissed(mut self, within: Duration) {
        self.0.by = Instant::now() + within;
        let _ = self.0.read(&mut [0]);
    }
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

fn write_record(stream: &mut impl Write, record: &Record) -> io::Result<()> {
    let bytes = Zeroizing::new(postcard::to_allocvec(record).map_err(io::Error::other)?);
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(&bytes)
}

fn read_record(stream: &mut impl Read) -> Result<Record, TakeoverError> {
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

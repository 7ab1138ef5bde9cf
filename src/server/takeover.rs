//! Updating without losing a room: a new process takes over the listening socket and the whole state from the one that
//! runs.
//!
//! ```text
//! new                                   old
//!  │ ── greeting, with its version ────▶ │  checks that both belong to the same user
//!  │ ◀── listening socket, records ───── │  serves meanwhile
//!  │                                     │  accepts no more; every worker stands still
//!  │ ◀── the difference ──────────────── │
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
use std::io::{self, BufReader, BufWriter, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::complaint::Complaint;
use super::memory;
use super::takeover_error::TakeoverError;
use super::transfer::{Receiver, Sender};
use crate::protocol::limits::Limits;
use crate::relay::Relay;
use crate::secret::wipe;

/// The first words of a new process: the version of this conversation. The records have their own version.
const GREETING: &[u8; 19] = b"subrosa takeover 2\n";
const LISTENER: u8 = b'L';
const READY: u8 = b'R';
const COMMIT: u8 = b'C';
const SERVING: u8 = b'S';
/// The new process has much to read, and is at it.
const WORKING: u8 = b'W';
/// Time between two such words.
const WORKING_EVERY: Duration = Duration::from_secs(1);
/// Bytes that are written and read at once.
const BUFFER: usize = 256 * 1024;
/// Default time that the new process may be silent; after it the old process continues to serve.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that the old process may be silent. Nothing waits for the new process.
const PATIENCE_OF_NEW: Duration = Duration::from_secs(60);
/// Time until the next attempt after the system refused to accept.
const AFTER_ERROR: Duration = Duration::from_millis(100);

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

/// The stream between the two processes. Each waits for the other only so long at a time: how long everything takes
/// depends on how much there is, and that is no reason to give up.
struct Conversation(UnixStream);

impl Conversation {
    /// Begins, if the other process belongs to the same user.
    fn new(stream: UnixStream, patience: Duration) -> Result<Self, TakeoverError> {
        let peer = socket_peercred(&stream).map_err(io::Error::from)?;
        if peer.uid != rustix::process::geteuid() {
            return Err(TakeoverError::Stranger);
        }
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self(stream))
    }

    /// Reads the word, after as many [`WORKING`] as come.
    fn expect(&mut self, word: u8) -> io::Result<()> {
        let mut read = [WORKING];
        while read == [WORKING] {
            self.0.read_exact(&mut read)?;
        }
        if read[0] == word { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "an unexpected word")) }
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
        old.0.write_all(GREETING)?;
        let listener = receive_listener(&old.0)?;
        let mut from = BufReader::with_capacity(BUFFER, &old.0);
        let mut receiver = Receiver::default();
        receiver.read_ahead(&mut from)?;
        // From here on the clients wait.
        let mut told = Instant::now();
        let relay = Relay::restore(memory::bounded(limits), notice, || {
            if told.elapsed() >= WORKING_EVERY {
                from.get_mut().write_all(&[WORKING])?;
                told = Instant::now();
            }
            receiver.read(&mut from)
        })?;
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
        self.0.0.write_all(&[READY])?;
        self.0.expect(COMMIT)?;
        self.0.0.write_all(&[SERVING])?;
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
    /// Waits for a process of the same user that wants to take over, and sends it what this process has. Meanwhile this
    /// process serves.
    pub(super) async fn successor(&self, port: &tokio::net::TcpListener, relay: &Arc<Relay>) -> Successor {
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
            let abandon = Abandon::default();
            let (relay, abandoned) = (relay.clone(), abandon.0.clone());
            let attempt = async {
                let (stream, port) = (stream.into_std()?, port.as_fd().try_clone_to_owned()?);
                let send = move || {
                    let mut successor = Successor::greet(stream, patience)?;
                    let sent = successor.send_ahead(&port, &relay, || !abandoned.load(Ordering::Relaxed));
                    // All keys of all rooms were on this stack.
                    wipe::stack::<{ wipe::DEEP }>();
                    sent.map(|()| successor)
                };
                tokio::task::spawn_blocking(send).await.map_err(io::Error::other)?
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

/// When dropped, tells a thread that nobody waits for it any more.
#[derive(Default)]
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A process that wants to take over.
pub(super) struct Successor {
    new: Conversation,
    sender: Sender,
}

impl Successor {
    fn greet(stream: UnixStream, patience: Duration) -> Result<Self, TakeoverError> {
        stream.set_nonblocking(false)?;
        let mut new = Conversation::new(stream, patience)?;
        let mut greeting = [0; GREETING.len()];
        new.0.read_exact(&mut greeting)?;
        if greeting != *GREETING {
            return Err(TakeoverError::Version);
        }
        Ok(Self { new, sender: Sender::new()? })
    }

    /// Sends the listening socket, and the state as it is while the relay is served.
    fn send_ahead(&mut self, port: &impl AsFd, relay: &Relay, go_on: impl Fn() -> bool) -> Result<(), TakeoverError> {
        send_listener(&self.new.0, port)?;
        let mut to = BufWriter::with_capacity(BUFFER, &self.new.0);
        Ok(self.sender.send_ahead(&mut to, relay, go_on)?)
    }

    /// Lets the process take over. The relay must not change during this call. After an error this process continues to
    /// serve.
    pub(super) fn take_over(&mut self, relay: &Relay) -> Result<(), TakeoverError> {
        let new = &mut self.new;
        self.sender.send(&mut BufWriter::with_capacity(BUFFER, &new.0), relay)?;
        new.expect(READY)?;
        let told = new.0.write_all(&[COMMIT]).and_then(|()| new.expect(SERVING));
        if let Err(error) = told {
            // From here on the new process cannot write `serving`. If it has, the word is in this buffer.
            new.0.shutdown(Shutdown::Read)?;
            let mut word = [0];
            if !matches!(new.0.read(&mut word), Ok(1)) || word[0] != SERVING {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Waits until the new process has told its service manager. The manager would miss this process if it ended
    /// earlier.
    pub(super) fn dismissed(mut self, within: Duration) {
        if self.new.0.set_read_timeout(Some(within)).is_ok() {
            let _ = self.new.0.read(&mut [0]);
        }
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

//! Which process serves: how this one begins after the one before, and gives way to the next one.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::mailbox::WorkersHandle;
use super::options::Options;
use super::takeover::{Claim, Settled, Successor, TakeoverError, TakeoverSocket, UnnamedSocket};
use crate::relay::Relay;
use crate::secret::wipe;

/// How long clients have to read what waits for them when the server stops.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// The socket at which the next process asks, where there is one.
pub(super) struct Succession(Option<TakeoverSocket>);

impl Succession {
    /// Settles which process serves, and opens the socket for the next one.
    pub(super) async fn begin(
        claim: Option<Claim>,
        options: &Options,
    ) -> Result<(Self, Option<Settled>), TakeoverError> {
        let unnamed = options.takeover.as_deref().map(UnnamedSocket::open).transpose()?;
        let settled = match claim {
            Some(claim) => Some(tokio::task::spawn_blocking(|| claim.settle()).await.map_err(io::Error::other)??),
            None => None,
        };
        let socket = match unnamed.map(|socket| socket.name(options.takeover_within)).transpose() {
            // The other process is gone, and everybody is here now.
            Err(error) if settled.is_some() => {
                tracing::error!(%error, "serving, but no other process can take over from this one");
                None
            }
            other => other?,
        };
        Ok((Self(socket), settled))
    }

    /// Waits for a process that wants to take over; for ever where there is no socket.
    pub(super) async fn successor(&self) -> Successor {
        match &self.0 {
            Some(socket) => socket.successor().await,
            None => std::future::pending().await,
        }
    }

    /// Lets the successor take over. Every step blocks, with one deadline over all. After an error everything is as
    /// before.
    pub(super) async fn give_way(
        &self,
        mut successor: Successor,
        listener: &TcpListener,
        relay: Arc<Relay>,
        workers: WorkersHandle,
    ) -> Result<(), TakeoverError> {
        let listener = listener.as_fd().try_clone_to_owned()?;
        let steps = tokio::task::spawn_blocking(move || {
            let frozen = workers.freeze(DRAIN).ok_or(io::ErrorKind::TimedOut).map_err(io::Error::from)?;
            let taken_over = successor.take_over(&listener, &relay);
            // All keys of all rooms went over this stack, and after a failure this process goes on.
            wipe::stack::<{ wipe::DEEP }>();
            taken_over?;
            relay.set_taken_over();
            frozen.leave(DRAIN);
            successor.dismissed(DRAIN);
            Ok(())
        });
        steps.await.map_err(io::Error::other)?
    }

    /// Takes the socket away, unless it is the successor's by now.
    pub(super) fn end(self, taken_over: bool) {
        if let Some(socket) = self.0
            && !taken_over
        {
            socket.remove();
        }
    }
}

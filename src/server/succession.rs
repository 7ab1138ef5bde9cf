//! Decides which process serves: this process begins after the previous one, and ends for the next one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::mailbox::WorkersHandle;
use super::options::Options;
use super::takeover::{Claim, Settled, Successor, TakeoverSocket, UnnamedSocket};
use super::takeover_error::TakeoverError;
use crate::relay::Relay;
use crate::secret::wipe;

/// The time that clients have to read their waiting events when the server stops.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// The socket on which the next process asks, if there is one.
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
        let socket = match unnamed.map(|socket| socket.name(options.takeover_patience)).transpose() {
            // The other process has ended, and all clients come to this one.
            Err(error) if settled.is_some() => {
                tracing::error!(%error, "serving, but no other process can take over from this one");
                None
            }
            other => other?,
        };
        Ok((Self(socket), settled))
    }

    /// Waits for a process that wants to take over. Without a socket it waits for ever.
    pub(super) async fn successor(&self, port: Option<&TcpListener>, relay: &Arc<Relay>) -> Successor {
        match self.0.as_ref().zip(port) {
            Some((socket, port)) => socket.successor(port, relay).await,
            None => std::future::pending().await,
        }
    }

    /// Lets the successor take over. Every step blocks, and the successor may be silent only so long. An error changes
    /// nothing.
    pub(super) async fn give_way(
        &self,
        mut successor: Successor,
        relay: Arc<Relay>,
        workers: WorkersHandle,
    ) -> Result<(), TakeoverError> {
        let steps = tokio::task::spawn_blocking(move || {
            let frozen = workers.freeze(DRAIN).ok_or(io::ErrorKind::TimedOut).map_err(io::Error::from)?;
            let taken_over = successor.take_over(&relay);
            // All keys of all rooms were on this stack, and after a failure this process continues.
            wipe::stack::<{ wipe::DEEP }>();
            taken_over?;
            relay.set_taken_over();
            frozen.leave(DRAIN);
            successor.dismissed(DRAIN);
            Ok(())
        });
        steps.await.map_err(io::Error::other)?
    }

    /// Removes the socket, unless it belongs to the successor already.
    pub(super) fn end(self, taken_over: bool) {
        if let Some(socket) = self.0
            && !taken_over
        {
            socket.remove();
        }
    }
}

//! The events of a session on their way to the application: both ends of one queue, which is bounded in bytes.
//!
//! Each event that came from the server holds permits for its bytes until the application takes it. Reading from the
//! server pauses when there are no permits left.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::request::Incoming;

/// Where events wait for the application, bounded in bytes.
pub(super) struct EventQueue {
    events: mpsc::UnboundedSender<(Incoming, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
    largest: u32,
}

/// A queue for twice the largest event, in bytes.
pub(super) fn queue(max_event_bytes: u32) -> (EventQueue, Events) {
    let (events, incoming) = mpsc::unbounded_channel();
    let largest = max_event_bytes.clamp(1, u32::MAX / 4);
    let room = Arc::new(Semaphore::new(largest as usize * 2));
    (EventQueue { events, room, largest }, Events { incoming })
}

impl EventQueue {
    /// Waits for room; cancel-safe.
    pub(super) async fn room_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        // Small events still take memory, so none counts as nothing.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(64, self.largest.max(64));
        self.room.clone().acquire_many_owned(bytes.min(self.largest)).await.ok()
    }

    pub(super) fn push(&self, incoming: Incoming, permit: Option<OwnedSemaphorePermit>) {
        // An application that listens no more may still ask; its events go nowhere.
        let _ = self.events.send((incoming, permit));
    }
}

/// What comes in, in order, also as a [`Stream`]. Ends with [`Incoming::Ended`].
pub struct Events {
    incoming: mpsc::UnboundedReceiver<(Incoming, Option<OwnedSemaphorePermit>)>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// The next event; `None` after [`Incoming::Ended`].
    ///
    /// # Cancel safety
    /// A dropped future takes no event with it.
    pub async fn next(&mut self) -> Option<Incoming> {
        // The permit goes with the event: its bytes no longer count as waiting.
        self.incoming.recv().await.map(|(incoming, _)| incoming)
    }
}

impl Stream for Events {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.incoming.poll_recv(context).map(|next| next.map(|(incoming, _)| incoming))
    }
}

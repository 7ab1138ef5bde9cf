//! The application's side of a connection: [`Client`] to ask, [`Events`] to listen.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::config::Config;
use super::connection::ConnectionTask;
use super::dial::{self, ConnectError};
use super::events::{self, Events};
use super::request::{End, RequestError, RequestId, repeats};
use super::session::{Pending, Reply, SessionState};
use super::tls;
use crate::protocol::command::Command;
use crate::protocol::event::Event;
use crate::protocol::limits::Limits;

/// What the server said about itself.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Name and version.
    pub server: String,
    /// A word from the host to its users; may be empty. Not checked for the terminal.
    pub notice: String,
    /// Every bound of the server.
    pub limits: Limits,
}

/// Orders of commands must be that of their ids, so both are made under one lock.
struct Queue {
    next_id: u64,
}

struct Shared {
    queue: Mutex<Queue>,
    commands: mpsc::Sender<Pending>,
    /// Dropping or setting it ends the session.
    closing: watch::Sender<bool>,
    answer_within: Duration,
    info: ServerInfo,
}

/// One session with a server. Cheap to clone; the session ends when the last clone is gone or [`close`](Self::close) is
/// called.
///
/// A session survives its connections: when one breaks, another is made and everything missed arrives in order. Only
/// when the server has given the session up does it end, with [`Incoming::Ended`](super::Incoming::Ended).
#[derive(Clone)]
pub struct Client(Arc<Shared>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.0.info.server).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects. The events must be read: when too many wait, the client reads nothing more from the server, answers
    /// included.
    ///
    /// # Errors
    /// The reason why there is no connection. The client tries once.
    ///
    /// # Cancel safety
    /// A dropped future closes the connection; there is no session then.
    pub async fn connect(config: Config) -> Result<(Self, Events), ConnectError> {
        let tls = tls::config(config.trust)?;
        let max_event = config.max_event_bytes as usize;
        let (socket, hello) = dial::dial(&config.server, &tls, max_event, config.connect_within).await?;
        // A few wait here; the session counts what it takes.
        let (commands, commands_in) = mpsc::channel(64);
        let (closing, closing_seen) = watch::channel(false);
        let (events, events_out) = events::queue(config.max_event_bytes);
        let answer_within = config.answer_within;
        let info = ServerInfo { server: hello.server, notice: hello.notice, limits: hello.limits };
        let mut first = Vec::new();
        let session = SessionState::new(hello.resume_token, &info.limits, config.for_s(), &mut first);
        let connection =
            ConnectionTask::new(config, tls, &info.limits, hello.ping_interval_s, commands_in, closing_seen, events);
        tokio::spawn(connection.run(socket, session, first));
        let queue = Mutex::new(Queue { next_id: 1 });
        Ok((Self(Arc::new(Shared { queue, commands, closing, answer_within, info })), events_out))
    }

    /// What the server said of itself when the session began.
    pub fn server(&self) -> &ServerInfo {
        &self.0.info
    }

    /// Sends a command and waits for its answer, over as many connections as it takes. The answer does not come among
    /// the events, so its place in their order is not known. Where the order matters, use [`submit`](Self::submit).
    ///
    /// # Errors
    /// The server refused, the server did not answer in time, or the session is over.
    ///
    /// # Cancel safety
    /// A dropped future gives the answer up. The command may still be carried out.
    pub async fn request(&self, command: Command<'_>) -> Result<Event, RequestError> {
        let (waiter, answer) = oneshot::channel();
        let ask = async {
            self.queue(&command, Reply::Waiter(waiter)).await?;
            // The task answers all that it has taken; it drops the rest when it ends.
            answer.await.unwrap_or(Err(RequestError::Ended(End::Closed)))
        };
        tokio::time::timeout(self.0.answer_within, ask).await.unwrap_or(Err(RequestError::Timeout))
    }

    /// Sends a command. Its answer comes as [`Incoming::Answer`](super::Incoming::Answer), in its place among the
    /// events. The server carries commands out in the order in which they were submitted.
    ///
    /// # Errors
    /// The command is too large, or the session is over.
    ///
    /// # Cancel safety
    /// The future waits only for a place in the queue. A future that is dropped before it returns has sent nothing.
    pub async fn submit(&self, command: Command<'_>) -> Result<RequestId, RequestError> {
        self.queue(&command, Reply::Stream).await
    }

    /// Ends the session and all its memberships, and returns when the connection is closed. Commands without an answer
    /// are given up.
    ///
    /// # Cancel safety
    /// A dropped future does not stop the end.
    pub async fn close(&self) {
        self.0.closing.send_replace(true);
        self.0.commands.closed().await;
    }

    async fn queue(&self, command: &Command<'_>, reply: Reply) -> Result<RequestId, RequestError> {
        let ended = || RequestError::Ended(End::Closed);
        let place = self.0.commands.reserve().await.map_err(|_| ended())?;
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let id = RequestId::new(queue.next_id);
        let frame = command.to_frame(Some(&id.to_string()));
        if frame.len() as u64 > self.0.info.limits.frame_bytes {
            return Err(RequestError::TooLarge);
        }
        queue.next_id += 1;
        place.send(Pending { id, frame: frame.into(), reply, repeats: repeats(command) });
        Ok(id)
    }
}

//! A connection as the relay knows it: greeted first, then the way to a session.

use std::collections::VecDeque;
use std::sync::Arc;

use super::account::{Account, Count};
use super::connection_id::ConnectionId;
use super::departing::Ending;
use super::execute;
use super::outbox::{Line, Outbox};
use super::resume::{Here, NotTakenUp};
use super::session::{Relay, Session};
use super::woken::Woken;
use crate::protocol::codes::{CloseReason, ErrorCode};
use crate::protocol::command::{self, Command, Request, Resume};
use crate::protocol::event::{Event, Hello, Refusal, RefusalData, Restarting};
use crate::protocol::frame::TextFrame;
use crate::room::Window;
use crate::secret::{Tag, Token};

/// Bytes of greeting and refusals that may wait for a connection without a session. A client that reads nothing and has
/// its commands refused is closed as a slow reader.
const GREETING_BYTES: usize = 64 * 1024;

/// A connection. Made by [`Relay::greet`].
///
/// A connection that has only been greeted is not a session. Its first command makes one, or takes one up again.
pub struct Attached {
    relay: Arc<Relay>,
    id: ConnectionId,
    /// The account of the address that the connection comes from. Lent to [`Woken`] while a command runs.
    account: Option<Arc<Account>>,
    /// What belongs to this connection alone and comes before everything of its session.
    greeting: VecDeque<TextFrame>,
    to: To,
}

enum To {
    /// Nothing yet.
    Greeted {
        /// The tag of the token in `hello`.
        offered: Tag,
        /// How many commands were refused: their answers are counted.
        refused: u64,
    },
    Session(Arc<Session>),
}

impl Relay {
    /// Greets a new connection. `account` pays for what it does. The greeting waits in [`Attached::take`].
    pub fn greet(self: &Arc<Self>, id: ConnectionId, account: Arc<Account>) -> Attached {
        let token = Token::random();
        let offered = self.tags.tag(&token);
        let hello = Event::Hello(Hello {
            protocol: crate::protocol::VERSION,
            server: concat!("subrosa/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: self.limits.clone(),
            ping_interval_s: self.limits.ping_interval_s,
            notice: self.notice.clone(),
            resume_token: token,
        });
        let greeting = VecDeque::from([TextFrame::text(&hello.to_json(None))]);
        Attached { relay: self.clone(), id, account: Some(account), greeting, to: To::Greeted { offered, refused: 0 } }
    }
}

impl Attached {
    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The server's shared state.
    pub fn relay(&self) -> &Arc<Relay> {
        &self.relay
    }

    /// Whether the connection serves a session.
    pub fn has_session(&self) -> bool {
        matches!(self.to, To::Session(_))
    }

    /// Whether the connection's session is in a room.
    pub fn is_member(&self) -> bool {
        matches!(&self.to, To::Session(session) if session.rooms() > 0)
    }

    /// Runs one text frame of the connection and answers it. Nothing happens when the session has moved to another
    /// connection: the client repeats there what was not answered.
    pub fn handle(&mut self, text: &str, woken: &mut Woken) {
        woken.lend(self.account.take());
        self.run(text, woken);
        self.account = woken.take_back();
        self.relieve(woken);
    }

    /// The connection's own buffers take this many bytes now.
    pub fn hold_buffers(&mut self, bytes: usize, woken: &mut Woken) {
        if let To::Session(session) = &self.to {
            session.hold_buffers(bytes);
            self.relieve(woken);
        }
    }

    /// Frees memory where the connection's commands made an address exceed its bound.
    fn relieve(&self, woken: &mut Woken) {
        let mut closing = Vec::new();
        self.relay.accounts.pressure().relieve_addresses(&mut closing);
        woken.extend(closing);
    }

    fn run(&mut self, text: &str, woken: &mut Woken) {
        let offered = match &self.to {
            To::Session(session) => return session.handle(self.id, text, woken),
            To::Greeted { offered, .. } => *offered,
        };
        let Request { id, command } = match command::parse(text, &self.relay.limits) {
            Ok(request) => request,
            Err(refused) => {
                let (refusal, id) = execute::refusal(*refused);
                self.refuse(&refusal, id.as_deref(), woken);
                return;
            }
        };
        let taken_up = match &command {
            Command::Resume(Resume { token: None, last_seq: None, .. }) => None,
            Command::Resume(resume) => {
                let here = Here { connection: self.id, token: offered };
                Some(self.relay.take_up(resume, id.as_deref(), &here, woken))
            }
            _ => None,
        };
        match taken_up {
            None => match self.become_session(woken) {
                Some(session) => session.run(self.id, &command, id.as_deref(), woken),
                None => {
                    let data = RefusalData::new(ErrorCode::ServerFull, None, None);
                    let refusal = Refusal { command: Some(command.name().to_owned()), data };
                    self.refuse(&Event::Error(refusal), id.as_deref(), woken);
                }
            },
            Some(Ok(session)) => self.to = To::Session(session),
            Some(Err(NotTakenUp { code, reason })) => {
                let mut data = RefusalData::new(code, None, None);
                data.reason = reason.map(|reason| reason.as_str().to_owned());
                let refusal = Refusal { command: Some(command.name().to_owned()), data };
                self.refuse(&Event::Error(refusal), id.as_deref(), woken);
            }
        }
    }

    /// Answers a frame that could not even be read as text.
    pub fn refuse_frame(&mut self, code: ErrorCode, woken: &mut Woken) {
        let event = Event::Error(Refusal { command: None, data: RefusalData::new(code, None, None) });
        match &self.to {
            To::Session(session) => session.refuse_frame(self.id, &event, woken),
            To::Greeted { .. } => self.refuse(&event, None, woken),
        }
    }

    fn refuse(&mut self, refusal: &Event, id: Option<&str>, woken: &mut Woken) {
        if let To::Greeted { refused, .. } = &mut self.to {
            *refused += 1;
        }
        self.greeting.push_back(TextFrame::text(&refusal.to_json(id)));
        woken.push(self.id);
    }

    /// The connection's session, made now if there is none; `None` when its address may have no more of them.
    fn become_session(&mut self, woken: &Woken) -> Option<Arc<Session>> {
        let (offered, refused) = match &self.to {
            To::Session(session) => return Some(session.clone()),
            To::Greeted { offered, refused } => (*offered, *refused),
        };
        let mut outbox =
            Outbox::new(Window::starting_after(refused), Line::Connected(self.id), self.relay.usual_terms());
        outbox.offered = Some(offered);
        let taken = woken.payer()?.take(Count::Sessions)?;
        let session = Session::open(&self.relay, self.relay.next_session_id(), outbox, taken);
        self.to = To::Session(session.clone());
        Some(session)
    }

    /// Passes what waits to `write`, frame by frame, until that returns `false`. Returns whether there may be more.
    ///
    /// # Errors
    /// The connection is to be closed; its session may go on elsewhere.
    pub fn take(&mut self, mut write: impl FnMut(TextFrame) -> bool) -> Result<bool, CloseReason> {
        while let Some(frame) = self.greeting.pop_front() {
            if !write(frame) {
                return Ok(true);
            }
        }
        match &self.to {
            To::Session(session) => session.take(self.id, write),
            To::Greeted { .. } => Ok(false),
        }
    }

    /// Why the connection is to be closed, if it is.
    pub fn closing(&self) -> Option<CloseReason> {
        match &self.to {
            To::Session(session) => session.closing(self.id),
            To::Greeted { .. } => {
                let waiting: usize = self.greeting.iter().map(TextFrame::len).sum();
                (waiting > GREETING_BYTES).then_some(CloseReason::SlowReader)
            }
        }
    }

    /// Tells the client that the server restarts, and when to come back.
    pub fn announce_restart(&mut self, reconnect_in_ms: u64, woken: &mut Woken) {
        let restarting = Event::Restarting(Restarting { reconnect_in_ms });
        match &self.to {
            To::Session(session) => session.push_unnumbered(&restarting, None, woken),
            To::Greeted { .. } => {
                self.greeting.push_back(TextFrame::text(&restarting.to_json(None)));
                woken.push(self.id);
            }
        }
    }

    /// The connection is gone. Its session ends with it, or waits for the client to come back.
    pub fn disconnected(&mut self, ending: Ending, woken: &mut Woken) {
        if let To::Session(session) = &self.to {
            session.disconnected(self.id, ending, woken);
        }
    }
}

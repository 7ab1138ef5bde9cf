//! The state of a session across connections: the number of received events, the unanswered commands, and the tokens to
//! resume with. No sockets and no clock: frames go in and come out.
//!
//! ```text
//! connection 1:  hello(token A) → resume {}        → resumed {seq}                → live
//! connection 2:  hello(token B) → resume {A, last} → resumed {seq} → replay, sync → unanswered commands again → live
//! ```
//!
//! Events are numbered by counting. The client sends a `sync`, which is an `ack` with an `id`, after `resumed`. The
//! server answers it after all that it replays, so the answer marks the end of the replay. Only then does the client
//! send its unanswered commands again, each under its old `id`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::request::{End, Incoming, RequestError, RequestId};
use crate::protocol::codes::{GapReason, GoneReason};
use crate::protocol::command::{Ack, Command, Resume};
use crate::protocol::event::{Event, Gap, RefusalData};
use crate::protocol::limits::Limits;
use crate::secret::Token;

/// Most events before an `ack`.
const ACK_EVENTS: u64 = 64;
/// Most bytes of events before an `ack`.
const ACK_BYTES: u64 = 256 * 1024;
/// An `ack` goes out after this part of the server's window at the latest, in events or bytes: a window that is full is
/// cut.
const ACK_PART: u64 = 4;
/// No announced restart takes longer than this: a server cannot make its clients wait for ever.
const LONGEST_RESTART: Duration = Duration::from_secs(300);
/// Most commands that wait for their answer; more wait to be taken.
const MAX_PENDING: usize = 1_024;
/// Most bytes of commands that wait for their answer.
const MAX_PENDING_BYTES: usize = 16 * 1024 * 1024;
/// Most tokens of connections whose `resume` went unanswered.
const MAX_TOKENS: usize = 16;

/// The destination of an answer.
pub(crate) enum Reply {
    /// Into the stream of events, in its place.
    Stream,
    /// To the caller that waits for it.
    Waiter(oneshot::Sender<Result<Event, RequestError>>),
}

/// A command on its way. Its frame can hold a key, so it does not print.
pub(crate) struct Pending {
    pub(crate) id: RequestId,
    pub(crate) frame: Utf8Bytes,
    pub(crate) reply: Reply,
    /// Whether sending it twice does no harm.
    pub(crate) repeats: bool,
}

/// What the connection's task must do.
pub(crate) enum Out {
    /// Write this frame.
    Send(Utf8Bytes),
    /// Hand this to the application; so many bytes came in for it.
    Deliver(Box<Incoming>, usize),
    /// The server announces a restart; come back after this time, which is bounded.
    Restarting(Duration),
    /// No token takes the session up: it is over, for this reason if the server knows it.
    Lost(Option<GoneReason>),
}

/// The server broke the protocol.
#[derive(Debug)]
pub(crate) struct Unreadable;

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// A `resume` with the token at this place of the list waits for its answer; in the last round, nothing comes after
    /// the list's end.
    Resuming { place: usize, last_round: bool },
    /// Replayed events come in until the sync is answered.
    Replaying,
    /// All is as it should be.
    Live,
}

/// When an `ack` is due.
struct AckAfter {
    events: u64,
    bytes: u64,
}

impl AckAfter {
    fn new(limits: &Limits) -> Self {
        Self {
            events: (limits.window_events / ACK_PART).clamp(1, ACK_EVENTS),
            bytes: (limits.window_bytes / ACK_PART).clamp(1, ACK_BYTES),
        }
    }
}

/// What a client knows of its session.
pub(crate) struct SessionState {
    phase: Phase,
    /// Whether the server keeps the session when the connection ends.
    resumable: bool,
    /// Number of the last numbered event on this connection's count.
    seq: u64,
    /// Number of the last event that was handed on; lower ones are repetitions.
    seen: u64,
    unacked_events: u64,
    unacked_bytes: u64,
    ack_after: AckAfter,
    /// For how many seconds the server shall keep the session, if for less than it would.
    for_s: Option<u64>,
    /// Why the session is over, by the server's word.
    gone: Option<GoneReason>,
    /// The present connection's token first, then those of older connections, newest first.
    tokens: Vec<Token>,
    /// Sent and unanswered, or waiting for the replay's end, in the order in which they came.
    pending: BTreeMap<RequestId, (Pending, bool)>,
    pending_bytes: usize,
    /// Makes the ids of our own commands distinct.
    attempts: u64,
    /// Events were missing since the last loss: what they answered is not known.
    gap: bool,
}

impl SessionState {
    /// A session on its first connection, with the token of its `hello` and the bounds of its server; pushes the first
    /// frame.
    pub(crate) fn new(token: Token, limits: &Limits, for_s: Option<u64>, out: &mut Vec<Out>) -> Self {
        let mut session = Self {
            phase: Phase::Live,
            resumable: false,
            seq: 0,
            seen: 0,
            unacked_events: 0,
            unacked_bytes: 0,
            ack_after: AckAfter::new(limits),
            for_s,
            gone: None,
            tokens: vec![token],
            pending: BTreeMap::new(),
            pending_bytes: 0,
            attempts: 0,
            gap: false,
        };
        let id = session.own_id("resume");
        out.push(Out::Send(Command::Resume(session.wish()).to_frame(Some(&id)).into()));
        session
    }

    /// Whether it is worth connecting again.
    pub(crate) fn resumable(&self) -> bool {
        self.resumable
    }

    /// Whether replay and all are done.
    pub(crate) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Whether another command can be taken.
    pub(crate) fn takes_commands(&self) -> bool {
        self.pending.len() < MAX_PENDING && self.pending_bytes < MAX_PENDING_BYTES
    }

    /// There is a new connection, with this token and these bounds in its `hello`. Asks for the session.
    pub(crate) fn reconnected(&mut self, token: Token, limits: &Limits, out: &mut Vec<Out>) {
        self.ack_after = AckAfter::new(limits);
        self.tokens.insert(0, token);
        if self.tokens.len() > MAX_TOKENS {
            // The oldest is good for as long as no `resume` was carried out, so it stays.
            self.tokens.remove(MAX_TOKENS - 1);
        }
        self.gap = false;
        for (_, sent) in self.pending.values_mut() {
            *sent = true;
        }
        self.resume_with(1, false, out);
    }

    /// Takes a command.
    pub(crate) fn submit(&mut self, command: Pending, out: &mut Vec<Out>) {
        if let Reply::Waiter(waiter) = &command.reply
            && waiter.is_closed()
        {
            return;
        }
        if self.is_live() {
            out.push(Out::Send(command.frame.clone()));
        }
        self.pending_bytes += command.frame.len();
        self.pending.insert(command.id, (command, false));
    }

    /// Takes a text frame of the server.
    pub(crate) fn receive(&mut self, text: &str, out: &mut Vec<Out>) -> Result<(), Unreadable> {
        let (id, event) = match Event::from_json(text).map_err(|_| Unreadable)? {
            Some(read) => read,
            None => {
                self.count(text.len());
                return Ok(());
            }
        };
        match event {
            // Only the first frame of a connection can be one.
            Event::Hello(_) => return Err(Unreadable),
            Event::Restarting(restarting) => {
                out.push(Out::Restarting(Duration::from_millis(restarting.reconnect_in_ms).min(LONGEST_RESTART)));
            }
            Event::Resumed(resumed) => self.resumed(resumed.seq, out),
            Event::Gap(gap) => self.missing(gap, text.len(), out)?,
            event if matches!(self.phase, Phase::Resuming { .. }) => self.refused_resume(id.as_deref(), &event, out),
            event => {
                if self.count(text.len()) {
                    self.arrived(id, event, text.len(), out);
                }
            }
        }
        Ok(())
    }

    /// An `ack` when enough has come; with `now`, when anything has.
    pub(crate) fn ack(&mut self, now: bool) -> Option<Utf8Bytes> {
        let due = self.unacked_events >= self.ack_after.events || self.unacked_bytes >= self.ack_after.bytes;
        if self.unacked_events == 0 || !(due || now) || !self.resumable || matches!(self.phase, Phase::Resuming { .. })
        {
            return None;
        }
        (self.unacked_events, self.unacked_bytes) = (0, 0);
        Some(Command::Ack(Ack { seq: self.seq }).to_frame(None).into())
    }

    /// Whether events wait to be acknowledged.
    pub(crate) fn owes_ack(&self) -> bool {
        self.unacked_events > 0 && self.resumable
    }

    /// The end: every waiting caller learns it.
    pub(crate) fn end(&mut self, end: &End) {
        for (_, (pending, _)) in std::mem::take(&mut self.pending) {
            if let Reply::Waiter(waiter) = pending.reply {
                let _ = waiter.send(Err(RequestError::Ended(end.clone())));
            }
        }
    }

    fn own_id(&mut self, what: &str) -> String {
        self.attempts += 1;
        format!("{what}-{}", self.attempts)
    }

    /// Whether `id` is that of our newest own command of this kind.
    fn is_own(&self, id: Option<&str>, what: &str) -> bool {
        id.and_then(|id| id.strip_prefix(what)?.strip_prefix('-')) == Some(&self.attempts.to_string())
    }

    /// Asks for the session with the token at `place`. The tokens are tried newest first. A `resume` without an answer
    /// may still have succeeded, which makes its connection's token the valid one. It may also succeed *while* we are
    /// trying: after we tried its own token, and before we try the one that it consumes. With more than one candidate
    /// we therefore go through the list twice.
    fn resume_with(&mut self, mut place: usize, mut last_round: bool, out: &mut Vec<Out>) {
        if place >= self.tokens.len() && !last_round && self.tokens.len() > 2 {
            (place, last_round) = (1, true);
        }
        let id = self.own_id("resume");
        let Some(token) = self.tokens.get(place) else {
            out.push(Out::Lost(self.gone));
            return;
        };
        let token = token.expose();
        let command =
            Command::Resume(Resume { token: Some(token.as_str().into()), last_seq: Some(self.seen), ..self.wish() });
        out.push(Out::Send(command.to_frame(Some(&id)).into()));
        self.phase = Phase::Resuming { place, last_round };
    }

    fn resumed(&mut self, seq: u64, out: &mut Vec<Out>) {
        self.resumable = true;
        self.tokens.truncate(1);
        let taken_up = matches!(self.phase, Phase::Resuming { .. });
        self.seq = seq;
        if !taken_up {
            self.seen = seq;
            return;
        }
        if seq > self.seen {
            self.lose(Gap { from: self.seen + 1, to: seq, reason: GapReason::Window }, 0, out);
        }
        self.phase = Phase::Replaying;
        let id = self.own_id("sync");
        out.push(Out::Send(Command::Ack(Ack { seq: self.seen }).to_frame(Some(&id)).into()));
        (self.unacked_events, self.unacked_bytes) = (0, 0);
    }

    fn refused_resume(&mut self, id: Option<&str>, event: &Event, out: &mut Vec<Out>) {
        let Phase::Resuming { place, last_round } = self.phase else { return };
        if let Event::Error(refusal) = event
            && self.is_own(id, "resume")
        {
            // Only the token that named the session last has one.
            let reason = refusal.data.reason.as_deref();
            self.gone = GoneReason::ALL.iter().copied().find(|gone| Some(gone.as_str()) == reason).or(self.gone);
            self.resume_with(place + 1, last_round, out);
        }
    }

    /// What every `resume` of this client says: a program has all that it needs to come back, unlike a page that was
    /// closed.
    fn wish(&self) -> Resume<'static> {
        Resume { for_s: self.for_s, keeps: Some(true), ..Resume::default() }
    }

    fn missing(&mut self, gap: Gap, bytes: usize, out: &mut Vec<Out>) -> Result<(), Unreadable> {
        if gap.to < gap.from || gap.to < self.seq {
            return Err(Unreadable);
        }
        self.seq = gap.to;
        if gap.to > self.seen {
            self.lose(Gap { from: self.seen + 1, ..gap }, bytes, out);
        }
        Ok(())
    }

    fn lose(&mut self, gap: Gap, bytes: usize, out: &mut Vec<Out>) {
        self.gap = true;
        self.seen = gap.to;
        out.push(Out::Deliver(Incoming::Gap(gap).into(), bytes));
    }

    /// Counts a numbered event; `false` for a repetition.
    fn count(&mut self, bytes: usize) -> bool {
        if matches!(self.phase, Phase::Resuming { .. }) {
            return false;
        }
        self.seq += 1;
        self.unacked_events += 1;
        self.unacked_bytes += bytes as u64;
        if self.seq <= self.seen {
            return false;
        }
        self.seen = self.seq;
        true
    }

    fn arrived(&mut self, id: Option<String>, event: Event, bytes: usize, out: &mut Vec<Out>) {
        let Some(id) = id else {
            out.push(Out::Deliver(Incoming::Event(event).into(), bytes));
            return;
        };
        if self.phase == Phase::Replaying && self.is_own(Some(&id), "sync") {
            self.go_live(out);
            return;
        }
        // Answers without a waiting caller, and answers to our own syncs and resumes, end here.
        let Some((pending, _)) = RequestId::parse(&id).and_then(|id| self.pending.remove(&id)) else { return };
        self.pending_bytes -= pending.frame.len();
        let answer = match event {
            Event::Error(refusal) => Err(refusal.data),
            event => Ok(event),
        };
        self.answer(pending, answer, bytes, out);
    }

    fn answer(&mut self, pending: Pending, answer: Result<Event, RefusalData>, bytes: usize, out: &mut Vec<Out>) {
        match pending.reply {
            Reply::Stream => {
                let answer = answer.map_err(RequestError::Refused);
                out.push(Out::Deliver(Incoming::Answer { id: pending.id, answer }.into(), bytes));
            }
            Reply::Waiter(waiter) => {
                let _ = waiter.send(answer.map_err(RequestError::Refused));
            }
        }
    }

    /// The replay is over: what stayed unanswered goes out again, what came meanwhile for the first time.
    fn go_live(&mut self, out: &mut Vec<Out>) {
        self.phase = Phase::Live;
        out.push(Out::Deliver(Incoming::Resumed.into(), 0));
        for (id, (pending, sent)) in std::mem::take(&mut self.pending) {
            let uncertain = sent && self.gap && !pending.repeats;
            match pending.reply {
                Reply::Waiter(ref waiter) if waiter.is_closed() => self.pending_bytes -= pending.frame.len(),
                Reply::Waiter(waiter) if uncertain => {
                    self.pending_bytes -= pending.frame.len();
                    let _ = waiter.send(Err(RequestError::Uncertain));
                }
                Reply::Stream if uncertain => {
                    self.pending_bytes -= pending.frame.len();
                    out.push(Out::Deliver(Incoming::Answer { id, answer: Err(RequestError::Uncertain) }.into(), 0));
                }
                _ => {
                    out.push(Out::Send(pending.frame.clone()));
                    self.pending.insert(id, (pending, sent));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

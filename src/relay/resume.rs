//! Resuming: a session is made to outlive its connection, and taken up again on another.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lock;
use super::session::{Line, Outcome, Session};
use crate::protocol::codes::ErrorCode;
use crate::protocol::command::{Ack, Resume};
use crate::protocol::event::{Acked, Event, Resumed};
use crate::protocol::frame::TextFrame;
use crate::room::FrameState;
use crate::secret::Token;

/// The sends whose answer may not have arrived, by the number of the answer. A client that lost its connection before the answer
/// sends again with the same id; that is answered again and delivered once.
#[derive(Default)]
pub(super) struct Answered {
    sends: VecDeque<AnsweredSend>,
}

struct AnsweredSend {
    seq: u64,
    id: Box<str>,
    answer: TextFrame,
    /// The session was resumed since: only now can the same id mean the same send.
    resumed: bool,
}

/// One of them in a form that can be handed to another process.
#[derive(Serialize, Deserialize)]
pub(super) struct AnsweredState {
    seq: u64,
    id: String,
    answer: FrameState,
}

impl Answered {
    /// Writes them down.
    pub(super) fn state(&self) -> Vec<AnsweredState> {
        let state = |send: &AnsweredSend| AnsweredState {
            seq: send.seq,
            id: send.id.to_string(),
            answer: FrameState::of(&send.answer),
        };
        self.sends.iter().map(state).collect()
    }

    /// Reads them back.
    pub(super) fn restore(states: Vec<AnsweredState>) -> Self {
        let send = |state: AnsweredState| AnsweredSend {
            seq: state.seq,
            id: state.id.into(),
            answer: state.answer.into_frame(),
            resumed: false,
        };
        Self { sends: states.into_iter().map(send).collect() }
    }

    fn forget(&mut self, seq: u64) {
        while self.sends.front().is_some_and(|send| send.seq <= seq) {
            self.sends.pop_front();
        }
    }
}

impl Session {
    /// Remembers the answer to a send, in case it does not arrive, and pushes it.
    pub(super) fn answer_send(self: &Arc<Self>, id: &str, answer: &Event) {
        let answer = TextFrame::text(&answer.to_json(Some(id)));
        // One lock for both: another member's message must not take the number in between.
        let mut guard = lock(&self.outbox);
        let outbox = &mut *guard;
        if outbox.window.retains() {
            let seq = outbox.window.last() + 1;
            let answer = answer.clone();
            outbox.answered.sends.push_back(AnsweredSend { seq, id: id.into(), answer, resumed: false });
        }
        self.push_into(outbox, answer, false);
    }

    /// Answers a send that was carried out before the session was resumed; whether it was.
    pub(super) fn answer_again(self: &Arc<Self>, id: &str) -> bool {
        let answer = {
            let outbox = lock(&self.outbox);
            outbox.answered.sends.iter().find(|send| send.resumed && *send.id == *id).map(|send| send.answer.clone())
        };
        answer.map(|answer| self.push(answer, false)).is_some()
    }

    pub(super) fn ack(self: &Arc<Self>, command: &Ack, id: Option<&str>) -> Result<(), ErrorCode> {
        {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            if outbox.window.retains() {
                outbox.window.acknowledge(command.seq).map_err(|_| ErrorCode::BadRequest)?;
                outbox.answered.forget(command.seq);
                self.account(outbox);
            }
        }
        if id.is_some() {
            self.push_event(&Event::Ack(Acked { seq: command.seq }), id);
        }
        Ok(())
    }

    pub(super) fn resume(self: &Arc<Self>, command: &Resume<'_>, id: Option<&str>) -> Result<Outcome, ErrorCode> {
        match (&command.token, command.last_seq) {
            (None, None) => {
                self.become_resumable(id);
                Ok(Outcome::default())
            }
            (Some(token), Some(last_seq)) => {
                let token = Token::parse(token).ok_or(ErrorCode::Denied)?;
                let resumed = self.take_up(&token, last_seq, id)?;
                Ok(Outcome { resumed: Some(resumed), bytes_out: 0 })
            }
            _ => Err(ErrorCode::BadRequest),
        }
    }

    fn become_resumable(self: &Arc<Self>, id: Option<&str>) {
        let (offered, seq) = {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            outbox.window.retain();
            let offered = outbox.offered.take();
            outbox.token = outbox.token.or(offered);
            (offered, outbox.window.last())
        };
        if let Some(tag) = offered {
            self.relay.file_token(tag, self.clone());
        }
        self.push_unnumbered(&Event::Resumed(Resumed { seq }), id);
    }

    /// Takes up the session that `token` names on this session's connection. This session must be as it was made.
    fn take_up(self: &Arc<Self>, token: &Token, last_seq: u64, id: Option<&str>) -> Result<Arc<Session>, ErrorCode> {
        if self.rooms() > 0 {
            return Err(ErrorCode::AlreadyMember);
        }
        let relay = &self.relay;
        let tag = relay.tags.tag(token);
        let (connection, wake, next_token) = {
            let mut outbox = lock(&self.outbox);
            let Line::Connected { connection, wake } = &outbox.line else { return Err(ErrorCode::Denied) };
            let (connection, wake) = (*connection, wake.clone());
            // Not offered any more once this session was made resumable itself: then it has nothing to give up.
            (connection, wake, outbox.offered.take().ok_or(ErrorCode::Denied)?)
        };
        let keep_offer = |code| {
            lock(&self.outbox).offered = Some(next_token);
            code
        };
        let old = relay.drop_token(&tag).ok_or(ErrorCode::Denied).map_err(keep_offer)?;
        // Waits for a command of the old connection that is being carried out. This session is not resumable, so nobody waits for it in turn.
        let mut serves = lock(&old.serves);
        {
            let mut guard = lock(&old.outbox);
            let outbox = &mut *guard;
            if matches!(outbox.line, Line::Ended) {
                return Err(keep_offer(ErrorCode::Denied));
            }
            if outbox.window.rewind(last_seq).is_err() {
                relay.file_token(tag, old.clone());
                return Err(keep_offer(ErrorCode::BadRequest));
            }
            outbox.answered.forget(last_seq);
            for send in &mut outbox.answered.sends {
                send.resumed = true;
            }
            let resumed = Event::Resumed(Resumed { seq: last_seq });
            outbox.window.push_unnumbered_first(TextFrame::text(&resumed.to_json(id)));
            old.account(outbox);
            outbox.closing = None;
            outbox.woken = true;
            outbox.token = Some(next_token);
            let here = Line::Connected { connection, wake: wake.clone() };
            match std::mem::replace(&mut outbox.line, here) {
                // Whoever serves the old connection finds that the session has moved, and closes.
                Line::Connected { connection, wake } => wake.wake(connection),
                Line::Away { until } => relay.call_back(old.id(), until),
                Line::Ended => {}
            }
            *serves = connection;
            relay.file_token(next_token, old.clone());
        }
        drop(serves);
        wake.wake(connection);
        Ok(old)
    }
}

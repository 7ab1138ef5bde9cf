//! Resuming: a session is made to outlive its connection, and taken up again on another.

use std::sync::Arc;

use super::account::Count;
use super::connection_id::ConnectionId;
use super::cost::Cost;
use super::outbox::{Absence, Line, Outbox};
use super::session::{Relay, Session};
use super::woken::Woken;
use crate::protocol::codes::{ErrorCode, GoneReason};
use crate::protocol::command::{Ack, Resume};
use crate::protocol::event::{Acked, Event, Resumed};
use crate::protocol::frame::TextFrame;
use crate::protocol::limits::Limits;
use crate::room::Kind;
use crate::secret::{Tag, Token};
use crate::sync::lock;

/// The connection that takes a session up.
pub(super) struct Here {
    pub(super) connection: ConnectionId,
    /// The tag of the token in its `hello`.
    pub(super) token: Tag,
}

/// Why a session was not taken up.
pub(super) struct NotTakenUp {
    pub(super) code: ErrorCode,
    /// Why the session is over, if that is known.
    pub(super) reason: Option<GoneReason>,
}

impl From<ErrorCode> for NotTakenUp {
    fn from(code: ErrorCode) -> Self {
        Self { code, reason: None }
    }
}

impl Outbox {
    /// Takes what the client says of its absences. What it does not say stays as it was.
    fn set_terms(&mut self, command: &Resume<'_>, limits: &Limits) {
        if let Some(for_s) = command.for_s {
            self.terms.for_s = for_s.clamp(1, limits.resume_window_s);
        }
        self.terms.keeps = command.keeps.unwrap_or(self.terms.keeps);
    }
}

impl Relay {
    /// Makes the session that the command's token names serve another connection.
    pub(super) fn take_up(
        &self,
        command: &Resume<'_>,
        id: Option<&str>,
        here: &Here,
        woken: &mut Woken,
    ) -> Result<Arc<Session>, NotTakenUp> {
        let (Some(token), Some(last_seq)) = (&command.token, command.last_seq) else {
            return Err(ErrorCode::BadRequest.into());
        };
        let token = Token::parse(token).ok_or(ErrorCode::Denied)?;
        let tag = self.tags.tag(&token);
        let gone = || NotTakenUp { code: ErrorCode::Denied, reason: self.why_gone(&tag) };
        let session = self.drop_token(&tag).ok_or_else(gone)?;
        // Waits for a command of the old connection that is being carried out.
        let mut serves = lock(&session.serves);
        {
            let mut guard = loop {
                let mut outbox = lock(&session.outbox);
                if matches!(outbox.line, Line::Ended) {
                    return Err(ErrorCode::Denied.into());
                }
                if outbox.window.rewind(last_seq).is_err() {
                    drop(outbox);
                    self.file_token(tag, session.clone());
                    return Err(ErrorCode::BadRequest.into());
                }
                if outbox.window.marks().is_empty() {
                    break outbox;
                }
                // Rooms are locked before an outbox.
                drop(outbox);
                session.settle_marks();
            };
            let outbox = &mut *guard;
            woken.cost(Cost::RESUME);
            woken.cost(Cost::bytes(outbox.window.bytes()));
            outbox.answered.forget(last_seq);
            outbox.answered.resumed();
            outbox.set_terms(command, &self.limits);
            let resumed = Event::Resumed(Resumed { seq: last_seq, for_s: outbox.terms.for_s });
            outbox.window.push_unnumbered_first(TextFrame::text(&resumed.to_json(id)));
            outbox.closing = None;
            outbox.token = Some(here.token);
            match std::mem::replace(&mut outbox.line, Line::Connected(here.connection)) {
                // Its thread finds that the session has moved, and closes.
                Line::Connected(old) => woken.push(old),
                Line::Away(Absence { until, .. }) => self.call_back(session.id(), until),
                Line::Ended => {}
            }
            outbox.woken = true;
            woken.push(here.connection);
            session.set_away(None);
            if let Some(account) = woken.payer() {
                session.move_to(outbox, account.take_over(Count::Sessions));
            }
            *serves = here.connection;
            self.file_token(here.token, session.clone());
        }
        session.confirm(last_seq);
        drop(serves);
        Ok(session)
    }
}

impl Session {
    /// Remembers the answer to a send, in case it does not arrive, and pushes it.
    pub(super) fn answer_send(&self, id: &str, answer: &Event, woken: &mut Woken) {
        let answer = TextFrame::text(&answer.to_json(Some(id)));
        // One lock for both: another member's message must not take the number in between.
        let mut guard = lock(&self.outbox);
        let outbox = &mut *guard;
        if outbox.window.retains() {
            outbox.answered.add(outbox.window.last() + 1, id, answer.clone());
        }
        self.push_into(outbox, answer, Kind::Firm, woken);
    }

    /// Repeats the answer to a send that was carried out before the session was resumed; whether it was.
    pub(super) fn answer_again(&self, id: &str, woken: &mut Woken) -> bool {
        let answer = lock(&self.outbox).answered.again(id);
        answer.map(|answer| self.push(answer, Kind::Firm, woken)).is_some()
    }

    pub(super) fn ack(&self, command: &Ack, id: Option<&str>, woken: &mut Woken) -> Result<(), ErrorCode> {
        {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            if outbox.window.retains() {
                outbox.window.acknowledge(command.seq).map_err(|_| ErrorCode::BadRequest)?;
                outbox.answered.forget(command.seq);
                self.account(outbox);
            }
        }
        self.confirm(command.seq);
        if id.is_some() {
            self.push_event(&Event::Ack(Acked { seq: command.seq }), id, woken);
        }
        Ok(())
    }

    /// `resume` on a connection that has a session already: without fields it makes the session resumable.
    pub(super) fn resume(
        self: &Arc<Self>,
        command: &Resume<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), ErrorCode> {
        match (&command.token, command.last_seq) {
            (None, None) => {
                self.become_resumable(command, id, woken);
                Ok(())
            }
            (Some(_), Some(_)) if self.rooms() > 0 => Err(ErrorCode::AlreadyMember),
            // Another session is taken up by the connection's first command alone.
            (Some(_), Some(_)) => Err(ErrorCode::Denied),
            _ => Err(ErrorCode::BadRequest),
        }
    }

    fn become_resumable(self: &Arc<Self>, command: &Resume<'_>, id: Option<&str>, woken: &mut Woken) {
        let (offered, resumed) = {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            outbox.window.retain();
            let offered = outbox.offered.take();
            outbox.token = outbox.token.or(offered);
            outbox.set_terms(command, &self.relay.limits);
            (offered, Resumed { seq: outbox.window.last(), for_s: outbox.terms.for_s })
        };
        if let Some(tag) = offered {
            self.relay.file_token(tag, self.clone());
        }
        self.push_unnumbered(&Event::Resumed(resumed), id, woken);
    }
}

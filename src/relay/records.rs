//! The relay's whole state as a sequence of records, for another process that takes it over.
//!
//! Resumable sessions come first, each with its window, then the rooms, then a count of both. Sessions that were not
//! made resumable are not among them: the process that takes over tells the other members that they are gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::account::Count;
use super::answered::{Answered, AnsweredState};
use super::departing::SpentKey;
use super::outbox::{Absence, Line, Outbox, Terms};
use super::registry::{Handle, LEAST_AFTER_TAKEOVER};
use super::session::{Membership, Relay, Session};
use super::woken::Woken;
use crate::protocol::codes::LeaveReason;
use crate::protocol::limits::Limits;
use crate::room::{MemberState, Millis, RoomState, WindowState};
use crate::secret::{Tag, TagKey};
use crate::sync::lock;

/// The version of the records. Another one is refused.
pub const FORMAT: u32 = 2;

/// One piece of a relay's state. It holds secrets.
#[derive(Serialize, Deserialize)]
pub enum Record {
    /// The first.
    Start {
        /// [`FORMAT`].
        format: u32,
        /// The time of the server that writes, to shift all others by.
        now: Millis,
        /// Under which key tokens are filed.
        tag_seed: Zeroizing<[u8; 32]>,
        /// The first session number not yet given.
        next_session: u64,
    },
    /// A session that may be resumed.
    Session(Box<SessionState>),
    /// A room.
    Room(Box<RoomState>),
    /// The last: how many of each came.
    End {
        /// Sessions.
        sessions: u64,
        /// Rooms.
        rooms: u64,
    },
    /// How long the session before this record has been away, and may be.
    Absence(AbsenceState),
}

/// The absence of a session.
#[derive(Serialize, Deserialize)]
pub struct AbsenceState {
    /// Milliseconds since its connection ended, if it is away.
    away: Option<Millis>,
    /// Milliseconds that are left of its time.
    left: Millis,
    /// What the other members are told when its time is up.
    reason: LeaveReason,
    for_s: u64,
    keeps: bool,
    removed: bool,
}

/// A session that may be resumed.
#[derive(Serialize, Deserialize)]
pub struct SessionState {
    id: u64,
    token: Tag,
    window: WindowState,
    answered: Vec<AnsweredState>,
}

/// Why records are not a relay's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Written by a version that this one does not understand.
    #[error("the state is written in another format")]
    Format,
    /// They contradict each other, or end early.
    #[error("the state is incomplete or contradicts itself")]
    Broken,
}

impl Relay {
    /// Passes the state to `write`, record by record. The records fit together only if nothing changes meanwhile: no
    /// connection is served and no clock is watched.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn save<E>(&self, mut write: impl FnMut(&Record) -> Result<(), E>) -> Result<(), E> {
        write(&Record::Start {
            format: FORMAT,
            now: self.now(),
            tag_seed: Zeroizing::new(*self.tags.seed()),
            next_session: self.next_session.load(Ordering::Acquire),
        })?;
        let (mut sessions, mut rooms) = (0, 0);
        for session in self.resumable_sessions() {
            if let Some((state, absence)) = session.state() {
                write(&Record::Session(Box::new(state)))?;
                write(&Record::Absence(absence))?;
                sessions += 1;
            }
        }
        for cell in self.all_rooms() {
            let state = lock(&cell.room).as_ref().map(|room| RoomState::of(room, |handle| handle.0.id()));
            if let Some(state) = state {
                write(&Record::Room(Box::new(state)))?;
                rooms += 1;
            }
        }
        write(&Record::End { sessions, rooms })
    }

    /// A relay with the state that another one saved. Its sessions have the resume window from now on to come back.
    ///
    /// # Errors
    /// Those of `read`, or the records are no state.
    pub fn restore<E: From<RestoreError>>(
        limits: Limits,
        notice: String,
        mut read: impl FnMut() -> Result<Record, E>,
    ) -> Result<Arc<Self>, E> {
        let (relay, shift) = Self::restore_start(limits, notice, read()?)?;
        match relay.restore_rest(shift, read) {
            Ok(()) => Ok(relay),
            Err(error) => {
                relay.forget();
                Err(error)
            }
        }
    }

    fn restore_start(limits: Limits, notice: String, start: Record) -> Result<(Arc<Self>, i64), RestoreError> {
        let Record::Start { format, now, tag_seed, next_session } = start else { return Err(RestoreError::Broken) };
        if format != FORMAT {
            return Err(RestoreError::Format);
        }
        let relay = Self::with_tags(limits, notice, TagKey::from_seed(&tag_seed));
        relay.next_session.store(next_session, Ordering::Release);
        let shift = relay.now() as i64 - now as i64;
        Ok((relay, shift))
    }

    fn restore_rest<E: From<RestoreError>>(
        self: &Arc<Self>,
        shift: i64,
        mut read: impl FnMut() -> Result<Record, E>,
    ) -> Result<(), E> {
        let (mut sessions, mut rooms) = (0, 0);
        let mut latest: Option<Arc<Session>> = None;
        loop {
            match read()? {
                Record::Start { .. } => return Err(RestoreError::Broken.into()),
                Record::Session(state) => {
                    latest = Some(Session::restore(self, *state).ok_or(RestoreError::Broken)?);
                    sessions += 1;
                }
                Record::Absence(state) => latest.take().ok_or(RestoreError::Broken)?.restore_absence(state),
                Record::Room(state) => {
                    self.restore_room(*state, shift).ok_or(RestoreError::Broken)?;
                    rooms += 1;
                }
                Record::End { sessions: all_sessions, rooms: all_rooms } => {
                    if (sessions, rooms) != (all_sessions, all_rooms) {
                        return Err(RestoreError::Broken.into());
                    }
                    self.dismiss_lost_members();
                    return Ok(());
                }
            }
        }
    }

    fn restore_room(self: &Arc<Self>, state: RoomState, shift: i64) -> Option<()> {
        let handle = |member: &MemberState| {
            let session = self.away_session(member.session).unwrap_or_else(|| Session::ended(self, member.session));
            Handle(session)
        };
        let room = state.into_room(&self.tags, shift, handle)?;
        let (id, next_expiry) = (room.id(), room.next_expiry());
        if self.room(&id).is_some() {
            return None;
        }
        let members: Vec<_> =
            room.members().map(|(user, member)| (user, member.handle.0.clone(), member.username.clone())).collect();
        self.members.fetch_add(members.len(), Ordering::AcqRel);
        let cell = self.open_room(id, room, self.accounts.local().take_over(Count::Rooms));
        self.schedule_room(id, next_expiry);
        for (user, session, username) in members {
            // The members of ended sessions are dismissed when everything is here.
            let _ended = session.add_membership(Membership::new(id, user, cell.clone(), &username, None));
        }
        Some(())
    }

    /// Members whose session could not come along are gone: the others are told, and rooms that end by it end.
    fn dismiss_lost_members(&self) {
        for cell in self.all_rooms() {
            let lost: Vec<_> = match lock(&cell.room).as_ref() {
                Some(room) => room.members().filter(|(_, m)| m.handle.0.has_ended()).map(|(user, _)| user).collect(),
                None => continue,
            };
            for user in lost {
                // Every session of this process is away: there is nobody to wake.
                self.depart(&cell, &user, LeaveReason::Lost, SpentKey::StaysSpent, &mut Woken::new());
            }
        }
    }
}

impl Session {
    /// The session as records, if it may be resumed.
    pub(super) fn state(&self) -> Option<(SessionState, AbsenceState)> {
        let outbox = lock(&self.outbox);
        let token = outbox.token.filter(|_| !matches!(outbox.line, Line::Ended))?;
        let window = WindowState::of(&outbox.window);
        let now = self.relay.now();
        // The connection of a session that is not away ends by the takeover: it has all of its time.
        let (left, reason) = match outbox.line {
            Line::Away(Absence { until, reason }) => (until.saturating_sub(now), reason),
            Line::Connected(_) | Line::Ended => (outbox.terms.for_s * 1_000, LeaveReason::Lost),
        };
        let Terms { for_s, keeps } = outbox.terms;
        let away = self.away_since().map(|since| now.saturating_sub(since));
        let absence = AbsenceState { away, left, reason, for_s, keeps, removed: outbox.removed };
        Some((SessionState { id: self.id(), token, window, answered: outbox.answered.state() }, absence))
    }

    /// Sets how long a session that was read back has been away, and may be: what was left of its time, and a minute at
    /// least.
    fn restore_absence(&self, state: AbsenceState) {
        let AbsenceState { away, left, reason, for_s, keeps, removed } = state;
        let relay = &self.relay;
        let now = relay.now();
        let mut outbox = lock(&self.outbox);
        outbox.terms = Terms { for_s: for_s.clamp(1, relay.limits.resume_window_s), keeps };
        outbox.removed = removed;
        // Times before the start of this process are its start: a session can have been away for longer than it runs.
        self.set_away(Some(now.saturating_sub(away.unwrap_or(0))));
        if let Line::Away(Absence { until, .. }) = outbox.line {
            let at = now + left.min(relay.limits.resume_window_s * 1_000).max(LEAST_AFTER_TAKEOVER);
            relay.reschedule(self.id(), until, at);
            outbox.line = Line::Away(Absence { until: at, reason });
        }
    }

    /// Reads a session back; it is away, and has the resume window to come back unless a record says otherwise.
    pub(super) fn restore(relay: &Arc<Relay>, state: SessionState) -> Option<Arc<Self>> {
        let SessionState { id, token, window, answered } = state;
        let given = relay.next_session.load(Ordering::Acquire);
        if id >= given || relay.away_session(id).is_some() || relay.knows_token(&token) {
            return None;
        }
        let terms = relay.usual_terms();
        let until = relay.now() + terms.for_s * 1_000;
        let line = Line::Away(Absence { until, reason: LeaveReason::Lost });
        let mut outbox = Outbox::new(window.into_window()?, line, terms);
        outbox.answered = Answered::restore(answered);
        outbox.token = Some(token);
        let taken = relay.accounts.local().take_over(Count::Sessions);
        let session = Self::open(relay, id, outbox, taken);
        session.set_away(Some(relay.now()));
        relay.file_token(token, session.clone());
        relay.send_away(id, session.clone(), until);
        Some(session)
    }
}

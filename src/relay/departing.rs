//! Going out: members leave and are removed, rooms end, sessions end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::connection_id::ConnectionId;
use super::cost::Cost;
use super::execute::{Refused, refused};
use super::outbox::{Absence, Line, Outbox};
use super::registry::UNCONFIRMED_S;
use super::session::{Membership, Relay, Session, SharedCell, SharedRoom};
use super::woken::Woken;
use crate::protocol::codes::{ErrorCode, GoneReason, LeaveReason, RoomClosedReason};
use crate::protocol::command::{InRoom, OfMember};
use crate::protocol::event::{Event, OwnerChanged, RoomClosed, UserLeft};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::{RoomId, UserId};
use crate::room::{Aftermath, Change, Kind, Millis, Scope};
use crate::sync::lock;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client said goodbye (close code 1000, or none): its session ends with the connection.
    Goodbye,
    /// A page is gone (close code 1001): a resumable session waits for a short time, unless its client keeps it.
    PageGone,
    /// Anything else: a resumable session waits for the client to come back.
    Lost,
}

/// What becomes of the one-time key of a member that departs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpentKey {
    /// It stays spent.
    StaysSpent,
    /// It works again, if the member never confirmed that it is in.
    WorksAgain,
}

impl Relay {
    /// Pushes a change of a room's members to every member that `to` accepts; encoded once. `place` is the place of the
    /// member that joined, or the room's next one.
    pub(super) fn tell(room: &SharedRoom, event: &Event, place: u64, to: impl Fn(&UserId) -> bool, woken: &mut Woken) {
        let frame = TextFrame::shared(&event.to_json(None), |bytes| woken.share(bytes));
        woken.cost(Cost::bytes(frame.len()));
        let kind = Kind::Members(Change { room: room.id().short(), place });
        for (user, member) in room.members() {
            if to(&user) {
                member.handle.0.push(frame.clone(), kind, woken);
            }
        }
    }

    /// The same for a change that brings nobody in.
    pub(super) fn tell_all(room: &SharedRoom, event: &Event, woken: &mut Woken) {
        Self::tell(room, event, room.next_place(), |_| true, woken);
    }

    /// Takes a member out of a room and tells the others; ends the room where that follows. Nothing happens when it is
    /// not in. `key` says what becomes of the one-time key of a member that never confirmed that it is in.
    pub(super) fn depart(
        &self,
        cell: &SharedCell,
        user: &UserId,
        reason: LeaveReason,
        key: SpentKey,
        woken: &mut Woken,
    ) {
        // Everybody is told that the server stops; who is disconnected first then is no news of the room.
        let quiet = reason == LeaveReason::Lost && self.is_stopping();
        // Dropped after the lock: it may be the last holder of its session.
        let _gone;
        let ended = {
            let mut guard = lock(&cell.room);
            let Some(room) = guard.as_mut() else { return };
            let Some((mut member, aftermath)) = room.depart(user, |handle| handle.0.away_since().is_none()) else {
                return;
            };
            self.members.fetch_sub(1, Ordering::AcqRel);
            if key == SpentKey::WorksAgain {
                room.give_back(&mut member);
                self.schedule(room);
            }
            let room_id = room.id();
            let version = room.version();
            let left = Event::UserLeft(UserLeft { room_id, user_id: *user, reason, version });
            if reason == LeaveReason::Removed {
                // The mark of a room that is over for the client has nothing to say any more.
                member.handle.0.settle(room_id.short(), None, |_| false);
                member.handle.0.push_event(&left, None, woken);
                member.handle.0.note_removed();
            }
            _gone = member;
            match aftermath {
                _ if quiet => guard.take_if(|room| room.is_empty()),
                Aftermath::GoesOn => {
                    Self::tell_all(room, &left, woken);
                    None
                }
                Aftermath::NewOwner(owner_id) => {
                    Self::tell_all(room, &left, woken);
                    let changed = Event::OwnerChanged(OwnerChanged { room_id, owner_id, version });
                    Self::tell_all(room, &changed, woken);
                    None
                }
                Aftermath::Ends(reason) => Self::take_out(&mut guard, reason, woken),
                Aftermath::Empty => guard.take(),
            }
        };
        if let Some(room) = ended {
            cell.give_back();
            self.clear_away(room);
        }
    }

    /// Ends a room: tells its members, wipes it, and takes it out of their sessions.
    pub(super) fn close_room(&self, cell: &SharedCell, reason: RoomClosedReason, woken: &mut Woken) {
        let ended = Self::take_out(&mut lock(&cell.room), reason, woken);
        if let Some(room) = ended {
            cell.give_back();
            self.clear_away(room);
        }
    }

    /// Takes a room out of its cell, which ends all joins, and tells its members.
    fn take_out(cell: &mut Option<SharedRoom>, reason: RoomClosedReason, woken: &mut Woken) -> Option<SharedRoom> {
        let room = cell.take()?;
        let frame = TextFrame::text(&Event::RoomClosed(RoomClosed { room_id: room.id(), reason }).to_json(None));
        for (_, member) in room.members() {
            member.handle.0.settle(room.id().short(), None, |_| false);
            member.handle.0.push(frame.clone(), Kind::Firm, woken);
        }
        Some(room)
    }

    /// Forgets a room that ended, here and in its members' sessions, and wipes it. Takes locks of its own.
    fn clear_away(&self, room: SharedRoom) {
        let id = room.id();
        self.forget_room(&id);
        self.members.fetch_sub(room.len(), Ordering::AcqRel);
        for (_, member) in room.members() {
            member.handle.0.take_membership(&id);
        }
    }
}

impl Session {
    pub(super) fn leave_room(&self, command: &InRoom<'_>, id: Option<&str>, woken: &mut Woken) -> Result<(), Refused> {
        let room_id = RoomId::parse(&command.room_id).ok_or(ErrorCode::Denied)?;
        let membership = self.take_membership(&room_id).ok_or(ErrorCode::Denied)?;
        self.relay.depart(
            &membership.acting.cell,
            &membership.acting.user,
            LeaveReason::Left,
            SpentKey::StaysSpent,
            woken,
        );
        self.done(Event::LeaveRoom, room_id, id, woken);
        Ok(())
    }

    pub(super) fn close_room(&self, command: &InRoom<'_>, id: Option<&str>, woken: &mut Woken) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let room_id = self.as_owner(&acting, |room| Ok(room.id()))?;
        self.relay.close_room(&acting.cell, RoomClosedReason::Closed, woken);
        self.done(Event::CloseRoom, room_id, id, woken);
        Ok(())
    }

    pub(super) fn remove_member(
        &self,
        command: &OfMember<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let (room_id, user, session) = self.as_owner(&acting, |room| {
            let user = UserId::parse(&command.user_id).filter(|user| *user != acting.user);
            let user = user.ok_or_else(|| refused(ErrorCode::BadRequest, "user_id"))?;
            let member = room.member(&user).ok_or(ErrorCode::Absent)?;
            Ok((room.id(), user, member.handle.0.clone()))
        })?;
        self.relay.depart(&acting.cell, &user, LeaveReason::Removed, SpentKey::StaysSpent, woken);
        session.take_membership(&room_id);
        self.done(Event::RemoveMember, room_id, id, woken);
        Ok(())
    }

    /// The connection is gone. The session ends with it, unless it is resumable and the client did not say goodbye.
    pub(super) fn disconnected(self: &Arc<Self>, connection: ConnectionId, ending: Ending, woken: &mut Woken) {
        if self.relay.is_taken_over() {
            return;
        }
        let lost;
        let away = {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            let stays = outbox.token.is_some() && ending != Ending::Goodbye && !self.relay.is_stopping();
            lost = matches!(outbox.line, Line::Ended);
            match outbox.line {
                Line::Connected(own) if own != connection => return,
                Line::Connected(_) if stays => {
                    let now = self.relay.now();
                    let absence = self.absence(outbox, ending, now);
                    let until = absence.until;
                    outbox.line = Line::Away(absence);
                    outbox.closing = None;
                    self.set_away(Some(now));
                    // Under this lock, so that a resumption at the same moment comes wholly before or after.
                    self.relay.send_away(self.id(), self.clone(), until);
                    self.keep_window(outbox, Scope::All, woken);
                    true
                }
                Line::Away(_) => return,
                Line::Connected(_) | Line::Ended => false,
            }
        };
        if !away {
            let reason = if ending == Ending::Lost { LeaveReason::Lost } else { LeaveReason::Left };
            self.end(reason, lost.then_some(GoneReason::Memory), SpentKey::StaysSpent, woken);
        } else if self.relay.is_stopping() {
            // The stop began in between, and may have looked for the sessions that are away before this one was.
            self.end_away(Millis::MAX, woken);
        }
    }

    /// How long a session waits whose connection ends now.
    fn absence(&self, outbox: &Outbox, ending: Ending, now: Millis) -> Absence {
        let page_gone = ending == Ending::PageGone && !outbox.terms.keeps;
        let parked = if page_gone { self.relay.limits.parked_s } else { u64::MAX };
        let unconfirmed = if self.confirmed_nothing() { UNCONFIRMED_S } else { u64::MAX };
        let wait_s = outbox.terms.for_s.min(parked).min(unconfirmed);
        let reason = if page_gone { LeaveReason::Left } else { LeaveReason::Lost };
        Absence { until: now + wait_s * 1_000, reason }
    }

    /// Remembers that an owner removed the client, for a token that is refused later.
    fn note_removed(&self) {
        lock(&self.outbox).removed = true;
    }

    /// Ends the session if it is away and its time is up at `now`, or if it has lost events that may not be lost.
    pub(super) fn end_away(&self, now: Millis, woken: &mut Woken) {
        let (reason, gone) = {
            let mut outbox = lock(&self.outbox);
            let ended = match outbox.line {
                Line::Away(Absence { until, reason }) if until <= now => {
                    self.relay.call_back(self.id(), until);
                    let removed = outbox.removed && self.rooms() == 0;
                    (reason, if removed { GoneReason::Removed } else { GoneReason::Time })
                }
                Line::Ended => {
                    self.relay.call_back(self.id(), 0);
                    (LeaveReason::Lost, GoneReason::Memory)
                }
                // It came back in this very moment.
                Line::Connected(_) | Line::Away(_) => return,
            };
            // From here on it cannot be taken up.
            outbox.line = Line::Ended;
            ended
        };
        self.end(reason, Some(gone), SpentKey::WorksAgain, woken);
    }

    /// Ends the session: it leaves its rooms for this reason, and what waited for it is wiped. `gone` answers its token
    /// later.
    pub(super) fn end(&self, reason: LeaveReason, gone: Option<GoneReason>, key: SpentKey, woken: &mut Woken) {
        self.wipe_outbox(gone);
        let Some(memberships) = self.take_memberships() else { return };
        for Membership { acting, .. } in memberships {
            let key = if acting.is_unconfirmed() { key } else { SpentKey::StaysSpent };
            self.relay.depart(&acting.cell, &acting.user, reason, key, woken);
        }
    }
}

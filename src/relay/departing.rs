//! Going out: members leave and are removed, rooms end, sessions end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::connection_id::ConnectionId;
use super::cost::Cost;
use super::execute::{Refused, refused};
use super::outbox::Line;
use super::session::{Relay, Session, SharedCell, SharedRoom};
use super::woken::Woken;
use crate::protocol::codes::{ErrorCode, LeaveReason, RoomClosedReason};
use crate::protocol::command::{InRoom, OfMember};
use crate::protocol::event::{Event, OwnerChanged, RoomClosed, UserLeft};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::{RoomId, UserId};
use crate::room::{Aftermath, Change, Kind, Millis, Scope};
use crate::sync::lock;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client said goodbye: its session ends with the connection.
    Goodbye,
    /// Anything else: a resumable session waits for the client to come back.
    Lost,
}

impl Relay {
    /// Pushes a change of a room's members to every member that `to` accepts; encoded once. `place` is the place of the member
    /// that joined, or the room's next one.
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

    /// Takes a member out of a room and tells the others; ends the room where that follows. Nothing happens when it is not in.
    pub(super) fn depart(&self, cell: &SharedCell, user: &UserId, reason: LeaveReason, woken: &mut Woken) {
        // Everybody is told that the server stops; who is disconnected first then is no news of the room.
        let quiet = reason == LeaveReason::Lost && self.is_stopping();
        // Dropped after the lock: it may be the last holder of its session.
        let _gone;
        let ended = {
            let mut guard = lock(&cell.room);
            let Some(room) = guard.as_mut() else { return };
            let Some((member, aftermath)) = room.depart(user, |handle| handle.0.away_since().is_none()) else { return };
            self.members.fetch_sub(1, Ordering::AcqRel);
            let room_id = room.id();
            let version = room.version();
            let left = Event::UserLeft(UserLeft { room_id, user_id: *user, reason, version });
            if reason == LeaveReason::Removed {
                // The mark of a room that is over for the client has nothing to say any more.
                member.handle.0.settle(room_id.short(), None, |_| false);
                member.handle.0.push_event(&left, None, woken);
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
        self.relay.depart(&membership.acting.cell, &membership.acting.user, LeaveReason::Left, woken);
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
        self.relay.depart(&acting.cell, &user, LeaveReason::Removed, woken);
        session.take_membership(&room_id);
        self.done(Event::RemoveMember, room_id, id, woken);
        Ok(())
    }

    /// The connection is gone. The session ends with it, unless it is resumable and the client did not say goodbye.
    pub(super) fn disconnected(self: &Arc<Self>, connection: ConnectionId, ending: Ending, woken: &mut Woken) {
        if self.relay.is_taken_over() {
            return;
        }
        let away = {
            let mut guard = lock(&self.outbox);
            let outbox = &mut *guard;
            let stays = outbox.token.is_some() && ending != Ending::Goodbye && !self.relay.is_stopping();
            match outbox.line {
                Line::Connected(own) if own != connection => return,
                Line::Connected(_) if stays => {
                    let until = self.relay.resume_deadline();
                    outbox.line = Line::Away { until };
                    outbox.closing = None;
                    self.set_away(Some(self.relay.now()));
                    // Under this lock, so that a resumption at the same moment comes wholly before or after.
                    self.relay.send_away(self.id(), self.clone(), until);
                    self.keep_window(outbox, Scope::All, woken);
                    true
                }
                Line::Away { .. } => return,
                Line::Connected(_) | Line::Ended => false,
            }
        };
        if !away {
            self.end(if ending == Ending::Goodbye { LeaveReason::Left } else { LeaveReason::Lost }, woken);
        } else if self.relay.is_stopping() {
            // The stop began in between, and may have looked for the sessions that are away before this one was.
            self.end_away(Millis::MAX, woken);
        }
    }

    /// Ends the session if it is away and its time is up at `now`, or if it has lost events that may not be lost.
    pub(super) fn end_away(&self, now: Millis, woken: &mut Woken) {
        {
            let mut outbox = lock(&self.outbox);
            match outbox.line {
                Line::Away { until } if until <= now => self.relay.call_back(self.id(), until),
                Line::Ended => self.relay.call_back(self.id(), 0),
                // It came back in this very moment.
                Line::Connected(_) | Line::Away { .. } => return,
            }
            // From here on it cannot be taken up.
            outbox.line = Line::Ended;
        }
        self.end(LeaveReason::Lost, woken);
    }

    /// Ends the session: it leaves its rooms for this reason, and what waited for it is wiped.
    pub(super) fn end(&self, reason: LeaveReason, woken: &mut Woken) {
        self.wipe_outbox();
        let Some(memberships) = self.take_memberships() else { return };
        for membership in memberships {
            self.relay.depart(&membership.acting.cell, &membership.acting.user, reason, woken);
        }
        self.relay.open_sessions.fetch_sub(1, Ordering::AcqRel);
    }
}

//! Coming in and going out: creating a room, joining, leaving, removing, handing over, ending.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::execute::{Refused, refused};
use super::lock;
use super::registry::{Relay, RoomCell};
use super::session::{Acting, Membership, Session, SessionHandle};
use crate::protocol::codes::{ErrorCode, LeaveReason, OwnerLeaves, RoomClosedReason};
use crate::protocol::command::{CreateRoom, InRoom, JoinRoomForever, JoinRoomOnetime, OfMember, SetCard};
use crate::protocol::event::{
    Created, CreatedRoom, Event, Joined, Members, Nobody, OwnerChanged, RoomClosed, User, UserJoined, UserLeft,
};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::{RoomId, UserId};
use crate::protocol::public_key::PublicKey;
use crate::room::{Admission, Aftermath, Millis, Newcomer, Refusal, Room, RoomOptions, WayIn};
use crate::secret::Token;

pub(super) type SharedRoom = Room<SessionHandle>;

/// What a join brings, whatever kind its key is of.
struct Join<'a> {
    way: WayIn,
    room_id: &'a str,
    key: &'a str,
    username: &'a str,
    public_key: &'a str,
    card: Option<&'a str>,
}

impl Relay {
    /// Pushes an event to every member that `to` accepts; encoded once.
    fn tell(room: &SharedRoom, event: &Event, to: impl Fn(&UserId) -> bool) {
        let frame = TextFrame::text(&event.to_json(None));
        for (user, member) in room.members() {
            if to(&user) {
                member.handle.0.push(frame.clone(), false);
            }
        }
    }

    /// Takes a member out of a room and tells the others; ends the room where that follows. Nothing happens when it is not in.
    pub(super) fn depart(&self, cell: &RoomCell, user: &UserId, reason: LeaveReason) {
        // Everybody is told that the server stops; who is disconnected first then is no news of the room.
        let quiet = reason == LeaveReason::Lost && self.is_stopping();
        // Dropped after the lock: it may be the last holder of its session.
        let _gone;
        let ended = {
            let mut guard = lock(&cell.room);
            let Some(room) = guard.as_mut() else { return };
            let Some((member, aftermath)) = room.depart(user) else { return };
            let room_id = room.id();
            let left = Event::UserLeft(UserLeft { room_id, user_id: *user, reason });
            if reason == LeaveReason::Removed {
                member.handle.0.push_event(&left, None);
            }
            _gone = member;
            match aftermath {
                _ if quiet => {
                    if room.is_empty() {
                        guard.take()
                    } else {
                        None
                    }
                }
                Aftermath::GoesOn => {
                    Self::tell(room, &left, |_| true);
                    None
                }
                Aftermath::NewOwner(owner_id) => {
                    Self::tell(room, &left, |_| true);
                    Self::tell(room, &Event::OwnerChanged(OwnerChanged { room_id, owner_id }), |_| true);
                    None
                }
                Aftermath::Ends(reason) => Self::end(&mut guard, reason),
                Aftermath::Empty => guard.take(),
            }
        };
        if let Some(room) = ended {
            self.clear_away(room);
        }
    }

    /// Ends a room: tells its members, wipes it, and takes it out of their sessions.
    pub(super) fn close_room(&self, cell: &RoomCell, reason: RoomClosedReason) {
        let ended = Self::end(&mut lock(&cell.room), reason);
        if let Some(room) = ended {
            self.clear_away(room);
        }
    }

    /// Takes a room out of its place, so that nobody can come in any more, and tells its members.
    fn end(place: &mut Option<SharedRoom>, reason: RoomClosedReason) -> Option<SharedRoom> {
        let room = place.take()?;
        Self::tell(&room, &Event::RoomClosed(RoomClosed { room_id: room.id(), reason }), |_| true);
        Some(room)
    }

    /// Forgets a room that ended, here and in its members' sessions, and wipes it. Takes locks of its own.
    fn clear_away(&self, room: SharedRoom) {
        let id = room.id();
        self.forget_room(&id);
        for (_, member) in room.members() {
            drop(member.handle.0.take_membership(&id));
        }
    }

    pub(super) fn schedule(&self, room: &SharedRoom) {
        self.schedule_room(room.id(), room.next_expiry());
    }
}

fn entry(user_id: UserId, member: &crate::room::Member<SessionHandle>) -> User {
    User {
        user_id,
        username: member.username.to_string(),
        public_key_string: member.public_key.pkcs1_pem(),
        card: member.card.as_ref().map(|card| card.to_string()),
    }
}

fn others(room: &SharedRoom, me: &UserId) -> Vec<User> {
    room.members().filter(|(user, _)| user != me).map(|(user, member)| entry(user, member)).collect()
}

impl Session {
    // ---- checks ----

    fn checked_name(&self, name: &str, field: &'static str) -> Result<Zeroizing<String>, Refused> {
        if name.len() as u64 > self.relay.limits.name_bytes {
            return Err(refused(ErrorCode::TooLong, field));
        }
        Ok(Zeroizing::new(name.to_owned()))
    }

    fn checked_card(&self, card: Option<&str>) -> Result<Option<Zeroizing<String>>, Refused> {
        let Some(card) = card else { return Ok(None) };
        let most = self.relay.limits.card_bytes as usize;
        // As it will stand in JSON: escapes count.
        let written = serde_json::to_string(card).map_or(usize::MAX, |json| json.len() - 2);
        if card.len() > most || written > most {
            return Err(ErrorCode::CardTooLarge.into());
        }
        Ok(Some(Zeroizing::new(card.to_owned())))
    }

    fn newcomer(
        self: &Arc<Self>,
        username: &str,
        public_key: &str,
        card: Option<&str>,
    ) -> Result<Newcomer<SessionHandle>, Refused> {
        let username = self.checked_name(username, "username")?;
        let card = self.checked_card(card)?;
        if public_key.len() as u64 > self.relay.limits.public_key_bytes {
            return Err(ErrorCode::BadPublicKey.into());
        }
        let public_key = PublicKey::from_pem(public_key).map_err(|_| ErrorCode::BadPublicKey)?;
        Ok(Newcomer { username, public_key, card, handle: SessionHandle(self.clone()) })
    }

    /// The time in `seconds` from now; refused when it is no time at all.
    pub(super) fn time_in(&self, seconds: Option<u64>) -> Result<Option<Millis>, Refused> {
        match seconds {
            Some(0) => Err(refused(ErrorCode::BadRequest, "expires_in_s")),
            Some(seconds) => Ok(Some(self.relay.now().saturating_add(seconds.saturating_mul(1_000)))),
            None => Ok(None),
        }
    }

    /// Runs `act` on the room of a membership, under its lock.
    fn in_room<T>(
        &self,
        acting: &Acting,
        act: impl FnOnce(&mut SharedRoom) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let mut guard = lock(&acting.cell.room);
        let room = guard.as_mut().ok_or(ErrorCode::Denied)?;
        room.member(&acting.user).ok_or(ErrorCode::Denied)?;
        act(room)
    }

    /// The same for what only the owner may do.
    pub(super) fn as_owner<T>(
        &self,
        acting: &Acting,
        act: impl FnOnce(&mut SharedRoom) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        self.in_room(
            acting,
            |room| if room.owner() == acting.user { act(room) } else { Err(ErrorCode::NotOwner.into()) },
        )
    }

    // ---- coming in ----

    pub(super) fn create_room(self: &Arc<Self>, command: &CreateRoom<'_>, id: Option<&str>) -> Result<(), Refused> {
        let limits = &self.relay.limits;
        let name = self.checked_name(&command.name, "name")?;
        let client_room_id =
            self.checked_name(command.client_room_id.as_deref().unwrap_or_default(), "client_room_id")?;
        let creator = self.newcomer(&command.username, &command.public_key_string, command.card.as_deref())?;
        let max_members = match command.max_members {
            Some(most) if (1..=limits.members_per_room).contains(&most) => most as usize,
            Some(_) => return Err(refused(ErrorCode::BadRequest, "max_members")),
            None => limits.members_per_room as usize,
        };
        let longest = (limits.room_expires_s > 0).then_some(limits.room_expires_s);
        let life = match (command.expires_in_s, longest) {
            (Some(asked), Some(longest)) => Some(asked.min(longest)),
            (asked, longest) => asked.or(longest),
        };
        let expires_at = self.time_in(life)?;
        let owner_leaves = command.owner_leaves.unwrap_or(OwnerLeaves::Close);
        if self.relay.is_stopping() {
            return Err(ErrorCode::Stopping.into());
        }
        if self.rooms() as u64 >= limits.rooms_per_connection {
            return Err(ErrorCode::TooManyRooms.into());
        }
        let room_id = RoomId::random();
        let (room, owner_id) = Room::new(room_id, name, RoomOptions { max_members, expires_at, owner_leaves }, creator);
        let cell = self.relay.open_room(room_id, room).ok_or(ErrorCode::ServerFull)?;
        self.relay.schedule_room(room_id, expires_at);
        let membership = Membership::new(self.relay.clone(), room_id, owner_id, cell, &command.username);
        drop(self.add_membership(membership));
        let room = CreatedRoom {
            room_id,
            owner_id,
            name: command.name.to_string(),
            one_time_join_keys: [],
            forever_join_key: String::new(),
            users: Nobody {},
        };
        self.push_event(&Event::CreateRoom(Created { room, client_room_id: client_room_id.to_string() }), id);
        Ok(())
    }

    pub(super) fn join_onetime(
        self: &Arc<Self>,
        command: &JoinRoomOnetime<'_>,
        id: Option<&str>,
    ) -> Result<(), Refused> {
        let join = Join {
            way: WayIn::Onetime,
            room_id: &command.room_id,
            key: &command.one_time_key,
            username: &command.username,
            public_key: &command.public_key,
            card: command.card.as_deref(),
        };
        self.join(&join, id)
    }

    pub(super) fn join_forever(
        self: &Arc<Self>,
        command: &JoinRoomForever<'_>,
        id: Option<&str>,
    ) -> Result<(), Refused> {
        let join = Join {
            way: WayIn::Forever,
            room_id: &command.room_id,
            key: &command.forever_key,
            username: &command.username,
            public_key: &command.public_key,
            card: command.card.as_deref(),
        };
        self.join(&join, id)
    }

    fn join(self: &Arc<Self>, join: &Join<'_>, id: Option<&str>) -> Result<(), Refused> {
        // Everything that can be wrong with the joiner itself comes first: it spends no key and tells nothing of the room.
        let newcomer = self.newcomer(join.username, join.public_key, join.card)?;
        let is_member = self.acting(join.room_id).is_some();
        if !is_member && self.rooms() as u64 >= self.relay.limits.rooms_per_connection {
            return Err(ErrorCode::TooManyRooms.into());
        }
        if self.relay.is_stopping() {
            return Err(ErrorCode::Stopping.into());
        }
        let token = Token::parse(join.key);
        let well_formed = token.is_some();
        let token = token.unwrap_or_else(Token::random);
        let tag = self.relay.tags.tag(&token);
        let cell = RoomId::parse(join.room_id).filter(|_| well_formed).and_then(|room_id| self.relay.room(&room_id));
        let Some(cell) = cell else {
            // The same comparison that a wrong key costs in a room that exists.
            std::hint::black_box(token.matches(&token));
            return Err(ErrorCode::Denied.into());
        };
        let unwanted = {
            let mut guard = lock(&cell.room);
            let room = guard.as_mut().ok_or(ErrorCode::Denied)?;
            let admission = room.admit(join.way, (&tag, &token), newcomer, is_member, self.relay.now());
            let (user_id, new) = match admission {
                Ok(Admission::New(user)) => (user, true),
                Ok(Admission::Again(user)) => (user, false),
                Err(Refusal::Denied) => return Err(ErrorCode::Denied.into()),
                Err(Refusal::Full) => return Err(ErrorCode::RoomFull.into()),
                Err(Refusal::AlreadyMember) => return Err(ErrorCode::AlreadyMember.into()),
            };
            self.relay.schedule(room);
            let unwanted = if new { self.enter(&cell, room, user_id, join) } else { None };
            let joined = Joined {
                user_id,
                room_id: room.id(),
                room_name: room.name().to_owned(),
                owner_id: room.owner(),
                users: others(room, &user_id),
            };
            self.push_event(&Event::Joined(joined), id);
            unwanted
        };
        // The session ended while it joined: out again, now that no lock is held.
        drop(unwanted);
        Ok(())
    }

    /// After admission: the session's own record, and the word to the others.
    fn enter(
        self: &Arc<Self>,
        cell: &Arc<RoomCell>,
        room: &SharedRoom,
        user_id: UserId,
        join: &Join<'_>,
    ) -> Option<Membership> {
        let membership = Membership::new(self.relay.clone(), room.id(), user_id, cell.clone(), join.username);
        let unwanted = self.add_membership(membership);
        if let Some(member) = room.member(&user_id) {
            let User { user_id, username, public_key_string, card } = entry(user_id, member);
            let joined = UserJoined {
                room_id: room.id(),
                room_name: room.name().to_owned(),
                user_id,
                username,
                public_key: public_key_string,
                card,
            };
            let event = match join.way {
                WayIn::Onetime => Event::UserJoinedOnetime(joined),
                WayIn::Forever => Event::UserJoinedForever(joined),
            };
            Relay::tell(room, &event, |user| *user != user_id);
        }
        unwanted
    }

    // ---- going out ----

    pub(super) fn leave_room(self: &Arc<Self>, command: &InRoom<'_>, id: Option<&str>) -> Result<(), Refused> {
        let room_id = RoomId::parse(&command.room_id).ok_or(ErrorCode::Denied)?;
        let membership = self.take_membership(&room_id).ok_or(ErrorCode::Denied)?;
        membership.end(LeaveReason::Left);
        self.done(Event::LeaveRoom, room_id, id);
        Ok(())
    }

    pub(super) fn close_room(self: &Arc<Self>, command: &InRoom<'_>, id: Option<&str>) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let room_id = self.as_owner(&acting, |room| Ok(room.id()))?;
        self.relay.close_room(&acting.cell, RoomClosedReason::Closed);
        self.done(Event::CloseRoom, room_id, id);
        Ok(())
    }

    pub(super) fn remove_member(self: &Arc<Self>, command: &OfMember<'_>, id: Option<&str>) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let (room_id, user, session) = self.as_owner(&acting, |room| {
            let user = UserId::parse(&command.user_id).filter(|user| *user != acting.user);
            let user = user.ok_or_else(|| refused(ErrorCode::BadRequest, "user_id"))?;
            let member = room.member(&user).ok_or(ErrorCode::Absent)?;
            Ok((room.id(), user, member.handle.0.clone()))
        })?;
        self.relay.depart(&acting.cell, &user, LeaveReason::Removed);
        drop(session.take_membership(&room_id));
        self.done(Event::RemoveMember, room_id, id);
        Ok(())
    }

    pub(super) fn transfer_owner(self: &Arc<Self>, command: &OfMember<'_>, id: Option<&str>) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let room_id = self.as_owner(&acting, |room| {
            let owner_id = UserId::parse(&command.user_id).filter(|user| *user != acting.user);
            let owner_id = owner_id.ok_or_else(|| refused(ErrorCode::BadRequest, "user_id"))?;
            if !room.transfer(&owner_id) {
                return Err(ErrorCode::Absent.into());
            }
            Relay::tell(room, &Event::OwnerChanged(OwnerChanged { room_id: room.id(), owner_id }), |_| true);
            Ok(room.id())
        })?;
        self.done(Event::TransferOwner, room_id, id);
        Ok(())
    }

    // ---- who is there ----

    pub(super) fn list_members(self: &Arc<Self>, command: &InRoom<'_>, id: Option<&str>) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        self.in_room(&acting, |room| {
            let members = Members { room_id: room.id(), owner_id: room.owner(), users: others(room, &acting.user) };
            // Under the lock, so that the list has its place in the order of joins and leaves.
            self.push_event(&Event::ListMembers(members), id);
            Ok(())
        })
    }

    pub(super) fn set_card(self: &Arc<Self>, command: &SetCard<'_>, id: Option<&str>) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let Some(card) = self.checked_card(Some(&command.card))? else { return Ok(()) };
        let room_id = self.in_room(&acting, |room| {
            room.set_card(&acting.user, card);
            Ok(room.id())
        })?;
        self.done(Event::SetCard, room_id, id);
        Ok(())
    }
}

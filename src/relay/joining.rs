//! Coming in: creating a room, and joining one by a key.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use super::account::Count;
use super::cost::Cost;
use super::departing::SpentKey;
use super::execute::{Refused, refused};
use super::members::{MEMBER_BYTES, entry, member_bytes, others};
use super::registry::{Handle, ROOM_BYTES};
use super::session::{Membership, Relay, Session, SharedCell, SharedRoom};
use super::woken::Woken;
use crate::protocol::codes::{ErrorCode, LeaveReason, OwnerLeaves};
use crate::protocol::command::{CreateRoom, JoinRoomForever, JoinRoomOnetime};
use crate::protocol::event::{Created, CreatedRoom, Event, Joined, Nobody, User, UserJoined};
use crate::protocol::ids::{RoomId, UserId};
use crate::protocol::public_key::PublicKey;
use crate::room::{Admission, Millis, Newcomer, Refusal, Room, RoomOptions, Shown, WayIn};
use crate::secret::Token;
use crate::sync::lock;

/// What a join brings, whatever kind its key is of.
struct Join<'a> {
    way: WayIn,
    room_id: &'a str,
    key: &'a str,
    username: &'a str,
    public_key: Option<&'a str>,
    card: Option<&'a str>,
}

impl Session {
    pub(super) fn create_room(
        self: &Arc<Self>,
        command: &CreateRoom<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let limits = &self.relay.limits;
        let name = self.checked_name(&command.name, "name")?;
        let client_room_id =
            self.checked_name(command.client_room_id.as_deref().unwrap_or_default(), "client_room_id")?;
        if command.public_key_string.is_some() {
            woken.cost(Cost::PUBLIC_KEY);
        }
        let creator =
            self.newcomer(&command.username, command.public_key_string.as_deref(), command.card.as_deref())?;
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
        let payer = woken.payer().filter(|payer| payer.has_room_for(ROOM_BYTES + MEMBER_BYTES));
        let taken = payer.and_then(|payer| payer.take(Count::Rooms)).ok_or(ErrorCode::ServerFull)?;
        let room_id = RoomId::random();
        let (room, owner_id) = Room::new(room_id, name, RoomOptions { max_members, expires_at, owner_leaves }, creator);
        let version = room.version();
        let charge = taken.account().charge(room.member(&owner_id).map_or(0, member_bytes));
        let cell = self.relay.open_room(room_id, room, taken);
        self.relay.members.fetch_add(1, Ordering::AcqRel);
        woken.cost(Cost::ENTER);
        self.relay.schedule_room(room_id, expires_at);
        if !self.add_membership(Membership::new(room_id, owner_id, cell.clone(), &command.username, Some(charge))) {
            self.relay.depart(&cell, &owner_id, LeaveReason::Lost, SpentKey::StaysSpent, woken);
        }
        let room = CreatedRoom {
            room_id,
            owner_id,
            name: command.name.to_string(),
            one_time_join_keys: [],
            forever_join_key: String::new(),
            users: Nobody {},
            version,
        };
        self.push_event(&Event::CreateRoom(Created { room, client_room_id: client_room_id.to_string() }), id, woken);
        Ok(())
    }

    pub(super) fn join_onetime(
        self: &Arc<Self>,
        command: &JoinRoomOnetime<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let join = Join {
            way: WayIn::Onetime,
            room_id: &command.room_id,
            key: &command.one_time_key,
            username: &command.username,
            public_key: command.public_key.as_deref(),
            card: command.card.as_deref(),
        };
        self.join(&join, id, woken)
    }

    pub(super) fn join_forever(
        self: &Arc<Self>,
        command: &JoinRoomForever<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let join = Join {
            way: WayIn::Forever,
            room_id: &command.room_id,
            key: &command.forever_key,
            username: &command.username,
            public_key: command.public_key.as_deref(),
            card: command.card.as_deref(),
        };
        self.join(&join, id, woken)
    }

    fn join(self: &Arc<Self>, join: &Join<'_>, id: Option<&str>, woken: &mut Woken) -> Result<(), Refused> {
        // Everything that can be wrong with the joiner itself comes first: it spends no key and says nothing of the
        // room.
        if join.public_key.is_some() {
            woken.cost(Cost::PUBLIC_KEY);
        }
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
        if !woken.payer().is_some_and(|payer| payer.has_room_for(MEMBER_BYTES)) {
            return Err(ErrorCode::ServerFull.into());
        }
        let unwanted = {
            let mut guard = lock(&cell.room);
            let room = guard.as_mut().ok_or(ErrorCode::Denied)?;
            let shown = Shown { tag: &tag, token: &token };
            let admission = room.admit(join.way, shown, newcomer, is_member, self.relay.now());
            let admission = admission.map_err(|refusal| match refusal {
                Refusal::Denied => ErrorCode::Denied,
                Refusal::Full => ErrorCode::RoomFull,
                Refusal::AlreadyMember => ErrorCode::AlreadyMember,
            })?;
            woken.cost(Cost::ENTER);
            self.relay.schedule(room);
            let (user_id, lives) = match admission {
                Admission::New(user) => (user, self.enter(&cell, room, user, join, woken)),
                Admission::Again(user) => (user, true),
            };
            let joined = Joined {
                user_id,
                room_id: room.id(),
                room_name: room.name().to_owned(),
                owner_id: room.owner(),
                users: others(room, &user_id),
                version: room.version(),
            };
            if let Some(seq) = self.push_counted(&Event::Joined(joined), id, woken)
                && let Some(acting) = self.acting(join.room_id)
            {
                self.await_confirmation(&acting, seq);
            }
            (!lives).then_some(user_id)
        };
        if let Some(user_id) = unwanted {
            // The session ended while it joined: out again, now that no lock is held.
            self.relay.depart(&cell, &user_id, LeaveReason::Lost, SpentKey::StaysSpent, woken);
        }
        Ok(())
    }

    /// After admission: records the membership and tells the other members. Returns whether the session still lives.
    fn enter(
        &self,
        cell: &Arc<SharedCell>,
        room: &SharedRoom,
        user_id: UserId,
        join: &Join<'_>,
        woken: &mut Woken,
    ) -> bool {
        self.relay.members.fetch_add(1, Ordering::AcqRel);
        let bytes = room.member(&user_id).map_or(0, member_bytes);
        let charge = woken.payer().map(|payer| payer.charge(bytes));
        let lives = self.add_membership(Membership::new(room.id(), user_id, cell.clone(), join.username, charge));
        if let Some(member) = room.member(&user_id) {
            let place = member.place;
            let joined = |with_key| {
                let User { user_id, username, public_key_string, card } = entry(user_id, member, with_key);
                let joined = UserJoined {
                    room_id: room.id(),
                    room_name: room.name().to_owned(),
                    user_id,
                    username,
                    public_key: public_key_string,
                    card,
                    version: room.version(),
                };
                match join.way {
                    WayIn::Onetime => Event::UserJoinedOnetime(joined),
                    WayIn::Forever => Event::UserJoinedForever(joined),
                }
            };
            let others = |user: &UserId| *user != user_id;
            if member.public_key.is_some() {
                Relay::tell(room, &joined(true), place, others, woken);
            } else {
                let has_key = |user: &UserId| room.member(user).is_some_and(|member| member.public_key.is_some());
                Relay::tell(room, &joined(false), place, |user| others(user) && !has_key(user), woken);
                Relay::tell(room, &joined(true), place, |user| others(user) && has_key(user), woken);
            }
        }
        lives
    }

    // ---- checks ----

    fn checked_name(&self, name: &str, field: &'static str) -> Result<Zeroizing<String>, Refused> {
        if name.len() as u64 > self.relay.limits.name_bytes {
            return Err(refused(ErrorCode::TooLong, field));
        }
        Ok(Zeroizing::new(name.to_owned()))
    }

    fn newcomer(
        self: &Arc<Self>,
        username: &str,
        public_key: Option<&str>,
        card: Option<&str>,
    ) -> Result<Newcomer<Handle<Self>>, Refused> {
        let username = self.checked_name(username, "username")?;
        let card = card.map(|card| self.checked_card(card)).transpose()?;
        if public_key.is_some_and(|key| key.len() as u64 > self.relay.limits.public_key_bytes) {
            return Err(ErrorCode::BadPublicKey.into());
        }
        let public_key = public_key.map(PublicKey::from_pem).transpose().map_err(|_| ErrorCode::BadPublicKey)?;
        let confirms = self.is_resumable();
        Ok(Newcomer { username, public_key, card, handle: Handle(self.clone()), confirms })
    }

    /// The time in `seconds` from now; refused when it is no time at all.
    pub(super) fn time_in(&self, seconds: Option<u64>) -> Result<Option<Millis>, Refused> {
        match seconds {
            Some(0) => Err(refused(ErrorCode::BadRequest, "expires_in_s")),
            Some(seconds) => Ok(Some(self.relay.now().saturating_add(seconds.saturating_mul(1_000)))),
            None => Ok(None),
        }
    }
}

impl Relay {
    pub(super) fn schedule(&self, room: &SharedRoom) {
        self.schedule_room(room.id(), room.next_expiry());
    }
}

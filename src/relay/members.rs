//! The members of a room: their list, their cards, their owner.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use zeroize::Zeroizing;

use super::cost::Cost;
use super::execute::{Refused, refused};
use super::registry::Handle;
use super::session::{Acting, Relay, Session, SharedRoom};
use super::woken::Woken;
use crate::protocol::codes::ErrorCode;
use crate::protocol::command::{InRoom, OfMember, SetCard};
use crate::protocol::event::{Away, Event, Members, MembersNow, OwnerChanged, User};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::UserId;
use crate::protocol::public_key::PublicKey;
use crate::room::{Change, Member, Millis};
use crate::sync::lock;

/// Stands in for the key of a member that gave none, for readers that need one everywhere. Nobody knows its factors: it
/// is the hash of a text, SHA-256 of `subrosa placeholder key` and a byte that counts from 0, eight times, with the
/// first and the last bit set.
pub(super) const PLACEHOLDER_KEY: &str = include_str!("placeholder_key.pem");

/// Bytes of a member without its card and its public key: its places in the room's maps and in its session.
pub(super) const MEMBER_BYTES: usize = 768;

/// Bytes of a member.
pub(super) fn member_bytes<S>(member: &Member<Handle<S>>) -> usize {
    let card = member.card.as_ref().map_or(0, |card| card.len());
    let key = member.public_key.as_ref().map_or(0, |key| key.pkcs1_der().len());
    MEMBER_BYTES + key + 2 * member.username.len() + card
}

/// A member as others see it; `with_key` asks for a placeholder if it has no key.
pub(super) fn entry(user_id: UserId, member: &Member<Handle<Session>>, with_key: bool) -> User {
    let key = member.public_key.as_ref().map(PublicKey::pkcs1_pem);
    User {
        user_id,
        username: member.username.to_string(),
        public_key_string: key.or_else(|| with_key.then(|| PLACEHOLDER_KEY.to_owned())),
        card: member.card.as_ref().map(|card| card.to_string()),
    }
}

/// All members but one, longest-standing first.
pub(super) fn others(room: &SharedRoom, me: &UserId) -> Vec<User> {
    let with_key = room.member(me).is_some_and(|member| member.public_key.is_some());
    room.members().filter(|(user, _)| user != me).map(|(user, member)| entry(user, member, with_key)).collect()
}

/// The members who are away, without the one that is told.
pub(super) fn away(room: &SharedRoom, me: &UserId, now: Millis) -> Vec<Away> {
    let away = |(user_id, member): (UserId, &Member<Handle<Session>>)| {
        let since = member.handle.0.away_since()?;
        Some(Away { user_id, since_s: now.saturating_sub(since) / 1_000 })
    };
    room.members().filter(|(user, _)| user != me).filter_map(away).collect()
}

impl Session {
    /// Settles the marks of the window before it is read again: each becomes an event that says who is in the room now.
    pub(super) fn settle_marks(&self) {
        let marks = lock(&self.outbox).window.marks();
        if marks.is_empty() {
            return;
        }
        let rooms = self.all_acting();
        for Change { room: mark, place } in marks {
            let acting = rooms.iter().find(|acting| acting.room_id().short() == mark);
            let guard = acting.map(|acting| lock(&acting.cell.room));
            // Under the room's lock, so that the event has its place in the order of joins and leaves.
            match (acting, guard.as_deref().and_then(Option::as_ref)) {
                (Some(acting), Some(room)) if room.member(&acting.user).is_some() => {
                    let (before, since): (Vec<_>, Vec<_>) = room
                        .members()
                        .filter(|(user, _)| *user != acting.user)
                        .partition(|(_, member)| member.place < place);
                    let with_key = room.member(&acting.user).is_some_and(|member| member.public_key.is_some());
                    let now = Event::Members(MembersNow {
                        room_id: room.id(),
                        owner_id: room.owner(),
                        users: since.into_iter().map(|(user, member)| entry(user, member, with_key)).collect(),
                        here: before.into_iter().map(|(user, _)| user).collect(),
                        away: away(room, &acting.user, self.relay.now()),
                        version: room.version(),
                    });
                    let here: HashSet<u64, RandomState> = room.members().map(|(user, _)| user.short()).collect();
                    self.settle(mark, Some(TextFrame::text(&now.to_json(None))), |sender| here.contains(&sender));
                }
                _ => self.settle(mark, None, |_| false),
            }
        }
    }

    /// Settles the mark of one room, if there is one.
    pub(super) fn settle(&self, room: u64, frame: Option<TextFrame>, is_here: impl Fn(u64) -> bool) {
        let mut outbox = lock(&self.outbox);
        if outbox.window.marks().iter().any(|mark| mark.room == room) {
            outbox.window.settle(room, frame, is_here);
            self.account(&mut outbox);
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

    pub(super) fn transfer_owner(
        &self,
        command: &OfMember<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let room_id = self.as_owner(&acting, |room| {
            let owner_id = UserId::parse(&command.user_id).filter(|user| *user != acting.user);
            let owner_id = owner_id.ok_or_else(|| refused(ErrorCode::BadRequest, "user_id"))?;
            if !room.transfer(&owner_id) {
                return Err(ErrorCode::Absent.into());
            }
            let version = room.version();
            let changed = Event::OwnerChanged(OwnerChanged { room_id: room.id(), owner_id, version });
            Relay::tell_all(room, &changed, woken);
            Ok(room.id())
        })?;
        self.done(Event::TransferOwner, room_id, id, woken);
        Ok(())
    }

    pub(super) fn list_members(
        &self,
        command: &InRoom<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        self.in_room(&acting, |room| {
            woken.cost(Cost::looked_through(room.len()));
            let users = others(room, &acting.user);
            let members = Members { room_id: room.id(), owner_id: room.owner(), users, version: room.version() };
            // Under the lock, so that the list has its place in the order of joins and leaves.
            self.push_event(&Event::ListMembers(members), id, woken);
            Ok(())
        })
    }

    pub(super) fn set_card(&self, command: &SetCard<'_>, id: Option<&str>, woken: &mut Woken) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let card = self.checked_card(&command.card)?;
        let room_id = self.in_room(&acting, |room| {
            let bytes = card.len();
            if !acting.has_room_for(bytes) {
                return Err(ErrorCode::ServerFull.into());
            }
            room.set_card(&acting.user, card);
            if let Some(member) = room.member(&acting.user) {
                acting.charge(member_bytes(member));
            }
            Ok(room.id())
        })?;
        self.done(Event::SetCard, room_id, id, woken);
        Ok(())
    }

    pub(super) fn checked_card(&self, card: &str) -> Result<Zeroizing<String>, Refused> {
        let most = self.relay.limits.card_bytes as usize;
        // As it is written in JSON: escapes count.
        let written = serde_json::to_string(card).map_or(usize::MAX, |json| json.len() - 2);
        if card.len() > most || written > most {
            return Err(ErrorCode::CardTooLarge.into());
        }
        Ok(Zeroizing::new(card.to_owned()))
    }
}

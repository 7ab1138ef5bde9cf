//! A room's join keys: issuing, showing, revoking, erasing. Only the owner may.

use super::cost::Cost;
use super::execute::{Refused, refused};
use super::registry::KEY_BYTES;
use super::session::Session;
use super::woken::Woken;
use crate::protocol::codes::ErrorCode;
use crate::protocol::command::{InRoom, RevokeKey, RoomKeyForever, RoomKeyOnetime};
use crate::protocol::event::{Event, ForeverKey, OnetimeKeys};
use crate::room::{KeyLife, Shown};
use crate::secret::Token;

/// Most one-time keys of one `room-key-onetime`.
const KEYS_AT_ONCE: u64 = 100;

impl Session {
    pub(super) fn room_key_onetime(
        &self,
        command: &RoomKeyOnetime<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let count = command.count.unwrap_or(1);
        if !(1..=KEYS_AT_ONCE).contains(&count) {
            return Err(refused(ErrorCode::BadRequest, "count"));
        }
        let life = self.time_in(command.expires_in_s)?.map_or(KeyLife::Room, KeyLife::Until);
        let event = self.as_owner(&acting, |room| {
            // Expired keys are looked for.
            woken.cost(Cost::looked_through(room.keys.len()));
            woken.cost(Cost::keys(count as usize));
            if !acting.cell.has_room_for(count as usize * KEY_BYTES) {
                return Err(ErrorCode::ServerFull.into());
            }
            let (relay, most) = (&self.relay, self.relay.limits.keys_per_room as usize);
            let keys =
                room.keys.issue(&relay.tags, count as usize, life, most, relay.now()).ok_or(ErrorCode::TooManyKeys)?;
            relay.schedule(room);
            acting.cell.charge(room);
            let one_time_key = keys.first().map(Token::duplicate).ok_or(ErrorCode::TooManyKeys)?;
            let one_time_keys = command.count.is_some().then_some(keys);
            Ok(Event::RoomKeyOnetime(OnetimeKeys { room_id: room.id(), one_time_key, one_time_keys }))
        })?;
        self.push_event(&event, id, woken);
        Ok(())
    }

    pub(super) fn room_key_forever(
        &self,
        command: &RoomKeyForever<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let life = self.time_in(command.expires_in_s)?.map(KeyLife::Until);
        let event = self.as_owner(&acting, |room| {
            woken.cost(Cost::looked_through(room.keys.len()));
            let forever_join_key = room.keys.forever(&self.relay.tags, life, self.relay.now());
            self.relay.schedule(room);
            Ok(Event::RoomKeyForever(ForeverKey { room_id: room.id(), forever_join_key }))
        })?;
        self.push_event(&event, id, woken);
        Ok(())
    }

    pub(super) fn reset_room_keys(
        &self,
        command: &InRoom<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let room_id = self.as_owner(&acting, |room| {
            woken.cost(Cost::keys(room.keys.len()));
            room.reset_keys();
            acting.cell.charge(room);
            self.relay.schedule(room);
            Ok(room.id())
        })?;
        // One of the first version's answers: it comes with and without an id.
        self.push_event(&Event::ResetRoomKeys(crate::protocol::event::InRoom { room_id }), id, woken);
        Ok(())
    }

    pub(super) fn revoke_key(
        &self,
        command: &RevokeKey<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        let token = Token::parse(&command.key).ok_or(ErrorCode::Denied)?;
        let tag = self.relay.tags.tag(&token);
        let room_id = self.as_owner(&acting, |room| {
            if !room.revoke_key(Shown { tag: &tag, token: &token }, self.relay.now()) {
                return Err(ErrorCode::Denied.into());
            }
            self.relay.schedule(room);
            Ok(room.id())
        })?;
        self.done(Event::RevokeKey, room_id, id, woken);
        Ok(())
    }
}

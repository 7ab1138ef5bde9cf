//! What happens without a command: time runs out, the server stops, another process takes over.

use std::sync::atomic::Ordering;

use super::departing::SpentKey;
use super::registry::Due;
use super::session::Relay;
use super::woken::Woken;
use crate::protocol::codes::{LeaveReason, RoomClosedReason};
use crate::protocol::ids::RoomId;
use crate::room::{Millis, Room};
use crate::sync::lock;

impl Relay {
    /// Ends everything whose time is up at `now`: rooms, keys, sessions that did not come back.
    pub fn expire(&self, now: Millis, woken: &mut Woken) {
        while let Some(due) = self.take_due(now) {
            match due {
                Due::Room(id) => self.expire_room(*id, now, woken),
                Due::Session(id) => {
                    if let Some(session) = self.away_session(id) {
                        session.end_away(now, woken);
                    }
                }
            }
        }
    }

    fn expire_room(&self, id: RoomId, now: Millis, woken: &mut Woken) {
        let Some(cell) = self.room(&id) else { return };
        let next = {
            let mut guard = lock(&cell.room);
            let Some(room) = guard.as_mut() else { return };
            room.keys.expire(now);
            if room.is_over(now) { None } else { Some(room.next_expiry()) }
        };
        match next {
            None => self.close_room(&cell, RoomClosedReason::Expired, woken),
            Some(at) => self.schedule_room(id, at),
        }
    }

    /// Ends all sessions that are away; from now on no new rooms or members are taken.
    pub fn stop(&self, woken: &mut Woken) {
        self.set_stopping();
        for session in self.away_sessions() {
            session.end_away(Millis::MAX, woken);
        }
    }

    /// Wipes everything and tells nobody: the state lives in another process, or was never used. Rooms and sessions
    /// refer to each other and would stay otherwise.
    pub fn forget(&self) {
        self.set_taken_over();
        let mut nobody = Woken::new();
        for session in self.clear() {
            session.end(LeaveReason::Lost, None, SpentKey::StaysSpent, &mut nobody);
        }
    }

    /// Compares the gauges with what the rooms really contain.
    ///
    /// # Errors
    /// A sentence that says what differs. Only meaningful while nothing is under way.
    pub fn check_consistency(&self) -> Result<(), String> {
        let counted: usize = self.all_rooms().iter().map(|cell| lock(&cell.room).as_ref().map_or(0, Room::len)).sum();
        let told = self.members.load(Ordering::Acquire);
        if counted != told {
            return Err(format!("the gauge says {told} members, the rooms have {counted}"));
        }
        let sessions = self.resumable_sessions().into_iter().chain(self.away_sessions());
        for session in sessions {
            if session.has_ended() {
                return Err(format!("session number {} has ended and is still there", session.id()));
            }
            session.check(&lock(&session.outbox));
        }
        Ok(())
    }
}

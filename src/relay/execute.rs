//! From a text frame to what it does: reads the command, sends it to its part of the relay, answers refusals.

use std::sync::Arc;

use super::lock;
use super::session::{Acting, ConnectionId, Outcome, Session};
use crate::protocol::codes::ErrorCode;
use crate::protocol::command::{self, Command, Request};
use crate::protocol::event::{Event, InRoom, Refusal, RefusalData};
use crate::protocol::ids::RoomId;

/// A refusal with the field that is to blame, if one is.
pub(super) struct Refused {
    code: ErrorCode,
    field: Option<&'static str>,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self { code, field: None }
    }
}

/// A refusal that names a field.
pub(super) fn refused(code: ErrorCode, field: &'static str) -> Refused {
    Refused { code, field: Some(field) }
}

impl Session {
    /// Carries out one text frame of `connection` and answers it. Nothing happens when the session has moved to another connection: the
    /// client repeats there what was not answered.
    pub fn handle(self: &Arc<Self>, connection: ConnectionId, text: &str) -> Outcome {
        let serves = lock(&self.serves);
        if *serves != connection {
            return Outcome::default();
        }
        let Request { id, command } = match command::parse(text, &self.relay.limits) {
            Ok(request) => request,
            Err(refused) => {
                let command = refused.command.map(str::to_owned);
                let data = RefusalData::new(refused.code, refused.room_id, refused.field.as_deref());
                self.push_event(&Event::Error(Refusal { command, data }), refused.id.as_deref());
                return Outcome::default();
            }
        };
        let id = id.as_deref();
        match self.carry_out(&command, id) {
            Ok(outcome) => outcome,
            Err(Refused { code, field }) => {
                let room_id = room_of(&command).and_then(RoomId::parse);
                let data = RefusalData::new(code, room_id, field);
                self.push_event(&Event::Error(Refusal { command: Some(command.name().to_owned()), data }), id);
                Outcome::default()
            }
        }
    }

    /// Answers a frame that could not even be read as text.
    pub fn refuse_frame(self: &Arc<Self>, connection: ConnectionId, code: ErrorCode) {
        let serves = lock(&self.serves);
        if *serves != connection {
            return;
        }
        self.push_event(&Event::Error(Refusal { command: None, data: RefusalData::new(code, None, None) }), None);
    }

    fn carry_out(self: &Arc<Self>, command: &Command<'_>, id: Option<&str>) -> Result<Outcome, Refused> {
        match command {
            Command::SendMessage(command) => return self.send_message(command, id),
            Command::SendMessages(command) => return self.send_messages(command, id),
            Command::Resume(command) => return Ok(self.resume(command, id)?),
            Command::CreateRoom(command) => self.create_room(command, id)?,
            Command::JoinRoomOnetime(command) => self.join_onetime(command, id)?,
            Command::JoinRoomForever(command) => self.join_forever(command, id)?,
            Command::RoomKeyOnetime(command) => self.room_key_onetime(command, id)?,
            Command::RoomKeyForever(command) => self.room_key_forever(command, id)?,
            Command::ResetRoomKeys(command) => self.reset_room_keys(command, id)?,
            Command::RevokeKey(command) => self.revoke_key(command, id)?,
            Command::LeaveRoom(command) => self.leave_room(command, id)?,
            Command::CloseRoom(command) => self.close_room(command, id)?,
            Command::RemoveMember(command) => self.remove_member(command, id)?,
            Command::TransferOwner(command) => self.transfer_owner(command, id)?,
            Command::ListMembers(command) => self.list_members(command, id)?,
            Command::SetCard(command) => self.set_card(command, id)?,
            Command::Ack(command) => self.ack(command, id)?,
        }
        Ok(Outcome::default())
    }

    /// The membership under which a command acts.
    pub(super) fn member_of(&self, room_id: &str) -> Result<Arc<Acting>, Refused> {
        self.acting(room_id).ok_or(ErrorCode::Denied.into())
    }

    /// Answers a command whose success has nothing to tell. Such a command is answered only when it carries an id.
    pub(super) fn done(self: &Arc<Self>, answer: fn(InRoom) -> Event, room_id: RoomId, id: Option<&str>) {
        if id.is_some() {
            self.push_event(&answer(InRoom { room_id }), id);
        }
    }
}

fn room_of<'a>(command: &'a Command<'_>) -> Option<&'a str> {
    Some(match command {
        Command::CreateRoom(_) | Command::Resume(_) | Command::Ack(_) => return None,
        Command::RoomKeyOnetime(command) => &command.room_id,
        Command::RoomKeyForever(command) => &command.room_id,
        Command::RevokeKey(command) => &command.room_id,
        Command::JoinRoomOnetime(command) => &command.room_id,
        Command::JoinRoomForever(command) => &command.room_id,
        Command::SendMessage(command) => &command.room_id,
        Command::SendMessages(command) => &command.room_id,
        Command::SetCard(command) => &command.room_id,
        Command::RemoveMember(command) | Command::TransferOwner(command) => &command.room_id,
        Command::ResetRoomKeys(command)
        | Command::LeaveRoom(command)
        | Command::CloseRoom(command)
        | Command::ListMembers(command) => &command.room_id,
    })
}

//! From a text frame to its effect: reads the command, runs it in its part of the relay, answers refusals.

use std::sync::Arc;

use super::connection_id::ConnectionId;
use super::session::{Acting, Session};
use super::woken::Woken;
use crate::protocol::codes::ErrorCode;
use crate::protocol::command::{self, Command, Request};
use crate::protocol::event::{Event, InRoom, Refusal, RefusalData};
use crate::protocol::ids::RoomId;
use crate::sync::lock;

/// The answer to a frame that is no command, and its id.
pub(super) fn refusal(refused: command::Refused) -> (Event, Option<String>) {
    let command = refused.command.map(str::to_owned);
    let data = RefusalData::new(refused.code, refused.room_id, refused.field.as_deref());
    (Event::Error(Refusal { command, data }), refused.id)
}

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
    /// Runs one text frame of `connection` and answers it. Nothing happens when the session has moved to another
    /// connection.
    pub(super) fn handle(self: &Arc<Self>, connection: ConnectionId, text: &str, woken: &mut Woken) {
        match command::parse(text, &self.relay.limits) {
            Ok(Request { id, command }) => self.run(connection, &command, id.as_deref(), woken),
            Err(refused) => {
                let (refusal, id) = refusal(*refused);
                let serves = lock(&self.serves);
                if *serves == connection {
                    self.push_event(&refusal, id.as_deref(), woken);
                }
            }
        }
    }

    /// Runs one command of `connection` and answers it. Nothing happens when the session has moved to another
    /// connection.
    pub(super) fn run(
        self: &Arc<Self>,
        connection: ConnectionId,
        command: &Command<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) {
        let serves = lock(&self.serves);
        if *serves != connection {
            return;
        }
        if let Err(Refused { code, field }) = self.carry_out(command, id, woken) {
            let room_id = room_of(command).and_then(RoomId::parse);
            let data = RefusalData::new(code, room_id, field);
            self.push_event(&Event::Error(Refusal { command: Some(command.name().to_owned()), data }), id, woken);
        }
    }

    /// Answers a frame of `connection` that could not even be read as text.
    pub(super) fn refuse_frame(&self, connection: ConnectionId, refusal: &Event, woken: &mut Woken) {
        let serves = lock(&self.serves);
        if *serves == connection {
            self.push_event(refusal, None, woken);
        }
    }

    fn carry_out(self: &Arc<Self>, command: &Command<'_>, id: Option<&str>, woken: &mut Woken) -> Result<(), Refused> {
        match command {
            Command::SendMessage(command) => self.send_message(command, id, woken)?,
            Command::SendMessages(command) => self.send_messages(command, id, woken)?,
            Command::Resume(command) => self.resume(command, id, woken)?,
            Command::CreateRoom(command) => self.create_room(command, id, woken)?,
            Command::JoinRoomOnetime(command) => self.join_onetime(command, id, woken)?,
            Command::JoinRoomForever(command) => self.join_forever(command, id, woken)?,
            Command::RoomKeyOnetime(command) => self.room_key_onetime(command, id, woken)?,
            Command::RoomKeyForever(command) => self.room_key_forever(command, id, woken)?,
            Command::ResetRoomKeys(command) => self.reset_room_keys(command, id, woken)?,
            Command::RevokeKey(command) => self.revoke_key(command, id, woken)?,
            Command::LeaveRoom(command) => self.leave_room(command, id, woken)?,
            Command::CloseRoom(command) => self.close_room(command, id, woken)?,
            Command::RemoveMember(command) => self.remove_member(command, id, woken)?,
            Command::TransferOwner(command) => self.transfer_owner(command, id, woken)?,
            Command::ListMembers(command) => self.list_members(command, id, woken)?,
            Command::SetCard(command) => self.set_card(command, id, woken)?,
            Command::Ack(command) => self.ack(command, id, woken)?,
        }
        Ok(())
    }

    /// The membership under which a command acts.
    pub(super) fn member_of(&self, room_id: &str) -> Result<Arc<Acting>, Refused> {
        let acting = self.acting(room_id).ok_or(ErrorCode::Denied)?;
        if acting.is_unconfirmed() {
            // A client that acts in a room knows that it is in.
            self.confirm_one(&acting);
        }
        Ok(acting)
    }

    /// Answers a command whose success has nothing to tell. Such a command is answered only when it carries an id.
    pub(super) fn done(&self, answer: fn(InRoom) -> Event, room_id: RoomId, id: Option<&str>, woken: &mut Woken) {
        if id.is_some() {
            self.push_event(&answer(InRoom { room_id }), id, woken);
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

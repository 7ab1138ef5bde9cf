//! Commands: the requests of a client.
//!
//! A frame is `{"cmd": NAME, "id"?: ID, "data"?: {…}}`. Reading borrows from the frame. Payloads (`content`, `shared`)
//! stay JSON text ([`RawString`]), so that the server can pass them on without decoding. Unknown fields are ignored.

mod data;
mod fast;
mod raw_string;
mod request;

use std::borrow::Cow;

pub use data::*;
pub use raw_string::RawString;
pub use request::{Command, Refused, Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::codes::ErrorCode;
use super::ids::RoomId;
use super::limits::Limits;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    cmd: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads one frame.
///
/// # Errors
/// The frame is not a command. The error contains the data of the answer.
pub fn parse<'a>(frame: &'a str, limits: &Limits) -> Result<Request<'a>, Box<Refused>> {
    match fast::sending(frame) {
        Some(request) if request.id.as_ref().is_none_or(|id| id.len() as u64 <= limits.id_bytes) => Ok(request),
        _ => parse_any(frame, limits),
    }
}

/// [`parse`] for every command, in any notation.
fn parse_any<'a>(frame: &'a str, limits: &Limits) -> Result<Request<'a>, Box<Refused>> {
    let refused = |code| Refused { command: None, id: None, room_id: None, code, field: None };
    if !is_object(frame) {
        return Err(Box::new(refused(ErrorCode::BadJson)));
    }
    let envelope: Envelope<'a> = serde_json::from_str(frame).map_err(|_| Box::new(refused(ErrorCode::BadJson)))?;
    let (id, id_is_bad) = match envelope.id {
        None => (None, false),
        Some(raw) => match serde_json::from_str::<Id<'a>>(raw.get()) {
            Ok(Id(id)) if id.len() as u64 <= limits.id_bytes => (Some(id), false),
            _ => (None, true),
        },
    };
    let data = envelope.data.map_or("{}", RawValue::get);
    let data = if is_object(data) { data } else { "null" };
    let parsed = Command::read(&envelope.cmd, data);
    match parsed {
        Ok(command) if !id_is_bad => Ok(Request { id, command }),
        Ok(command) => {
            let room_id = room_of(data);
            let field = Some("id".to_owned());
            Err(Box::new(Refused { command: Some(command.name()), room_id, field, ..refused(ErrorCode::BadRequest) }))
        }
        Err((command, error)) => Err(Box::new(Refused {
            command,
            id: id.map(Cow::into_owned),
            room_id: command.and_then(|_| room_of(data)),
            code: if command.is_some() { ErrorCode::BadRequest } else { ErrorCode::UnknownCommand },
            field: error.and_then(|error| named_field(&error)),
        })),
    }
}

/// Whether JSON text can be an object. Left to itself, serde also fills a struct's fields from a list, by their place.
fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{')
}

/// A string that borrows where it can: serde reads a bare `Cow` as owned.
#[derive(Deserialize)]
struct Id<'a>(#[serde(borrow)] Cow<'a, str>);

/// The room that a command names where that is well formed.
fn room_of(data: &str) -> Option<RoomId> {
    #[derive(Deserialize)]
    struct Named {
        room_id: RoomId,
    }
    serde_json::from_str::<Named>(data).ok().map(|named| named.room_id)
}

/// Which field is missing or doubled. Only these two messages are made of our own names; the others may quote the
/// client.
fn named_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let rest = text.strip_prefix("missing field `").or_else(|| text.strip_prefix("duplicate field `"))?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests;

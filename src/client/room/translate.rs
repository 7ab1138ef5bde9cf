//! Between the protocol's types, those of the sealed machine, and those of the application.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;

use super::event::{MemberList, Person, RoomEnd, RoomEvent, Text};
use crate::client::request::RequestError;
use crate::protocol::codes::{LeaveReason, RoomClosedReason};
use crate::protocol::command::{
    Command, InRoom, OfMember, Payload, RawString, RoomKeyForever, RoomKeyOnetime, SendMessages, SetCard,
};
use crate::protocol::event::{Event, User};
use crate::protocol::ids::UserId;
use crate::sealed::room as machine;
use crate::sealed::room::{Answer, Ending, Fact, Listed, Machine};
use crate::sealed::{Fingerprint, InviteKind};
use crate::secret::Token;

/// After how long a command that was refused for now is worth another try, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// What an event says about `room`; `None` when it says nothing about it.
pub(super) fn fact(event: Event, room: &str) -> Option<Fact> {
    let here = |id: &crate::protocol::ids::RoomId| id.as_str() == room;
    Some(match event {
        Event::UserJoinedOnetime(joined) | Event::UserJoinedForever(joined) if here(&joined.room_id) => {
            let user = Listed { user_id: joined.user_id.to_string(), card: joined.card };
            Fact::UserJoined { user, version: joined.version }
        }
        Event::UserLeft(left) if here(&left.room_id) => Fact::UserLeft {
            user_id: left.user_id.to_string(),
            reason: leave_reason(left.reason),
            version: left.version,
        },
        Event::OwnerChanged(changed) if here(&changed.room_id) => {
            Fact::OwnerChanged { owner_id: changed.owner_id.to_string(), version: changed.version }
        }
        Event::Members(now) if here(&now.room_id) => Fact::Members {
            owner_id: now.owner_id.to_string(),
            joined: listed(now.users),
            stayed: now.here.iter().map(ToString::to_string).collect(),
            version: now.version,
        },
        Event::SendMessage(message) if here(&message.room_id) => {
            Fact::Message { user_id: message.user_id.to_string(), content: message.content, shared: message.shared }
        }
        Event::RoomClosed(closed) if here(&closed.room_id) => Fact::Closed,
        _ => return None,
    })
}

fn leave_reason(reason: LeaveReason) -> machine::LeaveReason {
    match reason {
        LeaveReason::Left => machine::LeaveReason::Left,
        LeaveReason::Removed => machine::LeaveReason::Removed,
        LeaveReason::Lost => machine::LeaveReason::Lost,
    }
}

pub(super) fn listed(users: Vec<User>) -> Vec<Listed> {
    users.into_iter().map(|user| Listed { user_id: user.user_id.to_string(), card: user.card }).collect()
}

/// What the answer to a command says to the machine.
pub(super) fn answer(answer: Result<Event, RequestError>) -> Answer {
    let key = |token: &Token| Answer::Key(SecretString::from(token.expose().to_string()));
    match answer {
        Ok(Event::Sent(sent)) => {
            let ids = |users: &[UserId]| users.iter().map(ToString::to_string).collect();
            Answer::Sent { reached: ids(&sent.reached), held: ids(&sent.held), absent: ids(&sent.absent) }
        }
        Ok(Event::RoomKeyOnetime(keys)) => key(&keys.one_time_key),
        Ok(Event::RoomKeyForever(keys)) => key(&keys.forever_join_key),
        Ok(Event::ListMembers(list)) => {
            Answer::Members { owner_id: list.owner_id.to_string(), members: listed(list.users), version: list.version }
        }
        Ok(_) => Answer::Done,
        Err(RequestError::Refused(refusal)) => {
            Answer::Refused { retry_after_ms: (refusal.retry == "later").then_some(RETRY_MS) }
        }
        Err(RequestError::TooLarge) => Answer::Refused { retry_after_ms: None },
        Err(RequestError::Uncertain | RequestError::Timeout | RequestError::Ended(_)) => Answer::Lost,
    }
}

/// A command of the machine, ready for the wire: raw JSON strings stand where the protocol passes text through.
pub(super) struct Wire {
    command: machine::Command,
    /// The named recipients, each with its `content` if there is one.
    named: Vec<(String, Option<Box<RawValue>>)>,
    shared: Option<Box<RawValue>>,
}

impl Wire {
    pub(super) fn new(command: machine::Command) -> Self {
        let (mut named, mut shared) = (Vec::new(), None);
        if let machine::Command::Send { to, shared: all, .. } = &command {
            named = to.iter().map(|(user_id, content)| (user_id.clone(), content.as_deref().map(raw))).collect();
            shared = Some(raw(all));
        }
        Self { command, named, shared }
    }

    /// The protocol's command about `room`.
    pub(super) fn command<'a>(&'a self, room: &'a str) -> Command<'a> {
        let room_id = Cow::Borrowed(room);
        match &self.command {
            machine::Command::Send { rest, keep, .. } => Command::SendMessages(SendMessages {
                room_id,
                shared: self.shared.as_deref().and_then(RawString::new),
                to: self
                    .named
                    .iter()
                    .map(|(user_id, content)| Payload {
                        to_user_id: user_id.as_str().into(),
                        content: content.as_deref().and_then(RawString::new),
                    })
                    .collect(),
                rest: *rest,
                keep: (!keep).then_some(false),
            }),
            machine::Command::SetCard { card } => Command::SetCard(SetCard { room_id, card: card.as_str().into() }),
            machine::Command::ListMembers => Command::ListMembers(InRoom { room_id }),
            machine::Command::IssueKey { kind, expires_in } => {
                let expires_in_s = expires_in.map(|life| life.as_secs());
                match kind {
                    InviteKind::OneTime => {
                        Command::RoomKeyOnetime(RoomKeyOnetime { room_id, count: None, expires_in_s })
                    }
                    InviteKind::Forever => Command::RoomKeyForever(RoomKeyForever { room_id, expires_in_s }),
                }
            }
            machine::Command::ResetKeys => Command::ResetRoomKeys(InRoom { room_id }),
            machine::Command::RemoveMember { user_id } => {
                Command::RemoveMember(OfMember { room_id, user_id: user_id.as_str().into() })
            }
            machine::Command::HandOver { user_id } => {
                Command::TransferOwner(OfMember { room_id, user_id: user_id.as_str().into() })
            }
            machine::Command::Leave => Command::LeaveRoom(InRoom { room_id }),
            machine::Command::Close => Command::CloseRoom(InRoom { room_id }),
        }
    }
}

/// A text as a JSON string.
fn raw(text: &str) -> Box<RawValue> {
    // A string always serialises; the empty value could not be read by anyone and so does no harm.
    serde_json::value::to_raw_value(text).unwrap_or_default()
}

pub(super) fn person(room: &Machine, fingerprint: &Fingerprint) -> Person {
    if *fingerprint == room.fingerprint() {
        return me(room);
    }
    match room.member(fingerprint) {
        Some(member) => {
            Person { name: member.name, fingerprint: *fingerprint, verified: member.verified, owner: member.owner }
        }
        // Gone within the same step.
        None => {
            let name = format!("someone who left ({})", fingerprint.first_groups(1));
            Person { name, fingerprint: *fingerprint, verified: false, owner: false }
        }
    }
}

/// The author of a message, by the name that it was told under.
fn author(room: &Machine, place: machine::Place) -> Person {
    Person { name: place.name, ..person(room, &place.from) }
}

fn me(room: &Machine) -> Person {
    let fingerprint = room.fingerprint();
    Person { name: room.shown_name(), fingerprint, verified: true, owner: room.owner() == fingerprint }
}

pub(super) fn members(room: &Machine) -> MemberList {
    let others = room.members().iter().map(|member| person(room, &member.fingerprint)).collect();
    MemberList { me: me(room), others, room_name: room.room_name().to_owned() }
}

/// What an event of the machine says to the application, with the names of this moment; `None` for those that the
/// room's thread deals with.
pub(super) fn event(room: &Machine, event: machine::Event) -> Option<RoomEvent> {
    Some(match event {
        machine::Event::MemberJoined { member, name, live } => {
            RoomEvent::Joined { who: Person { name, ..person(room, &member) }, live }
        }
        machine::Event::NotHereYet { .. } => RoomEvent::NotHereYet,
        machine::Event::MemberLeft { member, name, reason } => {
            let reason = match reason {
                machine::LeaveReason::Left => LeaveReason::Left,
                machine::LeaveReason::Removed => LeaveReason::Removed,
                machine::LeaveReason::Lost => LeaveReason::Lost,
            };
            RoomEvent::Left { name, fingerprint: member, reason }
        }
        machine::Event::Message { place, text, at, early, re, gone } => {
            let machine::Place { n, private, .. } = place;
            RoomEvent::Message { from: author(room, place), text: Text::new(text), at, private, n, re, early, gone }
        }
        machine::Event::Edited { place, text } => {
            let machine::Place { n, private, .. } = place;
            RoomEvent::Edited { from: author(room, place), n, text: Text::new(text), private }
        }
        machine::Event::Deleted { place } => {
            let machine::Place { n, private, .. } = place;
            RoomEvent::Deleted { from: author(room, place), n, private }
        }
        machine::Event::Reacted { place, re, text } => {
            let private = place.private;
            RoomEvent::Reacted { from: author(room, place), re, sign: Text::new(text), private }
        }
        machine::Event::Typing { from, on } => RoomEvent::Typing { from: person(room, &from), on },
        machine::Event::Read { from, of, n } => RoomEvent::Read { from: person(room, &from), of: person(room, &of), n },
        machine::Event::Settings(settings) => RoomEvent::Settings(settings),
        machine::Event::Missing { from, name, count, private } => {
            RoomEvent::Missing { from: Person { name, ..person(room, &from) }, count, private }
        }
        machine::Event::Unconfirmed { members } => {
            RoomEvent::Unconfirmed(members.iter().map(|member| person(room, member)).collect())
        }
        machine::Event::Behind { member } => RoomEvent::Behind(person(room, &member)),
        machine::Event::OwnerGone { heir, soon, .. } => RoomEvent::OwnerGone {
            owner: person(room, &room.owner()).name,
            heir: heir.map(|heir| person(room, &heir)),
            me: heir == Some(room.fingerprint()),
            soon,
        },
        machine::Event::OwnerSilent { minutes } => RoomEvent::OwnerSilent { minutes },
        machine::Event::Unsupported { from, name, .. } => {
            RoomEvent::Unsupported { from: Person { name, ..person(room, &from) } }
        }
        machine::Event::NotSent(id, reason) => RoomEvent::NotSent { id, reason },
        machine::Event::OwnerChanged { owner, right } => {
            RoomEvent::OwnerChanged { owner: person(room, &owner), me: owner == room.fingerprint(), right }
        }
        machine::Event::HandOverFailed { .. } => RoomEvent::HandOverFailed,
        machine::Event::Rekeyed { epoch } => RoomEvent::Rekeyed { epoch },
        machine::Event::RekeyUndelivered { members } => {
            RoomEvent::RekeyUndelivered(members.iter().map(|member| person(room, member).name).collect())
        }
        machine::Event::Gap => RoomEvent::Gap,
        machine::Event::Alarm(alarm) => RoomEvent::Alarm(alarm),
        machine::Event::Sent { id, n, reached, held, absent } => {
            let people = |members: &[Fingerprint]| members.iter().map(|member| person(room, member)).collect();
            RoomEvent::Sent { id, n, reached: people(&reached), held: people(&held), absent: people(&absent) }
        }
        machine::Event::Entered
        | machine::Event::Invite { .. }
        | machine::Event::InviteFailed { .. }
        | machine::Event::Ended(_) => return None,
    })
}

pub(super) fn end(ending: Ending, closed: Option<RoomClosedReason>) -> RoomEnd {
    match ending {
        Ending::Left => RoomEnd::Left,
        Ending::Removed => RoomEnd::Removed,
        Ending::Lost => RoomEnd::Lost,
        Ending::Closed => RoomEnd::Closed(closed),
    }
}

/// A join key in its written form, for the command that shows it.
pub(super) fn exposed(key: &SecretString) -> Cow<'_, str> {
    Cow::Borrowed(key.expose_secret())
}

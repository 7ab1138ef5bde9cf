//! Sending: one payload to one member, or a packet with a payload for each of several.

use std::collections::HashSet;

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::cost::Cost;
use super::execute::{Refused, refused};
use super::outbox::Fate;
use super::registry::Handle;
use super::session::{Acting, Session, SharedRoom};
use super::woken::Woken;
use crate::protocol::codes::ErrorCode;
use crate::protocol::command::{RawString, SendMessage, SendMessages};
use crate::protocol::event::{Event, MessageHead, Sent};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::{RoomId, UserId, well_formed};
use crate::room::{Kind, Member, Origin};
use crate::sync::lock;

/// A `shared` payload up to this size is copied for each recipient, which costs less than sharing it.
const SHARE_FROM: usize = 1024;

impl Session {
    pub(super) fn send_message(
        &self,
        command: &SendMessage<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        if id.is_some_and(|id| self.answer_again(id, woken)) {
            return Ok(());
        }
        let frame = TextFrame::new(&acting.head.parts(command.content, None), Bytes::new());
        woken.cost(Cost::bytes(frame.len()));
        let guard = lock(&acting.cell.room);
        let room = guard.as_ref().ok_or(ErrorCode::Denied)?;
        room.member(&acting.user).ok_or(ErrorCode::Denied)?;
        let kind = self.message_kind(&acting);
        let (user, fate) = deliver(room, &command.to_user_id, frame, kind, true, woken)?;
        match id {
            Some(id) => {
                let mut sent = Sent { room_id: RoomId::parse(&command.room_id), ..Sent::default() };
                file(&mut sent, user, fate);
                self.answer_send(id, &Event::Sent(sent), woken);
            }
            // Without an id there is no answer that could say it.
            None if fate == Fate::Lost => return Err(ErrorCode::Absent.into()),
            None => {}
        }
        Ok(())
    }

    pub(super) fn send_messages(
        &self,
        command: &SendMessages<'_>,
        id: Option<&str>,
        woken: &mut Woken,
    ) -> Result<(), Refused> {
        let acting = self.member_of(&command.room_id)?;
        if command.to.is_empty() && command.rest.is_none() {
            return Err(refused(ErrorCode::BadRequest, "to"));
        }
        if command.shared.is_none() && command.rest.is_some() {
            return Err(refused(ErrorCode::BadRequest, "shared"));
        }
        if command.shared.is_none() && command.to.iter().any(|part| part.content.is_none()) {
            return Err(refused(ErrorCode::BadRequest, "content"));
        }
        let mut seen: HashSet<&str, RandomState> =
            HashSet::with_capacity_and_hasher(command.to.len(), RandomState::default());
        if !command.to.iter().all(|part| seen.insert(&part.to_user_id)) {
            return Err(ErrorCode::DuplicateRecipient.into());
        }
        if command.to.iter().any(|part| !well_formed(&part.to_user_id)) {
            return Err(refused(ErrorCode::BadRequest, "to_user_id"));
        }
        if id.is_some_and(|id| self.answer_again(id, woken)) {
            return Ok(());
        }
        let packet = Packet::new(&acting.head, command.shared, woken);
        let guard = lock(&acting.cell.room);
        let room = guard.as_ref().ok_or(ErrorCode::Denied)?;
        room.member(&acting.user).ok_or(ErrorCode::Denied)?;
        if command.rest.is_some_and(|version| !(1..=room.version()).contains(&version)) {
            return Err(refused(ErrorCode::BadRequest, "rest"));
        }
        let keep = command.keep.unwrap_or(true);
        let mut sent = Sent { room_id: RoomId::parse(&command.room_id), ..Sent::default() };
        let mut bytes_out = packet.tail.as_ref().map_or(0, Bytes::len);
        let kind = self.message_kind(&acting);
        for part in &command.to {
            let frame = packet.frame(part.content.unwrap_or_default());
            bytes_out += frame.own_len();
            let (user, fate) = deliver(room, &part.to_user_id, frame, kind, keep, woken)?;
            file(&mut sent, user, fate);
        }
        if let Some(version) = command.rest {
            let frame = packet.frame_of_all(woken);
            bytes_out += frame.len();
            let mut reached = 0;
            // In the order of joining: who came after that version comes last.
            for (user, member) in room.members().take_while(|(_, member)| member.since <= version) {
                if user == acting.user || seen.contains(user.as_str()) {
                    continue;
                }
                match push(member, frame.clone(), kind, keep, woken) {
                    Fate::Reached => reached += 1,
                    fate => file(&mut sent, user, fate),
                }
            }
            sent.rest = Some(reached);
        }
        woken.cost(Cost::bytes(bytes_out));
        if let Some(id) = id {
            self.answer_send(id, &Event::Sent(sent), woken);
        }
        Ok(())
    }
}

impl Session {
    /// How windows file a message of this session.
    fn message_kind(&self, acting: &Acting) -> Kind {
        let (room, sender) = (acting.room_id().short(), acting.user.short());
        Kind::Message(Origin { room, sender, source: self.source() })
    }
}

/// What the frames of one packet have in common.
struct Packet<'a> {
    head: &'a MessageHead,
    /// In every frame.
    shared: Option<RawString<'a>>,
    /// Or once for all of them, with the frame's end.
    tail: Option<Bytes>,
}

impl<'a> Packet<'a> {
    fn new(head: &'a MessageHead, shared: Option<RawString<'a>>, woken: &Woken) -> Self {
        match shared {
            Some(shared) if shared.get().len() >= SHARE_FROM => {
                let tail = [br#","shared":"#, shared.get().as_bytes(), b"}}"].concat();
                Self { head, shared: None, tail: Some(woken.share(tail)) }
            }
            _ => Self { head, shared, tail: None },
        }
    }

    /// The frame for all that are not named: they share it.
    fn frame_of_all(&self, woken: &Woken) -> TextFrame {
        let frame = self.frame(RawString::default());
        if self.tail.is_some() { frame } else { frame.into_shared(|bytes| woken.share(bytes)) }
    }

    fn frame(&self, content: RawString<'_>) -> TextFrame {
        let parts = self.head.parts(content, self.shared);
        match &self.tail {
            // The tail brings the end of the frame itself.
            Some(tail) => TextFrame::new(&parts[..2], tail.clone()),
            None => TextFrame::new(&parts, Bytes::new()),
        }
    }
}

/// Pushes a message into its recipient's session.
fn deliver(
    room: &SharedRoom,
    to: &str,
    frame: TextFrame,
    kind: Kind,
    keep: bool,
    woken: &mut Woken,
) -> Result<(UserId, Fate), Refused> {
    let known = UserId::candidate(to).and_then(|user| room.member(&user).map(|member| (user, member)));
    let (user, fate) = match known {
        Some((user, member)) => (user, push(member, frame, kind, keep, woken)),
        None => (UserId::parse(to).ok_or_else(|| refused(ErrorCode::BadRequest, "to_user_id"))?, Fate::Lost),
    };
    Ok((user, fate))
}

/// The same when the recipient is known; with `keep` also if its connection is away.
fn push(member: &Member<Handle<Session>>, frame: TextFrame, kind: Kind, keep: bool, woken: &mut Woken) -> Fate {
    let Handle(session) = &member.handle;
    if keep { session.push(frame, kind, woken) } else { session.push_if_here(frame, kind, woken) }
}

fn file(sent: &mut Sent, user: UserId, fate: Fate) {
    match fate {
        Fate::Reached => sent.reached.push(user),
        Fate::Held => sent.held.push(user),
        Fate::Lost => sent.absent.push(user),
    }
}

//! Rooms and windows in a form that can be sent to another process and read back.
//!
//! Times are those of the server that wrote them; the reader converts them into its own. The data contains every secret
//! of the room. It goes through a local socket to a process of the same user, and nowhere else.

use std::collections::HashSet;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::keys::Key;
use super::window::{Entry, Missing};
use super::{Change, JoinKeys, KeyLife, Kind, Member, Millis, Origin, Room, RoomOptions, Window, shifted};
use crate::protocol::codes::{GapReason, OwnerLeaves};
use crate::protocol::frame::TextFrame;
use crate::protocol::ids::{RoomId, UserId};
use crate::protocol::public_key::PublicKey;
use crate::secret::{Tag, TagKey, Token};

/// The largest accepted number of a place or an event. No server has counted as far, and counting can continue from
/// there.
const MOST: u64 = u64::MAX / 2;

/// A room.
#[derive(Serialize, Deserialize)]
pub struct RoomState {
    id: RoomId,
    name: Zeroizing<String>,
    max_members: u64,
    expires_at: Option<Millis>,
    owner_leaves: OwnerLeaves,
    version: u64,
    owner: UserId,
    next_place: u64,
    /// The members, in no order.
    pub members: Vec<MemberState>,
    one_time: Vec<KeyState>,
    forever: Option<KeyState>,
}

/// A member.
#[derive(Serialize, Deserialize)]
pub struct MemberState {
    /// Its user id.
    pub user: UserId,
    /// The session that it belongs to, as the relay numbers them.
    pub session: u64,
    /// Its name in the room.
    pub username: Zeroizing<String>,
    public_key: Option<Vec<u8>>,
    card: Option<Zeroizing<String>>,
    since: u64,
    place: u64,
    came_by: Option<Tag>,
}

/// A join key.
#[derive(Serialize, Deserialize)]
pub struct KeyState {
    token: Token,
    until: Option<Millis>,
}

impl KeyState {
    fn of(key: &Key) -> Self {
        Self { token: key.token.duplicate(), until: key.life.end() }
    }

    fn into_key(self, shift: i64) -> Key {
        Key { token: self.token, life: self.until.map_or(KeyLife::Room, |at| KeyLife::Until(shifted(at, shift))) }
    }
}

impl RoomState {
    /// Writes a room down; `session` numbers its handles.
    pub fn of<H>(room: &Room<H>, session: impl Fn(&H) -> u64) -> Self {
        let member = |(user, member): (&UserId, &Member<H>)| MemberState {
            user: *user,
            session: session(&member.handle),
            username: member.username.clone(),
            public_key: member.public_key.as_ref().map(|key| key.pkcs1_der().to_vec()),
            card: member.card.clone(),
            since: member.since,
            place: member.place,
            came_by: member.came_by,
        };
        Self {
            id: room.id,
            name: room.name.clone(),
            max_members: room.options.max_members as u64,
            expires_at: room.options.expires_at,
            owner_leaves: room.options.owner_leaves,
            version: room.version,
            owner: room.owner,
            next_place: room.next_place,
            members: room.members.iter().map(member).collect(),
            one_time: room.keys.one_time.values().map(KeyState::of).collect(),
            forever: room.keys.forever.as_ref().map(|(_, key)| KeyState::of(key)),
        }
    }

    /// The room; `handle` finds the handle of a session. `None` when what a member gave as its public key is none, or
    /// what is written contradicts itself.
    pub fn into_room<H>(self, tags: &TagKey, shift: i64, handle: impl Fn(&MemberState) -> H) -> Option<Room<H>> {
        let mut keys = JoinKeys::default();
        for key in self.one_time {
            let key = key.into_key(shift);
            keys.one_time.insert(tags.tag(&key.token), key);
        }
        keys.forever = self.forever.map(|key| key.into_key(shift)).map(|key| (tags.tag(&key.token), key));
        let mut room = Room {
            id: self.id,
            name: self.name,
            options: RoomOptions {
                max_members: self.max_members as usize,
                expires_at: self.expires_at.map(|at| shifted(at, shift)),
                owner_leaves: self.owner_leaves,
            },
            version: self.version,
            owner: self.owner,
            members: Default::default(),
            order: Default::default(),
            next_place: self.next_place,
            bought: Default::default(),
            keys,
        };
        if self.next_place > MOST || self.version > MOST {
            return None;
        }
        let mut sessions = HashSet::new();
        for member in self.members {
            let handle = handle(&member);
            let MemberState { user, session, username, public_key, card, since, place, came_by } = member;
            let public_key = public_key.map(|key| PublicKey::from_pkcs1_der(&key)).transpose().ok()?;
            let bought_before = came_by.and_then(|tag| room.bought.insert(tag, user));
            let placed_before = room.order.insert(place, user);
            let member = Member { username, public_key, card, handle, since, place, came_by, unconfirmed: None };
            let known_before = room.members.insert(user, member).is_some();
            let twice = known_before || placed_before.is_some() || bought_before.is_some() || !sessions.insert(session);
            if twice || place >= room.next_place || !(1..=room.version).contains(&since) {
                return None;
            }
        }
        // This says also that there is a member: a room without one could never end.
        room.members.contains_key(&room.owner).then_some(room)
    }
}

/// The window of a session that may be resumed.
#[derive(Serialize, Deserialize)]
pub struct WindowState {
    before: u64,
    last_taken: u64,
    taken: u64,
    entries: Vec<EntryState>,
}

#[derive(Serialize, Deserialize)]
enum EntryState {
    /// `message` was written by format 1 alone: a message whose origin is not known.
    Event {
        frame: FrameState,
        message: bool,
    },
    Gap {
        count: u64,
        reason: GapReason,
    },
    // Since format 2.
    Message {
        frame: FrameState,
        origin: Origin,
    },
    Members {
        frame: FrameState,
        change: Change,
    },
    Mark(Change),
    Missing(Missing),
}

/// A frame's bytes. Most of a state is frames, and clients wait while they are written and read: so they are copied
/// whole, not byte by byte.
pub struct FrameState(TextFrame);

impl FrameState {
    /// Writes a frame down.
    pub fn of(frame: &TextFrame) -> Self {
        Self(frame.clone())
    }

    /// The frame.
    pub fn into_frame(self) -> TextFrame {
        self.0
    }
}

impl Serialize for FrameState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parts() {
            [head, []] => serializer.serialize_bytes(head),
            parts => serializer.serialize_bytes(&Zeroizing::new(parts.concat())),
        }
    }
}

impl<'de> Deserialize<'de> for FrameState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(FrameVisitor)
    }
}

struct FrameVisitor;

impl Visitor<'_> for FrameVisitor {
    type Value = FrameState;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a frame's bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<FrameState, E> {
        Ok(FrameState(TextFrame::ready_made(bytes)))
    }
}

impl WindowState {
    /// Writes a window down. What belongs to its connection alone is left out.
    pub fn of(window: &Window) -> Self {
        let mut state = Self { before: window.before, last_taken: window.last_taken, taken: 0, entries: Vec::new() };
        for (index, entry) in window.entries.iter().enumerate() {
            state.entries.push(match entry {
                Entry::Event { frame, kind } => {
                    let frame = FrameState::of(frame);
                    match *kind {
                        Kind::Firm => EntryState::Event { frame, message: false },
                        Kind::Message(origin) => EntryState::Message { frame, origin },
                        Kind::Members(change) => EntryState::Members { frame, change },
                    }
                }
                Entry::Mark(change) => EntryState::Mark(*change),
                Entry::Gap(missing) => EntryState::Missing(*missing),
                Entry::Unnumbered(_) => continue,
            });
            if index < window.taken {
                state.taken += 1;
            }
        }
        state
    }

    /// The window, which retains; `None` when its numbers contradict each other.
    pub fn into_window(self) -> Option<Window> {
        let count = |entry: &EntryState| match entry {
            EntryState::Gap { count, .. } | EntryState::Missing(Missing { count, .. }) => *count,
            _ => 1,
        };
        let end = self.entries.iter().try_fold(self.before, |end, entry| end.checked_add(count(entry)))?;
        if end > MOST {
            return None;
        }
        let mut window = Window::starting_after(self.before);
        window.retain();
        for entry in self.entries {
            window.add(match entry {
                EntryState::Event { frame, message } => {
                    let kind = if message { Kind::Message(Origin::default()) } else { Kind::Firm };
                    Entry::Event { frame: frame.into_frame(), kind }
                }
                EntryState::Message { frame, origin } => {
                    Entry::Event { frame: frame.into_frame(), kind: Kind::Message(origin) }
                }
                EntryState::Members { frame, change } => {
                    Entry::Event { frame: frame.into_frame(), kind: Kind::Members(change) }
                }
                EntryState::Mark(change) => Entry::Mark(change),
                EntryState::Gap { count, reason } => Entry::Gap(Missing { count, changes: 0, reason }),
                EntryState::Missing(missing) => {
                    Entry::Gap(Missing { changes: missing.changes.min(missing.count), ..missing })
                }
            });
        }
        for _ in 0..self.taken {
            window.take()?;
        }
        (window.last_taken == self.last_taken).then_some(window)
    }
}

#[cfg(test)]
#[path = "tests/state.rs"]
mod tests;

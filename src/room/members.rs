//! A room and its members: who may come in, in which order they stand, what happens when one goes.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use zeroize::Zeroizing;

use super::keys::Key;
use super::{JoinKeys, Millis};
use crate::protocol::codes::{OwnerLeaves, RoomClosedReason};
use crate::protocol::ids::{RoomId, UserId};
use crate::protocol::public_key::PublicKey;
use crate::secret::{Tag, Token};

/// What the creator of a room chose.
#[derive(Clone, Copy, Debug)]
pub struct RoomOptions {
    /// Most members.
    pub max_members: usize,
    /// When the room's lifetime ends.
    pub expires_at: Option<Millis>,
    /// What becomes of it when its owner leaves.
    pub owner_leaves: OwnerLeaves,
}

/// Somebody who wants in. `H` is the relay's handle of a session.
pub struct Newcomer<H> {
    /// The name that it gives itself.
    pub username: Zeroizing<String>,
    /// Its public key, checked, if it gave one.
    pub public_key: Option<PublicKey>,
    /// Its card, opaque.
    pub card: Option<Zeroizing<String>>,
    /// How the relay reaches it.
    pub handle: H,
    /// Its client will confirm that it knows that it is in: until then its one-time key is kept.
    pub confirms: bool,
}

/// A member.
pub struct Member<H> {
    /// The name that it gave itself.
    pub username: Zeroizing<String>,
    /// Its public key, if it gave one.
    pub public_key: Option<PublicKey>,
    /// Its card, opaque.
    pub card: Option<Zeroizing<String>>,
    /// How the relay reaches it.
    pub handle: H,
    /// The room's version at which it came in.
    pub since: u64,
    /// Its place in the order of joining.
    pub place: u64,
    /// The one-time key that it came by, so that its own retry is known again.
    pub(super) came_by: Option<Tag>,
    /// That key, until the client confirms that it is in.
    pub(super) unconfirmed: Option<Box<Key>>,
}

/// By which key somebody wants in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// A one-time key.
    Onetime,
    /// The forever key.
    Forever,
}

/// A key as somebody shows it, and where it is filed.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The tag of the key.
    pub tag: &'a Tag,
    /// The key.
    pub token: &'a Token,
}

/// How a join came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A new member.
    New(UserId),
    /// The same session asked again with the one-time key that brought it in.
    Again(UserId),
}

/// Why nobody came in. No key is spent by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key does not open the room.
    Denied,
    /// There is no place left.
    Full,
    /// The session is a member already.
    AlreadyMember,
}

/// What a departure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// The room goes on.
    GoesOn,
    /// The room goes on under this owner.
    NewOwner(UserId),
    /// The room ends for those who are still in it.
    Ends(RoomClosedReason),
    /// Nobody is left.
    Empty,
}

/// A room. `H` is the relay's handle of a session.
pub struct Room<H> {
    // Fixed at creation.
    pub(super) id: RoomId,
    pub(super) name: Zeroizing<String>,
    pub(super) options: RoomOptions,
    // Changed by every join and departure.
    pub(super) version: u64,
    pub(super) owner: UserId,
    pub(super) members: HashMap<UserId, Member<H>, RandomState>,
    pub(super) order: BTreeMap<u64, UserId>,
    pub(super) next_place: u64,
    /// Which living membership a spent one-time key bought.
    pub(super) bought: HashMap<Tag, UserId>,
    /// The unspent keys.
    pub keys: JoinKeys,
}

impl<H: PartialEq> Room<H> {
    /// A room with its creator in it; also the creator's user id.
    pub fn new(id: RoomId, name: Zeroizing<String>, options: RoomOptions, creator: Newcomer<H>) -> (Self, UserId) {
        let mut room = Self {
            id,
            name,
            options,
            version: 0,
            owner: UserId::random(),
            members: HashMap::default(),
            order: BTreeMap::new(),
            next_place: 0,
            bought: HashMap::new(),
            keys: JoinKeys::default(),
        };
        let owner = room.owner;
        room.enter(owner, creator, None, None);
        (room, owner)
    }

    /// The room's id.
    pub fn id(&self) -> RoomId {
        self.id
    }

    /// The room's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The owner's user id.
    pub fn owner(&self) -> UserId {
        self.owner
    }

    /// The place in the order of joining that the next member will have.
    pub fn next_place(&self) -> u64 {
        self.next_place
    }

    /// Counts every join and every departure, the creator's coming as the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is in the room.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A member.
    pub fn member(&self, user: &UserId) -> Option<&Member<H>> {
        self.members.get(user)
    }

    /// Replaces a member's card; whether it is a member.
    pub fn set_card(&mut self, user: &UserId, card: Zeroizing<String>) -> bool {
        self.members.get_mut(user).map(|member| member.card = Some(card)).is_some()
    }

    /// All members, longest-standing first.
    pub fn members(&self) -> impl Iterator<Item = (UserId, &Member<H>)> {
        self.order.values().filter_map(|user| self.members.get(user).map(|member| (*user, member)))
    }

    /// Lets somebody in by a key, spending a one-time key at that moment. `is_member` says that its session is in the
    /// room already.
    ///
    /// # Errors
    /// Nobody came in, and no key is spent.
    pub fn admit(
        &mut self,
        way: WayIn,
        Shown { tag, token }: Shown<'_>,
        newcomer: Newcomer<H>,
        is_member: bool,
        now: Millis,
    ) -> Result<Admission, Refusal> {
        if way == WayIn::Onetime
            && let Some(user) = self.bought.get(tag)
            && self
                .members
                .get(user)
                .is_some_and(|m| m.handle == newcomer.handle && m.public_key == newcomer.public_key)
        {
            return Ok(Admission::Again(*user));
        }
        let opens = match way {
            WayIn::Onetime => self.keys.opens_once(tag, token, now),
            WayIn::Forever => self.keys.opens_always(tag, token, now),
        };
        if !opens {
            return Err(Refusal::Denied);
        }
        if is_member {
            return Err(Refusal::AlreadyMember);
        }
        if self.members.len() >= self.options.max_members {
            return Err(Refusal::Full);
        }
        let user = UserId::random();
        let came_by = (way == WayIn::Onetime).then_some(*tag);
        let mut unconfirmed = None;
        if let Some(tag) = came_by {
            unconfirmed = self.keys.spend(&tag).filter(|_| newcomer.confirms).map(Box::new);
            self.bought.insert(tag, user);
        }
        self.enter(user, newcomer, came_by, unconfirmed);
        Ok(Admission::New(user))
    }

    fn enter(&mut self, user: UserId, newcomer: Newcomer<H>, came_by: Option<Tag>, unconfirmed: Option<Box<Key>>) {
        let Newcomer { username, public_key, card, handle, confirms: _ } = newcomer;
        let place = self.next_place;
        self.next_place += 1;
        self.version += 1;
        let since = self.version;
        self.order.insert(place, user);
        self.members.insert(user, Member { username, public_key, card, handle, since, place, came_by, unconfirmed });
    }

    /// Takes a member out; `None` when it was not in. An owner's heir is the longest-standing member whose handle
    /// `is_here` confirms, or if there is none the longest-standing of all.
    pub fn depart(&mut self, user: &UserId, is_here: impl Fn(&H) -> bool) -> Option<(Member<H>, Aftermath)> {
        let member = self.members.remove(user)?;
        self.version += 1;
        self.order.remove(&member.place);
        if let Some(tag) = &member.came_by {
            self.bought.remove(tag);
        }
        if self.is_empty() {
            return Some((member, Aftermath::Empty));
        }
        if self.owner != *user {
            return Some((member, Aftermath::GoesOn));
        }
        if self.options.owner_leaves == OwnerLeaves::Close {
            return Some((member, Aftermath::Ends(RoomClosedReason::OwnerLeft)));
        }
        let longest = self.members().map(|(user, _)| user).next();
        let connected = self.members().find(|(_, member)| is_here(&member.handle)).map(|(user, _)| user);
        let aftermath = match connected.or(longest) {
            None => Aftermath::Empty,
            Some(heir) => {
                self.owner = heir;
                Aftermath::NewOwner(heir)
            }
        };
        Some((member, aftermath))
    }

    /// A member's client knows that it is in: its one-time key is wiped.
    pub fn confirm(&mut self, user: &UserId) {
        if let Some(member) = self.members.get_mut(user) {
            member.unconfirmed = None;
        }
    }

    /// The client of a member that departed never knew that it was in: its one-time key works again.
    pub fn give_back(&mut self, member: &mut Member<H>) {
        if let (Some(tag), Some(key)) = (member.came_by, member.unconfirmed.take()) {
            self.keys.give_back(tag, *key);
        }
    }

    /// Wipes all keys.
    pub fn reset_keys(&mut self) {
        self.keys.reset();
        self.members.values_mut().for_each(|member| member.unconfirmed = None);
    }

    /// Wipes one key of either kind; whether there was one.
    pub fn revoke_key(&mut self, Shown { tag, token }: Shown<'_>, now: Millis) -> bool {
        let user = self.bought.get(tag);
        let kept = user.and_then(|user| self.members.get_mut(user)).and_then(|member| member.unconfirmed.take());
        // All of it runs for every key, as for one that does not exist.
        kept.is_some_and(|key| key.token.matches(token)) | self.keys.revoke(tag, token, now)
    }

    /// Makes a member the owner; whether it is a member.
    pub fn transfer(&mut self, to: &UserId) -> bool {
        let known = self.members.contains_key(to);
        if known {
            self.owner = *to;
        }
        known
    }

    /// Whether the room's own time is up.
    pub fn is_over(&self, now: Millis) -> bool {
        self.options.expires_at.is_some_and(|end| end <= now)
    }

    /// When something of this room next expires: itself or a key.
    pub fn next_expiry(&self) -> Option<Millis> {
        self.options.expires_at.into_iter().chain(self.keys.next_expiry()).min()
    }
}

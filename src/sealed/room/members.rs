//! Who is accepted, who is gone, and which invites are spent. All state hangs on the fingerprint, never on the server's
//! user id.
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::sealed::{
    alarm::Who,
    certificate::{Certificate, InviteKind},
    error::SealedError,
    fingerprint::Fingerprint,
    identity::VerifyingKey,
    leaf::PublicLeaf,
    name::skeleton,
    said::SaidHash,
    step::{ChainKey, StepKeys},
};

/// How many runs of missing messages are remembered of one member.
const MOST_GAPS: usize = 64;
/// The most groups of a fingerprint that can stand behind a name.
const MOST_GROUPS: usize = 12;

/// Counts the messages of one sender in one direction.
pub(super) struct Counter {
    /// The number before the first; unknown until the sender has told it.
    beginning: Option<u32>,
    pub(super) last: u32,
    /// What the last one said.
    said: Option<SaidHash>,
    /// What was shown as missing, from and to, the newest last.
    missing: Vec<(u32, u32)>,
}

/// What a number says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// It is new, and so many before it never came.
    New { missing: u32 },
    /// The sender sent the last message once more because it could not know that it had arrived.
    SentAgain,
    /// The number of the last message, with other words.
    SaysTwoThings,
    /// Below the last.
    Backwards,
}

impl Counter {
    pub(super) fn new(beginning: Option<u32>) -> Self {
        Self { beginning, last: beginning.unwrap_or(0), said: None, missing: Vec::new() }
    }

    /// The sender says where it begins; the first word counts. Whether it is still the same.
    pub(super) fn begin(&mut self, said: u32) -> bool {
        let known = *self.beginning.get_or_insert_with(|| {
            self.last = self.last.max(said);
            said
        });
        known == said
    }

    /// Takes a number.
    pub(super) fn count(&mut self, n: u32, said: SaidHash) -> Counted {
        if n < self.last || (n == self.last && self.said.is_none()) {
            return Counted::Backwards;
        }
        if n == self.last {
            return if self.said == Some(said) { Counted::SentAgain } else { Counted::SaysTwoThings };
        }
        let missing = n - self.last - 1;
        if missing > 0 {
            self.missing.push((self.last + 1, n - 1));
            if self.missing.len() > MOST_GAPS {
                self.missing.remove(0);
            }
        }
        (self.last, self.said) = (n, Some(said));
        Counted::New { missing }
    }

    /// Whether a number can still come, or has come.
    pub(super) fn expects(&self, n: u32) -> bool {
        self.beginning.is_some_and(|beginning| n > beginning)
            && !self.missing.iter().any(|(from, to)| (*from..=*to).contains(&n))
    }
}

/// A member's chain, as far as it was handed over.
pub(super) struct TheirChain {
    pub(super) epoch: u32,
    pub(super) generation: u32,
    /// The next index.
    pub(super) index: u32,
    key: ChainKey,
}

impl TheirChain {
    pub(super) fn new(epoch: u32, generation: u32, index: u32, key: ChainKey) -> Self {
        Self { epoch, generation, index, key }
    }

    /// The same chain once more, for a message that may turn out to be bad.
    pub(super) fn copy(&self) -> Result<Self, SealedError> {
        let key = ChainKey::from_slice(self.key.expose())?;
        Ok(Self { epoch: self.epoch, generation: self.generation, index: self.index, key })
    }

    /// The keys at an index that is not below the next, and the chain to keep if the message turns out to be good. What
    /// lies between is thrown away. This chain is left as it is.
    pub(super) fn step_to(&self, index: u32) -> Result<(StepKeys, Self), SealedError> {
        let (mut next, mut keys) = self.key.step()?;
        for _ in self.index..index {
            (next, keys) = next.step()?;
        }
        Ok((keys, Self::new(self.epoch, self.generation, index + 1, next)))
    }
}

/// An accepted member.
pub(super) struct Member {
    pub(super) user_id: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) key: VerifyingKey,
    pub(super) name: String,
    /// How many groups of its fingerprint tell it from those whose names look alike; 0 if none do.
    mark: usize,
    pub(super) verified: bool,
    /// The newest that it has shown.
    pub(super) leaf: PublicLeaf,
    /// The card that it was read from, as the server gave it.
    pub(super) card: String,
    /// The newest epoch in which something of it opened.
    pub(super) epoch: u32,
    /// Whether it came after this one.
    pub(super) live: bool,
    /// Place in the order of joining.
    order: u64,
    /// One's own last room number when it was accepted: what the hands to it say.
    pub(super) said_before: u32,
    /// What it said to the room.
    pub(super) room: Counter,
    /// What it said to this member alone.
    pub(super) private: Counter,
    /// The number of the last private message to it.
    pub(super) told: u32,
    pub(super) chain: Option<TheirChain>,
    /// The hash of the last message that its chain opened.
    pub(super) last_shared: [u8; 32],
}

/// What is known of a member when it is accepted.
pub(super) struct Newcomer {
    pub(super) user_id: String,
    pub(super) key: VerifyingKey,
    pub(super) name: String,
    pub(super) leaf: PublicLeaf,
    pub(super) card: String,
    pub(super) epoch: u32,
    pub(super) live: bool,
    pub(super) said_before: u32,
}

impl Member {
    /// The name as it is shown.
    pub(super) fn shown(&self) -> String {
        shown(&self.name, self.fingerprint, self.mark)
    }

    pub(super) fn who(&self) -> Who {
        Who { user_id: self.user_id.clone(), fingerprint: Some(self.fingerprint), name: Some(self.shown()) }
    }
}

fn shown(name: &str, fingerprint: Fingerprint, mark: usize) -> String {
    if mark == 0 { name.to_owned() } else { format!("{name} ({})", fingerprint.first_groups(mark)) }
}

/// Everyone that this membership has ever known.
pub(super) struct MemberTable {
    /// Oneself, whose name may look like another's.
    me: (Fingerprint, String, usize),
    accepted: BTreeMap<Fingerprint, Member>,
    by_user_id: HashMap<String, Fingerprint>,
    /// Never accepted again; true for those that were removed.
    gone: HashMap<Fingerprint, bool>,
    /// One-time invites and their users.
    spent: HashMap<[u8; 16], Fingerprint>,
    /// Listed by the server but not accepted: an alarm was raised already.
    pub(super) refused: BTreeSet<String>,
    /// Fingerprints whose invite was refused. They stay so until the owner vouches for them.
    pub(super) refused_prints: HashSet<Fingerprint>,
    /// Listed by the server, with a card that cannot be judged yet.
    pub(super) not_here: BTreeSet<String>,
    /// Dropped here before the server said so: what it still delivers from them is ignored.
    pub(super) dropped: BTreeSet<String>,
    /// All members that the owner accepted at its last rekey.
    pub(super) roster: Option<BTreeSet<Fingerprint>>,
    /// Changes with each member that comes or goes.
    pub(super) version: u64,
    next_order: u64,
}

impl MemberTable {
    pub(super) fn new(me: Fingerprint, name: &str) -> Self {
        Self {
            me: (me, name.to_owned(), 0),
            accepted: BTreeMap::new(),
            by_user_id: HashMap::new(),
            gone: HashMap::new(),
            spent: HashMap::new(),
            refused: BTreeSet::new(),
            refused_prints: HashSet::new(),
            not_here: BTreeSet::new(),
            dropped: BTreeSet::new(),
            roster: None,
            version: 0,
            next_order: 0,
        }
    }

    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<&Member> {
        self.accepted.get(fingerprint)
    }

    pub(super) fn get_mut(&mut self, fingerprint: &Fingerprint) -> Option<&mut Member> {
        self.accepted.get_mut(fingerprint)
    }

    pub(super) fn by_user_id(&self, user_id: &str) -> Option<&Member> {
        self.by_user_id.get(user_id).and_then(|fingerprint| self.accepted.get(fingerprint))
    }

    pub(super) fn by_key(&self, key: &VerifyingKey) -> Option<&Member> {
        self.accepted.get(&key.fingerprint())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.accepted.values()
    }

    /// The user ids of all that the server has listed and not told as gone: accepted, refused or not here yet.
    pub(super) fn user_ids(&self) -> Vec<String> {
        let others = self.not_here.iter().chain(&self.refused);
        self.by_user_id.keys().chain(others).cloned().collect()
    }

    pub(super) fn prints(&self) -> impl Iterator<Item = Fingerprint> {
        self.accepted.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.accepted.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.accepted.is_empty()
    }

    /// The longest-standing members, first.
    pub(super) fn longest_standing(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.accepted.values().collect();
        members.sort_unstable_by_key(|member| member.order);
        members
    }

    /// Whether a fingerprint was accepted before and is gone: `Some(true)` if it was removed.
    pub(super) fn gone(&self, fingerprint: &Fingerprint) -> Option<bool> {
        self.gone.get(fingerprint).copied()
    }

    /// Whether a one-time invite was used by somebody else.
    pub(super) fn spent_by_other(&self, invite: &Certificate, fingerprint: Fingerprint) -> bool {
        invite.kind == InviteKind::OneTime && self.spent.get(&invite.id).is_some_and(|user| *user != fingerprint)
    }

    /// Marks an invite as used.
    pub(super) fn spend(&mut self, invite: &Certificate, fingerprint: Fingerprint) {
        if invite.kind == InviteKind::OneTime {
            self.spent.entry(invite.id).or_insert(fingerprint);
        }
    }

    /// Takes a member in and returns the name to show. Its order and its mark are set here.
    pub(super) fn accept(&mut self, newcomer: Newcomer) -> String {
        let Newcomer { user_id, key, name, leaf, card, epoch, live, said_before } = newcomer;
        let fingerprint = key.fingerprint();
        self.not_here.remove(&user_id);
        self.refused.remove(&user_id);
        self.by_user_id.insert(user_id.clone(), fingerprint);
        let member = Member {
            user_id,
            fingerprint,
            key,
            name: name.clone(),
            mark: 0,
            verified: false,
            leaf,
            card,
            epoch,
            live,
            order: self.next_order,
            said_before,
            room: Counter::new(None),
            private: Counter::new(Some(0)),
            told: 0,
            chain: None,
            last_shared: [0; 32],
        };
        self.next_order += 1;
        self.version += 1;
        self.accepted.insert(fingerprint, member);
        self.set_marks(&name);
        self.accepted.get(&fingerprint).map(Member::shown).unwrap_or_default()
    }

    /// Marks all whose names look like this one, with as many groups as tell them apart.
    fn set_marks(&mut self, name: &str) {
        let looks = skeleton(name);
        let members = self.accepted.values_mut().map(|member| (member.fingerprint, &member.name, &mut member.mark));
        let (me, my_name, my_mark) = &mut self.me;
        let everyone = members.chain([(*me, &*my_name, my_mark)]);
        let mut alike: Vec<_> =
            everyone.filter(|(_, name, _)| skeleton(name) == looks).map(|(print, _, mark)| (print, mark)).collect();
        let tells_apart = |groups: &usize| {
            let firsts: BTreeSet<_> = alike.iter().map(|(print, _)| print.first_groups(*groups)).collect();
            firsts.len() == alike.len()
        };
        let mark = if alike.len() < 2 { 0 } else { (1..MOST_GROUPS).find(tells_apart).unwrap_or(MOST_GROUPS) };
        for (_, known) in &mut alike {
            **known = mark;
        }
    }

    /// One's own name as others may see it: marked if another's looks alike.
    pub(super) fn own_name(&self) -> String {
        let (me, name, mark) = &self.me;
        shown(name, *me, *mark)
    }

    /// Lets a member go; it is never accepted again.
    pub(super) fn drop_member(&mut self, fingerprint: Fingerprint, removed: bool) -> Option<Member> {
        let removed = removed || self.gone(&fingerprint).unwrap_or(false);
        self.gone.insert(fingerprint, removed);
        let member = self.accepted.remove(&fingerprint)?;
        self.version += 1;
        self.by_user_id.remove(&member.user_id);
        Some(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_new_missing_repeated_and_contradicting() {
        let (a, b) = (SaidHash([1; 16]), SaidHash([2; 16]));
        let mut counter = Counter::new(Some(0));
        assert_eq!(counter.count(1, a), Counted::New { missing: 0 });
        assert_eq!(counter.count(1, a), Counted::SentAgain);
        assert_eq!(counter.count(1, b), Counted::SaysTwoThings);
        assert_eq!(counter.count(4, b), Counted::New { missing: 2 });
        assert_eq!(counter.count(3, a), Counted::Backwards);
        assert!(counter.expects(1) && !counter.expects(2) && !counter.expects(3) && counter.expects(9));
        let mut later = Counter::new(None);
        assert!(!later.expects(70));
        assert!(later.begin(68) && later.begin(68) && !later.begin(67));
        assert_eq!(later.count(70, a), Counted::New { missing: 1 });
        assert!(!later.expects(68));
    }
}

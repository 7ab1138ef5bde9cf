//! Who is accepted, who is gone, and which invites are spent. All state hangs on the fingerprint, never on the server's user id.
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    protocol::public_key::PublicKey,
    sealed::{
        alarm::Who,
        certificate::{Certificate, InviteKind},
        fingerprint::Fingerprint,
        identity::{RecipientKey, SIGNATURE_BYTES, VerifyingKey},
    },
};

/// Counts the messages of one sender in one direction.
#[derive(Default)]
pub(super) struct Counter {
    /// The last number; `None` while any may come first.
    last: Option<u64>,
    /// The signature of the last message, and the hash of its sealed form.
    latest: Option<([u8; SIGNATURE_BYTES], [u8; 32])>,
}

/// What a number says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// It is new, and so many before it never came.
    New { missing: u64 },
    /// The sender sent the last message once more because it could not know that it had arrived.
    SentAgain,
    /// It was there before.
    Replayed,
}

impl Counter {
    /// Starts so that `n` = 1 is the next.
    pub(super) fn from_zero() -> Self {
        Self { last: Some(0), latest: None }
    }

    /// Takes a number. A repetition by the sender carries the same signature in a new seal; a repetition by the server is the same seal.
    pub(super) fn count(&mut self, n: u64, signature: [u8; SIGNATURE_BYTES], seal: [u8; 32]) -> Counted {
        match (self.last, self.latest) {
            (Some(last), Some((signed, sealed))) if n == last && signature == signed && seal != sealed => {
                self.latest = Some((signature, seal));
                Counted::SentAgain
            }
            (Some(last), _) if n <= last => Counted::Replayed,
            (last, _) => {
                (self.last, self.latest) = (Some(n), Some((signature, seal)));
                Counted::New { missing: last.map_or(0, |last| n - last - 1) }
            }
        }
    }
}

/// An accepted member.
pub(super) struct Member {
    pub(super) user_id: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) key: VerifyingKey,
    pub(super) public_key: PublicKey,
    pub(super) recipient: RecipientKey,
    pub(super) name: String,
    /// Whether somebody else had the name before.
    pub(super) marked: bool,
    pub(super) verified: bool,
    /// Place in the order of joining.
    pub(super) order: u64,
    /// What it said to the room.
    pub(super) room: Counter,
    /// What it said to this member alone.
    pub(super) private: Counter,
    /// The number of the last private message to it.
    pub(super) last_private: u64,
}

impl Member {
    /// The name as it is shown.
    pub(super) fn shown(&self) -> String {
        if self.marked { format!("{} ({})", self.name, self.fingerprint.first_group()) } else { self.name.clone() }
    }

    pub(super) fn who(&self) -> Who {
        Who { user_id: self.user_id.clone(), fingerprint: Some(self.fingerprint), name: Some(self.shown()) }
    }
}

/// Everyone that this membership has ever known.
#[derive(Default)]
pub(super) struct MemberTable {
    accepted: BTreeMap<Fingerprint, Member>,
    by_user_id: HashMap<String, Fingerprint>,
    /// Never accepted again; true for those who were removed.
    gone: HashMap<Fingerprint, bool>,
    /// One-time invites and who used them.
    spent: HashMap<[u8; 16], Fingerprint>,
    /// Listed by the server but not accepted: an alarm was raised already.
    pub(super) refused: HashSet<String>,
    /// Fingerprints whose invite was refused. They stay so: the rules for a list, which cannot judge as much, must not let them in.
    pub(super) refused_prints: HashSet<Fingerprint>,
    /// Listed by the server, with a card of another epoch; true for those who joined live, and are judged so.
    pub(super) not_here: HashMap<String, bool>,
    /// Dropped here before the server said so: what it still delivers from them is ignored.
    pub(super) dropped: HashSet<String>,
    next_order: u64,
}

impl MemberTable {
    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Option<&Member> {
        self.accepted.get(fingerprint)
    }

    pub(super) fn get_mut(&mut self, fingerprint: &Fingerprint) -> Option<&mut Member> {
        self.accepted.get_mut(fingerprint)
    }

    pub(super) fn by_user_id(&self, user_id: &str) -> Option<&Member> {
        self.by_user_id.get(user_id).and_then(|fingerprint| self.accepted.get(fingerprint))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.accepted.values()
    }

    /// The user ids of all that the server has listed and not told as gone: accepted, refused or not here yet.
    pub(super) fn user_ids(&self) -> Vec<String> {
        let others = self.not_here.keys().chain(&self.refused);
        self.by_user_id.keys().chain(others).cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.accepted.is_empty()
    }

    /// Those who are longest in the room, first.
    pub(super) fn longest_standing(&self, count: usize) -> Vec<Fingerprint> {
        let mut members: Vec<_> = self.accepted.values().map(|member| (member.order, member.fingerprint)).collect();
        members.sort_unstable();
        members.into_iter().take(count).map(|(_, fingerprint)| fingerprint).collect()
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

    /// Takes a member in and returns the name to show. Its order, and whether its name is marked, are set here.
    pub(super) fn accept(&mut self, mut member: Member, own_name: &str) -> String {
        member.marked = member.name == own_name || self.accepted.values().any(|other| other.name == member.name);
        member.order = self.next_order;
        self.next_order += 1;
        self.not_here.remove(&member.user_id);
        self.refused.remove(&member.user_id);
        self.by_user_id.insert(member.user_id.clone(), member.fingerprint);
        let shown = member.shown();
        self.accepted.insert(member.fingerprint, member);
        shown
    }

    /// Lets a member go; it is never accepted again.
    pub(super) fn drop_member(&mut self, fingerprint: Fingerprint, removed: bool) -> Option<Member> {
        let removed = removed || self.gone(&fingerprint).unwrap_or(false);
        self.gone.insert(fingerprint, removed);
        let member = self.accepted.remove(&fingerprint)?;
        self.by_user_id.remove(&member.user_id);
        Some(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_new_missing_repeated_and_replayed() {
        let (a, b) = ([1; 64], [2; 64]);
        let mut counter = Counter::from_zero();
        assert_eq!(counter.count(1, a, [1; 32]), Counted::New { missing: 0 });
        assert_eq!(counter.count(1, a, [1; 32]), Counted::Replayed);
        assert_eq!(counter.count(1, a, [2; 32]), Counted::SentAgain);
        assert_eq!(counter.count(1, b, [3; 32]), Counted::Replayed);
        assert_eq!(counter.count(4, b, [4; 32]), Counted::New { missing: 2 });
        assert_eq!(counter.count(3, a, [5; 32]), Counted::Replayed);
        let mut later = Counter::default();
        assert_eq!(later.count(70, a, [1; 32]), Counted::New { missing: 0 });
        assert_eq!(later.count(72, a, [2; 32]), Counted::New { missing: 1 });
    }
}

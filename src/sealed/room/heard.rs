//! What was said by whom, by its hash: what `after` names, what references find, and who has confirmed one's own words.
use std::collections::{BTreeMap, BTreeSet};

use crate::sealed::{
    fingerprint::Fingerprint,
    plain::{After, MAX_AFTER},
    said::SaidHash,
};

/// How many messages are kept of one author in one conversation.
const MOST_OF_ONE: usize = 256;
/// For how long of one's talking a member may confirm nothing, in milliseconds of connected time.
const SILENT_MS: u64 = 120_000;

/// One author's side of a conversation: with the room, or with one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Side {
    pub(super) author: Fingerprint,
    /// The only recipient, if private.
    pub(super) to: Option<Fingerprint>,
}

/// What its author may still do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Text,
    File,
    Deleted,
    /// Neither to be changed nor to be taken back.
    Other,
}

/// Messages that were heard or said.
#[derive(Default)]
pub(super) struct Heard {
    said: BTreeMap<Side, BTreeMap<u32, (SaidHash, Line)>>,
    /// The newest room message of each author, the latest heard last.
    newest: Vec<(Fingerprint, u32)>,
    /// Pairs that were found to disagree.
    pub(super) disagreeing: BTreeSet<(Fingerprint, Fingerprint)>,
}

impl Heard {
    pub(super) fn add(&mut self, side: Side, n: u32, said: SaidHash) {
        let all = self.said.entry(side).or_default();
        all.insert(n, (said, Line::Other));
        if all.len() > MOST_OF_ONE {
            all.pop_first();
        }
        if side.to.is_none() {
            self.newest.retain(|(author, _)| *author != side.author);
            self.newest.push((side.author, n));
        }
    }

    pub(super) fn get(&self, side: Side, n: u32) -> Option<SaidHash> {
        self.said.get(&side)?.get(&n).map(|(said, _)| *said)
    }

    /// What a message is to its author.
    pub(super) fn line(&self, side: Side, n: u32) -> Option<Line> {
        self.said.get(&side)?.get(&n).map(|(_, line)| *line)
    }

    pub(super) fn set_line(&mut self, side: Side, n: u32, line: Line) {
        if let Some((_, known)) = self.said.get_mut(&side).and_then(|all| all.get_mut(&n)) {
            *known = line;
        }
    }

    /// What one's next message names.
    pub(super) fn after(&self, me: Fingerprint) -> Vec<After> {
        let others: Vec<_> = self.newest.iter().filter(|(author, _)| *author != me).collect();
        let named = others[others.len().saturating_sub(MAX_AFTER)..].iter();
        named
            .filter_map(|&&(author, n)| {
                let said = self.get(Side { author, to: None }, n)?;
                Some(After { author: short(author), n, said })
            })
            .collect()
    }

    /// An author is gone. Its messages stay, since references may name them.
    pub(super) fn forget(&mut self, author: &Fingerprint) {
        self.newest.retain(|(known, _)| known != author);
    }
}

/// How `after` names an author.
pub(super) fn short(author: Fingerprint) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&author.as_bytes()[..8]);
    out
}

/// Who has confirmed what one said to the room.
#[derive(Default)]
pub(super) struct Confirmations {
    /// By member: the number of one's first words that it has not confirmed, and when they were said.
    open: BTreeMap<Fingerprint, (u32, u64)>,
    /// Members that the user was told of.
    told: BTreeSet<Fingerprint>,
}

impl Confirmations {
    /// One has said something that asks for it. Says who has been silent for too long.
    pub(super) fn said(&mut self, n: u32, members: &[Fingerprint], time: u64) -> Vec<Fingerprint> {
        let mut silent = Vec::new();
        for member in members {
            let (_, since) = *self.open.entry(*member).or_insert((n, time));
            if time - since >= SILENT_MS && self.told.insert(*member) {
                silent.push(*member);
            }
        }
        silent
    }

    /// A member names words of one's own. `last` is one's own last number.
    pub(super) fn confirmed(&mut self, member: Fingerprint, n: u32, last: u32, time: u64) {
        if self.open.get(&member).is_some_and(|(first, _)| n >= *first) {
            self.told.remove(&member);
            if n >= last {
                self.open.remove(&member);
            } else {
                self.open.insert(member, (n + 1, time));
            }
        }
    }

    pub(super) fn forget(&mut self, member: &Fingerprint) {
        self.open.remove(member);
        self.told.remove(member);
    }
}

//! What is lacking, here and at others, and when it is asked for or handed on. Asking never ends and never hurries:
//! each pause is twice the one before, until it helped or the connection is new.
use std::collections::BTreeMap;

use crate::sealed::fingerprint::Fingerprint;

/// The first pause between notes, and the longest, in milliseconds of connected time.
const PAUSE_MS: u64 = 10_000;
const LONGEST_PAUSE_MS: u64 = 300_000;
/// How long the owner alone has to answer.
const OWNER_MS: u64 = 5_000;
/// At most one note is looked at, and one secret handed on, for each member in this time.
const EACH_MS: u64 = 10_000;

/// The secret is lacking.
#[derive(Clone, Copy)]
pub(super) struct Lacking {
    /// When the next note is due.
    pub(super) due: u64,
    /// How many went out.
    pub(super) sent: u32,
}

/// A member's notes.
#[derive(Default)]
struct Notes {
    looked_at: u64,
    /// The newest one that waits.
    waiting: Option<String>,
}

#[derive(Default)]
pub(super) struct Healing {
    pub(super) secret: Option<Lacking>,
    /// Chains that are lacking, by sender: when the next note is due, and the pause before it.
    chains: BTreeMap<Fingerprint, (u64, u64)>,
    notes: BTreeMap<Fingerprint, Notes>,
    /// When a member was last handed the secret.
    handed: BTreeMap<Fingerprint, u64>,
    /// Members that still speak in an old epoch: when they are handed the secret, and the epoch.
    pub(super) behind: BTreeMap<Fingerprint, (u64, u32)>,
    /// When the chain was last renewed for the sake of a note.
    pub(super) renewed: Option<u64>,
}

impl Healing {
    /// A new connection: a member that could not answer may do so now.
    pub(super) fn resumed(&mut self, time: u64) {
        if let Some(lacking) = &mut self.secret {
            *lacking = Lacking { due: time, sent: 0 };
        }
        self.chains.clear();
    }

    /// A newer secret came.
    pub(super) fn adopted(&mut self) {
        self.secret = None;
        self.behind.clear();
    }

    pub(super) fn forget(&mut self, member: &Fingerprint) {
        self.chains.remove(member);
        self.notes.remove(member);
        self.handed.remove(member);
        self.behind.remove(member);
    }

    /// Whether a note about the secret is due now; how many went out before it.
    pub(super) fn take_secret_due(&mut self, time: u64) -> Option<u32> {
        let lacking = self.secret.as_mut().filter(|lacking| lacking.due <= time)?;
        let sent = lacking.sent;
        let pause = match sent.checked_sub(1) {
            None => OWNER_MS,
            Some(doublings) => (PAUSE_MS << doublings.min(8)).min(LONGEST_PAUSE_MS),
        };
        *lacking = Lacking { due: time + pause, sent: sent.saturating_add(1) };
        Some(sent)
    }

    /// Whether to ask a sender for its chain now.
    pub(super) fn ask_for_chain(&mut self, sender: Fingerprint, time: u64) -> bool {
        let known = self.chains.get(&sender).copied();
        if known.is_some_and(|(due, _)| due > time) {
            return false;
        }
        let pause = known.map_or(PAUSE_MS, |(_, pause)| (pause * 2).min(LONGEST_PAUSE_MS));
        self.chains.insert(sender, (time + pause, pause));
        true
    }

    /// A sender's chain came.
    pub(super) fn chain_came(&mut self, sender: &Fingerprint) {
        self.chains.remove(sender);
    }

    /// Whether a member's note is looked at now; if not, it waits, and the one that waited is dropped.
    pub(super) fn take_note(&mut self, member: Fingerprint, shared: &str, time: u64) -> bool {
        match self.notes.get_mut(&member) {
            Some(notes) if notes.looked_at + EACH_MS > time => {
                notes.waiting = Some(shared.to_owned());
                false
            }
            _ => {
                self.notes.insert(member, Notes { looked_at: time, waiting: None });
                true
            }
        }
    }

    /// The notes whose turn has come.
    pub(super) fn notes_due(&mut self, time: u64) -> Vec<(Fingerprint, String)> {
        let mut due = Vec::new();
        for (member, notes) in self.notes.iter_mut().filter(|(_, notes)| notes.looked_at + EACH_MS <= time) {
            if let Some(shared) = notes.waiting.take() {
                notes.looked_at = time;
                due.push((*member, shared));
            }
        }
        due
    }

    /// Whether a member may be handed the secret now.
    pub(super) fn hand_on(&mut self, member: Fingerprint, time: u64) -> bool {
        let due = self.handed.get(&member).is_none_or(|at| at + EACH_MS <= time);
        if due {
            self.handed.insert(member, time);
        }
        due
    }

    /// The members behind whose turn has come, with the epoch in which they speak.
    pub(super) fn behind_due(&mut self, time: u64) -> Vec<(Fingerprint, u32)> {
        let due: Vec<_> = self.behind.iter().filter(|(_, (due, _))| *due <= time).map(|(m, (_, e))| (*m, *e)).collect();
        for (member, _) in &due {
            self.behind.remove(member);
        }
        due
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let notes = self.notes.values().filter(|notes| notes.waiting.is_some()).map(|notes| notes.looked_at + EACH_MS);
        let behind = self.behind.values().map(|(due, _)| *due);
        notes.chain(behind).chain(self.secret.map(|lacking| lacking.due)).min()
    }
}

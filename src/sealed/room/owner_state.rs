//! What belongs to the office of the owner: grants, hand-overs, rekeys, invites.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::output::InviteId;
use crate::sealed::{certificate::InviteKind, chain::OwnerChain, fingerprint::Fingerprint};

/// An invite that was asked for.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) id: InviteId,
    pub(super) kind: InviteKind,
    pub(super) expires_in: Option<Duration>,
}

/// An owner's rekey between its commands and its `secret` message.
pub(super) struct Rekey {
    /// How many answers it waits for.
    pub(super) waits_for: usize,
    pub(super) deadline: u64,
}

#[derive(Default)]
pub(super) struct OwnerState {
    /// Chains with oneself at their end, from the present owner, in case it is gone: by epoch.
    pub(super) grants: BTreeMap<u32, OwnerChain>,
    /// The same, handed over by the present owner.
    pub(super) handed: Option<OwnerChain>,
    /// Whether the room goes to an heir when its owner leaves.
    pub(super) keeps_heirs: bool,
    /// The newest epoch for which each member has been made an heir.
    pub(super) supplied: BTreeMap<Fingerprint, u32>,
    /// Until when the owner that the server names must have proved itself.
    pub(super) proof: Option<u64>,
    /// The member that is being made the owner, and until when the server must have answered.
    pub(super) handing: Option<(Fingerprint, u64)>,
    /// The member that one has handed the room to, until that one proves it.
    pub(super) handed_to: Option<Fingerprint>,
    pub(super) rekey: Option<Rekey>,
    /// How often the owner has asked who has the new secret, and when it asks next.
    pub(super) receipts: Option<(usize, u64)>,
    /// Invites that wait for a rekey to end.
    pub(super) waiting: Vec<Wanted>,
    /// Members that the server has named as the owner.
    pub(super) named: BTreeSet<Fingerprint>,
    /// How often this member has passed the server's office on.
    pub(super) passes: u32,
    /// Whether nobody knows yet that this member is the owner: its first `secret` tells.
    pub(super) unknown: bool,
    /// Whether the person may take the office.
    pub(super) offered: bool,
}

impl OwnerState {
    /// A newer epoch ends all that was granted for those before.
    pub(super) fn forget_up_to(&mut self, epoch: u32) {
        self.grants.retain(|granted, _| *granted > epoch);
        self.handed = None;
        self.offered = false;
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let rekey = self.rekey.as_ref().map(|rekey| rekey.deadline);
        let others = [self.proof, self.handing.map(|(_, until)| until), self.receipts.map(|(_, at)| at)];
        others.into_iter().chain([rekey]).flatten().min()
    }
}

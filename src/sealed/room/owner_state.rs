//! What a member keeps because it owns the room, or may come to own it.
use std::{collections::BTreeSet, time::Duration};

use super::output::InviteId;
use crate::sealed::{certificate::InviteKind, chain::OwnerChain, fingerprint::Fingerprint};

/// An invite that was asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) id: InviteId,
    pub(super) kind: InviteKind,
    pub(super) expires_in: Option<Duration>,
}

/// An owner's rekey between its commands and its `secret` message.
#[derive(Default)]
pub(super) struct Rekey {
    pub(super) removed: Vec<Fingerprint>,
    /// When it stops waiting for the server's answers.
    pub(super) deadline: u64,
}

#[derive(Default)]
pub(super) struct OwnerState {
    /// The chain with oneself at its end, from the present owner.
    pub(super) grant: Option<OwnerChain>,
    /// Whether the room goes to an heir when its owner leaves.
    pub(super) keeps_heirs: bool,
    /// The heirs under the present chain.
    pub(super) heirs: BTreeSet<Fingerprint>,
    /// Until when the owner that the server names must have proved itself.
    pub(super) proof: Option<u64>,
    /// A rekey under way.
    pub(super) rekey: Option<Rekey>,
    /// Invites that wait for a rekey to end.
    pub(super) waiting: Vec<Wanted>,
}

//! Epochs: the room secret of the present one, and of older ones what still opens notes and secrets.
use std::collections::BTreeMap;

use crate::sealed::{
    error::SealedError,
    secret::{EpochKeys, RoomSecret},
};

/// How long messages of an old epoch are still read once the new one is answered for, in milliseconds of connected
/// time.
const OLD_EPOCH_MS: u64 = 120_000;
/// Of how many epochs the keys for notes are kept, and how far a member may be behind.
pub(super) const MOST_EPOCHS: u32 = 1_024;

/// The present room secret and what is left of older ones.
pub(super) struct Epochs {
    current: RoomSecret,
    keys: BTreeMap<u32, EpochKeys>,
    /// Old epochs whose messages are still read, until a time that is not known before the server has answered.
    old: Vec<(u32, Option<u64>)>,
}

impl Epochs {
    pub(super) fn new(current: RoomSecret) -> Result<Self, SealedError> {
        let keys = current.keys()?;
        Ok(Self { keys: BTreeMap::from([(current.epoch(), keys)]), current, old: Vec::new() })
    }

    pub(super) fn current(&self) -> &RoomSecret {
        &self.current
    }

    /// The number of the present epoch.
    pub(super) fn number(&self) -> u32 {
        self.current.epoch()
    }

    /// The keys of an epoch of this membership.
    pub(super) fn keys(&self, epoch: u32) -> Option<&EpochKeys> {
        self.keys.get(&epoch)
    }

    /// The keys of the present epoch.
    pub(super) fn present(&self) -> &EpochKeys {
        &self.keys[&self.current.epoch()]
    }

    /// Whether messages of this epoch are read.
    pub(super) fn reads(&self, epoch: u32) -> bool {
        epoch == self.number() || self.old.iter().any(|(old, _)| *old == epoch)
    }

    /// Goes over to a newer secret. The old one is wiped, since nothing is made of it any more.
    pub(super) fn advance(&mut self, next: RoomSecret, keys: EpochKeys) {
        self.old.push((self.number(), None));
        self.keys.insert(next.epoch(), keys);
        self.current = next;
        if self.keys.len() > MOST_EPOCHS as usize {
            self.keys.pop_first();
        }
    }

    /// The server has taken what belongs to the present epoch.
    pub(super) fn answered(&mut self, time: u64) {
        for (_, until) in &mut self.old {
            until.get_or_insert(time + OLD_EPOCH_MS);
        }
    }

    pub(super) fn expire(&mut self, time: u64) {
        self.old.retain(|(_, until)| until.is_none_or(|until| until > time));
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.old.iter().filter_map(|(_, until)| *until).min()
    }
}

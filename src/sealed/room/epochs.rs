//! The secrets of the epochs, and where an epoch lies that a header names.
use crate::sealed::{
    alarm::{Alarm, Who},
    secret::RoomSecret,
};

/// The present room secret, and old ones for as long as messages under them may still come.
pub(super) struct Epochs {
    current: RoomSecret,
    /// With the time at which each is wiped.
    old: Vec<(RoomSecret, u64)>,
}

impl Epochs {
    pub(super) fn new(current: RoomSecret) -> Self {
        Self { current, old: Vec::new() }
    }

    pub(super) fn current(&self) -> &RoomSecret {
        &self.current
    }

    pub(super) fn get(&self, epoch: u32) -> Option<&RoomSecret> {
        std::iter::once(&self.current)
            .chain(self.old.iter().map(|(secret, _)| secret))
            .find(|secret| secret.epoch() == epoch)
    }

    /// Goes over to the next epoch; the secret of the present one stays until `keep_until`.
    pub(super) fn advance(&mut self, next: RoomSecret, keep_until: u64) {
        let old = std::mem::replace(&mut self.current, next);
        self.old.push((old, keep_until));
    }

    pub(super) fn expire(&mut self, now: u64) {
        self.old.retain(|(_, until)| *until > now);
    }

    /// Where an epoch lies for a member who does not make the epochs.
    pub(super) fn place(&self, epoch: u32) -> Place {
        match epoch.checked_sub(self.current.epoch()) {
            None => Place::Past,
            Some(0) => Place::Present,
            Some(1) => Place::Next,
            Some(_) => Place::Beyond(Alarm::SecretTooNew),
        }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.old.iter().map(|(_, until)| *until).min()
    }
}

/// Where an epoch that a header names lies. The header is unauthenticated.
pub(super) enum Place {
    Past,
    Present,
    /// Its secret may be on its way.
    Next,
    /// It cannot be: to be refused, with this alarm.
    Beyond(fn(Who) -> Alarm),
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_secret_is_dropped_at_its_time_and_the_present_one_never() {
        let secret = |epoch| RoomSecret::from_slice(epoch, &[7; 32]).unwrap();
        let mut epochs = Epochs::new(secret(0));
        assert_eq!(epochs.deadline(), None);
        epochs.advance(secret(1), 200);
        epochs.advance(secret(2), 100);
        let kept = |epochs: &Epochs| [0, 1, 2, 3].map(|epoch| epochs.get(epoch).is_some());
        assert_eq!((kept(&epochs), epochs.deadline()), ([true, true, true, false], Some(100)));
        epochs.expire(99);
        assert_eq!((kept(&epochs), epochs.deadline()), ([true, true, true, false], Some(100)));
        epochs.expire(100);
        assert_eq!((kept(&epochs), epochs.deadline()), ([true, false, true, false], Some(200)));
        epochs.expire(u64::MAX);
        assert_eq!((kept(&epochs), epochs.deadline()), ([false, false, true, false], None));
        assert_eq!(epochs.current().epoch(), 2);
    }
}

//! Admits connections, as many as the limits of their addresses allow.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::relay::{Account, Count, Relay, Taken};

/// Connections beyond the bound that may be open at once just to be told so.
const TO_BE_TOLD: u64 = 64;

/// Counts connections against their bounds.
pub(super) struct Admission {
    relay: Arc<Relay>,
    told: AtomicU64,
}

/// What becomes of a new connection.
pub(super) enum Verdict {
    /// It is served.
    Admitted(Permit),
    /// It is only told that there are too many.
    Refused(Refused),
    /// There are too many even to tell it.
    Dropped,
}

/// A connection's place; given back when dropped.
pub(super) struct Permit(Taken);

impl Permit {
    /// The account of the address that the connection comes from.
    pub(super) fn account(&self) -> &Arc<Account> {
        self.0.account()
    }
}

/// The place of a connection that is only told; given back when dropped.
pub(super) struct Refused(Arc<Admission>);

impl Admission {
    pub(super) fn new(relay: Arc<Relay>) -> Arc<Self> {
        Arc::new(Self { relay, told: AtomicU64::new(0) })
    }

    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Verdict {
        if let Some(taken) = self.relay.account_of(address).take(Count::Connections) {
            return Verdict::Admitted(Permit(taken));
        }
        let more = |told: u64| (told < TO_BE_TOLD).then_some(told + 1);
        match self.told.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Verdict::Refused(Refused(self.clone())),
            Err(_) => Verdict::Dropped,
        }
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        self.0.told.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::limits::Limits;

    fn admission(settings: &[&str]) -> Arc<Admission> {
        Admission::new(Relay::new(Limits::from_settings(settings).unwrap(), String::new()))
    }

    fn admitted(admission: &Arc<Admission>, address: &str) -> Option<Permit> {
        match admission.admit(address.parse().unwrap()) {
            Verdict::Admitted(permit) => Some(permit),
            _ => None,
        }
    }

    #[test]
    fn counts_by_address_and_by_network() {
        let bounds = admission(&["connections_per_address=1"]);
        let first = admitted(&bounds, "192.0.2.1").unwrap();
        assert!(admitted(&bounds, "192.0.2.1").is_none());
        assert!(admitted(&bounds, "::ffff:192.0.2.1").is_none());
        let _other = admitted(&bounds, "192.0.2.2").unwrap();
        let _v6 = admitted(&bounds, "2001:db8::1").unwrap();
        assert!(admitted(&bounds, "2001:db8::2").is_none());
        let _network = admitted(&bounds, "2001:db8:0:1::1").unwrap();
        drop(first);
        assert!(admitted(&bounds, "192.0.2.1").is_some());
    }

    #[test]
    fn loopback_has_a_bound_of_its_own() {
        let bounds = admission(&["connections_per_address=1", "connections_from_loopback=2"]);
        let _two = (admitted(&bounds, "127.0.0.1").unwrap(), admitted(&bounds, "::1").unwrap());
        assert!(admitted(&bounds, "127.0.0.2").is_none());
        assert!(admitted(&bounds, "192.0.2.1").is_some());
    }

    #[test]
    fn beyond_the_bound_some_are_told_and_the_rest_dropped() {
        let bounds = admission(&["connections=1"]);
        let held = admitted(&bounds, "192.0.2.1").unwrap();
        let told: Vec<_> = (0..TO_BE_TOLD).map(|_| bounds.admit("192.0.2.2".parse().unwrap())).collect();
        assert!(told.iter().all(|verdict| matches!(verdict, Verdict::Refused(_))));
        assert!(matches!(bounds.admit("192.0.2.2".parse().unwrap()), Verdict::Dropped));
        drop((held, told));
        assert_eq!(bounds.told.load(Ordering::Acquire), 0);
        assert_eq!(bounds.relay.accounts().root().count(Count::Connections), 0);
    }
}

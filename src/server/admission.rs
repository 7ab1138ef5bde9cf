//! How many connections there may be: in all, and from one address.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::protocol::limits::Limits;
use crate::relay::Source;
use crate::sync::lock;

/// Connections beyond the bound that may be open at once just to be told so.
const TO_BE_TOLD: u64 = 64;

/// Who counts as one: an IPv4 address, or an IPv6 /64 network, which is what one household gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Loopback,
    Address(IpAddr),
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Loopback,
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !u128::from(u64::MAX);
                Self::Address(IpAddr::V6(Ipv6Addr::from(network)))
            }
            v4 => Self::Address(v4),
        }
    }
}

#[derive(Default)]
struct Counts {
    all: u64,
    told: u64,
    by_origin: HashMap<Origin, u64>,
}

/// Counts connections against their bounds.
pub(super) struct Admission {
    limits: Limits,
    counts: Mutex<Counts>,
    /// Under which addresses become accounts: nothing keeps an address itself longer than its connections.
    key: RandomState,
}

/// What becomes of a new connection.
pub(super) enum Verdict {
    /// It is served.
    Admitted(Permit),
    /// It is only told that there are too many.
    Refused(Permit),
    /// There are too many even to tell it.
    Dropped,
}

/// A connection's place; given back when dropped.
pub(super) struct Permit {
    admission: Arc<Admission>,
    /// `None` for one that is only told.
    origin: Option<Origin>,
    source: Source,
}

impl Permit {
    /// The account that pays for what comes over the connection.
    pub(super) fn source(&self) -> Source {
        self.source
    }
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default(), key: RandomState::new() })
    }

    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Verdict {
        let origin = Origin::of(address);
        let most = match origin {
            Origin::Loopback => self.limits.connections_from_loopback,
            Origin::Address(_) => self.limits.connections_per_address,
        };
        let source = Source(match origin {
            // Everybody may come from there, through a proxy: each connection is an account.
            Origin::Loopback => rand::random(),
            Origin::Address(_) => self.key.hash_one(origin),
        });
        let mut counts = lock(&self.counts);
        let here = counts.by_origin.get(&origin).copied().unwrap_or(0);
        if counts.all < self.limits.connections && here < most {
            counts.all += 1;
            counts.by_origin.insert(origin, here + 1);
            Verdict::Admitted(Permit { admission: self.clone(), origin: Some(origin), source })
        } else if counts.told < TO_BE_TOLD {
            counts.told += 1;
            Verdict::Refused(Permit { admission: self.clone(), origin: None, source })
        } else {
            Verdict::Dropped
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = lock(&self.admission.counts);
        let Some(origin) = self.origin else {
            counts.told -= 1;
            return;
        };
        counts.all -= 1;
        if let Some(here) = counts.by_origin.get_mut(&origin) {
            *here -= 1;
            if *here == 0 {
                counts.by_origin.remove(&origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(settings: &[&str]) -> Arc<Admission> {
        Admission::new(Limits::from_settings(settings).unwrap())
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
    }

    #[test]
    fn beyond_the_bound_some_are_told_and_the_rest_dropped() {
        let bounds = admission(&["connections=1"]);
        let held = admitted(&bounds, "192.0.2.1").unwrap();
        let told: Vec<_> = (0..TO_BE_TOLD).map(|_| bounds.admit("192.0.2.2".parse().unwrap())).collect();
        assert!(told.iter().all(|verdict| matches!(verdict, Verdict::Refused(_))));
        assert!(matches!(bounds.admit("192.0.2.2".parse().unwrap()), Verdict::Dropped));
        drop((held, told));
        let counts = bounds.counts.lock().unwrap();
        assert_eq!((counts.all, counts.told, counts.by_origin.len()), (0, 0, 0));
    }
}

//! From an address to its account. The address itself is not kept: accounts are filed by a keyed digest (HMAC-SHA256,
//! RFC 2104, 16 bytes).
//!
//! The key is random and lives for 24 hours. The key before it stays known for as long again, and an account that is
//! found by its older digest is filed anew. A change of keys therefore neither doubles what an address may have nor
//! loses what was charged to it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use foldhash::fast::RandomState;

use super::account::{Account, Bounds};
use super::pressure::Pressure;
use super::rate::Rate;
use crate::protocol::limits::Limits;
use crate::room::Millis;
use crate::secret::{Tag, TagKey};
use crate::sync::lock;

/// A /48 network has this many times the bounds of one address, since it has 65,536 networks to choose from.
const NETWORK_SCALE: u64 = 4;
/// Life of a key, in milliseconds: 24 hours.
pub(super) const KEY_LIFE: Millis = 24 * 3_600 * 1_000;
/// Accounts that hold nothing are cleared away when this many were filed since the last time …
const CLEAR_AFTER: usize = 1_024;
/// … or when this time has passed, in milliseconds.
const CLEAR_EVERY: Millis = 60_000;

/// All accounts of a server.
pub struct Accounts {
    root: Arc<Account>,
    loopback: Arc<Account>,
    pressure: Arc<Pressure>,
    limits: Limits,
    filed: Mutex<Filed>,
}

struct Filed {
    key: TagKey,
    before: Option<TagKey>,
    since: Millis,
    by_digest: HashMap<Tag, Arc<Account>, RandomState>,
    /// When, and at how many accounts, those that hold nothing are cleared away next.
    clear: (Millis, usize),
}

impl Accounts {
    /// No accounts yet. `limits.memory_bytes` of 0 means no bound.
    pub fn new(limits: &Limits) -> Self {
        let pressure = Arc::new(Pressure::default());
        let memory = memory_of(limits) as usize;
        let counts = [limits.connections, limits.sessions, limits.rooms];
        let root = Account::root(Bounds { memory, counts, quarter: false }, pressure.clone());
        let loopback = root.child(loopback_bounds(limits), None);
        let filed = Filed {
            key: TagKey::random(),
            before: None,
            since: 0,
            by_digest: HashMap::default(),
            clear: (CLEAR_EVERY, CLEAR_AFTER),
        };
        Self { root, loopback, pressure, limits: limits.clone(), filed: Mutex::new(filed) }
    }

    /// The account of the whole server.
    pub fn root(&self) -> &Arc<Account> {
        &self.root
    }

    /// What waits to be freed.
    pub fn pressure(&self) -> &Arc<Pressure> {
        &self.pressure
    }

    /// The account of a new connection from this address.
    pub fn of(&self, address: IpAddr, now: Millis) -> Arc<Account> {
        match address.to_canonical() {
            address if is_own(address) => self.local(),
            IpAddr::V4(address) if address.is_loopback() => self.find(&address.octets(), now, &self.loopback, 1),
            IpAddr::V4(address) => self.find(&address.octets(), now, &self.root, 1),
            IpAddr::V6(address) => {
                let network = self.find(&prefix(address, 48), now, &self.root, NETWORK_SCALE);
                self.find(&prefix(address, 64), now, &network, 1)
            }
        }
    }

    /// An account of this machine itself.
    pub fn local(&self) -> Arc<Account> {
        self.loopback.child(self.bounds(1, false), None)
    }

    fn bounds(&self, scale: u64, quarter: bool) -> Bounds {
        let limits = &self.limits;
        let counts = [limits.connections_per_address, limits.sessions_per_address, limits.rooms_per_address];
        Bounds {
            memory: (limits.memory_per_address_bytes * scale) as usize,
            counts: counts.map(|most| most * scale),
            quarter,
        }
    }

    fn find(&self, name: &[u8], now: Millis, parent: &Arc<Account>, scale: u64) -> Arc<Account> {
        let mut filed = lock(&self.filed);
        filed.renew_key(now);
        let digest = filed.key.tag_of(name);
        if let Some(account) = filed.by_digest.get(&digest) {
            return account.clone();
        }
        let older = filed.before.as_ref().map(|key| key.tag_of(name));
        let account = older.and_then(|older| filed.by_digest.remove(&older)).unwrap_or_else(|| {
            let rate = Rate::new(self.limits.commands_per_address_per_s * scale);
            parent.child(self.bounds(scale, true), Some(rate))
        });
        filed.clear(now);
        filed.by_digest.insert(digest, account.clone());
        account
    }
}

impl Filed {
    fn renew_key(&mut self, now: Millis) {
        if now.saturating_sub(self.since) >= KEY_LIFE {
            let fresh = now.saturating_sub(self.since) >= 2 * KEY_LIFE;
            let before = std::mem::replace(&mut self.key, TagKey::random());
            // Nobody came for two lives of a key: what the one before would find is too old as well.
            self.before = (!fresh).then_some(before);
            self.since = now;
            self.clear = (now, 0);
        }
    }

    /// Forgets accounts that hold nothing and owe nothing.
    fn clear(&mut self, now: Millis) {
        let (at, count) = self.clear;
        if now >= at || self.by_digest.len() >= count {
            self.by_digest.retain(|_, account| Arc::strong_count(account) > 1 || account.owes(now));
            self.clear = (now + CLEAR_EVERY, self.by_digest.len() + CLEAR_AFTER.max(self.by_digest.len()));
        }
    }
}

/// The addresses from which a proxy on this machine connects for many people.
fn is_own(address: IpAddr) -> bool {
    address == IpAddr::from([127, 0, 0, 1]) || address == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// The bounds of everything that comes from this machine: `loopback_share` per cent of the server's. Where the host
/// bounds loopback connections as those of one address, so is the memory.
fn loopback_bounds(limits: &Limits) -> Bounds {
    let share = |whole: u64, one_address: u64| {
        let share = u128::from(whole) * u128::from(limits.loopback_share) / 100;
        (share as u64).max(one_address.min(whole))
    };
    let like_one_address = limits.connections_from_loopback <= limits.connections_per_address;
    let memory = match like_one_address {
        true => limits.memory_per_address_bytes,
        false => share(memory_of(limits), limits.memory_per_address_bytes),
    };
    let counts = [
        limits.connections_from_loopback,
        share(limits.sessions, limits.sessions_per_address),
        share(limits.rooms, limits.rooms_per_address),
    ];
    Bounds { memory: memory as usize, counts, quarter: false }
}

fn memory_of(limits: &Limits) -> u64 {
    if limits.memory_bytes == 0 { isize::MAX as u64 } else { limits.memory_bytes }
}

/// The first `bits` of an address, with their number.
fn prefix(address: Ipv6Addr, bits: u8) -> [u8; 17] {
    let kept = u128::from(address) & (u128::MAX << (128 - u32::from(bits)));
    let mut name = [bits; 17];
    name[1..].copy_from_slice(&kept.to_be_bytes());
    name
}

#[cfg(test)]
mod tests {
    use super::super::account::Count;
    use super::*;

    fn accounts(settings: &[&str]) -> Accounts {
        Accounts::new(&Limits::from_settings(settings).unwrap())
    }

    fn at(accounts: &Accounts, address: &str, now: Millis) -> Arc<Account> {
        accounts.of(address.parse().unwrap(), now)
    }

    #[test]
    fn one_address_is_one_account() {
        let accounts = accounts(&[]);
        let first = at(&accounts, "192.0.2.1", 0);
        assert!(Arc::ptr_eq(&first, &at(&accounts, "::ffff:192.0.2.1", 0)));
        assert!(!Arc::ptr_eq(&first, &at(&accounts, "192.0.2.2", 0)));
        let home = at(&accounts, "2001:db8::1", 0);
        assert!(Arc::ptr_eq(&home, &at(&accounts, "2001:db8::ffff:2", 0)));
        assert!(!Arc::ptr_eq(&home, &at(&accounts, "2001:db8:0:1::1", 0)));
        let away = at(&accounts, "127.0.0.2", 0);
        assert!(Arc::ptr_eq(&away, &at(&accounts, "127.0.0.2", 0)));
        for own in ["127.0.0.1", "::1"] {
            assert!(!Arc::ptr_eq(&at(&accounts, own, 0), &at(&accounts, own, 0)), "a proxy brings many people");
        }
    }

    #[test]
    fn the_networks_of_a_48_together_have_four_times_as_much() {
        let accounts = accounts(&["sessions_per_address=1"]);
        let homes: Vec<_> = (0..5).map(|n| at(&accounts, &format!("2001:db8:0:{n}::1"), 0)).collect();
        let taken: Vec<_> = homes.iter().filter_map(|home| home.take(Count::Sessions)).collect();
        assert_eq!(taken.len(), 4);
        assert!(at(&accounts, "2001:db8:1::1", 0).take(Count::Sessions).is_some());
    }

    #[test]
    fn a_new_key_keeps_what_was_charged() {
        let accounts = accounts(&[]);
        let address = at(&accounts, "192.0.2.1", 0);
        let mut now = 0;
        for _ in 0..5 {
            now += KEY_LIFE;
            assert!(Arc::ptr_eq(&address, &at(&accounts, "192.0.2.1", now)), "after {now} ms");
        }
        assert!(!Arc::ptr_eq(&address, &at(&accounts, "192.0.2.1", now + 2 * KEY_LIFE)), "nobody came for two days");
    }

    #[test]
    fn accounts_that_are_gone_are_cleared_away() {
        let accounts = accounts(&[]);
        for n in 0..20_000u32 {
            accounts.of(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 0);
        }
        assert!(lock(&accounts.filed).by_digest.len() <= 2 * CLEAR_AFTER);
        let _one = at(&accounts, "192.0.2.1", CLEAR_EVERY);
        assert_eq!(lock(&accounts.filed).by_digest.len(), 1);
    }

    #[test]
    fn an_address_that_owes_commands_is_remembered() {
        let accounts = accounts(&["commands_per_address_per_s=100"]);
        assert!(at(&accounts, "192.0.2.1", 0).draw(1_000_000, 0).is_ok());
        let _other = at(&accounts, "192.0.2.2", CLEAR_EVERY);
        assert!(at(&accounts, "192.0.2.1", CLEAR_EVERY).draw(1, CLEAR_EVERY).is_err());
    }

    #[test]
    fn this_machine_has_a_share() {
        let accounts = accounts(&["sessions=10", "sessions_per_address=2", "loopback_share=50"]);
        let taken: Vec<_> = (0..10).filter_map(|_| at(&accounts, "::1", 0).take(Count::Sessions)).collect();
        assert_eq!(taken.len(), 5);
        assert!(at(&accounts, "192.0.2.1", 0).take(Count::Sessions).is_some());
    }
}

//! One account of what clients make the server hold and do, by address.
//!
//! Accounts form a tree. The root is the whole server. Below it are IPv4 addresses, IPv6 /48 networks with their /64
//! networks, and this machine itself:
//!
//! ```text
//! server ─┬─ IPv4 address
//!         ├─ IPv6 /48 ── IPv6 /64
//!         └─ loopback ─┬─ one connection from 127.0.0.1 or ::1: a local proxy brings many people from there
//!                      └─ another address of 127.0.0.0/8
//! ```
//!
//! What is charged to an account is charged to every account above it. Memory has two kinds. *Fixed* memory is what
//! cannot be taken back, such as rooms and keys: an account that has too much of it is refused more. All other memory
//! belongs to parts (sessions, and accounts below): an account that exceeds its bound is *pressed*, and its largest
//! parts shrink to a common level (max–min fairness). A part that is below that level loses nothing.
//!
//! An address exists here only as a keyed digest; see [`super::digest`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use foldhash::fast::RandomState;

use super::connection_id::ConnectionId;
use super::pressure::{Pressed, Pressure};
use super::rate::Rate;
use crate::room::{Millis, Source, level as fair_level};
use crate::sync::lock;

/// What is counted for each account, beside memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Connections, from the first byte on.
    Connections,
    /// Sessions, connected and away.
    Sessions,
    /// Rooms, by the address that created them.
    Rooms,
}

/// Something that holds memory which can be taken back.
pub(super) trait Part: Send + Sync {
    /// Bytes that it holds.
    fn held(&self) -> usize;
    /// Frees memory until at most `level` bytes are held. Called without a lock held. Names the connections that are to
    /// be closed.
    fn shrink_to(&self, level: usize, closing: &mut Vec<ConnectionId>);
}

/// The bounds of one account.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Memory in bytes.
    pub(super) memory: usize,
    /// By [`Count`].
    pub(super) counts: [u64; 3],
    /// It may have no more than a quarter of what is free on the whole server, so that a newcomer always finds some.
    pub(super) quarter: bool,
}

/// The account of one address, or of all addresses below it in the tree.
pub struct Account {
    // Fixed at the beginning.
    parent: Option<Arc<Account>>,
    bounds: Bounds,
    pressure: Arc<Pressure>,
    /// Commands a second; `None`: not bounded here.
    rate: Option<Rate>,
    // Changed by everything that is charged.
    held: AtomicUsize,
    fixed: AtomicUsize,
    counts: [AtomicU64; 3],
    /// Tokens spent lately, and when they were counted.
    usage: AtomicU64,
    /// Its memory is to be brought within the bound.
    pressed: AtomicBool,
    // What it consists of.
    next_part: AtomicU64,
    parts: Mutex<HashMap<u64, Weak<dyn Part>, RandomState>>,
    /// Its place among the parts of its parent.
    place: u64,
    /// Its name in the windows of recipients.
    source: Source,
}

impl Account {
    /// The account of the whole server.
    pub(super) fn root(bounds: Bounds, pressure: Arc<Pressure>) -> Arc<Self> {
        Self::with(None, bounds, None, pressure, 0)
    }

    /// An account below this one.
    pub(super) fn child(self: &Arc<Self>, bounds: Bounds, rate: Option<Rate>) -> Arc<Self> {
        let place = self.next_part.fetch_add(1, Ordering::Relaxed);
        let child = Self::with(Some(self.clone()), bounds, rate, self.pressure.clone(), place);
        let weak: Weak<Self> = Arc::downgrade(&child);
        lock(&self.parts).insert(place, weak);
        child
    }

    fn with(
        parent: Option<Arc<Self>>,
        bounds: Bounds,
        rate: Option<Rate>,
        pressure: Arc<Pressure>,
        place: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            parent,
            bounds,
            pressure,
            rate,
            held: AtomicUsize::new(0),
            fixed: AtomicUsize::new(0),
            counts: Default::default(),
            usage: AtomicU64::new(0),
            pressed: AtomicBool::new(false),
            next_part: AtomicU64::new(0),
            parts: Mutex::default(),
            place,
            source: Source(rand::random()),
        })
    }

    /// This account and all above it.
    fn path(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |account| account.parent.as_ref())
    }

    fn top(self: &Arc<Self>) -> &Arc<Self> {
        self.path().last().unwrap_or(self)
    }

    /// The name under which windows count what its clients send.
    pub(super) fn source(&self) -> Source {
        self.source
    }

    // ---- memory ----

    /// Bytes held, fixed memory included.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Adds `bytes` that a part holds now.
    pub(super) fn add(self: &Arc<Self>, bytes: usize) {
        for account in self.path() {
            let held = account.held.fetch_add(bytes, Ordering::AcqRel) + bytes;
            if held > account.bounds.memory && !account.pressed.swap(true, Ordering::AcqRel) {
                account.pressure.press(account.clone(), account.parent.is_none());
            }
        }
    }

    /// Takes back `bytes` that a part held.
    pub(super) fn subtract(self: &Arc<Self>, bytes: usize) {
        for account in self.path() {
            account.held.fetch_sub(bytes, Ordering::AcqRel);
        }
        self.pressure.freed(bytes);
    }

    /// Charges fixed memory for as long as the charge lives. It may exceed the bound; ask [`Account::has_room_for`]
    /// before.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let mut charge = Charge { account: self.clone(), bytes: 0 };
        charge.set(bytes);
        charge
    }

    /// Whether the account may have `bytes` more of fixed memory. Half of every bound is kept for parts.
    pub(super) fn has_room_for(self: &Arc<Self>, bytes: usize) -> bool {
        let top = self.top();
        let free = (top.bounds.memory / 4 * 3).saturating_sub(top.fixed.load(Ordering::Acquire));
        self.path().all(|account| {
            let fixed = account.fixed.load(Ordering::Acquire).saturating_add(bytes);
            let most = if account.parent.is_none() { account.bounds.memory / 4 * 3 } else { account.bounds.memory / 2 };
            fixed <= most && (!account.bounds.quarter || fixed <= (free / 4).max(bytes.min(free)))
        })
    }

    /// Files a part, until the returned place is dropped.
    pub(super) fn file(self: &Arc<Self>, part: Weak<dyn Part>) -> Place {
        let place = self.next_part.fetch_add(1, Ordering::Relaxed);
        lock(&self.parts).insert(place, part);
        Place { account: self.clone(), place }
    }

    // ---- counts ----

    /// Takes one of what is counted, unless a bound or the server's own is reached.
    pub fn take(self: &Arc<Self>, count: Count) -> Option<Taken> {
        let top = self.top();
        let index = count as usize;
        let free = top.bounds.counts[index].saturating_sub(top.counts[index].load(Ordering::Acquire));
        for (depth, account) in self.path().enumerate() {
            let most = account.bounds.counts[index];
            let most = if account.bounds.quarter { most.min((free / 4).max(1)) } else { most };
            let own = &account.counts[index];
            if own.fetch_update(Ordering::AcqRel, Ordering::Acquire, |own| (own < most).then_some(own + 1)).is_err() {
                for below in self.path().take(depth) {
                    below.counts[index].fetch_sub(1, Ordering::AcqRel);
                }
                return None;
            }
        }
        Some(Taken { account: self.clone(), count })
    }

    /// Takes one although a bound may be reached: what another process had already.
    pub(super) fn take_over(self: &Arc<Self>, count: Count) -> Taken {
        for account in self.path() {
            account.counts[count as usize].fetch_add(1, Ordering::AcqRel);
        }
        Taken { account: self.clone(), count }
    }

    /// How many of it there are.
    pub fn count(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Acquire)
    }

    // ---- commands ----

    /// Draws `tokens` for commands at `now`.
    ///
    /// # Errors
    /// The address has none left: the time in milliseconds after which to ask again.
    pub fn draw(self: &Arc<Self>, tokens: u32, now: Millis) -> Result<(), Millis> {
        self.path().filter_map(|account| account.rate.as_ref()).try_for_each(|rate| rate.draw(tokens, now))
    }

    /// Adds tokens that were spent for the account to what it was served lately.
    pub fn was_served(&self, tokens: u32, now: Millis) {
        let add = |usage| Some(pack(now, decayed(usage, now).saturating_add(tokens)));
        let _ = self.usage.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Tokens spent for the account lately. They count half after every [`HALF_LIFE`].
    pub fn usage(&self, now: Millis) -> u32 {
        decayed(self.usage.load(Ordering::Relaxed), now)
    }

    /// Whether commands that were drawn are not yet paid off.
    pub(super) fn owes(&self, now: Millis) -> bool {
        self.rate.as_ref().is_some_and(|rate| rate.owes(now))
    }
}

impl Part for Account {
    fn held(&self) -> usize {
        self.held()
    }

    fn shrink_to(&self, level: usize, closing: &mut Vec<ConnectionId>) {
        // Upgraded under the lock and used without it: what is dropped here may lock anything.
        let parts: Vec<Arc<dyn Part>> = lock(&self.parts).values().filter_map(Weak::upgrade).collect();
        let sizes: Vec<usize> = parts.iter().map(|part| part.held()).collect();
        let all: usize = sizes.iter().sum();
        let beside = self.held().saturating_sub(all);
        let excess = all.saturating_sub(level.saturating_sub(beside));
        let level = fair_level(sizes.into_iter(), excess);
        parts.iter().filter(|part| part.held() > level).for_each(|part| part.shrink_to(level, closing));
    }
}

impl Pressed for Account {
    fn relieve(&self, closing: &mut Vec<ConnectionId>) {
        self.pressed.store(false, Ordering::Release);
        if self.held() > self.bounds.memory {
            // A part of the bound is left to spare, so that this is done seldom.
            self.shrink_to(self.bounds.memory - self.bounds.memory / 16, closing);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            lock(&parent.parts).remove(&self.place);
        }
    }
}

/// After this time in milliseconds, what an account was served counts half.
const HALF_LIFE: Millis = 64;

/// Tokens in the low half, the time at which they were counted in the high half.
fn pack(now: Millis, tokens: u32) -> u64 {
    (now << 32) | u64::from(tokens)
}

fn decayed(usage: u64, now: Millis) -> u32 {
    let passed = (now as u32).wrapping_sub((usage >> 32) as u32);
    (usage as u32).checked_shr(passed / HALF_LIFE as u32).unwrap_or(0)
}

/// Fixed memory at an account; given back when dropped.
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Charge {
    /// Changes how much it is.
    pub(super) fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            for account in self.account.path() {
                account.fixed.fetch_add(bytes - before, Ordering::AcqRel);
            }
            self.account.add(bytes - before);
        } else {
            for account in self.account.path() {
                account.fixed.fetch_sub(before - bytes, Ordering::AcqRel);
            }
            self.account.subtract(before - bytes);
        }
    }

    /// The account that pays.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// One of what is counted; given back when dropped.
pub struct Taken {
    account: Arc<Account>,
    count: Count,
}

impl Taken {
    /// The account that it is taken from.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for account in self.account.path() {
            account.counts[self.count as usize].fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A part's place among the parts of an account; given back when dropped.
pub(super) struct Place {
    account: Arc<Account>,
    place: u64,
}

impl Place {
    /// The account.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.account.parts).remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const BOUNDS: Bounds = Bounds { memory: 1_600, counts: [8; 3], quarter: true };

    struct Holder {
        bytes: AtomicUsize,
        place: Mutex<Option<Place>>,
    }

    impl Holder {
        fn at(account: &Arc<Account>, bytes: usize) -> Arc<Self> {
            let holder = Arc::new(Self { bytes: AtomicUsize::new(bytes), place: Mutex::default() });
            let weak: Weak<Self> = Arc::downgrade(&holder);
            *lock(&holder.place) = Some(account.file(weak));
            account.add(bytes);
            holder
        }

        fn bytes(&self) -> usize {
            self.bytes.load(Ordering::Acquire)
        }
    }

    impl Part for Holder {
        fn held(&self) -> usize {
            self.bytes()
        }

        fn shrink_to(&self, level: usize, _: &mut Vec<ConnectionId>) {
            let freed = self.bytes.swap(level, Ordering::AcqRel) - level;
            lock(&self.place).as_ref().expect("it is filed").account().subtract(freed);
        }
    }

    fn server(memory: usize, count: u64) -> (Arc<Account>, Arc<Pressure>) {
        let pressure = Arc::new(Pressure::default());
        (Account::root(Bounds { memory, counts: [count; 3], quarter: false }, pressure.clone()), pressure)
    }

    #[test]
    fn the_largest_part_of_a_pressed_account_loses_first() {
        let (root, pressure) = server(1_000_000, 8);
        let address = root.child(BOUNDS, None);
        let (large, small) = (Holder::at(&address, 1_500), Holder::at(&address, 300));
        assert_eq!(address.held(), 1_800);
        pressure.relieve_addresses(&mut Vec::new());
        assert_eq!((large.bytes(), small.bytes()), (1_200, 300));
        assert_eq!((address.held(), root.held()), (1_500, 1_500));
    }

    #[test]
    fn the_largest_address_loses_first_when_the_server_is_full() {
        let (root, pressure) = server(1_600, 8);
        let (first, second) = (root.child(BOUNDS, None), root.child(BOUNDS, None));
        let crowd: Vec<_> = (0..10).map(|_| Holder::at(&first, 120)).collect();
        let one = Holder::at(&second, 450);
        pressure.relieve_addresses(&mut Vec::new());
        assert_eq!(root.held(), 1_650, "the whole server is relieved by its own thread");
        pressure.relieve_server(&mut Vec::new());
        assert_eq!(one.bytes(), 450, "the second address holds less than the first");
        assert!(crowd.iter().all(|holder| holder.bytes() == 105));
        assert_eq!(root.held(), 1_500);
    }

    #[test]
    fn fixed_memory_takes_half_of_a_bound_at_most() {
        let (root, _pressure) = server(1_000_000, 8);
        let address = root.child(BOUNDS, None);
        assert!(address.has_room_for(800));
        assert!(!address.has_room_for(801));
        let charge = address.charge(500);
        assert!(address.has_room_for(300) && !address.has_room_for(301));
        drop(charge);
        assert_eq!((address.held(), root.held()), (0, 0));
        assert!(address.has_room_for(800));
    }

    #[test]
    fn a_newcomer_finds_some_of_what_is_counted() {
        let (root, _pressure) = server(1_000, 16);
        let greedy = root.child(BOUNDS, None);
        let mut held: Vec<_> = std::iter::from_fn(|| greedy.take(Count::Rooms)).collect();
        assert_eq!(held.len(), 3, "a fourth would be more than a quarter of the 13 that are free");
        for _ in 0..20 {
            let other = root.child(BOUNDS, None);
            let Some(taken) = other.take(Count::Rooms) else { break };
            held.push(taken);
        }
        assert_eq!(root.count(Count::Rooms), 16);
        assert!(greedy.take(Count::Rooms).is_none());
        drop(held);
        assert_eq!((root.count(Count::Rooms), greedy.count(Count::Rooms)), (0, 0));
    }

    #[test]
    fn what_is_refused_above_is_not_counted_below() {
        let (root, _pressure) = server(1_000, 100);
        let network = root.child(Bounds { counts: [2; 3], ..BOUNDS }, None);
        let (first, second) = (network.child(BOUNDS, None), network.child(BOUNDS, None));
        let _two = (first.take(Count::Sessions).unwrap(), first.take(Count::Sessions).unwrap());
        assert!(second.take(Count::Sessions).is_none());
        assert_eq!((second.count(Count::Sessions), network.count(Count::Sessions)), (0, 2));
        let _beyond = second.take_over(Count::Sessions);
        assert_eq!((network.count(Count::Sessions), root.count(Count::Sessions)), (3, 3));
    }

    #[test]
    fn an_account_that_is_gone_is_no_part_any_more() {
        let (root, _pressure) = server(1_000, 8);
        drop(root.child(BOUNDS, None));
        assert!(lock(&root.parts).is_empty());
    }
}

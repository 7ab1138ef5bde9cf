//! What a call to the relay brings about beyond its own connection.

use std::sync::Arc;

use bytes::Bytes;

use super::account::{Account, Charge};
use super::connection_id::ConnectionId;
use super::cost::Cost;

/// Bytes that a shared buffer takes beside its contents.
const SHARED_OVERHEAD: usize = 112;

/// What calls brought about beyond their own connection: the connections for which something waits now, and the cost.
/// The caller passes the connections to the threads that write for them, and charges the cost.
///
/// A connection is named once until its thread has looked ([`Attached::take`](super::Attached::take)).
#[derive(Default)]
pub struct Woken {
    connections: Vec<ConnectionId>,
    cost: Cost,
    payer: Option<Arc<Account>>,
}

impl Woken {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names a connection.
    pub(super) fn push(&mut self, connection: ConnectionId) {
        self.connections.push(connection);
    }

    /// Adds to the cost.
    pub(super) fn cost(&mut self, cost: Cost) {
        self.cost += cost;
    }

    /// Names connections.
    pub(super) fn extend(&mut self, connections: Vec<ConnectionId>) {
        self.connections.extend(connections);
    }

    /// Lends the account that pays for what a command makes: no count changes, which all event loops would share.
    pub(super) fn lend(&mut self, payer: Option<Arc<Account>>) {
        self.payer = payer;
    }

    /// Gives the account back.
    pub(super) fn take_back(&mut self) -> Option<Arc<Account>> {
        self.payer.take()
    }

    /// The account that pays.
    pub(super) fn payer(&self) -> Option<&Arc<Account>> {
        self.payer.as_ref()
    }

    /// Makes a buffer that several recipients share. It is charged once, until its last holder drops it.
    pub(super) fn share(&self, bytes: Vec<u8>) -> Bytes {
        /// Bytes with the account that pays for them.
        struct Paid {
            bytes: Vec<u8>,
            _charge: Charge,
        }
        impl AsRef<[u8]> for Paid {
            fn as_ref(&self) -> &[u8] {
                &self.bytes
            }
        }
        match self.payer() {
            Some(payer) => {
                let charge = payer.charge(bytes.capacity() + SHARED_OVERHEAD);
                Bytes::from_owner(Paid { bytes, _charge: charge })
            }
            None => bytes.into(),
        }
    }

    /// Takes the connections out.
    pub fn connections(&mut self) -> impl Iterator<Item = ConnectionId> {
        self.connections.drain(..)
    }

    /// Whether no connection is named.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the cost out.
    pub fn take_cost(&mut self) -> Cost {
        std::mem::take(&mut self.cost)
    }
}

//! What waits to be sent, and the one message that is under way.
use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::output::MessageId;
use crate::sealed::{fingerprint::Fingerprint, message::Signed};

/// What is to be said.
pub(super) enum Outgoing {
    Text(MessageId, Zeroizing<String>),
    /// The next room secret, without these members.
    Rekey {
        removed: Vec<Fingerprint>,
    },
    /// The recipient becomes an heir.
    Heir,
    /// The recipient becomes the owner.
    HandOver,
}

/// Something that waits for its turn.
pub(super) struct Queued {
    pub(super) outgoing: Outgoing,
    /// The only recipient, if private.
    pub(super) to: Option<Fingerprint>,
    pub(super) at: u64,
}

/// What a message under way is, once its words are in its signed bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text(MessageId),
    Rekey,
    Heir,
    HandOver,
    Void,
}

/// The message under way. Its packets without an answer are in [`Machine::awaited`](super::Machine).
pub(super) struct InFlight {
    pub(super) kind: Kind,
    pub(super) to: Option<Fingerprint>,
    pub(super) n: u64,
    pub(super) at: u64,
    pub(super) signed: Signed,
    /// A rekey goes out in the epoch that it ends, even when it is repeated.
    pub(super) epoch: Option<u32>,
    pub(super) delivery: Delivery,
    pub(super) retry: Retry,
}

/// Whom the message reached so far.
#[derive(Default)]
pub(super) struct Delivery {
    pub(super) reached: Vec<Fingerprint>,
    pub(super) held: Vec<Fingerprint>,
    pub(super) absent: Vec<Fingerprint>,
    pub(super) refused: Vec<Fingerprint>,
}

/// Whom the message goes to again, and when.
#[derive(Default)]
pub(super) struct Retry {
    pub(super) again: Vec<Fingerprint>,
    pub(super) tries: u32,
    pub(super) pause: Option<u64>,
    pub(super) at: Option<u64>,
}

#[derive(Default)]
pub(super) struct SendQueue {
    pub(super) queue: VecDeque<Queued>,
    pub(super) in_flight: Option<InFlight>,
    /// The number of the last room message.
    pub(super) last_number: u64,
}

impl SendQueue {
    pub(super) fn deadline(&self) -> Option<u64> {
        self.in_flight.as_ref().and_then(|message| message.retry.at)
    }

    pub(super) fn is_handing_over(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|message| message.kind == Kind::HandOver)
            || self.queue.iter().any(|queued| matches!(queued.outgoing, Outgoing::HandOver))
    }

    pub(super) fn rekey_is_queued(&self) -> bool {
        self.queue.iter().any(|queued| matches!(queued.outgoing, Outgoing::Rekey { .. }))
    }
}

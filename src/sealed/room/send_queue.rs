//! What goes out: the messages that wait for their turn, the one that is under way, and one's own chain.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use zeroize::Zeroizing;

use super::output::MessageId;
use crate::sealed::{
    body::Body,
    error::SealedError,
    fingerprint::Fingerprint,
    hand::Position,
    identity::SIGNATURE_BYTES,
    random::Random,
    secret::RoomSecret,
    step::{CHAIN_MESSAGES, ChainKey, StepKeys},
};

/// What is to be said.
pub(super) enum Outgoing {
    /// Something of the user's.
    Say(MessageId, Body),
    /// A typing or read mark.
    Mark(Body),
    /// A new epoch, as the owner.
    Rekey,
    /// The present secret, for a member that lacks it, sealed in this epoch.
    HandSecret { epoch: u32 },
    /// What an heir needs if this owner is gone in this epoch.
    Grant { epoch: u32 },
    /// The room, for its next owner.
    HandOver,
    /// Nothing, but a view and what was heard.
    Void,
}

/// Something that waits for its turn.
pub(super) struct Queued {
    pub(super) outgoing: Outgoing,
    /// The only recipient, if private.
    pub(super) to: Option<Fingerprint>,
    /// When it was written, in unix milliseconds.
    pub(super) at: u64,
}

/// What proves the present epoch: the last `secret`, to be passed on.
#[derive(Clone)]
pub(super) struct Proved {
    pub(super) members: Vec<Fingerprint>,
    pub(super) chain: Vec<u8>,
    pub(super) proof: [u8; SIGNATURE_BYTES],
}

/// What a message under way is, once its words are in its core.
pub(super) enum Kind {
    Say(MessageId),
    Rekey { secret: RoomSecret, proved: Proved },
    HandOver,
    HandSecret { epoch: u32 },
    Other,
}

/// A message under way.
pub(super) struct InFlight {
    pub(super) kind: Kind,
    pub(super) to: Option<Fingerprint>,
    pub(super) n: u32,
    /// Whether it has a number of its own.
    pub(super) counts: bool,
    /// Whether it says nothing.
    pub(super) void: bool,
    pub(super) core: Zeroizing<Vec<u8>>,
    /// How many packets are not answered yet.
    pub(super) unanswered: usize,
    pub(super) again: Vec<Fingerprint>,
    pub(super) refused: Vec<Fingerprint>,
    pub(super) reached: BTreeSet<Fingerprint>,
    pub(super) held: BTreeSet<Fingerprint>,
    pub(super) absent: BTreeSet<Fingerprint>,
    /// Whether somebody may have it although no answer says so.
    pub(super) uncertain: bool,
    pub(super) tries: u32,
    pub(super) pause: Option<u64>,
    pub(super) retry_at: Option<u64>,
}

/// One packet on its way.
pub(super) struct Sent {
    /// The members that it is for, with the server's ids for them.
    pub(super) members: Vec<(String, Fingerprint)>,
    /// The members that got the chain with it, with the generation of the leaf.
    pub(super) hands: BTreeMap<Fingerprint, u32>,
    /// The chain's generation, where it is a room message.
    pub(super) generation: Option<u32>,
    /// Whether the server was to send it to all the rest as well.
    pub(super) rest: bool,
}

/// One's own chain, and the members that have it, with the leaf that it was handed to.
pub(super) struct OwnChain {
    pub(super) epoch: u32,
    pub(super) generation: u32,
    index: u32,
    key: ChainKey,
    pub(super) since: u64,
    pub(super) audience: BTreeMap<Fingerprint, u32>,
}

impl OwnChain {
    pub(super) fn new(epoch: u32, generation: u32, time: u64, random: &mut dyn Random) -> Self {
        let key = ChainKey::generate(random);
        Self { epoch, generation, index: 0, key, since: time, audience: BTreeMap::new() }
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.index >= CHAIN_MESSAGES
    }

    /// No message goes out in it any more.
    pub(super) fn use_up(&mut self) {
        self.index = CHAIN_MESSAGES;
    }

    /// Takes the next index: its place, the chain key to hand on, and the keys of the message. No index is given out
    /// twice.
    pub(super) fn take(&mut self) -> Result<(Position, ChainKey, StepKeys), SealedError> {
        if self.is_used_up() {
            return Err(SealedError::Key);
        }
        let at = Position { generation: self.generation, index: self.index };
        self.index += 1;
        let (next, keys) = self.key.step()?;
        Ok((at, std::mem::replace(&mut self.key, next), keys))
    }
}

#[derive(Default)]
pub(super) struct SendQueue {
    pub(super) queue: VecDeque<Queued>,
    pub(super) in_flight: Option<InFlight>,
    /// The number of the last room message.
    pub(super) said: u32,
    pub(super) chain: Option<OwnChain>,
    /// How many chains there have been.
    pub(super) generations: u32,
    /// When something last went to the room.
    pub(super) spoke_at: u64,
}

impl SendQueue {
    pub(super) fn deadline(&self) -> Option<u64> {
        self.in_flight.as_ref().and_then(|flight| flight.retry_at)
    }

    pub(super) fn holds_hand_over(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|flight| matches!(flight.kind, Kind::HandOver))
            || self.queue.iter().any(|queued| matches!(queued.outgoing, Outgoing::HandOver))
    }

    pub(super) fn holds_rekey(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|flight| matches!(flight.kind, Kind::Rekey { .. }))
            || self.queue.iter().any(|queued| matches!(queued.outgoing, Outgoing::Rekey))
    }
}

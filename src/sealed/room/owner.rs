//! Owning the room: invites, heirs, handing it over, and taking it over.
use std::collections::{BTreeSet, HashMap};

use super::{
    Answer, Command, CommandId, Event, Room,
    admit::stranger,
    outbox::{Errand, Queued},
    rekey::Rekey,
};
use crate::sealed::{
    Body, Certificate, Fingerprint, InviteKind, Link, OwnerChain, RoomSecret, SealedError, alarm::Alarm, random,
};

/// How long a new owner has to prove itself, in milliseconds.
const PROOF_MS: u64 = 60_000;
/// How many members are kept supplied with what an heir needs.
const HEIRS: usize = 3;

/// An invite that was asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) kind: InviteKind,
    pub(super) expires_in_s: Option<u32>,
}

#[derive(Default)]
pub(super) struct Office {
    /// The chain with oneself at its end, from the present owner.
    grant: Option<OwnerChain>,
    /// Whether the room goes to an heir when its owner leaves.
    pub(super) transfer: bool,
    /// Who has been made an heir under the present chain.
    supplied: BTreeSet<Fingerprint>,
    /// Until when the owner that the relay names must have proved itself.
    pub(super) proof: Option<u64>,
    /// A `transfer-owner` under way.
    pub(super) hand_over: Option<(CommandId, Fingerprint)>,
    /// A rekey under way.
    pub(super) rekey: Option<Rekey>,
    /// Invites whose key was asked for.
    pub(super) invites: HashMap<CommandId, Wanted>,
    /// Invites that wait for a rekey to end.
    pub(super) waiting: Vec<Wanted>,
}

impl Room {
    /// The relay names an owner, on entry or later.
    pub(super) fn name_owner(&mut self, owner_id: String, now: u64) {
        self.relay_owner = owner_id;
        self.office.proof = None;
        if self.named_owner_is_proved() {
            return;
        }
        if self.relay_owner != self.user_id {
            self.office.proof = Some(now.saturating_add(PROOF_MS));
        } else if let Some(grant) = self.office.grant.take().filter(|grant| grant.follows(&self.chain)) {
            self.chain = grant;
            self.office.supplied.clear();
            self.event(Event::OwnerChanged { owner: self.identity.fingerprint() });
            self.begin_rekey(None, now);
        } else {
            self.alarm(Alarm::OwnershipImposed);
        }
    }

    /// Whether the owner that the relay names is the one that the chain names.
    fn named_owner_is_proved(&self) -> bool {
        let named = if self.relay_owner == self.user_id {
            Some(self.identity.verifying_key())
        } else {
            self.members.by_user_id(&self.relay_owner).map(|member| &member.key)
        };
        named == Some(self.chain.owner())
    }

    /// Warns if the owner that the relay names has not proved itself in time.
    pub(super) fn expire_proof(&mut self, now: u64) {
        if self.office.proof.is_some_and(|until| until <= now) {
            self.office.proof = None;
            // A newcomer may have been waiting for the owner's card.
            if self.named_owner_is_proved() {
                return;
            }
            let who = match self.members.by_user_id(&self.relay_owner) {
                Some(member) => member.who(),
                None => stranger(&self.relay_owner),
            };
            self.alarm(Alarm::OwnerUnproven(who));
        }
    }

    /// A member says that this one is its heir.
    pub(super) fn named_heir(&mut self, from: Fingerprint, chain: &[u8], transfer: bool, private: bool) {
        let Some(member) = self.members.get(&from) else {
            return;
        };
        let grant = OwnerChain::from_bytes(*self.chain.root(), chain).ok().filter(|grant| {
            private
                && member.key == *self.chain.owner()
                && grant.follows(&self.chain)
                && grant.owner() == self.identity.verifying_key()
        });
        match grant {
            Some(grant) => {
                self.office.grant = Some(grant);
                self.office.transfer = transfer;
            }
            None => {
                let who = member.who();
                self.alarm(Alarm::SuccessionForged(who));
            }
        }
    }

    /// Whether this client owns the room, by the chain and by the relay's word.
    pub(super) fn governs(&self) -> bool {
        self.chain.owner() == self.identity.verifying_key() && self.relay_owner == self.user_id
    }

    /// Whether a change of the room secret is under way.
    pub(super) fn is_rekeying(&self) -> bool {
        self.office.rekey.is_some() || self.outbox.rekey_is_queued()
    }

    /// Gives the longest-standing members what they need to take over.
    pub(super) fn supply_heirs(&mut self, now: u64) {
        if !self.office.transfer || !self.governs() || self.is_rekeying() {
            return;
        }
        for heir in self.members.longest_standing(HEIRS) {
            if self.office.supplied.insert(heir) {
                let errand = Errand::Succession { hand_over: false };
                self.outbox.queue.push_back(Queued { errand, to: Some(heir), at: now });
            }
        }
    }

    /// What an heir is told.
    pub(super) fn succession(&self, to: Option<Fingerprint>) -> Result<Body, SealedError> {
        let heir = to.and_then(|to| self.members.get(&to)).ok_or(SealedError::Chain)?;
        let chain = self.chain.handed_to(&self.identity, heir.key)?;
        Ok(Body::Succession { chain: chain.to_bytes(), transfer: self.office.transfer })
    }

    /// The relay has answered `transfer-owner`. If it was done, this client stops governing at once: two rekeys at a time, by the
    /// old and the new owner, would split the room.
    pub(super) fn hand_over_answered(&mut self, answer: &Answer, now: u64) {
        let Some((_, to)) = self.office.hand_over.take() else {
            return;
        };
        if let Answer::Refused { .. } | Answer::Lost = answer {
            self.event(Event::HandOverFailed { to });
        } else if let Some(heir) = self.members.get(&to)
            && self.relay_owner == self.user_id
        {
            let owner_id = heir.user_id.clone();
            self.name_owner(owner_id, now);
        }
    }

    /// Whether the room is being handed over.
    pub(super) fn is_handing_over(&self) -> bool {
        self.office.hand_over.is_some() || self.outbox.is_handing_over()
    }

    /// Asks the relay for the keys of the invites that wait, unless the room secret is about to change.
    pub(super) fn ask_for_keys(&mut self) {
        if self.is_rekeying() {
            return;
        }
        for wanted in std::mem::take(&mut self.office.waiting) {
            let Wanted { kind, expires_in_s } = wanted;
            let id = self.command(Command::IssueKey { kind, expires_in_s });
            self.office.invites.insert(id, wanted);
        }
    }

    /// The relay has answered for an invite's key.
    pub(super) fn key_answered(&mut self, wanted: Wanted, answer: Answer, now: u64) {
        if self.is_rekeying() && !matches!(answer, Answer::Refused { .. }) {
            // The key is dead already or is about to be: ask again afterwards.
            return self.office.waiting.push(wanted);
        }
        let link = match answer {
            Answer::Key(join_key) if self.governs() => self.link(wanted, join_key, now).ok(),
            _ => None,
        };
        self.event(match link {
            Some(link) => Event::Invite(Box::new(link)),
            None => Event::InviteFailed(wanted.kind),
        });
    }

    fn link(&mut self, wanted: Wanted, join_key: secrecy::SecretString, now: u64) -> Result<Link, SealedError> {
        let (id, epoch) = (random::array(&mut *self.random), self.epochs.current().epoch());
        let expiry = wanted.expires_in_s.map_or(0, |seconds| now / 1000 + u64::from(seconds));
        let certificate = Certificate::issue(&self.identity, self.chain.root(), epoch, id, wanted.kind, expiry)?;
        Ok(Link {
            server: self.server.clone(),
            room_id: self.room_id.clone(),
            join_key,
            secret: RoomSecret::from_slice(epoch, self.epochs.current().expose())?,
            room_name: self.room_name.clone(),
            certificate,
            chain: self.chain.clone(),
        })
    }
}

//! Owning the room: invites, heirs, handing it over, and taking it over.
use super::{
    admit::stranger,
    input::Answer,
    machine::{Awaited, Machine},
    output::{Command, Event},
    owner_state::Wanted,
    send_queue::{Outgoing, Queued},
};
use crate::sealed::{
    alarm::Alarm, certificate::Certificate, chain::OwnerChain, error::SealedError, fingerprint::Fingerprint,
    link::Link, plain::Body, random, secret::RoomSecret,
};

/// How long a new owner has to prove itself, in milliseconds.
const PROOF_MS: u64 = 60_000;
/// How many members are kept supplied with what an heir needs.
const HEIRS: usize = 3;

impl Machine {
    /// The server names an owner, on entry or later.
    pub(super) fn name_owner(&mut self, owner_id: String, now: u64) {
        self.claimed.owner_id = owner_id;
        self.owner_state.proof = None;
        if self.named_owner_is_proved() {
            return;
        }
        if self.claimed.owner_id != self.claimed.user_id {
            self.owner_state.proof = Some(now.saturating_add(PROOF_MS));
        } else if let Some(grant) = self.owner_state.grant.take().filter(|grant| grant.follows(&self.trusted.chain)) {
            self.trusted.chain = grant;
            self.owner_state.heirs.clear();
            self.event(Event::OwnerChanged { owner: self.me.identity.fingerprint() });
            self.begin_rekey(None, now);
        } else {
            self.alarm(Alarm::OwnershipImposed);
        }
    }

    /// Whether the owner that the server names is the one that the chain names.
    fn named_owner_is_proved(&self) -> bool {
        let named = if self.claimed.owner_id == self.claimed.user_id {
            Some(self.me.identity.verifying_key())
        } else {
            self.trusted.members.by_user_id(&self.claimed.owner_id).map(|member| &member.key)
        };
        named == Some(self.trusted.chain.owner())
    }

    /// Warns if the owner that the server names has not proved itself in time.
    pub(super) fn expire_proof(&mut self, now: u64) {
        if self.owner_state.proof.is_some_and(|until| until <= now) {
            self.owner_state.proof = None;
            // A newcomer may have been waiting for the owner's card.
            if self.named_owner_is_proved() {
                return;
            }
            let who = match self.trusted.members.by_user_id(&self.claimed.owner_id) {
                Some(member) => member.who(),
                None => stranger(&self.claimed.owner_id),
            };
            self.alarm(Alarm::OwnerUnproven(who));
        }
    }

    /// A member says that this one is its heir.
    pub(super) fn named_heir(&mut self, from: Fingerprint, chain: &[u8], transfer: bool, private: bool) {
        let Some(member) = self.trusted.members.get(&from) else {
            return;
        };
        let grant = OwnerChain::from_bytes(*self.trusted.chain.root(), chain).ok().filter(|grant| {
            private
                && member.key == *self.trusted.chain.owner()
                && grant.follows(&self.trusted.chain)
                && grant.owner() == self.me.identity.verifying_key()
        });
        match grant {
            Some(grant) => {
                self.owner_state.grant = Some(grant);
                self.owner_state.keeps_heirs = transfer;
            }
            None => {
                let who = member.who();
                self.alarm(Alarm::SuccessionForged(who));
            }
        }
    }

    /// Gives the longest-standing members what they need to take over.
    pub(super) fn supply_heirs(&mut self, now: u64) {
        if !self.owner_state.keeps_heirs || !self.governs() || self.is_rekeying() {
            return;
        }
        for heir in self.trusted.members.longest_standing(HEIRS) {
            if self.owner_state.heirs.insert(heir) {
                self.sending.queue.push_back(Queued { outgoing: Outgoing::Heir, to: Some(heir), at: now });
            }
        }
    }

    /// What an heir is told.
    pub(super) fn succession(&self, to: Option<Fingerprint>) -> Result<Body, SealedError> {
        let heir = to.and_then(|to| self.trusted.members.get(&to)).ok_or(SealedError::Chain)?;
        let chain = self.trusted.chain.handed_to(&self.me.identity, heir.key)?;
        Ok(Body::Succession { chain: chain.to_bytes(), transfer: self.owner_state.keeps_heirs })
    }

    /// The server has answered `transfer-owner`. If it was done, this client stops governing at once: two rekeys at a time, by
    /// the old and the new owner, would split the room.
    pub(super) fn hand_over_answered(&mut self, to: Fingerprint, answer: &Answer, now: u64) {
        if let Answer::Refused { .. } | Answer::Lost = answer {
            self.event(Event::HandOverFailed { to });
        } else if let Some(heir) = self.trusted.members.get(&to)
            && self.claimed.owner_id == self.claimed.user_id
        {
            let owner_id = heir.user_id.clone();
            self.name_owner(owner_id, now);
        }
    }

    /// Asks the server for the keys of the invites that wait, unless the room secret is about to change.
    pub(super) fn ask_for_keys(&mut self) {
        if self.is_rekeying() {
            return;
        }
        for wanted in std::mem::take(&mut self.owner_state.waiting) {
            let Wanted { kind, expires_in, .. } = wanted;
            self.ask(Command::IssueKey { kind, expires_in }, Awaited::Invite(wanted));
        }
    }

    /// The server has answered for an invite's key.
    pub(super) fn key_answered(&mut self, wanted: Wanted, answer: Answer, now: u64) {
        if self.is_rekeying() && !matches!(answer, Answer::Refused { .. }) {
            // The key is dead already or is about to be: ask again afterwards.
            return self.owner_state.waiting.push(wanted);
        }
        let link = match answer {
            Answer::Key(join_key) if self.governs() => self.link(wanted, join_key, now).ok(),
            _ => None,
        };
        self.event(match link {
            Some(link) => Event::Invite { id: wanted.id, link: Box::new(link) },
            None => Event::InviteFailed { id: wanted.id, kind: wanted.kind },
        });
    }

    fn link(&mut self, wanted: Wanted, join_key: secrecy::SecretString, now: u64) -> Result<Link, SealedError> {
        let (id, epoch) = (random::array(&mut *self.random), self.trusted.epochs.current().epoch());
        let expiry = wanted.expires_in.map_or(0, |life| (now / 1000).saturating_add(life.as_secs()));
        let certificate =
            Certificate::issue(&self.me.identity, self.trusted.chain.root(), epoch, id, wanted.kind, expiry)?;
        Ok(Link {
            server: self.room.server.clone(),
            room_id: self.room.id.clone(),
            join_key,
            secret: RoomSecret::from_slice(epoch, self.trusted.epochs.current().expose())?,
            room_name: self.room.name.clone(),
            certificate,
            chain: self.trusted.chain.clone(),
        })
    }
}

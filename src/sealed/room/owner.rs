//! Owning the room: invites, heirs, handing it over, and taking it over. The chain proves the owner; the server's word
//! alone makes nobody the owner.
use super::{
    input::Answer,
    machine::{Awaited, Machine, OwnerHeard},
    output::{Command, Event},
    owner_state::Wanted,
    send_queue::{Outgoing, Queued},
};
use crate::sealed::{
    alarm::{AlarmKind, Who},
    certificate::Certificate,
    chain::{OwnerChain, Right},
    error::SealedError,
    fingerprint::Fingerprint,
    link::Link,
    random,
    secret::RoomSecret,
};

/// How long a new owner has to prove itself, in milliseconds of connected time.
const PROOF_MS: u64 = 60_000;
/// How long the server has to answer a hand-over.
const HAND_OVER_MS: u64 = 10_000;
/// An owner that is lost so soon after it spoke may only be cut off.
const SOON_MS: u64 = 30_000;
/// How many members are kept supplied with what an heir needs.
const HEIRS: usize = 3;
/// How often a member that is named without a grant passes the server's office on.
const MOST_PASSES: u32 = 3;

impl Machine {
    /// The server names an owner, on entry or later.
    pub(super) fn name_owner(&mut self, owner_id: String) {
        self.claimed.owner_id = owner_id;
        self.owner_state.proof = None;
        self.owner_state.offered = false;
        let named = self.trusted.members.by_user_id(&self.claimed.owner_id).map(|member| member.fingerprint);
        self.owner_state.named.extend(named);
        if self.claimed.owner_id == self.claimed.user_id {
            return self.named_myself();
        }
        if self.named_owner_is_proved() {
            return;
        }
        if self.is_owner_by_chain() && self.owner_state.handing.is_none() {
            return self.alarm_about(AlarmKind::TreatedAsGone, self.who_am_i());
        }
        let owner = self.owner_print();
        if owner == self.myself() || self.trusted.members.get(&owner).is_some() {
            self.owner_state.proof = Some(self.time() + PROOF_MS);
        } else {
            self.tell_of_owner(named);
        }
    }

    /// The owner by the chain has left: the server may have named another before.
    pub(super) fn owner_left(&mut self, user_id: &str) {
        if self.claimed.owner_id != user_id {
            let owner_id = self.claimed.owner_id.clone();
            self.name_owner(owner_id);
        }
    }

    fn named_myself(&mut self) {
        if self.owner_print() == self.myself() {
            return;
        }
        if let Some(handed) = self.owner_state.handed.take_if(|handed| follows(handed, &self.trusted.chain)) {
            return self.begin_office(handed);
        }
        if self.trusted.members.get(&self.owner_print()).is_some() {
            return self.alarm_about(AlarmKind::OwnershipImposed, self.who_am_i());
        }
        if self.grant_now().is_some() {
            self.owner_state.offered = true;
            return self.tell_of_owner(Some(self.myself()));
        }
        // Without a grant this member cannot own the room: somebody else may.
        let next = self.trusted.members.longest_standing().first().map(|member| member.user_id.clone());
        match next.filter(|_| self.owner_state.passes < MOST_PASSES) {
            Some(user_id) => {
                self.owner_state.passes += 1;
                self.command(Command::HandOver { user_id });
            }
            None => self.alarm_about(AlarmKind::OwnershipImposed, self.who_am_i()),
        }
    }

    /// The chain by which this member may take the office now.
    fn grant_now(&self) -> Option<&OwnerChain> {
        let grant = self.owner_state.grants.get(&self.trusted.epochs.number())?;
        Some(grant).filter(|grant| follows(grant, &self.trusted.chain))
    }

    /// The server says that the owner is gone: people are told, and nothing happens by itself.
    fn tell_of_owner(&mut self, heir: Option<Fingerprint>) {
        let silent_ms = self.talk.owner.last.map(|last| self.time() - last);
        let soon = silent_ms.is_some_and(|silent| silent < SOON_MS);
        self.event(Event::OwnerGone { heir, silent_ms, soon });
    }

    /// The person takes the office of an owner that is gone. False if it cannot.
    pub(super) fn take_granted_office(&mut self) -> bool {
        let owner_is_here = self.trusted.members.get(&self.owner_print()).is_some();
        match self.grant_now().filter(|_| !owner_is_here && self.owner_state.offered).cloned() {
            Some(grant) => {
                self.begin_office(grant);
                true
            }
            None => false,
        }
    }

    /// Becomes the owner: the first act is a rekey, which shows the chain.
    fn begin_office(&mut self, chain: OwnerChain) {
        let epoch = self.trusted.epochs.number();
        self.owner_state.forget_up_to(epoch);
        self.owner_state.unknown = true;
        self.set_owner(chain);
        self.begin_rekey(None);
    }

    /// Another owner, by the chain.
    pub(super) fn set_owner(&mut self, chain: OwnerChain) {
        let right = chain.links().last().map(|link| link.right);
        self.trusted.chain = chain;
        self.owner_state.handed_to = None;
        self.owner_state.handing = None;
        self.owner_state.supplied.clear();
        self.owner_state.proof = None;
        self.owner_state.receipts = None;
        self.talk.owner = OwnerHeard::default();
        if let Some(right) = right {
            let owner = self.owner_print();
            self.event(Event::OwnerChanged { owner, right });
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

    /// Warns if the owner that the server names has not proved itself in time, and withdraws a hand-over that came to
    /// nothing.
    pub(super) fn expire_office(&mut self) {
        let time = self.time();
        if let Some((to, _)) = self.owner_state.handing.filter(|(_, until)| *until <= time) {
            self.withdraw(to);
        }
        if self.owner_state.proof.is_none_or(|until| until > time) {
            return;
        }
        self.owner_state.proof = None;
        // A newcomer may have been waiting for the owner's card.
        if self.named_owner_is_proved() {
            return;
        }
        let who = match self.trusted.members.by_user_id(&self.claimed.owner_id) {
            Some(member) => member.who(),
            None => Who::stranger(&self.claimed.owner_id),
        };
        self.alarm_about(AlarmKind::OwnerUnproven, who);
        if let Some(to) = self.owner_state.handed_to {
            self.withdraw(to);
        }
    }

    /// A hand-over that came to nothing is undone by a rekey: its link is worth nothing in the next epoch.
    fn withdraw(&mut self, to: Fingerprint) {
        (self.owner_state.handing, self.owner_state.handed_to) = (None, None);
        self.event(Event::HandOverFailed { to });
        self.begin_rekey(None);
    }

    /// A member says that this one is the next owner.
    pub(super) fn named_heir(&mut self, who: Who, by_owner: bool, chain: &[u8], transfer: bool) {
        let grant = OwnerChain::from_bytes(*self.trusted.chain.root(), chain).ok();
        let further = |grant: &OwnerChain| {
            grant.links().len() > self.trusted.chain.links().len() + 1 && grant.continues(&self.trusted.chain)
        };
        if grant.as_ref().is_some_and(further) {
            // It comes of an owner that this member does not follow: perhaps both were told different things by the
            // server.
            return;
        }
        let grant = grant.filter(|grant| {
            by_owner && follows(grant, &self.trusted.chain) && grant.owner() == self.me.identity.verifying_key()
        });
        let Some((grant, link)) = grant.and_then(|grant| grant.links().last().copied().map(|link| (grant, link)))
        else {
            return self.alarm_about(AlarmKind::SuccessionForged, who);
        };
        let epoch = self.trusted.epochs.number();
        if link.epoch < epoch || link.epoch > epoch.saturating_add(1) {
            return;
        }
        self.owner_state.keeps_heirs = transfer;
        match link.right {
            Right::Heir => drop(self.owner_state.grants.insert(link.epoch, grant)),
            Right::HandOver if link.epoch == epoch => {
                self.owner_state.handed = Some(grant);
                if self.claimed.owner_id == self.claimed.user_id {
                    self.named_myself();
                }
            }
            Right::HandOver => {}
        }
    }

    /// What speaks against the owners that the secret of an epoch shows behind one's own chain.
    pub(super) fn why_succession_fails(&self, chain: &OwnerChain, epoch: u32) -> Option<AlarmKind> {
        if !chain.continues(&self.trusted.chain) {
            return Some(AlarmKind::SecretForged);
        }
        let own = self.trusted.epochs.number();
        let known = self.trusted.chain.links().len();
        for (at, link) in chain.links().iter().enumerate().skip(known) {
            if link.epoch < own || link.epoch >= epoch {
                return Some(AlarmKind::SecretForged);
            }
            let former = chain.owner_after(at);
            let is_here = former.is_some_and(|former| {
                former == self.me.identity.verifying_key() || self.trusted.members.by_key(former).is_some()
            });
            let is_last = at + 1 == chain.links().len();
            let is_named = || {
                let member = self.trusted.members.by_key(&link.key);
                member.is_some_and(|member| self.owner_state.named.contains(&member.fingerprint))
            };
            match link.right {
                Right::Heir if is_here => return Some(AlarmKind::ClaimsOffice),
                Right::HandOver if is_last && !is_named() => return Some(AlarmKind::ClaimsOffice),
                Right::Heir | Right::HandOver => {}
            }
        }
        None
    }

    /// Gives the members that would follow what they need to take over.
    pub(super) fn supply_heirs(&mut self) {
        if self.owner_state.keeps_heirs && self.governs() && !self.is_rekeying() {
            let grants = self.grants(self.trusted.epochs.number());
            self.sending.queue.extend(grants);
        }
    }

    /// What heirs need for the epoch that begins, before it does.
    pub(super) fn grants_for_next(&mut self) -> Vec<Queued> {
        if self.owner_state.keeps_heirs && self.is_owner_by_chain() && !self.owner_state.unknown {
            self.grants(self.trusted.epochs.number().saturating_add(1))
        } else {
            Vec::new()
        }
    }

    /// Verified members come first, then the longest-standing.
    fn grants(&mut self, epoch: u32) -> Vec<Queued> {
        let mut heirs = self.trusted.members.longest_standing();
        heirs.sort_by_key(|member| !member.verified);
        let heirs: Vec<_> = heirs.into_iter().take(HEIRS).map(|member| member.fingerprint).collect();
        let at = self.clock.wall;
        let supplied = &mut self.owner_state.supplied;
        let lacking = heirs.into_iter().filter(|heir| supplied.get(heir).is_none_or(|known| *known < epoch));
        let lacking: Vec<_> = lacking.collect();
        supplied.extend(lacking.iter().map(|heir| (*heir, epoch)));
        lacking.into_iter().map(|heir| Queued { outgoing: Outgoing::Grant { epoch }, to: Some(heir), at }).collect()
    }

    /// The next owner has what it needs: the server is to name it.
    pub(super) fn ask_to_hand_over(&mut self, to: Fingerprint, user_id: String) {
        self.owner_state.handing = Some((to, self.time() + HAND_OVER_MS));
        self.ask(Command::HandOver { user_id }, Awaited::HandOver(to));
    }

    /// The server has answered `transfer-owner`. From here on the successor has to prove itself; this member's word
    /// counts no more.
    pub(super) fn hand_over_answered(&mut self, to: Fingerprint, answer: &Answer) {
        if self.owner_state.handing.take_if(|(handing, _)| *handing == to).is_none() {
            return;
        }
        if let Answer::Refused { .. } = answer {
            self.withdraw(to);
        } else {
            self.owner_state.proof = Some(self.time() + PROOF_MS);
            self.owner_state.handed_to = Some(to);
        }
    }

    /// Asks the server for the keys of the invites that wait, unless the room secret is about to change.
    pub(super) fn ask_for_keys(&mut self) {
        if self.is_rekeying() {
            return;
        }
        for wanted in std::mem::take(&mut self.owner_state.waiting) {
            let command = Command::IssueKey { kind: wanted.kind, expires_in: wanted.expires_in };
            self.ask(command, Awaited::Invite(wanted));
        }
    }

    /// The server has answered for an invite's key.
    pub(super) fn key_answered(&mut self, wanted: Wanted, answer: Answer) {
        if self.is_rekeying() && !matches!(answer, Answer::Refused { .. }) {
            // The key is dead already or is about to be: ask again afterwards.
            return self.owner_state.waiting.push(wanted);
        }
        let link = match answer {
            Answer::Key(join_key) if self.governs() => self.link(&wanted, join_key).ok(),
            _ => None,
        };
        let Wanted { id, kind, .. } = wanted;
        self.event(match link {
            Some(link) => Event::Invite { id, link: Box::new(link) },
            None => Event::InviteFailed { id, kind },
        });
    }

    fn link(&mut self, wanted: &Wanted, join_key: secrecy::SecretString) -> Result<Link, SealedError> {
        let id = random::array(&mut *self.random);
        let (chain, secret) = (&self.trusted.chain, self.trusted.epochs.current());
        let expiry = wanted.expires_in.map_or(0, |life| self.clock.wall / 1000 + life.as_secs());
        let certificate = Certificate::issue(&self.me.identity, chain, secret.epoch(), id, wanted.kind, expiry)?;
        Ok(Link {
            server: self.room.server.clone(),
            room_id: self.room.id.clone(),
            join_key,
            secret: RoomSecret::from_slice(secret.epoch(), secret.expose())?,
            room_name: self.room.name.clone(),
            certificate,
            chain: chain.clone(),
        })
    }
}

/// Whether a chain is `earlier` with exactly one more owner.
fn follows(chain: &OwnerChain, earlier: &OwnerChain) -> bool {
    chain.links().len() == earlier.links().len() + 1 && chain.continues(earlier)
}

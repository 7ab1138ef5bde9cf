//! Which members are let in: judging the members that the server lists by their cards, and never by the server's word.
use std::collections::{HashMap, HashSet};

use super::{
    input::{LeaveReason, Listed},
    machine::Machine,
    members::Newcomer,
    output::Event,
};
use crate::sealed::{
    alarm::{AlarmKind, Who},
    card::Card,
    certificate::{Certificate, InviteKind},
    encoding::Header,
    error::SealedError,
    fingerprint::Fingerprint,
};

/// For how long after its expiry an invite is still good, in seconds: joining takes time.
const EXPIRY_GRACE_S: u64 = 600;

/// A member whose card holds.
struct Candidate {
    user_id: String,
    card: Card,
    sealed: String,
}

enum Verdict {
    Accept(Box<Candidate>),
    /// The card is of an epoch before this one.
    NotHereYet,
    /// The card is of a newer epoch.
    Newer,
    Refuse(AlarmKind, Who),
}

impl Candidate {
    fn fingerprint(&self) -> Fingerprint {
        self.card.fingerprint()
    }

    fn who(&self) -> Who {
        Who { user_id: self.user_id.clone(), fingerprint: Some(self.fingerprint()), name: Some(self.card.name.clone()) }
    }
}

impl Machine {
    /// The list that comes with one's own entry.
    pub(super) fn enter(&mut self, owner_id: String, listed: Vec<Listed>) {
        let mut ids = HashSet::from([self.claimed.user_id.clone()]);
        let mut candidates = Vec::new();
        for listed in listed {
            if !ids.insert(listed.user_id.clone()) {
                self.alarm_about(AlarmKind::UserIdTwice, Who::stranger(&listed.user_id));
                continue;
            }
            match self.judge(&listed, false) {
                Verdict::Accept(candidate) => candidates.push(*candidate),
                verdict => self.turn_away(&listed.user_id, verdict),
            }
        }
        // Nobody can tell which of two users of one invite was first if both were there before: neither is let in.
        let mut uses: HashMap<[u8; 16], HashSet<Fingerprint>> = HashMap::new();
        for candidate in &candidates {
            if let Some(invite) = one_time(candidate) {
                uses.entry(invite.id).or_default().insert(candidate.fingerprint());
            }
        }
        for candidate in candidates {
            let reused =
                one_time(&candidate).filter(|invite| uses.get(&invite.id).is_some_and(|users| users.len() > 1));
            if let Some(invite) = reused {
                self.trusted.members.spend(invite, candidate.fingerprint());
                self.trusted.members.refused_prints.insert(candidate.fingerprint());
                self.refuse(AlarmKind::InviteReused, candidate.who());
            } else if self.trusted.members.get(&candidate.fingerprint()).is_some() {
                self.refuse(AlarmKind::FingerprintTwice, candidate.who());
            } else {
                self.accept(candidate, false);
            }
        }
        self.event(Event::Entered);
        self.name_owner(owner_id);
    }

    /// Somebody joins. Only a card of the present epoch, seen at once, is judged as strictly as that allows.
    pub(super) fn join_live(&mut self, listed: Listed) {
        if listed.user_id == self.claimed.user_id {
            return self.alarm_about(AlarmKind::UserIdTwice, Who::stranger(&listed.user_id));
        }
        if let Some(member) = self.trusted.members.by_user_id(&listed.user_id) {
            let same = listed.card.as_ref() == Some(&member.card);
            let kind = if same { AlarmKind::FingerprintTwice } else { AlarmKind::UserIdTwice };
            return self.alarm_about(kind, member.who());
        }
        self.trusted.members.dropped.remove(&listed.user_id);
        if !self.clock.connected {
            self.trusted.members.not_here.insert(listed.user_id);
            return self.waiting.listing.want(self.clock.time);
        }
        match self.judge(&listed, true) {
            Verdict::Accept(candidate) => self.accept(*candidate, true),
            verdict => self.turn_away(&listed.user_id, verdict),
        }
    }

    /// The members in the room after an absence: all others have left, and those that joined meanwhile are not here
    /// yet.
    pub(super) fn caught_up(&mut self, owner_id: String, joined: Vec<Listed>, stayed: &[String]) {
        let here: HashSet<&str> =
            stayed.iter().map(String::as_str).chain(joined.iter().map(|listed| listed.user_id.as_str())).collect();
        let known = self.trusted.members.user_ids();
        for gone in known.iter().filter(|user_id| !here.contains(user_id.as_str())) {
            self.left(gone, LeaveReason::Left);
        }
        for listed in joined {
            let members = &mut self.trusted.members;
            if listed.user_id == self.claimed.user_id {
                self.alarm_about(AlarmKind::UserIdTwice, Who::stranger(&listed.user_id));
            } else if let Some(member) = members.by_user_id(&listed.user_id) {
                let fingerprint = member.fingerprint;
                self.compare_card(fingerprint, listed);
            } else if !members.refused.contains(&listed.user_id) && !members.dropped.contains(&listed.user_id) {
                members.not_here.insert(listed.user_id);
                self.waiting.listing.want(self.clock.time);
            }
        }
        if owner_id != self.claimed.owner_id {
            self.name_owner(owner_id);
        }
    }

    /// The answer to `list-members`: lets in those whose cards have become readable, and compares the others.
    pub(super) fn reconcile(&mut self, listed: Vec<Listed>) {
        for listed in listed {
            let members = &self.trusted.members;
            if listed.user_id == self.claimed.user_id || members.dropped.contains(&listed.user_id) {
                continue;
            }
            if let Some(member) = members.by_user_id(&listed.user_id) {
                let fingerprint = member.fingerprint;
                self.compare_card(fingerprint, listed);
            } else if members.not_here.contains(&listed.user_id) {
                match self.judge(&listed, false) {
                    Verdict::Accept(candidate) => self.accept(*candidate, false),
                    verdict => self.turn_away(&listed.user_id, verdict),
                }
            } else if !members.refused.contains(&listed.user_id) {
                self.refuse(AlarmKind::Unannounced, Who::stranger(&listed.user_id));
            }
        }
    }

    /// The card of an accepted member, as the server shows it now: it brings its newest leaf.
    fn compare_card(&mut self, fingerprint: Fingerprint, listed: Listed) {
        let Some(sealed) = listed.card else { return };
        let Some(member) = self.trusted.members.get_mut(&fingerprint).filter(|member| member.card != sealed) else {
            return;
        };
        let present = self.trusted.epochs.number();
        let opened = Header::peek(&sealed).and_then(|header| match header.epoch {
            epoch if epoch > present => Ok(None),
            epoch if epoch < present => Err(SealedError::Epoch),
            _ => Card::open(&sealed, self.trusted.chain.root(), self.trusted.epochs.present()).map(Some),
        });
        match opened {
            Err(SealedError::Epoch) => {}
            Err(_) => self.failed_to_open(fingerprint, present),
            Ok(None) => {
                let who = member.who();
                self.claims_newer(who);
            }
            Ok(Some(card)) if card.fingerprint() != fingerprint => {
                let who = member.who();
                self.alarm_about(AlarmKind::IdentitySwapped, who);
            }
            Ok(Some(card)) => {
                member.card = sealed;
                member.epoch = member.epoch.max(present);
                let swapped = card.leaf.generation == member.leaf.generation && card.leaf != member.leaf;
                if card.leaf.generation > member.leaf.generation {
                    member.leaf = card.leaf;
                }
                let who = member.who();
                self.talk.failing.remove(&fingerprint);
                if swapped {
                    self.alarm_about(AlarmKind::LeafSwapped, who);
                }
            }
        }
    }

    /// Somebody shows a newer epoch than one's own.
    pub(super) fn claims_newer(&mut self, who: Who) {
        if !self.is_owner_by_chain() {
            self.waiting.held.expect_newer(who, self.clock.time);
            self.lack_secret();
        } else if self.waiting.held.tell_of(&who.user_id) {
            self.alarm_about(AlarmKind::SecretNeverIssued, who);
        }
    }

    fn judge(&mut self, listed: &Listed, live: bool) -> Verdict {
        let candidate = match self.open_card(listed) {
            Err(verdict) => return verdict,
            Ok(candidate) => candidate,
        };
        let fingerprint = candidate.fingerprint();
        if let Some(kind) = self.judge_fingerprint(fingerprint) {
            return Verdict::Refuse(kind, candidate.who());
        }
        match self.judge_invite(&candidate.card, live) {
            Some(kind) => {
                self.trusted.members.refused_prints.insert(fingerprint);
                Verdict::Refuse(kind, candidate.who())
            }
            None => Verdict::Accept(Box::new(candidate)),
        }
    }

    fn open_card(&self, listed: &Listed) -> Result<Candidate, Verdict> {
        let refuse = |kind| Verdict::Refuse(kind, Who::stranger(&listed.user_id));
        let sealed = listed.card.as_deref().ok_or_else(|| refuse(AlarmKind::NoCard))?;
        let failed = |error| match error {
            SealedError::Version => refuse(AlarmKind::CardOfUnknownVersion),
            SealedError::Signature => refuse(AlarmKind::CardForged),
            _ => refuse(AlarmKind::CardDoesNotOpen),
        };
        let (epoch, present) = (Header::peek(sealed).map_err(failed)?.epoch, self.trusted.epochs.number());
        if epoch > present {
            return Err(Verdict::Newer);
        }
        if epoch < present {
            return Err(Verdict::NotHereYet);
        }
        let card = Card::open(sealed, self.trusted.chain.root(), self.trusted.epochs.present()).map_err(failed)?;
        Ok(Candidate { user_id: listed.user_id.clone(), card, sealed: sealed.to_owned() })
    }

    /// What speaks against a fingerprint.
    fn judge_fingerprint(&self, fingerprint: Fingerprint) -> Option<AlarmKind> {
        let members = &self.trusted.members;
        if fingerprint == self.myself() || members.get(&fingerprint).is_some() {
            return Some(AlarmKind::FingerprintTwice);
        }
        match members.gone(&fingerprint) {
            Some(true) => Some(AlarmKind::RemovedMemberReturned),
            Some(false) => Some(AlarmKind::MemberReturned),
            None => members.refused_prints.contains(&fingerprint).then_some(AlarmKind::RefusedBefore),
        }
    }

    /// What speaks against the invite of a member whose card opens.
    fn judge_invite(&self, card: &Card, live: bool) -> Option<AlarmKind> {
        let (members, chain) = (&self.trusted.members, &self.trusted.chain);
        let fingerprint = card.fingerprint();
        if !live && members.roster.as_ref().is_some_and(|roster| roster.contains(&fingerprint)) {
            return None;
        }
        let Some(invite) = &card.invite else {
            return if card.key == *chain.root() && !live { None } else { Some(AlarmKind::NoInvite) };
        };
        if invite.verify(chain).is_err() {
            return Some(AlarmKind::InviteForged);
        }
        let epoch = self.trusted.epochs.number();
        let of_present_owner = usize::from(invite.links) == chain.links().len();
        if live && !of_present_owner {
            Some(AlarmKind::InviteOfFormerOwner)
        } else if invite.epoch > epoch || (live && invite.epoch < epoch) {
            Some(AlarmKind::InviteOutdated)
        } else if !live && members.roster.is_some() && !(of_present_owner && invite.epoch == epoch) {
            Some(AlarmKind::NotInRoster)
        } else if live && self.is_expired(invite.expiry) {
            Some(AlarmKind::InviteExpired)
        } else if members.spent_by_other(invite, fingerprint) {
            Some(AlarmKind::InviteReused)
        } else {
            None
        }
    }

    /// Whether an invite has run out by its owner's clock, as far as that is known here. A clock of one's own that is
    /// wrong excludes nobody.
    fn is_expired(&self, expiry: u64) -> bool {
        let clock_ms = if self.is_owner_by_chain() {
            Some(self.clock.wall)
        } else {
            self.talk.owner.ahead.and_then(|ahead| self.clock.time.checked_add_signed(ahead))
        };
        expiry != 0 && clock_ms.is_some_and(|clock| clock / 1000 > expiry.saturating_add(EXPIRY_GRACE_S))
    }

    fn accept(&mut self, candidate: Candidate, live: bool) {
        let Candidate { user_id, card, sealed } = candidate;
        let fingerprint = card.fingerprint();
        if let Some(invite) = &card.invite {
            self.trusted.members.spend(invite, fingerprint);
        }
        self.waiting.held.release_early(&user_id, &mut self.waiting.replay);
        let name = self.trusted.members.accept(Newcomer {
            user_id,
            key: card.key,
            name: card.name,
            leaf: card.leaf,
            card: sealed,
            epoch: self.trusted.epochs.number(),
            live,
            said_before: self.sending.said,
        });
        self.event(Event::MemberJoined { member: fingerprint, name, live });
    }

    fn turn_away(&mut self, user_id: &str, verdict: Verdict) {
        match verdict {
            Verdict::Accept(_) => return,
            Verdict::Refuse(kind, who) => return self.refuse(kind, who),
            Verdict::Newer => self.claims_newer(Who::stranger(user_id)),
            Verdict::NotHereYet => {}
        }
        self.waiting.listing.want(self.clock.time);
        if self.trusted.members.not_here.insert(user_id.to_owned()) {
            self.event(Event::NotHereYet { user_id: user_id.to_owned() });
        }
    }

    fn refuse(&mut self, kind: AlarmKind, who: Who) {
        self.trusted.members.not_here.remove(&who.user_id);
        self.trusted.members.refused.insert(who.user_id.clone());
        self.alarm_about(kind, who);
    }
}

fn one_time(candidate: &Candidate) -> Option<&Certificate> {
    candidate.card.invite.as_ref().filter(|invite| invite.kind == InviteKind::OneTime)
}

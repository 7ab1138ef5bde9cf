//! Who is let in: judging the members that the server lists by their cards, and never by the server's word.
use std::collections::{HashMap, HashSet};

use super::{
    epochs::Place,
    input::{Fact, LeaveReason, Listed},
    machine::Machine,
    members::{Counter, Member},
    output::Event,
};
use crate::{
    protocol::public_key::PublicKey,
    sealed::{
        alarm::{Alarm, Who},
        card::Card,
        certificate::{Certificate, InviteKind},
        encoding::Header,
        error::SealedError,
        fingerprint::Fingerprint,
        identity::RecipientKey,
    },
};

/// For how long after its expiry an invite is still good, in seconds: clocks differ, and joining takes time.
const EXPIRY_GRACE_S: u64 = 600;

/// Someone whose card holds.
struct Candidate {
    user_id: String,
    card: Card,
    public_key: PublicKey,
    recipient: RecipientKey,
}

enum Verdict {
    Accept(Box<Candidate>),
    /// The card is of an epoch before this one.
    NotHereYet,
    /// The card is of the next epoch.
    Newer,
    Refuse(Alarm),
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
    pub(super) fn enter(&mut self, owner_id: String, listed: Vec<Listed>, now: u64) {
        let mut ids = HashSet::from([self.claimed.user_id.clone()]);
        let mut candidates = Vec::new();
        for listed in listed {
            if !ids.insert(listed.user_id.clone()) {
                self.alarm(Alarm::UserIdTwice(stranger(&listed.user_id)));
                continue;
            }
            match self.judge(&listed, false, now) {
                Verdict::Accept(candidate) => candidates.push(*candidate),
                verdict => self.turn_away(&listed.user_id, verdict, false, now),
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
            let reused = one_time(&candidate).is_some_and(|invite| uses.get(&invite.id).is_some_and(|u| u.len() > 1));
            if reused {
                if let Some(invite) = one_time(&candidate) {
                    self.trusted.members.spend(invite, candidate.fingerprint());
                }
                self.trusted.members.refused_prints.insert(candidate.fingerprint());
                self.refuse(Alarm::InviteReused(candidate.who()), &candidate.user_id);
            } else if self.trusted.members.get(&candidate.fingerprint()).is_some() {
                self.refuse(Alarm::FingerprintTwice(candidate.who()), &candidate.user_id);
            } else {
                self.accept(candidate, false);
            }
        }
        self.event(Event::Entered);
        self.name_owner(owner_id, now);
    }

    /// Somebody joins.
    pub(super) fn join_live(&mut self, listed: Listed, now: u64) {
        if listed.user_id == self.claimed.user_id {
            self.alarm(Alarm::UserIdTwice(stranger(&listed.user_id)));
        } else if let Some(member) = self.trusted.members.by_user_id(&listed.user_id) {
            let alarm = if same_key(member, &listed) { Alarm::FingerprintTwice } else { Alarm::UserIdTwice };
            let alarm = alarm(member.who());
            self.alarm(alarm);
        } else {
            self.trusted.members.dropped.remove(&listed.user_id);
            match self.judge(&listed, true, now) {
                Verdict::Accept(candidate) => self.accept(*candidate, true),
                verdict => {
                    let again = matches!(verdict, Verdict::Newer).then(|| listed.clone());
                    self.turn_away(&listed.user_id, verdict, true, now);
                    if let Some(listed) = again {
                        // Judged as soon as the secret is here, by the epoch that it came in.
                        self.waiting.held.hold_newer(stranger(&listed.user_id), Fact::UserJoined(listed), now);
                    }
                }
            }
        }
    }

    /// Who is in the room after an absence: the others have left, and who joined is judged as in a list.
    pub(super) fn caught_up(&mut self, owner_id: String, joined: Vec<Listed>, stayed: &[String], now: u64) {
        let here: HashSet<&str> =
            stayed.iter().map(String::as_str).chain(joined.iter().map(|listed| listed.user_id.as_str())).collect();
        let known = self.trusted.members.user_ids();
        for gone in known.iter().filter(|user_id| !here.contains(user_id.as_str())) {
            self.left(gone, LeaveReason::Left);
        }
        for listed in joined {
            let members = &self.trusted.members;
            if listed.user_id == self.claimed.user_id {
                self.alarm(Alarm::UserIdTwice(stranger(&listed.user_id)));
            } else if let Some(member) = members.by_user_id(&listed.user_id) {
                let who = member.who();
                if !same_key(member, &listed) {
                    self.alarm(Alarm::KeySwapped(who));
                }
            } else if !members.refused.contains(&listed.user_id) && !members.dropped.contains(&listed.user_id) {
                match self.judge(&listed, false, now) {
                    Verdict::Accept(candidate) => self.accept(*candidate, false),
                    verdict => self.turn_away(&listed.user_id, verdict, false, now),
                }
            }
        }
        if owner_id != self.claimed.owner_id {
            self.name_owner(owner_id, now);
        }
    }

    /// The answer to `list-members`: lets in those whose cards have become readable, and compares the others.
    pub(super) fn reconcile(&mut self, listed: Vec<Listed>, now: u64) {
        for listed in listed {
            if listed.user_id == self.claimed.user_id || self.trusted.members.dropped.contains(&listed.user_id) {
                continue;
            }
            if let Some(member) = self.trusted.members.by_user_id(&listed.user_id) {
                let (who, fingerprint) = (member.who(), member.fingerprint);
                if !same_key(member, &listed) {
                    self.alarm(Alarm::KeySwapped(who));
                } else if let Some(place) = self.place_of_newer(&listed) {
                    match place {
                        Place::Beyond(alarm) => self.refuse_epoch(who, alarm),
                        _ => self.waiting.held.expect_newer(who, now),
                    }
                } else if self.is_other_card(&listed, fingerprint) {
                    self.alarm(Alarm::CardSwapped(who));
                }
            } else if let Some(live) = self.trusted.members.not_here.get(&listed.user_id).copied() {
                match self.judge(&listed, live, now) {
                    Verdict::Accept(candidate) => self.accept(*candidate, live),
                    verdict => self.turn_away(&listed.user_id, verdict, live, now),
                }
            } else if !self.trusted.members.refused.contains(&listed.user_id) {
                self.refuse(Alarm::Unannounced(stranger(&listed.user_id)), &listed.user_id);
            }
        }
    }

    fn judge(&mut self, listed: &Listed, live: bool, now: u64) -> Verdict {
        let candidate = match self.open_card(listed, live) {
            Err(verdict) => return verdict,
            Ok(candidate) => candidate,
        };
        if let Some(alarm) = self.judge_fingerprint(candidate.fingerprint()) {
            return Verdict::Refuse(alarm(candidate.who()));
        }
        match self.judge_invite(&candidate, live, now) {
            Some(alarm) => {
                self.trusted.members.refused_prints.insert(candidate.fingerprint());
                Verdict::Refuse(alarm(candidate.who()))
            }
            None => Verdict::Accept(Box::new(candidate)),
        }
    }

    fn open_card(&self, listed: &Listed, live: bool) -> Result<Candidate, Verdict> {
        let refuse = |alarm: fn(Who) -> Alarm| Verdict::Refuse(alarm(stranger(&listed.user_id)));
        let card = listed.card.as_deref().ok_or_else(|| refuse(Alarm::NoCard))?;
        let public_key = PublicKey::from_pem(&listed.public_key_pem).map_err(|_| refuse(Alarm::BadPublicKey))?;
        let recipient = RecipientKey::new(&public_key).map_err(|_| refuse(Alarm::BadPublicKey))?;
        let header = Header::peek(card).map_err(|error| match error {
            SealedError::Version => refuse(Alarm::CardOfUnknownVersion),
            _ => refuse(Alarm::CardDoesNotOpen),
        })?;
        match self.place(header.epoch) {
            Place::Present => {}
            Place::Next => return Err(Verdict::Newer),
            Place::Beyond(alarm) => return Err(refuse(alarm)),
            Place::Past if live => return Err(refuse(Alarm::CardOutdated)),
            Place::Past => return Err(Verdict::NotHereYet),
        }
        match Card::open(card, &public_key, self.trusted.chain.root(), self.trusted.epochs.current()) {
            Ok(card) => Ok(Candidate { user_id: listed.user_id.clone(), card, public_key, recipient }),
            Err(
                SealedError::Signature | SealedError::Json | SealedError::Field | SealedError::Name | SealedError::Kind,
            ) => Err(refuse(Alarm::CardForged)),
            Err(_) => Err(refuse(Alarm::CardDoesNotOpen)),
        }
    }

    /// What speaks against a fingerprint.
    fn judge_fingerprint(&self, fingerprint: Fingerprint) -> Option<fn(Who) -> Alarm> {
        if fingerprint == self.me.identity.fingerprint() || self.trusted.members.get(&fingerprint).is_some() {
            return Some(Alarm::FingerprintTwice);
        }
        match self.trusted.members.gone(&fingerprint) {
            Some(true) => Some(Alarm::RemovedMemberReturned),
            Some(false) => Some(Alarm::MemberReturned),
            None => self.trusted.members.refused_prints.contains(&fingerprint).then_some(Alarm::RefusedBefore),
        }
    }

    /// What speaks against the invite of someone whose card opens.
    fn judge_invite(&self, candidate: &Candidate, live: bool, now: u64) -> Option<fn(Who) -> Alarm> {
        let fingerprint = candidate.fingerprint();
        let Some(invite) = &candidate.card.invite else {
            let is_creator = candidate.card.key == *self.trusted.chain.root();
            return if is_creator && !live { None } else { Some(Alarm::NoInvite) };
        };
        let signed_by_owner = invite.verify(self.trusted.chain.root(), self.trusted.chain.owner()).is_ok();
        let signed_by_any = signed_by_owner
            || self.trusted.chain.owners().any(|owner| invite.verify(self.trusted.chain.root(), owner).is_ok());
        let epoch = self.trusted.epochs.current().epoch();
        if !signed_by_any {
            Some(Alarm::InviteForged)
        } else if live && !signed_by_owner {
            Some(Alarm::InviteOfFormerOwner)
        } else if invite.epoch > epoch || (live && invite.epoch < epoch) {
            Some(Alarm::InviteOutdated)
        } else if live && invite.expiry != 0 && now / 1000 > invite.expiry.saturating_add(EXPIRY_GRACE_S) {
            Some(Alarm::InviteExpired)
        } else if self.trusted.members.spent_by_other(invite, fingerprint) {
            Some(Alarm::InviteReused)
        } else {
            None
        }
    }

    fn accept(&mut self, candidate: Candidate, live: bool) {
        let fingerprint = candidate.fingerprint();
        if let Some(invite) = one_time(&candidate) {
            self.trusted.members.spend(invite, fingerprint);
        }
        let Candidate { user_id, card, public_key, recipient } = candidate;
        self.waiting.held.release_early(&user_id, &mut self.waiting.replay);
        let member = Member {
            user_id,
            fingerprint,
            key: card.key,
            public_key,
            recipient,
            name: card.name,
            marked: false,
            verified: false,
            order: 0,
            room: if live { Counter::from_zero() } else { Counter::default() },
            private: Counter::from_zero(),
            last_private: 0,
        };
        let name = self.trusted.members.accept(member, &self.me.name);
        self.event(Event::MemberJoined { member: fingerprint, name, live });
    }

    fn turn_away(&mut self, user_id: &str, verdict: Verdict, live: bool, now: u64) {
        match verdict {
            Verdict::Accept(_) => return,
            Verdict::Refuse(alarm) => return self.refuse(alarm, user_id),
            Verdict::Newer => self.waiting.held.expect_newer(stranger(user_id), now),
            Verdict::NotHereYet => self.waiting.listing.want(now),
        }
        if self.trusted.members.not_here.insert(user_id.to_owned(), live).is_none() {
            self.event(Event::NotHereYet { user_id: user_id.to_owned() });
        }
    }

    fn refuse(&mut self, alarm: Alarm, user_id: &str) {
        self.trusted.members.not_here.remove(user_id);
        self.trusted.members.refused.insert(user_id.to_owned());
        self.alarm(alarm);
    }

    /// Where the epoch of a card stands, if it is newer than the present one.
    fn place_of_newer(&self, listed: &Listed) -> Option<Place> {
        let header = listed.card.as_deref().and_then(|card| Header::peek(card).ok())?;
        Some(self.place(header.epoch)).filter(|place| matches!(place, Place::Next | Place::Beyond(_)))
    }

    /// Whether a card of the present epoch is not the member's own.
    fn is_other_card(&self, listed: &Listed, fingerprint: Fingerprint) -> bool {
        match self.open_card(listed, false) {
            Ok(candidate) => candidate.fingerprint() != fingerprint,
            Err(Verdict::Refuse(_)) => true,
            Err(_) => false,
        }
    }
}

/// Someone of whom only the server's id is known.
pub(super) fn stranger(user_id: &str) -> Who {
    Who { user_id: user_id.to_owned(), fingerprint: None, name: None }
}

fn one_time(candidate: &Candidate) -> Option<&Certificate> {
    candidate.card.invite.as_ref().filter(|invite| invite.kind == InviteKind::OneTime)
}

fn same_key(member: &Member, listed: &Listed) -> bool {
    PublicKey::from_pem(&listed.public_key_pem).is_ok_and(|key| key == member.public_key)
}

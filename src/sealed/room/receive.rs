//! Messages that come in: opened, attributed, counted, and only then believed. Until a message's chain, padding and
//! signature hold, nothing changes; from then on its chain is kept whatever else is wrong with it.
use super::{
    heard::Side,
    input::Fact,
    machine::Machine,
    members::{Counted, TheirChain},
    output::Event,
};
use crate::sealed::{
    alarm::{AlarmKind, Who},
    body::Body,
    error::SealedError,
    fingerprint::{Fingerprint, sha256},
    hand::{self, Between, Content, Position},
    message::{Part, Shared},
    note::Note,
    plain::Plain,
};
use zeroize::Zeroizing;

/// What came of looking for the chain of a message.
enum Found {
    Chain(TheirChain, Option<u32>),
    /// The sender is to hand it on again.
    Lacking,
    /// Dropped, perhaps with an alarm.
    Refused(Option<AlarmKind>),
}

impl Machine {
    /// A message that the server says is from `user_id`.
    pub(super) fn receive(&mut self, user_id: String, content: String, shared: Option<String>) {
        let members = &self.trusted.members;
        if members.dropped.contains(&user_id) {
            return;
        }
        let member = members.by_user_id(&user_id);
        let from = member.map(|member| member.fingerprint);
        let who = member.map_or_else(|| Who::stranger(&user_id), |member| member.who());
        if from.is_none() && !members.not_here.contains(&user_id) {
            if self.trusted.members.refused.insert(user_id) {
                self.alarm_about(AlarmKind::MessageFromStranger, who);
            }
            return;
        }
        let Some(shared) = shared else {
            return self.alarm_about(AlarmKind::MessageUnsealed, who);
        };
        let outside = match Shared::parse(&shared) {
            Ok(outside) => outside,
            Err(SealedError::Version) => return self.alarm_about(AlarmKind::MessageOfUnknownVersion, who),
            Err(_) => return self.alarm_about(AlarmKind::MessageDoesNotOpen, who),
        };
        let time = self.clock.time;
        if outside.epoch > self.trusted.epochs.number() {
            // The epoch in a header is anybody's word: it waits for its secret, which this member asks for.
            let hold = !self.is_owner_by_chain();
            if outside.part != Part::Private || !hold {
                self.claims_newer(who.clone());
            }
            if hold {
                self.waiting.held.hold_newer(who, Fact::Message { user_id, content, shared: Some(shared) }, time);
            }
            return;
        }
        let Some(from) = from else {
            self.waiting.held.hold_early(&who.user_id, Fact::Message { user_id, content, shared: Some(shared) }, time);
            return self.waiting.listing.want_now(time);
        };
        match outside.part {
            Part::Note { .. } => {
                if self.trusted.epochs.keys(outside.epoch).is_some() && self.healing.take_note(from, &shared, time) {
                    self.read_note(from, &shared);
                }
            }
            Part::Private => self.receive_private(from, who, &content, &outside),
            Part::Room(at) if self.trusted.epochs.reads(outside.epoch) => {
                self.receive_room(from, who, &content, &outside, at, sha256(shared.as_bytes()));
            }
            Part::Room(_) => {
                self.tell_behind(from);
                self.speaks_in_old(from, outside.epoch);
            }
        }
    }

    /// Looks at a member's note.
    pub(super) fn read_note(&mut self, from: Fingerprint, shared: &str) {
        let Some(member) = self.trusted.members.get(&from) else { return };
        let Ok(epoch) = Shared::parse(shared).map(|outside| outside.epoch) else { return };
        let Some(keys) = self.trusted.epochs.keys(epoch) else { return };
        match Note::open(shared, &member.key, self.trusted.chain.root(), keys) {
            Ok(note) => {
                self.opened(from, epoch);
                self.noted(from, note);
            }
            Err(_) => self.failed_to_open(from, epoch),
        }
    }

    fn receive_room(
        &mut self,
        from: Fingerprint,
        who: Who,
        content: &str,
        outside: &Shared,
        at: Position,
        seal: [u8; 32],
    ) {
        let (chain, beginning) = match self.find_chain(from, content, outside.epoch, at) {
            Found::Chain(chain, beginning) => (chain, beginning),
            Found::Lacking => return self.lack_chain(from),
            Found::Refused(None) => return,
            Found::Refused(Some(kind)) => return self.alarm_about(kind, who),
        };
        let root = *self.trusted.chain.root();
        let Some(member) = self.trusted.members.get_mut(&from) else { return };
        if at.index < chain.index {
            if seal != member.last_shared {
                self.alarm_about(AlarmKind::OutOfOrder, who);
            }
            return;
        }
        let opened = chain
            .step_to(at.index)
            .and_then(|(keys, next)| outside.open_room(&keys, &root, &member.key).map(|plain| (plain, next)));
        let (plain, next) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let forged = error == SealedError::Signature;
                let kind = if forged { AlarmKind::MessageForged } else { AlarmKind::MessageDoesNotOpen };
                return self.alarm_about(kind, who);
            }
        };
        member.chain = Some(next);
        member.last_shared = seal;
        let begins = beginning.is_none_or(|beginning| member.room.begin(beginning));
        self.healing.chain_came(&from);
        self.opened(from, outside.epoch);
        if !begins {
            self.alarm_about(AlarmKind::BeginningChanged, who.clone());
        }
        self.read_in(from, who, &plain, outside.epoch, false);
    }

    /// The chain of a room message: the one at hand, or the one that came with it. The one at hand is put back by the
    /// caller.
    fn find_chain(&mut self, from: Fingerprint, content: &str, epoch: u32, at: Position) -> Found {
        let Some(member) = self.trusted.members.get_mut(&from) else { return Found::Refused(None) };
        match &member.chain {
            Some(known) if at.generation < known.generation => return Found::Refused(None),
            Some(known) if at.generation == known.generation => {
                if epoch != known.epoch {
                    return Found::Refused(Some(AlarmKind::MessageForged));
                }
                return match known.copy() {
                    Ok(chain) => Found::Chain(chain, None),
                    Err(_) => Found::Refused(None),
                };
            }
            _ => {}
        }
        let author = member.key;
        let sealed = match Content::parse(content) {
            Ok(Content::Hand(sealed)) => sealed,
            Err(SealedError::Version) => return Found::Refused(Some(AlarmKind::MessageOfUnknownVersion)),
            Ok(_) | Err(_) => return Found::Lacking,
        };
        let (to, root) = (self.myself(), self.trusted.chain.root());
        let (Some(keys), Some(own)) = (self.trusted.epochs.keys(epoch), self.leaves.get_mut(sealed.leaf_generation))
        else {
            return Found::Lacking;
        };
        match hand::open_hand(&sealed, &own.leaf, &Between { root, keys, from, to }, &author, at) {
            Ok(hand) => {
                own.used = true;
                Found::Chain(TheirChain::new(epoch, at.generation, at.index, hand.key), Some(hand.said))
            }
            Err(SealedError::Signature) => Found::Refused(Some(AlarmKind::MessageForged)),
            Err(_) => {
                self.failed_to_open(from, epoch);
                Found::Lacking
            }
        }
    }

    fn receive_private(&mut self, from: Fingerprint, who: Who, content: &str, outside: &Shared) {
        match self.open_private(from, content, outside) {
            Ok(Some(plain)) => {
                self.opened(from, outside.epoch);
                self.read_in(from, who, &plain, outside.epoch, true);
            }
            Ok(None) => self.lack_chain(from),
            Err(SealedError::Version) => self.alarm_about(AlarmKind::MessageOfUnknownVersion, who),
            Err(SealedError::Signature) => self.alarm_about(AlarmKind::MessageForged, who),
            Err(SealedError::Epoch) => {}
            Err(_) => {
                self.failed_to_open(from, outside.epoch);
                self.alarm_about(AlarmKind::MessageDoesNotOpen, who);
            }
        }
    }

    /// Nothing if the leaf that it is sealed to is not there any more; [`SealedError::Epoch`] if the epoch is not of
    /// this membership.
    fn open_private(
        &mut self,
        from: Fingerprint,
        content: &str,
        outside: &Shared,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, SealedError> {
        let keys = self.trusted.epochs.keys(outside.epoch).ok_or(SealedError::Epoch)?;
        let author = self.trusted.members.get(&from).ok_or(SealedError::Epoch)?.key;
        let Content::Private(sealed) = Content::parse(content)? else { return Err(SealedError::Kind) };
        let (to, root) = (self.myself(), self.trusted.chain.root());
        let Some(own) = self.leaves.get_mut(sealed.leaf_generation) else { return Ok(None) };
        let between = Between { root, keys, from, to };
        let (_, step) = hand::open_private(&sealed, &own.leaf, &between)?.step()?;
        own.used = true;
        outside.open_private(&step, &between, &author).map(Some)
    }

    /// Something of a member opened: it has the secret of this epoch.
    fn opened(&mut self, from: Fingerprint, epoch: u32) {
        if let Some(member) = self.trusted.members.get_mut(&from) {
            member.epoch = member.epoch.max(epoch);
        }
        if epoch == self.trusted.epochs.number() {
            self.talk.failing.remove(&from);
            self.healing.behind.remove(&from);
        }
    }

    /// Something of a member's in this epoch did not open.
    pub(super) fn failed_to_open(&mut self, from: Fingerprint, epoch: u32) {
        if epoch == self.trusted.epochs.number() {
            self.talk.failing.entry(from).or_insert((self.clock.time, false));
        }
    }

    fn read_in(&mut self, from: Fingerprint, who: Who, plain: &[u8], epoch: u32, private: bool) {
        let Ok(mut plain) = Plain::parse(from, plain) else {
            return self.alarm_about(AlarmKind::MessageMalformed, who);
        };
        let me = self.myself();
        if plain.check_recipient(private.then_some(me)).is_err() {
            let kind = if private { AlarmKind::MessageNotForMe } else { AlarmKind::MessageMalformed };
            return self.alarm_about(kind, who);
        }
        // What lies in an epoch that is over says nothing any more, but for a newer secret.
        if !self.trusted.epochs.reads(epoch) && !matches!(plain.core.body, Body::Secret(_)) {
            return;
        }
        if plain.core.body.counts() {
            let (n, said) = (plain.core.n, plain.said);
            let Some(member) = self.trusted.members.get_mut(&from) else { return };
            let counter = if private { &mut member.private } else { &mut member.room };
            match counter.count(n, said) {
                Counted::SentAgain => return,
                Counted::SaysTwoThings => return self.alarm_about(AlarmKind::SaysTwoThings, who),
                Counted::Backwards => return self.alarm_about(AlarmKind::CountsBackwards, who),
                Counted::New { missing } => {
                    let name = member.shown();
                    if missing > 0 {
                        self.event(Event::Missing { from, name, count: missing, private });
                    }
                }
            }
            self.talk.heard.add(Side { author: from, to: private.then_some(me) }, n, said);
        }
        // A rekey removes members and may bring a new owner: its view is the one after it.
        let mut of = epoch;
        if matches!(plain.core.body, Body::Secret(_))
            && let Body::Secret(new) = std::mem::replace(&mut plain.core.body, Body::Void)
        {
            of = new.secret.epoch();
            self.secret_brought(who, new);
        }
        if !self.is_inside() {
            return;
        }
        self.update_view();
        // In a replay this member may go from one view to another over several at once: the messages after it will
        // tell.
        if of == self.trusted.epochs.number() && self.may_send() {
            self.trusted.views.check(from, plain.extra.view, self.clock.time);
        }
        self.take_in(from, plain, private);
    }
}

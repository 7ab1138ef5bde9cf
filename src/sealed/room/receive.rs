//! Messages that come in: opened, attributed, counted, and only then believed.
use super::{admit::stranger, epochs::Place, input::Fact, machine::Machine, members::Counted, output::Event};
use crate::sealed::{
    alarm::{Alarm, Who},
    encoding::Header,
    error::SealedError,
    fingerprint::{Fingerprint, sha256},
    message,
    plain::{Body, Plain},
};

/// A message that its author signed and that is for this member.
struct Opened {
    plain: Plain,
    signature: [u8; 64],
    epoch: u32,
}

impl Machine {
    /// A message that the server says is from `user_id`.
    pub(super) fn receive(&mut self, user_id: String, content: String, shared: Option<String>, now: u64) {
        if self.trusted.members.dropped.contains(&user_id) {
            return;
        }
        let member = self.trusted.members.by_user_id(&user_id);
        let not_here = self.trusted.members.not_here.contains_key(&user_id);
        if member.is_none() && !not_here {
            if self.trusted.members.refused.insert(user_id.clone()) {
                self.alarm(Alarm::MessageFromStranger(stranger(&user_id)));
            }
            return;
        }
        let who = member.map_or_else(|| stranger(&user_id), |member| member.who());
        let from = member.map(|member| member.fingerprint);
        let Some(shared) = shared else {
            return self.alarm(Alarm::MessageUnsealed(who));
        };
        let epoch = match Header::peek(&content) {
            Ok(header) => header.epoch,
            Err(SealedError::Version) => return self.alarm(Alarm::MessageOfUnknownVersion(who)),
            Err(error) => return self.alarm(Alarm::MessageDoesNotOpen(who, error)),
        };
        match self.place(epoch) {
            Place::Present | Place::Past => {}
            Place::Next => {
                return self.waiting.held.hold_newer(
                    who,
                    Fact::Message { user_id, content, shared: Some(shared) },
                    now,
                );
            }
            Place::Beyond(alarm) => return self.refuse_epoch(who, alarm),
        }
        let Some(from) = from else {
            self.waiting.held.hold_early(&who.user_id, Fact::Message { user_id, content, shared: Some(shared) }, now);
            return self.waiting.listing.want_now(now);
        };
        match self.open(from, who, epoch, &content, &shared) {
            Err(alarm) => self.alarm(alarm),
            Ok(opened) => self.count(from, opened, sha256(shared.as_bytes()), now),
        }
    }

    fn open(&self, from: Fingerprint, who: Who, epoch: u32, content: &str, shared: &str) -> Result<Opened, Alarm> {
        let (Some(secret), Some(member)) = (self.trusted.epochs.get(epoch), self.trusted.members.get(&from)) else {
            return Err(Alarm::MessageOutdated(who));
        };
        let root = self.trusted.chain.root();
        let signed = match message::open(content, shared, &self.me.identity, root, secret) {
            Ok(signed) => signed,
            Err(SealedError::Version) => return Err(Alarm::MessageOfUnknownVersion(who)),
            Err(error) => return Err(Alarm::MessageDoesNotOpen(who, error)),
        };
        let Ok(json) = signed.verify(root, &member.key) else {
            return Err(Alarm::MessageForged(who));
        };
        let plain = Plain::parse(json).map_err(|error| Alarm::MessageMalformed(who.clone(), error))?;
        if plain.check_recipient(self.me.identity.fingerprint()).is_err() {
            return Err(Alarm::MessageNotForMe(who));
        }
        Ok(Opened { plain, signature: signed.signature(), epoch })
    }

    fn count(&mut self, from: Fingerprint, opened: Opened, seal: [u8; 32], now: u64) {
        let Some(member) = self.trusted.members.get_mut(&from) else {
            return;
        };
        let private = opened.plain.to.is_some();
        let counter = if private { &mut member.private } else { &mut member.room };
        match counter.count(opened.plain.n, opened.signature, seal) {
            Counted::SentAgain => {}
            Counted::Replayed => {
                let who = member.who();
                self.alarm(Alarm::Replayed(who));
            }
            Counted::New { missing } => {
                let who = member.who();
                if missing > 0 {
                    self.alarm(Alarm::MessagesMissing { from: who.clone(), count: missing, private });
                }
                let view = opened.plain.view;
                // A rekey removes members and may bring a new owner: its view is the one after it.
                self.believe(from, opened, now);
                self.trusted.views.change(self.view(), now);
                self.trusted.views.check(from, who, view, now);
            }
        }
    }

    fn believe(&mut self, from: Fingerprint, opened: Opened, now: u64) {
        let Opened { plain, epoch, .. } = opened;
        let private = plain.to.is_some();
        let name = self.trusted.members.get(&from).map(|member| member.shown()).unwrap_or_default();
        match plain.body {
            Body::Text(text) => self.event(Event::Message { from, name, text, at: plain.at, private }),
            Body::Unknown(kind) => self.event(Event::Unsupported { from, name, kind }),
            Body::Void => {}
            Body::Secret(new) => self.rekeyed(from, new, epoch, private, now),
            Body::Succession { chain, transfer } => self.named_heir(from, &chain, transfer, private),
        }
    }
}

//! What is to be said becomes a message: its body, its number, its core, and what is remembered of it.
use std::collections::BTreeSet;

use super::{
    heard::{Line, Side},
    machine::Machine,
    output::Event,
    owner_state::OwnerState,
    send_queue::{InFlight, Kind, Outgoing, Proved},
};
use crate::sealed::{
    body::{Body, NewSecret, RoomSettings},
    chain::Right,
    error::SealedError,
    fingerprint::Fingerprint,
    plain::Core,
    said::SaidHash,
    secret::RoomSecret,
};

impl Machine {
    /// The core of a message, which gets its number here; nothing if there is nothing to say any more.
    pub(super) fn write(
        &mut self,
        outgoing: Outgoing,
        to: Option<Fingerprint>,
        at: u64,
    ) -> Result<Option<(InFlight, Body)>, SealedError> {
        let Some((kind, body)) = self.body_of(outgoing, to)? else { return Ok(None) };
        let last = match to.and_then(|to| self.trusted.members.get(&to)) {
            Some(partner) => partner.told,
            None => self.sending.said,
        };
        let (counts, void) = (body.counts(), matches!(body, Body::Void));
        let n = if counts { last.checked_add(1).ok_or(SealedError::Field)? } else { last };
        let RoomSettings { gone, .. } = self.trusted.settings;
        let vanishes = gone > 0 && matches!(body, Body::Text { .. } | Body::Edit { .. } | Body::File(_));
        let rules = self.is_owner_by_chain() && to.is_none() && !matches!(kind, Kind::Rekey { .. });
        let core = Core {
            n,
            at,
            body,
            to,
            gone: vanishes.then_some(gone),
            settings: rules.then_some(self.trusted.settings),
            quiet: false,
        };
        let written = core.to_json()?;
        match to.and_then(|to| self.trusted.members.get_mut(&to)) {
            Some(partner) => partner.told = n,
            None => self.sending.said = n,
        }
        let flight = InFlight {
            kind,
            to,
            n,
            counts,
            void,
            core: written,
            unanswered: 0,
            again: Vec::new(),
            refused: Vec::new(),
            reached: BTreeSet::new(),
            held: BTreeSet::new(),
            absent: BTreeSet::new(),
            uncertain: false,
            tries: 0,
            pause: None,
            retry_at: None,
        };
        Ok(Some((flight, core.body)))
    }

    /// What is said, and what it is to be remembered as.
    fn body_of(&mut self, outgoing: Outgoing, to: Option<Fingerprint>) -> Result<Option<(Kind, Body)>, SealedError> {
        Ok(Some(match outgoing {
            Outgoing::Say(id, body) => (Kind::Say(id), body),
            Outgoing::Mark(body) => (Kind::Other, body),
            Outgoing::Void => (Kind::Other, Body::Void),
            Outgoing::Rekey => {
                let (secret, proved) = self.prepare_epoch()?;
                let body = secret_body(copy(&secret)?, &proved);
                (Kind::Rekey { secret, proved }, body)
            }
            Outgoing::HandSecret { epoch } => {
                let current = self.trusted.epochs.current();
                match &self.trusted.proved {
                    Some(proved) if epoch < current.epoch() => {
                        (Kind::HandSecret { epoch }, secret_body(copy(current)?, proved))
                    }
                    _ => return Ok(None),
                }
            }
            Outgoing::Grant { epoch } => match self.succession(to, Right::Heir, epoch)? {
                Some(body) => (Kind::Other, body),
                None => return Ok(None),
            },
            Outgoing::HandOver => {
                let epoch = self.trusted.epochs.number();
                match self.succession(to, Right::HandOver, epoch)? {
                    Some(body) => (Kind::HandOver, body),
                    None => return Ok(None),
                }
            }
        }))
    }

    fn succession(&self, to: Option<Fingerprint>, right: Right, epoch: u32) -> Result<Option<Body>, SealedError> {
        let Some(heir) = to.and_then(|to| self.trusted.members.get(&to)).filter(|_| self.is_owner_by_chain()) else {
            return Ok(None);
        };
        let OwnerState { keeps_heirs, .. } = self.owner_state;
        let chain = self.trusted.chain.handed_to(&self.me.identity, heir.key, right, epoch)?;
        Ok(Some(Body::Succession { chain: chain.to_bytes(), transfer: keeps_heirs }))
    }

    /// Makes the next epoch, as the owner.
    pub(super) fn prepare_epoch(&mut self) -> Result<(RoomSecret, Proved), SealedError> {
        let epoch = self.trusted.epochs.number().checked_add(1).ok_or(SealedError::Field)?;
        let secret = RoomSecret::generate(epoch, &mut *self.random);
        let members = self.everyone();
        let proof = self.trusted.chain.prove(&self.me.identity, &secret, &members)?;
        Ok((secret, Proved { members, chain: self.trusted.chain.to_bytes(), proof }))
    }

    /// Notes what one says oneself.
    pub(super) fn said(&mut self, flight: &InFlight, body: &Body, recipients: &[Fingerprint]) {
        if !flight.counts {
            return;
        }
        let side = Side { author: self.myself(), to: flight.to };
        let said = SaidHash::of(side.author, &flight.core);
        self.talk.heard.add(side, flight.n, said);
        match body {
            Body::Text { .. } => self.talk.heard.set_line(side, flight.n, Line::Text),
            Body::File(_) => self.talk.heard.set_line(side, flight.n, Line::File),
            Body::Delete { n } => self.talk.heard.set_line(side, *n, Line::Deleted),
            _ => {}
        }
        if flight.to.is_none() && body.asks_for_confirmation() {
            let silent = self.talk.confirmations.said(flight.n, recipients, self.clock.time);
            if !silent.is_empty() {
                self.event(Event::Unconfirmed { members: silent });
            }
        }
    }
}

pub(super) fn copy(secret: &RoomSecret) -> Result<RoomSecret, SealedError> {
    RoomSecret::from_slice(secret.epoch(), secret.expose())
}

fn secret_body(secret: RoomSecret, proved: &Proved) -> Body {
    let Proved { members, chain, proof } = proved.clone();
    Body::Secret(NewSecret { secret, members, chain, proof })
}

//! Messages that go out: one at a time, so that a refused one can be sent again before the next number is used.
//!
//! A message gets its number, view, epoch and recipients when its turn comes, not when it is written. It keeps number and bytes until the relay
//! has taken it for every recipient; if the relay never does, a `void` message takes the number.
use std::collections::{HashMap, HashSet, VecDeque};

use zeroize::Zeroizing;

use super::{Answer, Command, CommandId, Event, MessageId, NotSent, Room};
use crate::sealed::{
    Body, Fingerprint, Plain, RoomSecret, SealedError,
    message::{Sealed, Signed},
    plain::NewSecret,
};

/// How often a refused packet is sent again.
const MAX_TRIES: u32 = 8;
/// The first pause before trying again, in milliseconds; doubles up to the second.
const PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 15_000;
/// What a packet has around its strings, in bytes, and around each recipient.
const PACKET_BYTES: usize = 512;
const RECIPIENT_BYTES: usize = 48;

/// What is to be said.
pub(super) enum Errand {
    Text(MessageId, Zeroizing<String>),
    Rekey { removed: Vec<Fingerprint> },
    Succession { hand_over: bool },
}

/// Something that waits for its turn.
pub(super) struct Queued {
    pub(super) errand: Errand,
    /// The only recipient, if private.
    pub(super) to: Option<Fingerprint>,
    pub(super) at: u64,
}

/// What a message under way is, once its words are in its signed bytes.
#[derive(Clone, Copy)]
enum Kind {
    Text(MessageId),
    Rekey,
    Succession { hand_over: bool },
    Void,
}

struct Flight {
    kind: Kind,
    to: Option<Fingerprint>,
    n: u64,
    at: u64,
    signed: Signed,
    /// A rekey goes out in the epoch that it ends, even when it is repeated.
    epoch: Option<u32>,
    waiting: HashMap<CommandId, Vec<Fingerprint>>,
    again: Vec<Fingerprint>,
    refused: Vec<Fingerprint>,
    absent: HashSet<String>,
    tries: u32,
    pause: Option<u64>,
    retry_at: Option<u64>,
}

/// One packet to be sent, and whom it is for.
#[derive(Default)]
struct Packet {
    recipients: Vec<(String, String)>,
    members: Vec<Fingerprint>,
}

#[derive(Default)]
pub(super) struct Outbox {
    pub(super) queue: VecDeque<Queued>,
    flight: Option<Flight>,
    /// The number of the last room message.
    said: u64,
}

impl Outbox {
    pub(super) fn deadline(&self) -> Option<u64> {
        self.flight.as_ref().and_then(|flight| flight.retry_at)
    }

    pub(super) fn awaits(&self, id: CommandId) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.waiting.contains_key(&id))
    }

    pub(super) fn is_handing_over(&self) -> bool {
        let under_way = |flight: &Flight| matches!(flight.kind, Kind::Succession { hand_over: true });
        self.flight.as_ref().is_some_and(under_way)
            || self.queue.iter().any(|queued| matches!(queued.errand, Errand::Succession { hand_over: true }))
    }

    pub(super) fn rekey_is_queued(&self) -> bool {
        self.queue.iter().any(|queued| matches!(queued.errand, Errand::Rekey { .. }))
    }
}

impl Room {
    /// Sends what is due: the message under way again, or the next ones.
    pub(super) fn pump(&mut self, now: u64) {
        if let Some(mut flight) = self.outbox.flight.take() {
            if flight.retry_at.is_some_and(|at| at <= now) {
                flight.retry_at = None;
                let again = std::mem::take(&mut flight.again);
                self.transmit(flight, again, now);
            } else {
                self.outbox.flight = Some(flight);
            }
        }
        while self.outbox.flight.is_none()
            && let Some(queued) = self.outbox.queue.pop_front()
        {
            self.launch(queued, now);
        }
    }

    fn launch(&mut self, queued: Queued, now: u64) {
        let recipients: Vec<_> = match queued.to {
            Some(to) => self.members.get(&to).map(|member| member.fingerprint).into_iter().collect(),
            None => self.members.iter().map(|member| member.fingerprint).collect(),
        };
        let Queued { errand, to, at } = queued;
        if recipients.is_empty() {
            return match (errand, to) {
                (Errand::Text(id, _), Some(_)) => self.event(Event::NotSent(id, NotSent::RecipientGone)),
                (Errand::Text(id, _), None) => self.event(Event::NotSent(id, NotSent::Alone)),
                (Errand::Rekey { .. }, _) => {
                    let secret = self.next_secret();
                    self.adopt(secret, now);
                }
                (Errand::Succession { hand_over: true }, Some(to)) => self.event(Event::HandOverFailed { to }),
                (Errand::Succession { .. }, _) => {}
            };
        }
        let n = 1 + to.and_then(|to| self.members.get(&to)).map_or(self.outbox.said, |member| member.told);
        let (kind, body) = match errand {
            Errand::Text(id, text) => (Kind::Text(id), Ok(Body::Text(text))),
            Errand::Rekey { removed } => {
                let (secret, chain) = (self.next_secret(), self.chain.to_bytes());
                (Kind::Rekey, Ok(Body::Secret(NewSecret { secret, removed, chain })))
            }
            Errand::Succession { hand_over } => (Kind::Succession { hand_over }, self.succession(to)),
        };
        let epoch = matches!(kind, Kind::Rekey).then(|| self.epochs.current().epoch());
        let written = body.and_then(|body| {
            let plain = Plain { n, at, body, view: self.views.current(), to };
            Ok((self.sign(&plain)?, plain.body))
        });
        let Ok((signed, body)) = written else {
            return match (kind, to) {
                (Kind::Text(id), _) => self.event(Event::NotSent(id, NotSent::Refused)),
                (Kind::Succession { hand_over: true }, Some(to)) => self.event(Event::HandOverFailed { to }),
                _ => {}
            };
        };
        match to.and_then(|to| self.members.get_mut(&to)) {
            Some(member) => member.told = n,
            None => self.outbox.said = n,
        }
        let flight = Flight {
            kind,
            to,
            n,
            at,
            signed,
            epoch,
            waiting: HashMap::new(),
            again: Vec::new(),
            refused: Vec::new(),
            absent: HashSet::new(),
            tries: 0,
            pause: None,
            retry_at: None,
        };
        self.transmit(flight, recipients, now);
        if let Body::Secret(new) = body {
            self.adopt(new.secret, now);
        }
    }

    fn sign(&self, plain: &Plain) -> Result<Signed, SealedError> {
        Signed::sign(&self.identity, self.chain.root(), &plain.to_json()?)
    }

    fn next_secret(&mut self) -> RoomSecret {
        RoomSecret::generate(self.epochs.current().epoch().saturating_add(1), &mut *self.random)
    }

    /// Seals a message to those recipients who are still members and hands it to the relay.
    fn transmit(&mut self, mut flight: Flight, mut recipients: Vec<Fingerprint>, now: u64) {
        recipients.retain(|recipient| self.members.get(recipient).is_some());
        let epoch = flight.epoch.unwrap_or(self.epochs.current().epoch());
        let sealed = match self.epochs.get(epoch) {
            Some(secret) if !recipients.is_empty() => {
                flight.signed.seal(self.chain.root(), secret, &mut *self.random).ok()
            }
            _ => None,
        };
        match sealed {
            Some(sealed) => {
                for (command, part) in self.packets(&sealed, &recipients) {
                    flight.waiting.insert(self.command(command), part);
                }
            }
            None => flight.refused.append(&mut recipients),
        }
        self.settle(flight, now);
    }

    /// One packet, or several if the relay's frames are too small for all recipients.
    fn packets(&self, sealed: &Sealed, recipients: &[Fingerprint]) -> Vec<(Command, Vec<Fingerprint>)> {
        let mut packets: Vec<Packet> = Vec::new();
        let mut size = 0;
        for member in recipients.iter().filter_map(|recipient| self.members.get(recipient)) {
            let Ok(content) = sealed.content_for(&member.recipient) else {
                continue;
            };
            let bytes = content.len() + member.user_id.len() + RECIPIENT_BYTES;
            if packets.is_empty() || size + bytes > self.settings.frame_bytes {
                packets.push(Packet::default());
                size = PACKET_BYTES + sealed.shared().len();
            }
            size += bytes;
            if let Some(packet) = packets.last_mut() {
                packet.recipients.push((member.user_id.clone(), content));
                packet.members.push(member.fingerprint);
            }
        }
        let send = |recipients| Command::Send { recipients, shared: sealed.shared().to_owned() };
        packets.into_iter().map(|packet| (send(packet.recipients), packet.members)).collect()
    }

    /// The relay has answered one packet of the message under way.
    pub(super) fn packet_answered(&mut self, id: CommandId, answer: Answer, now: u64) {
        let Some(mut flight) = self.outbox.flight.take() else {
            return;
        };
        let part = flight.waiting.remove(&id).unwrap_or_default();
        match answer {
            Answer::Sent { absent } => flight.absent.extend(absent),
            Answer::Lost => {
                flight.pause.get_or_insert(0);
                flight.again.extend(part);
            }
            Answer::Refused { retry_after_ms: Some(pause) } => {
                let pause = pause.max((PAUSE_MS << flight.tries.min(8)).min(LONGEST_PAUSE_MS));
                flight.pause = Some(flight.pause.unwrap_or(0).max(pause));
                flight.again.extend(part);
            }
            Answer::Refused { retry_after_ms: None } => flight.refused.extend(part),
            Answer::Done | Answer::Key(_) | Answer::Members { .. } => {}
        }
        self.settle(flight, now);
    }

    /// Goes on once every packet is answered.
    fn settle(&mut self, mut flight: Flight, now: u64) {
        if !flight.waiting.is_empty() {
            self.outbox.flight = Some(flight);
            return;
        }
        if !flight.again.is_empty() {
            let pause = flight.pause.take().unwrap_or(PAUSE_MS);
            flight.tries += u32::from(pause > 0);
            if flight.tries <= MAX_TRIES {
                flight.retry_at = Some(now.saturating_add(pause));
                self.outbox.flight = Some(flight);
                return;
            }
            flight.refused.append(&mut flight.again);
        }
        flight.refused.retain(|member| self.members.get(member).is_some());
        if flight.refused.is_empty() { self.delivered(&flight) } else { self.undelivered(flight, now) }
    }

    fn delivered(&mut self, flight: &Flight) {
        match (flight.kind, flight.to.and_then(|to| self.members.get(&to))) {
            (Kind::Text(id), _) => self.event(Event::Sent(id)),
            (Kind::Succession { hand_over: true }, Some(heir)) if !flight.absent.contains(&heir.user_id) => {
                let (user_id, to) = (heir.user_id.clone(), heir.fingerprint);
                let id = self.command(Command::TransferOwner { user_id });
                self.office.hand_over = Some((id, to));
            }
            (Kind::Succession { hand_over: true }, _) => {
                if let Some(to) = flight.to {
                    self.event(Event::HandOverFailed { to });
                }
            }
            (Kind::Succession { hand_over: false } | Kind::Rekey | Kind::Void, _) => {}
        }
    }

    fn undelivered(&mut self, flight: Flight, now: u64) {
        match flight.kind {
            Kind::Text(id) => {
                self.event(Event::NotSent(id, NotSent::Refused));
                let (to, n, at) = (flight.to, flight.n, flight.at);
                let plain = Plain { n, at, body: Body::Void, view: self.views.current(), to };
                if let Ok(signed) = self.sign(&plain) {
                    let recipients = flight.refused;
                    let void = Flight { kind: Kind::Void, signed, refused: Vec::new(), tries: 0, ..flight };
                    self.transmit(void, recipients, now);
                }
            }
            Kind::Rekey => self.event(Event::RekeyUndelivered { members: flight.refused }),
            Kind::Succession { hand_over: true } => {
                if let Some(to) = flight.to {
                    self.event(Event::HandOverFailed { to });
                }
            }
            Kind::Succession { hand_over: false } | Kind::Void => {}
        }
    }
}

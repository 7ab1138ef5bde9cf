//! Messages that go out: one at a time, so that a refused one can be sent again before the next number is used.
//!
//! A message gets its number, view, epoch and recipients when its turn comes, not when it is written. It keeps number and
//! bytes until the server has taken it for every recipient; if the server never does, a `void` message takes the number.
use super::{
    input::Answer,
    machine::{Awaited, Machine},
    output::{Command, Event, NotSent},
    send_queue::{Delivery, InFlight, Kind, Outgoing, Queued, Retry},
};
use crate::sealed::{
    error::SealedError,
    fingerprint::Fingerprint,
    message::{Sealed, Signed},
    plain::{Body, NewSecret, Plain},
    secret::RoomSecret,
};

/// How often a refused packet is sent again.
const MAX_TRIES: u32 = 8;
/// The first pause before trying again, in milliseconds; doubles up to the second.
const PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 15_000;
/// What a packet has around its strings, in bytes, and around each recipient.
const PACKET_BYTES: usize = 512;
const RECIPIENT_BYTES: usize = 48;

/// One packet to be sent, and the members it is for.
#[derive(Default)]
struct Packet {
    recipients: Vec<(String, String)>,
    members: Vec<(String, Fingerprint)>,
}

impl Machine {
    /// Sends what is due: the message under way again, or the next ones.
    pub(super) fn pump(&mut self, now: u64) {
        if let Some(mut message) = self.sending.in_flight.take() {
            if message.retry.at.is_some_and(|at| at <= now) {
                message.retry.at = None;
                let again = std::mem::take(&mut message.retry.again);
                self.transmit(message, again, now);
            } else {
                self.sending.in_flight = Some(message);
            }
        }
        while self.sending.in_flight.is_none()
            && let Some(queued) = self.sending.queue.pop_front()
        {
            self.launch(queued, now);
        }
    }

    fn launch(&mut self, queued: Queued, now: u64) {
        let members = &self.trusted.members;
        let recipients: Vec<_> = match queued.to {
            Some(to) => members.get(&to).map(|member| member.fingerprint).into_iter().collect(),
            None => members.iter().map(|member| member.fingerprint).collect(),
        };
        let Queued { outgoing, to, at } = queued;
        if recipients.is_empty() {
            return match (outgoing, to) {
                (Outgoing::Text(id, _), Some(_)) => self.event(Event::NotSent(id, NotSent::RecipientGone)),
                (Outgoing::Text(id, _), None) => self.event(Event::NotSent(id, NotSent::Alone)),
                (Outgoing::Rekey { .. }, _) => {
                    let secret = self.next_secret();
                    self.adopt(secret, now);
                }
                (Outgoing::HandOver, Some(to)) => self.event(Event::HandOverFailed { to }),
                (Outgoing::HandOver | Outgoing::Heir, _) => {}
            };
        }
        let last = to.and_then(|to| members.get(&to)).map_or(self.sending.last_number, |member| member.last_private);
        let n = last + 1;
        let (kind, body) = match outgoing {
            Outgoing::Text(id, text) => (Kind::Text(id), Ok(Body::Text(text))),
            Outgoing::Rekey { removed } => {
                let (secret, chain) = (self.next_secret(), self.trusted.chain.to_bytes());
                (Kind::Rekey, Ok(Body::Secret(NewSecret { secret, removed, chain })))
            }
            Outgoing::Heir => (Kind::Heir, self.succession(to)),
            Outgoing::HandOver => (Kind::HandOver, self.succession(to)),
        };
        let epoch = (kind == Kind::Rekey).then(|| self.trusted.epochs.current().epoch());
        let written = body.and_then(|body| {
            let plain = Plain { n, at, body, view: self.trusted.views.current(), to };
            Ok((self.sign(&plain)?, plain.body))
        });
        let Ok((signed, body)) = written else {
            return match (kind, to) {
                (Kind::Text(id), _) => self.event(Event::NotSent(id, NotSent::Refused)),
                (Kind::HandOver, Some(to)) => self.event(Event::HandOverFailed { to }),
                _ => {}
            };
        };
        match to.and_then(|to| self.trusted.members.get_mut(&to)) {
            Some(member) => member.last_private = n,
            None => self.sending.last_number = n,
        }
        let (delivery, retry) = (Delivery::default(), Retry::default());
        self.transmit(InFlight { kind, to, n, at, signed, epoch, delivery, retry }, recipients, now);
        if let Body::Secret(new) = body {
            self.adopt(new.secret, now);
        }
    }

    fn sign(&self, plain: &Plain) -> Result<Signed, SealedError> {
        Signed::sign(&self.me.identity, self.trusted.chain.root(), &plain.to_json()?)
    }

    fn next_secret(&mut self) -> RoomSecret {
        RoomSecret::generate(self.trusted.epochs.current().epoch().saturating_add(1), &mut *self.random)
    }

    /// Seals a message to those recipients who are still members and hands it to the server.
    fn transmit(&mut self, mut message: InFlight, mut recipients: Vec<Fingerprint>, now: u64) {
        recipients.retain(|recipient| self.trusted.members.get(recipient).is_some());
        let epoch = message.epoch.unwrap_or(self.trusted.epochs.current().epoch());
        let sealed = match self.trusted.epochs.get(epoch) {
            Some(secret) if !recipients.is_empty() => {
                message.signed.seal(self.trusted.chain.root(), secret, &mut *self.random).ok()
            }
            _ => None,
        };
        match sealed {
            Some(sealed) => {
                for Packet { recipients, members } in self.packets(&sealed, &recipients) {
                    let command = Command::Send { recipients, shared: sealed.shared().to_owned() };
                    self.ask(command, Awaited::Packet(members));
                }
            }
            None => message.delivery.refused.append(&mut recipients),
        }
        self.settle(message, now);
    }

    /// One packet, or several if the server's frames are too small for all recipients.
    fn packets(&self, sealed: &Sealed, recipients: &[Fingerprint]) -> Vec<Packet> {
        let mut packets: Vec<Packet> = Vec::new();
        let mut size = 0;
        for member in recipients.iter().filter_map(|recipient| self.trusted.members.get(recipient)) {
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
                packet.members.push((member.user_id.clone(), member.fingerprint));
            }
        }
        packets
    }

    /// The server has answered the packet for these members.
    pub(super) fn packet_answered(&mut self, members: Vec<(String, Fingerprint)>, answer: Answer, now: u64) {
        let Some(mut message) = self.sending.in_flight.take() else {
            return;
        };
        let InFlight { delivery, retry, .. } = &mut message;
        let all = members.iter().map(|(_, fingerprint)| *fingerprint);
        match answer {
            Answer::Sent { reached, held, absent } => {
                let named = |ids: &[String]| -> Vec<_> {
                    members.iter().filter(|(id, _)| ids.contains(id)).map(|(_, fingerprint)| *fingerprint).collect()
                };
                delivery.reached.extend(named(&reached));
                delivery.held.extend(named(&held));
                delivery.absent.extend(named(&absent));
            }
            Answer::Lost => {
                retry.pause.get_or_insert(0);
                retry.again.extend(all);
            }
            Answer::Refused { retry_after_ms: Some(pause) } => {
                let pause = pause.max((PAUSE_MS << retry.tries.min(8)).min(LONGEST_PAUSE_MS));
                retry.pause = Some(retry.pause.unwrap_or(0).max(pause));
                retry.again.extend(all);
            }
            Answer::Refused { retry_after_ms: None } => delivery.refused.extend(all),
            Answer::Done | Answer::Key(_) | Answer::Members { .. } => {}
        }
        self.settle(message, now);
    }

    /// Goes on once every packet is answered.
    fn settle(&mut self, mut message: InFlight, now: u64) {
        if self.awaits(|awaited| matches!(awaited, Awaited::Packet(_))) {
            self.sending.in_flight = Some(message);
            return;
        }
        let InFlight { delivery, retry, .. } = &mut message;
        if !retry.again.is_empty() {
            let pause = retry.pause.take().unwrap_or(PAUSE_MS);
            retry.tries += u32::from(pause > 0);
            if retry.tries <= MAX_TRIES {
                retry.at = Some(now.saturating_add(pause));
                self.sending.in_flight = Some(message);
                return;
            }
            delivery.refused.append(&mut retry.again);
        }
        delivery.refused.retain(|member| self.trusted.members.get(member).is_some());
        if delivery.refused.is_empty() { self.delivered(message) } else { self.undelivered(message, now) }
    }

    fn delivered(&mut self, message: InFlight) {
        let InFlight { kind, to, delivery: Delivery { reached, held, absent, .. }, .. } = message;
        match (kind, to.and_then(|to| self.trusted.members.get(&to))) {
            (Kind::Text(id), _) => self.event(Event::Sent { id, reached, held, absent }),
            (Kind::HandOver, Some(heir)) if !absent.contains(&heir.fingerprint) => {
                let (user_id, to) = (heir.user_id.clone(), heir.fingerprint);
                self.ask(Command::HandOver { user_id }, Awaited::HandOver(to));
            }
            (Kind::HandOver, _) => {
                if let Some(to) = to {
                    self.event(Event::HandOverFailed { to });
                }
            }
            (Kind::Heir | Kind::Rekey | Kind::Void, _) => {}
        }
    }

    fn undelivered(&mut self, message: InFlight, now: u64) {
        let refused = message.delivery.refused;
        match message.kind {
            Kind::Text(id) => {
                self.event(Event::NotSent(id, NotSent::Refused));
                let (to, n, at) = (message.to, message.n, message.at);
                let plain = Plain { n, at, body: Body::Void, view: self.trusted.views.current(), to };
                if let Ok(signed) = self.sign(&plain) {
                    let (delivery, retry) = (Delivery::default(), Retry::default());
                    let void = InFlight { kind: Kind::Void, signed, delivery, retry, ..message };
                    self.transmit(void, refused, now);
                }
            }
            Kind::Rekey => self.event(Event::RekeyUndelivered { members: refused }),
            Kind::HandOver => {
                if let Some(to) = message.to {
                    self.event(Event::HandOverFailed { to });
                }
            }
            Kind::Heir | Kind::Void => {}
        }
    }
}

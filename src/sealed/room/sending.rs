//! Messages that go out: one at a time, so that the fate of one is known before the next number is used.
//!
//! A message gets its number when its turn comes, not when it is written. Its core never changes. At each sending it
//! takes the next place in the chain and a new extra.
use std::collections::{BTreeMap, BTreeSet};

use super::{
    heard::Side,
    input::Answer,
    machine::{Awaited, Machine},
    output::{Command, Event, NotSent},
    send_queue::{InFlight, Kind, Outgoing, OwnChain, Queued, Sent},
    writing::copy,
};
use crate::sealed::{
    body::Body,
    error::SealedError,
    fingerprint::Fingerprint,
    hand::{self, Between},
    message,
    plain::{self, Core, Extra},
    said::SaidHash,
    step::ChainKey,
    view::View,
};

/// How often a refused packet is sent again.
const MAX_TRIES: u32 = 8;
/// The first pause before trying again, in milliseconds of connected time; doubles up to the second.
const PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 15_000;
/// What a packet has around its strings, in bytes, and around each recipient.
const PACKET_BYTES: usize = 512;
const RECIPIENT_BYTES: usize = 48;
/// A chain is renewed when it is as old as this, or as a second for each member.
const CHAIN_MS: u64 = 600_000;
const CHAIN_MS_PER_MEMBER: u64 = 1_000;

/// A recipient of a room message: its ids, and the chain if it lacks it.
struct Recipient {
    user_id: String,
    member: Fingerprint,
    leaf: u32,
    content: Option<String>,
}

impl Machine {
    /// Sends what is due: the message under way again, or the next ones.
    pub(super) fn pump(&mut self) {
        if let Some(mut flight) = self.sending.in_flight.take() {
            if flight.retry_at.is_some_and(|at| at <= self.time()) {
                flight.retry_at = None;
                let again = std::mem::take(&mut flight.again);
                self.transmit(flight, again);
            } else {
                self.sending.in_flight = Some(flight);
            }
        }
        while self.sending.in_flight.is_none() && self.may_send() {
            let Some(queued) = self.sending.queue.front() else { return };
            let needs_leaves = match (queued.to, &queued.outgoing) {
                (None, outgoing) => self.needs_chain(matches!(outgoing, Outgoing::Void)),
                // The asker's note brought its leaf, or its card is of an epoch that is over.
                (Some(_), Outgoing::HandSecret { .. }) => false,
                (Some(_), _) => true,
            };
            if needs_leaves && self.waits_for_list() {
                return;
            }
            if let Some(queued) = self.sending.queue.pop_front() {
                self.launch(queued);
            }
        }
    }

    /// Before something is sealed to leaves, they must be new: a leaf that its member has wiped opens nothing.
    fn waits_for_list(&mut self) -> bool {
        let time = self.time();
        let listing = &self.waiting.listing;
        if self.trusted.members.is_empty() || listing.is_fresh(time) || listing.failed {
            return false;
        }
        if !self.waiting.listing.asked {
            self.waiting.listing.want_now(time);
        }
        true
    }

    /// Whether one's chain is not to be used any more. Age alone renews none for a `void`.
    fn needs_chain(&self, void: bool) -> bool {
        let Some(chain) = &self.sending.chain else { return true };
        let members = &self.trusted.members;
        let age = CHAIN_MS.max(CHAIN_MS_PER_MEMBER * members.len() as u64);
        chain.epoch != self.trusted.epochs.number()
            || chain.is_used_up()
            || chain.audience.keys().any(|member| members.get(member).is_none())
            || (!void && self.time() - chain.since >= age)
    }

    fn launch(&mut self, queued: Queued) {
        let Queued { outgoing, to, at } = queued;
        let recipients: Vec<_> = match to {
            Some(to) => self.trusted.members.get(&to).map(|member| member.fingerprint).into_iter().collect(),
            None => self.trusted.members.longest_standing().iter().map(|member| member.fingerprint).collect(),
        };
        if recipients.is_empty() {
            return match (outgoing, to) {
                (Outgoing::Say(id, _), Some(_)) => self.event(Event::NotSent(id, NotSent::RecipientGone)),
                (Outgoing::Say(id, _), None) => self.event(Event::NotSent(id, NotSent::Alone)),
                (Outgoing::Rekey, _) => {
                    if let Ok((secret, proved)) = self.prepare_epoch() {
                        self.rekey_sent(secret, proved);
                        let time = self.time();
                        self.trusted.epochs.answered(time);
                    }
                }
                (Outgoing::HandOver, Some(to)) => self.event(Event::HandOverFailed { to }),
                _ => {}
            };
        }
        let id = if let Outgoing::Say(id, _) = &outgoing { Some(*id) } else { None };
        match self.write(outgoing, to, at) {
            Ok(Some((flight, body))) => {
                self.said(&flight, &body, &recipients);
                let rekey = match &flight.kind {
                    Kind::Rekey { secret, proved } => copy(secret).ok().map(|secret| (secret, proved.clone())),
                    _ => None,
                };
                self.transmit(flight, recipients);
                if let Some((secret, proved)) = rekey {
                    self.rekey_sent(secret, proved);
                }
            }
            Ok(None) => {}
            Err(_) => {
                if let Some(id) = id {
                    self.event(Event::NotSent(id, NotSent::Refused));
                }
            }
        }
    }

    /// Seals a message to those recipients that are still members and hands it to the server.
    fn transmit(&mut self, mut flight: InFlight, mut recipients: Vec<Fingerprint>) {
        recipients.retain(|recipient| self.trusted.members.get(recipient).is_some());
        let sealed = match (flight.to, recipients.first()) {
            (_, None) => Ok(()),
            (Some(_), Some(&to)) => self.transmit_private(&mut flight, to),
            (None, Some(_)) => self.transmit_room(&mut flight, &recipients),
        };
        if sealed.is_err() {
            flight.refused.append(&mut recipients);
        }
        self.settle(flight);
    }

    fn transmit_private(&mut self, flight: &mut InFlight, to: Fingerprint) -> Result<(), SealedError> {
        let extra = self.extra_of(flight);
        let member = self.trusted.members.get(&to).ok_or(SealedError::Field)?;
        let epochs = &self.trusted.epochs;
        let wanted = match flight.kind {
            Kind::HandSecret { epoch } => epoch,
            _ => member.epoch.min(epochs.number()),
        };
        let keys = epochs.keys(wanted).unwrap_or_else(|| epochs.present());
        let between = Between { root: self.trusted.chain.root(), keys, from: self.myself(), to };
        let key = ChainKey::generate(&mut *self.random);
        let content = hand::seal_private(&between, &member.leaf, &key)?;
        let (_, step) = key.step()?;
        let plain = plain::write(&flight.core, &extra, None)?;
        let shared = message::seal_private(&self.me.identity, &between, step, &plain)?;
        let user_id = member.user_id.clone();
        let sent = Sent { members: vec![(user_id.clone(), to)], hands: BTreeMap::new(), generation: None, rest: false };
        let command = Command::Send { to: vec![(user_id, Some(content))], shared, rest: None, keep: true };
        flight.unanswered += 1;
        self.ask(command, Awaited::Packet(sent));
        Ok(())
    }

    fn transmit_room(&mut self, flight: &mut InFlight, recipients: &[Fingerprint]) -> Result<(), SealedError> {
        let again = flight.tries > 0;
        // A rekey goes out in the epoch that it ends, even when it is repeated.
        if !(again && matches!(flight.kind, Kind::Rekey { .. })) && self.needs_chain(flight.void) {
            let generation = self.sending.generations;
            self.sending.generations = generation.checked_add(1).ok_or(SealedError::Field)?;
            let (epoch, time) = (self.trusted.epochs.number(), self.clock.time);
            self.sending.chain = Some(OwnChain::new(epoch, generation, time, &mut *self.random));
        }
        let extra = self.extra_of(flight);
        let (me, root) = (self.myself(), *self.trusted.chain.root());
        let chain = self.sending.chain.as_mut().ok_or(SealedError::Key)?;
        let (at, key, step) = chain.take()?;
        let plain = plain::write(&flight.core, &extra, None)?;
        let shared = message::seal_room(&self.me.identity, &root, chain.epoch, at, step, &plain)?;
        let keys = self.trusted.epochs.keys(chain.epoch).ok_or(SealedError::Epoch)?;
        let members = recipients.iter().filter_map(|recipient| self.trusted.members.get(recipient));
        let entries = members.map(|member| {
            let between = Between { root: &root, keys, from: me, to: member.fingerprint };
            let hand = || hand::seal_hand(&self.me.identity, &between, &member.leaf, at, member.said_before, &key);
            // A member whose leaf is no key gets no hand, and says so by a note.
            let content = if chain.audience.contains_key(&member.fingerprint) { None } else { hand().ok() };
            let (user_id, leaf) = (member.user_id.clone(), member.leaf.generation);
            Recipient { user_id, member: member.fingerprint, leaf, content }
        });
        let entries: Vec<_> = entries.collect();
        let (with_hand, without): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.content.is_some());
        let fits = self.split_up(with_hand.iter(), shared.len()).len() <= 1;
        // One packet leaves the others to the server. Several, or a repetition, name everybody.
        let rest = (!again && fits).then_some(self.claimed.version);
        let (named, others) = if rest.is_some() {
            (with_hand, without)
        } else {
            (with_hand.into_iter().chain(without).collect(), Vec::new())
        };
        let sizes = if rest.is_some() { vec![named.len()] } else { self.split_up(named.iter(), shared.len()) };
        let mut named = named.into_iter();
        for size in sizes {
            let part: Vec<_> = named.by_ref().take(size).collect();
            let ids = |entry: &Recipient| (entry.user_id.clone(), entry.member);
            let given = part.iter().filter(|entry| entry.content.is_some());
            let sent = Sent {
                hands: given.map(|entry| (entry.member, entry.leaf)).collect(),
                members: part.iter().chain(&others).map(ids).collect(),
                generation: Some(at.generation),
                rest: rest.is_some(),
            };
            let to = part.into_iter().map(|entry| (entry.user_id, entry.content)).collect();
            flight.unanswered += 1;
            self.ask(Command::Send { to, shared: shared.clone(), rest, keep: flight.counts }, Awaited::Packet(sent));
        }
        self.sending.spoke_at = self.clock.time;
        self.talk.confirm_due = None;
        Ok(())
    }

    /// How many recipients go into each packet, if the server's frames are too small for all.
    fn split_up<'a>(&self, entries: impl Iterator<Item = &'a Recipient>, shared: usize) -> Vec<usize> {
        let (mut packets, mut size) = (Vec::<usize>::new(), 0);
        for entry in entries {
            let bytes = entry.content.as_ref().map_or(0, String::len) + entry.user_id.len() + RECIPIENT_BYTES;
            if packets.is_empty() || size + bytes > self.settings.frame_bytes {
                packets.push(0);
                size = PACKET_BYTES + shared;
            }
            size += bytes;
            if let Some(count) = packets.last_mut() {
                *count += 1;
            }
        }
        packets
    }

    /// What goes beside the core: the view, which in a rekey is the one after it, and what one has heard.
    fn extra_of(&self, flight: &InFlight) -> Extra {
        let view = match &flight.kind {
            Kind::Rekey { secret, proved } => secret
                .keys()
                .map(|keys| View::of(self.owner_print(), &keys, proved.members.iter().copied()))
                .unwrap_or_else(|_| self.trusted.views.current()),
            _ => self.trusted.views.current(),
        };
        Extra { view, after: self.talk.heard.after(self.myself()) }
    }

    /// The server has answered one packet of the message under way.
    pub(super) fn packet_answered(&mut self, sent: Sent, answer: Answer) {
        let Some(mut flight) = self.sending.in_flight.take() else { return };
        flight.unanswered = flight.unanswered.saturating_sub(1);
        let names = sent.members.iter().map(|(_, member)| *member);
        match answer {
            Answer::Sent { reached, held, absent } => {
                let by_id: BTreeMap<&str, Fingerprint> =
                    sent.members.iter().map(|(user_id, member)| (user_id.as_str(), *member)).collect();
                let known = |ids: &[String]| -> BTreeSet<Fingerprint> {
                    ids.iter().filter_map(|user_id| by_id.get(user_id.as_str()).copied()).collect()
                };
                let (mut reached, held, absent) = (known(&reached), known(&held), known(&absent));
                if sent.rest {
                    reached.extend(names.filter(|name| !held.contains(name) && !absent.contains(name)));
                }
                let chain = self.sending.chain.as_mut().filter(|chain| Some(chain.generation) == sent.generation);
                if let Some(chain) = chain {
                    let has = |member: &Fingerprint| reached.contains(member) || held.contains(member);
                    chain.audience.extend(sent.hands.into_iter().filter(|(member, _)| has(member)));
                }
                flight.reached.extend(reached);
                flight.held.extend(held);
                flight.absent.extend(absent);
            }
            Answer::Lost => {
                flight.uncertain = true;
                flight.pause.get_or_insert(0);
                flight.again.extend(names);
            }
            Answer::Refused { retry_after_ms: Some(pause) } => {
                let pause = pause.max((PAUSE_MS << flight.tries.min(8)).min(LONGEST_PAUSE_MS));
                flight.pause = Some(flight.pause.unwrap_or(0).max(pause));
                flight.again.extend(names);
            }
            Answer::Refused { retry_after_ms: None } => flight.refused.extend(names),
            Answer::Done | Answer::Key(_) | Answer::Members { .. } => {}
        }
        self.settle(flight);
    }

    /// Goes on once every packet is answered.
    fn settle(&mut self, mut flight: InFlight) {
        if flight.unanswered > 0 {
            self.sending.in_flight = Some(flight);
            return;
        }
        if !flight.again.is_empty() {
            let pause = flight.pause.take().unwrap_or(PAUSE_MS);
            flight.tries += 1;
            if flight.tries <= MAX_TRIES && flight.counts {
                flight.retry_at = Some(self.time().saturating_add(pause));
                self.sending.in_flight = Some(flight);
                return;
            }
            flight.refused.append(&mut flight.again);
        }
        flight.refused.retain(|member| self.trusted.members.get(member).is_some());
        if flight.refused.is_empty() { self.delivered(flight) } else { self.undelivered(flight) }
    }

    fn delivered(&mut self, flight: InFlight) {
        match (flight.kind, flight.to) {
            (Kind::Say(id), _) => {
                let list = |members: BTreeSet<Fingerprint>| members.into_iter().collect();
                self.event(Event::Sent {
                    id,
                    n: flight.n,
                    reached: list(flight.reached),
                    held: list(flight.held),
                    absent: list(flight.absent),
                });
            }
            (Kind::Rekey { .. }, _) => {
                let time = self.time();
                self.trusted.epochs.answered(time);
            }
            (Kind::HandOver, Some(to)) => match self.trusted.members.get(&to) {
                // A successor that is away could not prove itself.
                Some(heir) if flight.reached.contains(&to) => {
                    let user_id = heir.user_id.clone();
                    self.ask_to_hand_over(to, user_id);
                }
                _ => self.event(Event::HandOverFailed { to }),
            },
            (Kind::HandOver, None) | (Kind::HandSecret { .. } | Kind::Other, _) => {}
        }
    }

    fn undelivered(&mut self, mut flight: InFlight) {
        match (&flight.kind, flight.to) {
            (Kind::Rekey { .. }, _) => {
                let members = flight.refused;
                return self.event(Event::RekeyUndelivered { members });
            }
            (Kind::HandOver, Some(to)) => self.event(Event::HandOverFailed { to }),
            (Kind::Say(id), _) => {
                let id = *id;
                self.event(Event::NotSent(id, NotSent::Refused));
            }
            _ => {}
        }
        // If nobody can have it, a `void` takes its number. Else the number would say two things.
        let unheard = flight.reached.is_empty() && flight.held.is_empty() && !flight.uncertain;
        if flight.void || !flight.counts || !unheard {
            return;
        }
        let (n, at, to) = (flight.n, self.clock.wall, flight.to);
        let core = Core { n, at, body: Body::Void, to, gone: None, settings: None, quiet: false };
        if let Ok(core) = core.to_json() {
            let side = Side { author: self.myself(), to };
            self.talk.heard.add(side, n, SaidHash::of(side.author, &core));
            let recipients = std::mem::take(&mut flight.refused);
            self.transmit(InFlight { kind: Kind::Other, core, void: true, tries: 1, ..flight }, recipients);
        }
    }
}

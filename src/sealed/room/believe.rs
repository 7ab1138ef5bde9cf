//! What messages say, once it is known who said it: they wait for a moment for what their authors had seen, differences
//! come to light, and then they are taken at their word.
use super::{
    heard::{Line, Side, short},
    machine::{Early, Machine, Need},
    output::{Event, Fit, Place, Referred},
};
use crate::sealed::{
    alarm::{Alarm, AlarmKind},
    body::{Body, Reference, RoomSettings},
    fingerprint::Fingerprint,
    plain::Plain,
    said::SaidHash,
};

/// How long a message waits for what its author had seen, in milliseconds of connected time, and how many wait.
const WAIT_MS: u64 = 5_000;
const MOST_WAITING: usize = 64;
/// How soon a silent member confirms, and how often at most.
const CONFIRM_MS: u64 = 10_000;
const CONFIRM_EVERY_MS: u64 = 60_000;
/// Silent members confirm in rooms of up to so many.
const CONFIRMING_ROOM: usize = 32;

impl Machine {
    /// Takes in a message that was opened and counted.
    pub(super) fn take_in(&mut self, from: Fingerprint, plain: Plain, private: bool) {
        let (time, me) = (self.clock.time, self.myself());
        if from == self.owner_print() {
            self.owner_spoke(plain.core.at);
        }
        let mut needs = Vec::new();
        for after in &plain.extra.after {
            if after.author == short(me) {
                self.confirm(from, after.n, after.said);
            }
            let named = self.trusted.members.iter().find(|member| short(member.fingerprint) == after.author);
            let Some(named) = named.filter(|named| named.fingerprint != from && named.room.expects(after.n)) else {
                continue;
            };
            let need = Need { author: named.fingerprint, n: after.n, said: after.said };
            if named.room.last < after.n {
                needs.push(need);
            } else {
                self.compare(from, need);
            }
        }
        if plain.core.body.asks_for_confirmation() && !private && self.trusted.members.len() < CONFIRMING_ROOM {
            let soon = self.talk.confirmed_at.map_or(0, |at| at + CONFIRM_EVERY_MS).max(time + CONFIRM_MS);
            self.talk.confirm_due.get_or_insert(soon);
        }
        let shown = matches!(
            plain.core.body,
            Body::Text { .. } | Body::Edit { .. } | Body::Delete { .. } | Body::React { .. } | Body::File(_)
        );
        let is_behind = self.waiting.early.iter().any(|early| early.member == from);
        if shown && (!needs.is_empty() || is_behind) && self.waiting.early.len() < MOST_WAITING {
            self.waiting.early.push(Early { member: from, plain, until: time + WAIT_MS, needs });
        } else {
            self.believe(from, plain, false);
        }
    }

    /// Lets go what need not wait any more.
    pub(super) fn release_early(&mut self) {
        let mut blocked = std::collections::BTreeSet::new();
        for early in std::mem::take(&mut self.waiting.early) {
            let last = |author: &Fingerprint| self.trusted.members.get(author).map(|member| member.room.last);
            let missing = early.needs.iter().any(|need| last(&need.author).is_some_and(|last| last < need.n));
            if self.trusted.members.get(&early.member).is_none() {
                continue;
            }
            if blocked.contains(&early.member) || (missing && early.until > self.time()) {
                blocked.insert(early.member);
                self.waiting.early.push(early);
                continue;
            }
            for need in &early.needs {
                if self.trusted.members.get(&need.author).is_some_and(|named| named.room.last >= need.n) {
                    self.compare(early.member, *need);
                }
            }
            self.believe(early.member, early.plain, missing);
        }
    }

    /// The owner has said something, at this time by its clock.
    fn owner_spoke(&mut self, at: u64) {
        let time = self.clock.time;
        let owner = &mut self.talk.owner;
        owner.last = Some(time);
        owner.silent = false;
        let ahead = i64::try_from(at).unwrap_or(i64::MAX).saturating_sub_unsigned(time);
        owner.ahead = Some(owner.ahead.map_or(ahead, |known| known.max(ahead)));
    }

    /// A member names words of one's own.
    fn confirm(&mut self, from: Fingerprint, n: u32, said: SaidHash) {
        let me = self.myself();
        let own = self.talk.heard.get(Side { author: me, to: None }, n);
        if own == Some(said) {
            self.talk.confirmations.confirmed(from, n, self.sending.said, self.clock.time);
        } else if own.is_some() {
            self.disagree(from, me);
        }
    }

    fn compare(&mut self, from: Fingerprint, need: Need) {
        let here = self.talk.heard.get(Side { author: need.author, to: None }, need.n);
        if here.is_some_and(|here| here != need.said) {
            self.disagree(from, need.author);
        }
    }

    /// Either of the two may lie: the user is told once.
    fn disagree(&mut self, from: Fingerprint, named: Fingerprint) {
        if !self.talk.heard.disagreeing.insert((from, named)) {
            return;
        }
        let who = |member: Fingerprint| {
            self.trusted.members.get(&member).map_or_else(|| self.who_am_i(), |member| member.who())
        };
        let alarm = Alarm { kind: AlarmKind::Disagree, who: who(from), other: Some(who(named)) };
        self.alarm(alarm);
    }

    /// Takes a message at its word; `early` if its author had seen something that is not here.
    fn believe(&mut self, from: Fingerprint, plain: Plain, early: bool) {
        let Some(member) = self.trusted.members.get(&from) else { return };
        let (who, name, by_owner) = (member.who(), member.shown(), from == self.owner_print());
        let Plain { core, said: _, extra: _, bytes: _ } = plain;
        let private = core.to.is_some();
        let side = Side { author: from, to: core.to };
        let place = |n| Place { from, name: name.clone(), n, private };
        if let Some(settings) = core.settings.filter(|_| by_owner && !private) {
            self.set_settings(settings);
        }
        match core.body {
            Body::Text { text, re } => {
                self.talk.heard.set_line(side, core.n, Line::Text);
                let re = re.map(|re| self.refer(re, from, private));
                self.event(Event::Message { place: place(core.n), text, at: core.at, early, re, gone: core.gone });
            }
            Body::Edit { n, text } if self.talk.heard.line(side, n) == Some(Line::Text) => {
                self.event(Event::Edited { place: place(n), text });
            }
            Body::Delete { n } => {
                if matches!(self.talk.heard.line(side, n), Some(Line::Text | Line::File)) {
                    self.talk.heard.set_line(side, n, Line::Deleted);
                    self.event(Event::Deleted { place: place(n) });
                }
            }
            Body::React { re, text } => {
                let re = self.refer(re, from, private);
                self.event(Event::Reacted { place: place(core.n), re, text });
            }
            Body::Timer(settings) if by_owner => self.set_settings(settings),
            Body::Typing { on } if self.trusted.settings.marks => self.event(Event::Typing { from, on }),
            Body::Read { of, n } if self.trusted.settings.marks => self.event(Event::Read { from, of, n }),
            Body::Succession { chain, transfer } => self.named_heir(who, by_owner, &chain, transfer),
            Body::File(_) => {
                self.talk.heard.set_line(side, core.n, Line::File);
                self.event(Event::Unsupported { from, name, kind: "file".to_owned() });
            }
            Body::Unknown(kind) if !core.quiet => self.event(Event::Unsupported { from, name, kind }),
            _ => {}
        }
    }

    /// The owner sets how the room is.
    pub(super) fn set_settings(&mut self, settings: RoomSettings) {
        if self.trusted.settings != settings {
            self.trusted.settings = settings;
            self.event(Event::Settings(settings));
        }
    }

    /// How a reference fits what this member has in the same conversation.
    fn refer(&self, re: Reference, partner: Fingerprint, private: bool) -> Referred {
        let me = self.myself();
        let to = if re.of == me { partner } else { me };
        let here = self.talk.heard.get(Side { author: re.of, to: private.then_some(to) }, re.n);
        let fit = match here {
            None => Fit::Unknown,
            Some(said) if said == re.said => Fit::Same,
            Some(_) => Fit::Differs,
        };
        Referred { of: re.of, n: re.n, fit }
    }
}

//! Healing, as rules: asking by notes for a secret or a chain that is lacking, and handing the secret to members that
//! lack it.
use super::{
    healing::Lacking,
    machine::Machine,
    output::Command,
    send_queue::{Outgoing, Queued},
};
use crate::sealed::{
    error::SealedError,
    fingerprint::Fingerprint,
    note::{Lacks, Note},
    random,
};

/// A member that is not the owner waits so long, at random, before it hands on a secret unasked, in milliseconds of
/// connected time.
const UNASKED_LEAST_MS: u64 = 5_000;
const UNASKED_SPREAD_MS: u64 = 25_000;
/// How many members but the owner hand on a secret unasked.
const HELPERS: usize = 3;
/// A chain is renewed for the sake of one note at most this often.
const RENEW_MS: u64 = 600_000;

impl Machine {
    /// The secret of a newer epoch exists, and this member lacks it.
    pub(super) fn lack_secret(&mut self) {
        if !self.is_owner_by_chain() {
            let due = self.time();
            self.healing.secret.get_or_insert(Lacking { due, sent: 0 });
        }
    }

    /// A message came whose chain this member lacks: its sender is to hand it on again.
    pub(super) fn lack_chain(&mut self, sender: Fingerprint) {
        let time = self.time();
        if self.healing.ask_for_chain(sender, time) {
            self.send_note(&[sender], Lacks::Chain);
        }
    }

    /// Does what is due.
    pub(super) fn heal(&mut self) {
        let time = self.time();
        if let Some(sent) = self.healing.take_secret_due(time) {
            let owner = self.trusted.members.get(&self.owner_print()).map(|member| member.fingerprint);
            let mut asked: Vec<_> = owner.into_iter().collect();
            if sent > 0 || owner.is_none() {
                let others = self.trusted.members.longest_standing();
                let others = others.iter().map(|member| member.fingerprint).filter(|member| Some(*member) != owner);
                asked.extend(others.take(2));
            }
            self.send_note(&asked, Lacks::Secret);
        }
        for (member, shared) in self.healing.notes_due(time) {
            self.read_note(member, &shared);
        }
        for (member, epoch) in self.healing.behind_due(time) {
            self.hand_secret(member, epoch);
        }
    }

    fn send_note(&mut self, asked: &[Fingerprint], lacks: Lacks) {
        let members = asked.iter().filter_map(|member| self.trusted.members.get(member));
        let to: Vec<_> = members.map(|member| (member.user_id.clone(), None)).collect();
        if to.is_empty() {
            return;
        }
        // A note that cannot be made is not sent; the next one is due soon.
        if let Ok(shared) = self.make_note(asked.to_vec(), lacks) {
            self.command(Command::Send { to, shared, rest: None, keep: true });
        }
    }

    fn make_note(&mut self, to: Vec<Fingerprint>, lacks: Lacks) -> Result<String, SealedError> {
        let leaf = self.leaves.next(self.clock.time)?.public().clone();
        let keys = self.trusted.epochs.present();
        let note = Note { to, epoch: keys.epoch(), lacks, leaf };
        note.seal(&self.me.identity, self.trusted.chain.root(), keys, &mut *self.random)
    }

    /// A member asks.
    pub(super) fn noted(&mut self, from: Fingerprint, note: Note) {
        let (me, time) = (self.myself(), self.time());
        let Some(member) = self.trusted.members.get_mut(&from) else { return };
        if note.leaf.generation <= member.leaf.generation || !note.to.contains(&me) {
            return;
        }
        let generation = note.leaf.generation;
        member.leaf = note.leaf;
        if let Some(chain) = &mut self.sending.chain {
            let handed_to = chain.audience.remove(&from);
            // The hand went to a leaf that the member had given up long ago: if its card was rolled back, somebody may
            // have that leaf.
            let old = handed_to.is_some_and(|handed| handed.saturating_add(1) < generation);
            if old && self.healing.renewed.is_none_or(|at| time - at >= RENEW_MS) {
                self.healing.renewed = Some(time);
                chain.use_up();
            }
        }
        if note.lacks == Lacks::Secret {
            self.hand_secret(from, note.epoch);
        }
        self.owner_state.supplied.remove(&from);
    }

    /// A member speaks in an epoch that is over.
    pub(super) fn speaks_in_old(&mut self, from: Fingerprint, epoch: u32) {
        if self.is_owner_by_chain() {
            return self.hand_secret(from, epoch);
        }
        let owner = self.owner_print();
        let before = self.trusted.members.iter().filter(|member| !member.live && member.fingerprint != owner).count();
        if before < HELPERS {
            let random = u64::from(u16::from_be_bytes(random::array(&mut *self.random)));
            let due = self.time() + UNASKED_LEAST_MS + UNASKED_SPREAD_MS * random / u64::from(u16::MAX);
            self.healing.behind.entry(from).or_insert((due, epoch));
        }
    }

    /// Hands the present secret to a member of the roster that lacks it, sealed in an epoch that it has.
    fn hand_secret(&mut self, member: Fingerprint, epoch: u32) {
        let (epochs, time) = (&self.trusted.epochs, self.time());
        let listed = self.trusted.members.roster.as_ref().is_some_and(|roster| roster.contains(&member));
        let can = self.trusted.proved.is_some() && epoch < epochs.number() && epochs.keys(epoch).is_some();
        if listed && can && self.healing.hand_on(member, time) {
            let at = self.clock.wall;
            self.sending.queue.push_front(Queued { outgoing: Outgoing::HandSecret { epoch }, to: Some(member), at });
        }
    }
}

//! Keeps this member's card at the server current: a card of the present epoch, with the newest leaf.
use super::{
    input::Answer,
    machine::{Awaited, Machine},
    output::Command,
};
use crate::sealed::{card::Card, error::SealedError};

/// The pause before a refused card is set again, in milliseconds of connected time.
const CARD_PAUSE_MS: u64 = 1_000;
/// How old a used leaf may become: so much, or so much for each member; a quarter more or less.
const LEAF_MS: u64 = 600_000;
const LEAF_MS_PER_MEMBER: u64 = 3_000;

impl Machine {
    /// Gives the server a card of the present epoch, with a fresh leaf or the newest.
    pub(super) fn set_card(&mut self, fresh: bool) {
        match self.make_card(fresh) {
            Ok((card, leaf)) => {
                (self.card.due, self.card.asked) = (None, true);
                let epoch = self.trusted.epochs.number();
                self.ask(Command::SetCard { card }, Awaited::Card { leaf, epoch });
            }
            Err(_) => self.card.due = Some(self.time() + CARD_PAUSE_MS),
        }
    }

    fn make_card(&mut self, fresh: bool) -> Result<(String, u32), SealedError> {
        if fresh {
            self.leaves.next(self.clock.time)?;
        }
        let (leaf, keys) = (self.leaves.newest().leaf.public(), self.trusted.epochs.present());
        let (root, invite) = (self.trusted.chain.root(), self.me.invite.as_ref());
        let card = Card::seal(&self.me.identity, &self.me.name, leaf, invite, root, keys, &mut *self.random)?;
        Ok((card, leaf.generation))
    }

    /// The server has answered about the card with this leaf, of this epoch.
    pub(super) fn card_answered(&mut self, leaf: u32, epoch: u32, answer: &Answer) {
        self.card.asked = false;
        let time = self.time();
        match answer {
            Answer::Lost => self.set_card(false),
            Answer::Refused { retry_after_ms: Some(pause) } => {
                self.card.due = Some(time.saturating_add((*pause).max(CARD_PAUSE_MS)));
            }
            Answer::Refused { retry_after_ms: None } => {}
            _ => {
                self.leaves.card_answered(leaf, time);
                if epoch == self.trusted.epochs.number() && !self.sending.holds_rekey() {
                    self.trusted.epochs.answered(time);
                }
            }
        }
    }

    /// Changes the leaf when it has been used and is old.
    pub(super) fn renew_leaf(&mut self) {
        if !self.card.asked && self.leaf_due().is_some_and(|due| due <= self.time()) {
            self.set_card(true);
        }
    }

    /// When the newest leaf is to be changed, if it was used.
    pub(super) fn leaf_due(&self) -> Option<u64> {
        let newest = self.leaves.newest();
        let usual = LEAF_MS.max(LEAF_MS_PER_MEMBER * self.trusted.members.len() as u64);
        let late = usual / 2 * u64::from(self.leaf_spread) / u64::from(u16::MAX);
        newest.used.then(|| newest.since + usual * 3 / 4 + late)
    }
}

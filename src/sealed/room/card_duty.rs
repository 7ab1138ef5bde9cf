//! Each member keeps its own card on the server current.
use super::{
    input::Answer,
    machine::{Awaited, Machine},
    output::Command,
};
use crate::sealed::card::Card;

/// The pause before a refused card is set again, in milliseconds.
const PAUSE_MS: u64 = 1_000;

impl Machine {
    /// Gives the server a card of the present epoch.
    pub(super) fn set_card(&mut self, now: u64) {
        let (secret, invite) = (self.trusted.epochs.current(), self.me.invite.as_ref());
        match Card::seal(&self.me.identity, &self.me.name, invite, self.trusted.chain.root(), secret, &mut *self.random)
        {
            Ok(card) => {
                self.card_due = None;
                let epoch = self.trusted.epochs.current().epoch();
                self.ask(Command::SetCard { card }, Awaited::Card { epoch });
            }
            Err(_) => self.card_due = Some(now.saturating_add(PAUSE_MS)),
        }
    }

    /// The server has answered about the card of `epoch`.
    pub(super) fn card_answered(&mut self, epoch: u32, answer: &Answer, now: u64) {
        if epoch != self.trusted.epochs.current().epoch() {
            return;
        }
        match answer {
            Answer::Lost => self.set_card(now),
            Answer::Refused { retry_after_ms: Some(pause) } => {
                self.card_due = Some(now.saturating_add((*pause).max(PAUSE_MS)));
            }
            _ => {}
        }
    }
}

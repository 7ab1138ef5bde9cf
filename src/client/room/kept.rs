//! What the server keeps for members who are away, until it is known what becomes of it.

use std::collections::BTreeMap;

use crate::sealed::Fingerprint;
use crate::sealed::room::MessageId;

/// The texts that wait for each member who is away.
#[derive(Default)]
pub(super) struct Kept(BTreeMap<Fingerprint, Vec<MessageId>>);

impl Kept {
    /// The server keeps a text for these members.
    pub(super) fn keep(&mut self, text: MessageId, members: &[Fingerprint]) {
        for member in members {
            self.0.entry(*member).or_default().push(text);
        }
    }

    /// The texts that waited for a member who is back or gone now; empty if there were none.
    pub(super) fn settle(&mut self, member: Fingerprint) -> Vec<MessageId> {
        self.0.remove(&member).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_settled_once_for_each_member() {
        let (bob, carol) = (Fingerprint::from_bytes([1; 32]), Fingerprint::from_bytes([2; 32]));
        let mut kept = Kept::default();
        kept.keep(MessageId(1), &[bob, carol]);
        kept.keep(MessageId(2), &[bob]);
        assert_eq!(kept.settle(bob), [MessageId(1), MessageId(2)]);
        assert_eq!(kept.settle(bob), []);
        assert_eq!(kept.settle(carol), [MessageId(1)]);
    }
}

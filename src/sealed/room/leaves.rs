//! One's own leaves: the newest, which others are shown, and older ones for what is still on its way to them.
use crate::sealed::{error::SealedError, leaf::Leaf};

/// How long an old leaf is kept once a card with a newer one is answered for, in milliseconds of connected time.
const OLD_LEAF_MS: u64 = 180_000;
/// How many leaves are kept.
const MOST_LEAVES: usize = 32;

pub(super) struct OwnLeaf {
    pub(super) leaf: Leaf,
    pub(super) since: u64,
    /// Whether something was opened with it.
    pub(super) used: bool,
    until: Option<u64>,
}

/// The leaves, the newest last; there is always one.
pub(super) struct Leaves {
    all: Vec<OwnLeaf>,
    /// The generation in the card that the server has.
    in_card: Option<u32>,
}

impl Leaves {
    /// With the leaf of the card that one enters with.
    pub(super) fn new(first: Leaf) -> Self {
        Self { all: vec![OwnLeaf { leaf: first, since: 0, used: false, until: None }], in_card: None }
    }

    /// Makes the next one.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library cannot make one, or no generation is left.
    pub(super) fn next(&mut self, time: u64) -> Result<&Leaf, SealedError> {
        let generation = self.newest().leaf.public().generation.checked_add(1).ok_or(SealedError::Key)?;
        self.all.push(OwnLeaf { leaf: Leaf::generate(generation)?, since: time, used: false, until: None });
        if self.all.len() > MOST_LEAVES {
            self.all.remove(0);
        }
        Ok(&self.newest().leaf)
    }

    pub(super) fn newest(&self) -> &OwnLeaf {
        &self.all[self.all.len() - 1]
    }

    pub(super) fn get_mut(&mut self, generation: u32) -> Option<&mut OwnLeaf> {
        self.all.iter_mut().find(|own| own.leaf.public().generation == generation)
    }

    /// The server has taken a card with this leaf.
    pub(super) fn card_answered(&mut self, generation: u32, time: u64) {
        let in_card = self.in_card.map_or(generation, |known| known.max(generation));
        self.in_card = Some(in_card);
        for own in self.all.iter_mut().filter(|own| own.leaf.public().generation < in_card) {
            own.until.get_or_insert(time + OLD_LEAF_MS);
        }
    }

    pub(super) fn expire(&mut self, time: u64) {
        self.all.retain(|own| own.until.is_none_or(|until| until > time));
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.all.iter().filter_map(|own| own.until).min()
    }
}

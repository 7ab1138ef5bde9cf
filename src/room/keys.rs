//! A room's join keys: issued, redeemed once or always, revoked, reset, expired. A key that stops working is wiped at
//! that moment.

use std::collections::HashMap;

use super::Millis;
use crate::secret::{Tag, TagKey, Token};

/// When a key stops working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLife {
    /// With the room.
    Room,
    /// At this time.
    Until(Millis),
}

impl KeyLife {
    fn is_over(self, now: Millis) -> bool {
        matches!(self, Self::Until(end) if end <= now)
    }

    pub(super) fn end(self) -> Option<Millis> {
        match self {
            Self::Room => None,
            Self::Until(end) => Some(end),
        }
    }
}

pub(super) struct Key {
    pub(super) token: Token,
    pub(super) life: KeyLife,
}

/// The unspent keys of one room.
#[derive(Default)]
pub struct JoinKeys {
    pub(super) one_time: HashMap<Tag, Key>,
    pub(super) forever: Option<(Tag, Key)>,
}

impl JoinKeys {
    /// Makes `count` one-time keys, or none when there would then be more than `max` unspent.
    pub fn issue(&mut self, tags: &TagKey, count: usize, life: KeyLife, max: usize, now: Millis) -> Option<Vec<Token>> {
        self.expire(now);
        if self.one_time.len() + count > max {
            return None;
        }
        let issue = |keys: &mut HashMap<Tag, Key>| {
            let token = Token::random();
            keys.insert(tags.tag(&token), Key { token: token.duplicate(), life });
            token
        };
        Some((0..count).map(|_| issue(&mut self.one_time)).collect())
    }

    /// The forever key: the one there is, or a new one. A given `life` replaces the old.
    pub fn forever(&mut self, tags: &TagKey, life: Option<KeyLife>, now: Millis) -> Token {
        self.expire(now);
        let (_, key) = self.forever.get_or_insert_with(|| {
            let token = Token::random();
            (tags.tag(&token), Key { token, life: KeyLife::Room })
        });
        if let Some(life) = life {
            key.life = life;
        }
        key.token.duplicate()
    }

    /// Whether this is a valid one-time key. Does not spend it.
    pub fn opens_once(&self, tag: &Tag, token: &Token, now: Millis) -> bool {
        Self::opens(self.one_time.get(tag), token, now)
    }

    /// Whether this is the valid forever key.
    pub fn opens_always(&self, tag: &Tag, token: &Token, now: Millis) -> bool {
        Self::opens(self.forever.as_ref().filter(|(own, _)| own == tag).map(|(_, key)| key), token, now)
    }

    fn opens(key: Option<&Key>, token: &Token, now: Millis) -> bool {
        match key {
            Some(key) => key.token.matches(token) & !key.life.is_over(now),
            // The same comparison for a key that does not exist.
            None => {
                std::hint::black_box(token.matches(token));
                false
            }
        }
    }

    /// Takes out a one-time key that was used.
    pub(super) fn spend(&mut self, tag: &Tag) -> Option<Key> {
        self.one_time.remove(tag)
    }

    /// Makes a one-time key work again that was spent for nothing.
    pub(super) fn give_back(&mut self, tag: Tag, key: Key) {
        self.one_time.insert(tag, key);
    }

    /// Wipes one key of either kind; whether there was one.
    pub fn revoke(&mut self, tag: &Tag, token: &Token, now: Millis) -> bool {
        if self.opens_once(tag, token, now) {
            self.one_time.remove(tag);
            true
        } else if self.opens_always(tag, token, now) {
            self.forever = None;
            true
        } else {
            false
        }
    }

    /// Wipes all keys.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Wipes the expired keys.
    pub fn expire(&mut self, now: Millis) {
        self.one_time.retain(|_, key| !key.life.is_over(now));
        self.forever.take_if(|(_, key)| key.life.is_over(now));
    }

    /// When the next key expires.
    pub fn next_expiry(&self) -> Option<Millis> {
        let one_time = self.one_time.values().filter_map(|key| key.life.end());
        one_time.chain(self.forever.as_ref().and_then(|(_, key)| key.life.end())).min()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.one_time.len() + usize::from(self.forever.is_some())
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

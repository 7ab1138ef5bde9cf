//! End-to-end encryption between members: what our clients put into the opaque strings that the relay carries.
//!
//! Nothing here knows sockets, threads or clocks. From the bottom up:
//!
//! - [`encoding`], [`padding`], [`json`], [`name`]: how bytes are laid out, and what is refused
//! - [`identity`], [`secret`], [`fingerprint`]: who signs, the secrets of the room, and what people compare
//! - [`leaf`], [`step`], `hpke`: what members are sealed to, and the keys of a chain of messages
//! - [`certificate`], [`chain`], [`link`], [`card`]: who was invited by whom, and who the members are
//! - [`said`], [`body`], [`plain`], [`view`]: what members say to each other
//! - [`hand`], [`message`], [`note`]: how it goes to them
//! - [`room`], [`alarm`]: one membership as a state machine, and what it warns of
//!
//! Every sealed object is refused with a [`SealedError`], whose identifiers the test vectors in `tests/vectors` share
//! with other clients.
pub mod alarm;
pub mod body;
pub mod card;
pub mod certificate;
pub mod chain;
pub mod encoding;
mod error;
pub mod fingerprint;
pub mod hand;
mod hpke;
pub mod identity;
pub mod json;
pub mod leaf;
pub mod link;
pub mod message;
pub mod name;
pub mod note;
pub mod padding;
pub mod plain;
mod random;
pub mod room;
pub mod said;
pub mod secret;
pub mod step;
pub mod view;

pub use alarm::Alarm;
pub use body::Body;
pub use card::Card;
pub use certificate::{Certificate, InviteKind};
pub use chain::OwnerChain;
pub use error::SealedError;
pub use fingerprint::Fingerprint;
pub use identity::{Identity, VerifyingKey};
pub use leaf::{Leaf, PublicLeaf};
pub use link::{Link, Server};
pub use note::Note;
pub use plain::Plain;
pub use random::{Random, SystemRandom};
pub use secret::{EpochKeys, RoomSecret};
pub use view::View;

//! End-to-end encryption between members: what our clients put into the opaque strings that the relay carries.
//!
//! Nothing here knows sockets, threads or clocks. From the bottom up:
//!
//! - [`encoding`], [`padding`], [`json`], [`name`]: how bytes are laid out, and what is refused
//! - [`identity`], [`secret`], [`fingerprint`]: the keys of one membership, the secrets of the room, and what people compare
//! - [`certificate`], [`chain`], [`link`], [`card`]: who was invited by whom, and who the members are
//! - [`plain`], [`message`], [`view`]: what members say to each other
//! - [`room`], [`alarm`]: one membership as a state machine, and what it warns of
//!
//! Every sealed object is refused with a [`SealedError`], whose identifiers the test vectors in `tests/vectors` share with other clients.
pub mod alarm;
pub mod card;
pub mod certificate;
pub mod chain;
pub mod encoding;
mod error;
pub mod fingerprint;
pub mod identity;
pub mod json;
pub mod link;
pub mod message;
pub mod name;
pub mod padding;
pub mod plain;
mod random;
pub mod room;
pub mod secret;
pub mod view;

pub use alarm::Alarm;
pub use card::Card;
pub use certificate::{Certificate, InviteKind};
pub use chain::OwnerChain;
pub use error::SealedError;
pub use fingerprint::Fingerprint;
pub use identity::{Identity, VerifyingKey};
pub use link::{Link, Server};
pub use plain::{Body, Plain};
pub use random::{Random, SystemRandom};
pub use secret::RoomSecret;
pub use view::View;

//! The Rust client.
//!
//! [`Client`] speaks the protocol over one session that outlives its connections:
//!
//! ```text
//! Config → connect → TCP → TLS 1.3 (authorities or pin) → WebSocket → hello
//!                      └ task: commands out, events in, acknowledgements, pings
//!                              loss → back-off → connect again → resume → replay → unanswered commands again
//! ```
//!
//! An application sends [commands](crate::protocol::command::Command) and reads [`Events`] in order. [`SealedRoom`]
//! does so for a member of an end-to-end encrypted room.
//!
//! ```no_run
//! use subrosa::client::{Config, NewRoom, RoomEvent, SealedRoom, Trust};
//! use subrosa::sealed::InviteKind;
//!
//! # async fn talk() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new("wss://chat.example.org".parse()?, Trust::System);
//! let (room, mut events) = SealedRoom::create(config, "alice", NewRoom::default()).await?;
//! let link = room.invite(InviteKind::OneTime, None).await?; // `link.to_url()` goes to the one who is invited
//! while let Some(event) = events.next().await {
//!     match event {
//!         RoomEvent::Joined { who, .. } => drop(room.say(&format!("welcome, {}", who.name)).await?),
//!         RoomEvent::Alarm(alarm) => eprintln!("do not trust this server: {alarm:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod backoff;
mod config;
mod connection;
mod dial;
mod events;
mod handle;
mod request;
mod room;
mod session;
mod tls;
mod write;

pub use address::{Address, AddressError};
pub use config::Config;
pub use dial::ConnectError;
pub use events::Events;
pub use handle::{Client, ServerInfo};
pub use request::{End, Incoming, RequestError, RequestId};
pub use room::{EnterError, MemberList, NewRoom, Person, RoomEnd, RoomError, RoomEvent, RoomEvents, SealedRoom, Text};
#[doc(hidden)]
pub use tls::config as tls_config;
#[doc(hidden)]
pub use tls::pinned_config;
pub use tls::{Trust, TrustError, pin_of};

pub use crate::protocol::pin::{Pin, PinError};

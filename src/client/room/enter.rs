//! Getting into a room: keys, connection, and the one command that opens or joins it.

use std::time::Duration;

use tokio::sync::mpsc;

use super::driver::{Channels, Driver, EVENTS};
use super::error::EnterError;
use super::handle::{RoomEvents, SealedRoom};
use super::thread::{self, now};
use super::translate::{exposed, listed};
use crate::client::config::Config;
use crate::client::events::Events;
use crate::client::handle::Client;
use crate::client::request::{End, Incoming, RequestError};
use crate::client::tls::Trust;
use crate::protocol::codes::{ErrorCode, OwnerLeaves};
use crate::protocol::command::{Command, CreateRoom, JoinRoomForever, JoinRoomOnetime};
use crate::protocol::event::Event;
use crate::sealed::name::{check_name, check_room_name};
use crate::sealed::room;
use crate::sealed::room::{Fact, Machine, Settings, Step};
use crate::sealed::{Identity, InviteKind, Link, SealedError, Server, SystemRandom};

/// What a new room is like.
///
/// ```
/// use std::time::Duration;
/// use subrosa::client::NewRoom;
///
/// let new = NewRoom::default().room_name("tea").expires_in(Duration::from_secs(3_600));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewRoom {
    /// Its name, at most 64 bytes of UTF-8, which the server does not learn. Empty by default.
    pub room_name: String,
    /// Its life in whole seconds, at least 1. By default, it is as long as the server allows.
    pub expires_in: Option<Duration>,
    /// What becomes of it when its owner leaves. By default, the others stay.
    pub owner_leaves: OwnerLeaves,
    /// The most members that it admits. By default, as many as the server allows.
    pub max_members: Option<u64>,
}

impl Default for NewRoom {
    fn default() -> Self {
        Self { room_name: String::new(), expires_in: None, owner_leaves: OwnerLeaves::Transfer, max_members: None }
    }
}

impl NewRoom {
    /// Sets [`room_name`](Self#structfield.room_name).
    #[must_use]
    pub fn room_name(self, room_name: impl Into<String>) -> Self {
        Self { room_name: room_name.into(), ..self }
    }

    /// Sets [`expires_in`](Self#structfield.expires_in).
    #[must_use]
    pub fn expires_in(self, expires_in: impl Into<Option<Duration>>) -> Self {
        Self { expires_in: expires_in.into(), ..self }
    }

    /// Sets [`owner_leaves`](Self#structfield.owner_leaves).
    #[must_use]
    pub fn owner_leaves(self, owner_leaves: OwnerLeaves) -> Self {
        Self { owner_leaves, ..self }
    }

    /// Sets [`max_members`](Self#structfield.max_members).
    #[must_use]
    pub fn max_members(self, max_members: impl Into<Option<u64>>) -> Self {
        Self { max_members: max_members.into(), ..self }
    }
}

impl SealedRoom {
    /// Opens a room on the server of `config`. `name` has 1 to 64 bytes of UTF-8 and no control characters.
    ///
    /// # Errors
    /// There is no connection, the name is not allowed, or the server refused.
    ///
    /// # Cancel safety
    /// A dropped future may have opened a room, which ends with its connection.
    pub async fn create(config: Config, name: &str, new: NewRoom) -> Result<(Self, RoomEvents), EnterError> {
        create(config, name, new).await
    }

    /// Enters the room of `link`, as `name`, on the server that the link names. The server proves itself by the link's
    /// pin if there is one, else by the authorities that this machine trusts.
    ///
    /// # Errors
    /// There is no connection, the name is not allowed, or the server refused: [`EnterError::InviteRefused`].
    ///
    /// # Cancel safety
    /// A dropped future may have used a one-time link up.
    pub async fn join(link: Link, name: &str) -> Result<(Self, RoomEvents), EnterError> {
        let trust = link.server.pin.map_or(Trust::System, Trust::Pin);
        let config = Config::new(link.server.authority.clone().into(), trust);
        Self::join_with(config, link, name).await
    }

    /// Enters the room of `link` over the connection that `config` describes, in place of the link's own server.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    ///
    /// # Cancel safety
    /// As [`join`](Self::join).
    pub async fn join_with(config: Config, link: Link, name: &str) -> Result<(Self, RoomEvents), EnterError> {
        join(config, link, name).await
    }
}

async fn create(config: Config, name: &str, new: NewRoom) -> Result<(SealedRoom, RoomEvents), EnterError> {
    check_name(name).and_then(|()| check_room_name(&new.room_name)).map_err(|_| EnterError::Name)?;
    let server = server_of(&config);
    let (client, mut events) = Client::connect(config.clone()).await?;
    let settings = settings(&client);
    let sealed_new = room::NewRoom { room_name: new.room_name.clone(), server, owner_leaves: new.owner_leaves };
    let name = name.to_owned();
    let (mut machine, request) = blocking(move || {
        let identity = Identity::generate(&mut SystemRandom)?;
        Machine::create(identity, &name, sealed_new, settings, Box::new(SystemRandom))
    })
    .await?;
    // The server learns neither name: both are in the card and the link.
    let command = Command::CreateRoom(CreateRoom {
        name: "".into(),
        username: "".into(),
        client_room_id: None,
        public_key_string: None,
        card: Some(request.card.as_str().into()),
        max_members: new.max_members,
        expires_in_s: new.expires_in.map(|life| life.as_secs().max(1)),
        owner_leaves: Some(new.owner_leaves),
    });
    let fact = match ask(&client, &mut events, &config, command).await.map_err(EnterError::from)? {
        Event::CreateRoom(created) => {
            Fact::Created { room_id: created.room.room_id.to_string(), user_id: created.room.owner_id.to_string() }
        }
        _ => return Err(EnterError::Unexpected),
    };
    let step = machine.handle(fact, now());
    start(client, events, machine, step, &config)
}

async fn join(config: Config, link: Link, name: &str) -> Result<(SealedRoom, RoomEvents), EnterError> {
    check_name(name).map_err(|_| EnterError::Name)?;
    let (client, mut events) = Client::connect(config.clone()).await?;
    let settings = settings(&client);
    let name = name.to_owned();
    let (mut machine, request) = blocking(move || {
        let identity = Identity::generate(&mut SystemRandom)?;
        Machine::join(identity, &name, link, settings, Box::new(SystemRandom))
    })
    .await?;
    let room_id = request.room_id.as_str().into();
    let username = "".into();
    let public_key = None;
    let card = Some(request.card.as_str().into());
    let key = exposed(&request.join_key);
    let command = match request.kind {
        InviteKind::OneTime => {
            Command::JoinRoomOnetime(JoinRoomOnetime { room_id, one_time_key: key, username, public_key, card })
        }
        InviteKind::Forever => {
            Command::JoinRoomForever(JoinRoomForever { room_id, forever_key: key, username, public_key, card })
        }
    };
    let joined = match ask(&client, &mut events, &config, command).await {
        Ok(Event::Joined(joined)) if joined.room_id.as_str() == request.room_id => joined,
        Ok(_) => return Err(EnterError::Unexpected),
        Err(Asked::Request(RequestError::Refused(refusal))) if refusal.code == ErrorCode::Denied.as_str() => {
            return Err(EnterError::InviteRefused);
        }
        Err(error) => return Err(error.into()),
    };
    // Checking a full room's cards and keys takes its time.
    let (machine, step) = blocking(move || {
        let fact = Fact::Joined {
            user_id: joined.user_id.to_string(),
            owner_id: joined.owner_id.to_string(),
            members: listed(joined.users),
            version: joined.version,
        };
        let step = machine.handle(fact, now());
        Ok((machine, step))
    })
    .await?;
    start(client, events, machine, step, &config)
}

fn start(
    client: Client,
    incoming: Events,
    machine: Machine,
    step: Step,
    config: &Config,
) -> Result<(SealedRoom, RoomEvents), EnterError> {
    let notice = client.server().notice.as_str().into();
    let room_id = machine.room_id().to_owned();
    let (inputs, outputs) = thread::start(machine, step).map_err(|error| EnterError::Thread(error.kind()))?;
    let (application, events) = mpsc::channel(EVENTS);
    let (holder, holders) = mpsc::channel(1);
    let channels = Channels { inputs: inputs.clone(), outputs, application, holders };
    tokio::spawn(Driver::new(client, incoming, channels, room_id).run());
    Ok((SealedRoom { inputs, _holder: holder, within: config.answer_within, notice }, RoomEvents { events }))
}

/// Where links will lead.
fn server_of(config: &Config) -> Server {
    let pin = match config.trust {
        Trust::Pin(pin) => Some(pin),
        Trust::System => None,
    };
    Server { authority: config.server.authority().clone(), pin }
}

fn settings(client: &Client) -> Settings {
    let limits = &client.server().limits;
    Settings { frame_bytes: usize::try_from(limits.frame_bytes).unwrap_or(usize::MAX) }
}

/// Runs slow cryptography where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SealedError> + Send + 'static,
) -> Result<T, EnterError> {
    // The closure does not panic; if it did, there would be no key.
    Ok(tokio::task::spawn_blocking(work).await.unwrap_or(Err(SealedError::Key))?)
}

enum Asked {
    Request(RequestError),
    Timeout,
    Ended(End),
}

impl From<Asked> for EnterError {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Request(error) => Self::Refused(error),
            Asked::Timeout => Self::Timeout,
            Asked::Ended(end) => Self::Ended(end),
        }
    }
}

/// Sends the one command and reads up to its answer: what comes behind belongs to the membership and must stay in line.
async fn ask(client: &Client, events: &mut Events, config: &Config, command: Command<'_>) -> Result<Event, Asked> {
    let wait = async {
        let asked = client.submit(command).await.map_err(Asked::Request)?;
        loop {
            match events.next().await {
                Some(Incoming::Answer { id, answer }) if id == asked => return answer.map_err(Asked::Request),
                Some(Incoming::Ended(end)) => return Err(Asked::Ended(end)),
                None => return Err(Asked::Ended(End::Closed)),
                // Nothing before it concerns a room that is not there yet.
                Some(_) => {}
            }
        }
    };
    tokio::time::timeout(config.answer_within, wait).await.unwrap_or(Err(Asked::Timeout))
}

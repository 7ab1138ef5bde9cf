//! Getting into a room: keys, connection, and the one command that opens or joins it.

use tokio::sync::mpsc;

use super::driver::{Channels, Driver, EVENTS};
use super::thread::{self, now_ms};
use super::translate::{exposed, listed};
use super::{NewRoom, RoomEvents, SealedRoom};
use crate::client::handle::{Client, Config, Events};
use crate::client::request::{End, Incoming, RequestError};
use crate::client::{ConnectError, Trust};
use crate::protocol::codes::ErrorCode;
use crate::protocol::command::{Command, CreateRoom, JoinRoomForever, JoinRoomOnetime};
use crate::protocol::event::Event;
use crate::sealed::name::{check_name, check_room_name};
use crate::sealed::room;
use crate::sealed::room::{Fact, Machine, Settings, Step};
use crate::sealed::{Identity, InviteKind, Link, SealedError, Server, SystemRandom};

/// Why there is no membership.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The name is not allowed.
    #[error(
        "that name is not allowed: 1 to 64 bytes (a room's may be empty), no control characters, composed letters (NFC)"
    )]
    Name,
    /// A key that could not be made, or a link that does not fit.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The server does not take the invite.
    #[error(
        "the server did not accept the invite: it was used already, has expired or was revoked, or the room has ended"
    )]
    InviteRefused,
    /// The server refused for another reason.
    #[error("the server refused: {0}")]
    Refused(RequestError),
    /// The session ended before there was a membership.
    #[error("{0}")]
    Ended(End),
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The system has no thread for the room's cryptography.
    #[error("the system gives no thread for the room: {0}")]
    Thread(std::io::ErrorKind),
    /// The server answered something else.
    #[error("the server sent an unexpected answer")]
    Unexpected,
}

pub(super) async fn create(config: Config, name: &str, new: NewRoom) -> Result<(SealedRoom, RoomEvents), EnterError> {
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
        public_key_string: request.public_key_pem.as_str().into(),
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
    let step = machine.handle(fact, now_ms());
    start(client, events, machine, step, &config)
}

pub(super) async fn join(config: Config, link: Link, name: &str) -> Result<(SealedRoom, RoomEvents), EnterError> {
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
    let public_key = request.public_key_pem.as_str().into();
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
        };
        let step = machine.handle(fact, now_ms());
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
    let host = config.server.host();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let pin = match config.trust {
        Trust::Pin(pin) => Some(*pin.as_bytes()),
        Trust::System => None,
    };
    Server { host, port: config.server.port(), pin }
}

fn settings(client: &Client) -> Settings {
    let limits = &client.server().limits;
    Settings {
        resume_window_ms: limits.resume_window_s.saturating_mul(1_000),
        frame_bytes: usize::try_from(limits.frame_bytes).unwrap_or(usize::MAX),
    }
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

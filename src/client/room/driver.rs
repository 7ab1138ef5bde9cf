//! The task behind a [`SealedRoom`](super::SealedRoom): one machine, one connection, one queue of wishes, one stream of events.
//!
//! Nothing here waits for the application while the relay waits for it, or the other way round: what cannot be handed on yet is queued,
//! and reading pauses while the application has not taken what there is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::event::{RoomEnd, RoomEvent};
use super::translate::{self, Wire};
use crate::client::handle::{Client, Events};
use crate::client::request::{Incoming, RequestError, RequestId};
use crate::protocol::codes::RoomClosedReason;
use crate::protocol::event::Event;
use crate::sealed::room as machine;
use crate::sealed::room::{CommandId, Ending, Fact, MessageId, Room, Step};
use crate::sealed::{InviteKind, Link};

/// Wishes that may wait.
pub(super) const WISHES: usize = 64;
/// Events that may wait for the application before reading pauses.
pub(super) const EVENTS: usize = 256;
/// Time for the last commands of a membership.
const GOODBYE: Duration = Duration::from_secs(5);

/// The present time in unix milliseconds.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whoever waits for a link.
pub(super) struct InviteWaiter {
    pub(super) kind: InviteKind,
    pub(super) waiter: oneshot::Sender<Option<Box<Link>>>,
}

/// What came of a wish.
#[derive(Default)]
pub(super) struct Wished {
    pub(super) step: Step,
    pub(super) message: Option<MessageId>,
    pub(super) invite: Option<InviteWaiter>,
}

impl From<Step> for Wished {
    fn from(step: Step) -> Self {
        Self { step, ..Self::default() }
    }
}

type Act = Box<dyn FnOnce(&mut Room, u64) -> Wished + Send>;

/// What the application asks.
pub(super) enum Wish {
    /// Something of the machine.
    Act(Act),
    /// To know when nothing is outstanding.
    Settled(oneshot::Sender<()>),
}

/// Whom the packets of one message reached.
#[derive(Default)]
struct Tally {
    packet: String,
    reached: usize,
    held: usize,
    absent: usize,
}

/// A command of the machine that waits for its answer.
struct Asked {
    command: CommandId,
    /// For packets: what tells one message from another.
    packet: Option<String>,
}

pub(super) struct Driver {
    client: Client,
    incoming: Events,
    wishes: mpsc::Receiver<Wish>,
    told: mpsc::Sender<RoomEvent>,
    /// Away while it works on a blocking thread.
    room: Option<Box<Room>>,
    room_id: String,
    deadline: Option<u64>,
    /// Commands that are not submitted yet.
    outbox: VecDeque<(CommandId, Wire)>,
    asked: HashMap<RequestId, Asked>,
    /// Events that the application has not taken yet.
    untold: VecDeque<RoomEvent>,
    /// Said, and neither sent nor given up.
    unsent: HashSet<MessageId>,
    invites: VecDeque<InviteWaiter>,
    settling: Vec<oneshot::Sender<()>>,
    tally: Tally,
    closed: Option<RoomClosedReason>,
    /// The membership is over; what is asked still gets this much time.
    ending: Option<(RoomEnd, Instant)>,
}

impl Driver {
    pub(super) fn new(
        client: Client,
        incoming: Events,
        room: Room,
        wishes: mpsc::Receiver<Wish>,
        told: mpsc::Sender<RoomEvent>,
    ) -> Self {
        let (room_id, deadline) = (room.room_id().to_owned(), room.next_deadline());
        Self {
            client,
            incoming,
            wishes,
            told,
            room: Some(Box::new(room)),
            room_id,
            deadline,
            outbox: VecDeque::new(),
            asked: HashMap::new(),
            untold: VecDeque::new(),
            unsent: HashSet::new(),
            invites: VecDeque::new(),
            settling: Vec::new(),
            tally: Tally::default(),
            closed: None,
            ending: None,
        }
    }

    /// Runs until the membership is over. `first` is what entering gave.
    pub(super) async fn run(mut self, first: Step) {
        self.act(Box::new(move |_, _| first.into())).await;
        let end = loop {
            self.settle();
            if let Some((end, until)) = &self.ending
                && ((self.outbox.is_empty() && self.asked.is_empty()) || Instant::now() >= *until)
            {
                break end.clone();
            }
            if let Some(end) = self.turn().await {
                break end;
            }
        };
        // Wipes the keys before anything else is waited for.
        self.room = None;
        self.client.close().await;
        for event in std::mem::take(&mut self.untold) {
            if self.told.send(event).await.is_err() {
                return;
            }
        }
        let _ = self.told.send(RoomEvent::Ended(end)).await;
    }

    /// Waits for one thing to happen and deals with it.
    async fn turn(&mut self) -> Option<RoomEnd> {
        let wait = match (&self.ending, self.deadline) {
            (Some((_, until)), _) => Some(*until),
            (None, Some(at)) => Some(Instant::now() + Duration::from_millis(at.saturating_sub(now_ms()))),
            (None, None) => None,
        };
        let (client, room_id, over) = (&self.client, &self.room_id, self.ending.is_some());
        let submit = async {
            match self.outbox.front() {
                Some((_, wire)) => client.submit(wire.command(room_id)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            incoming = self.incoming.next(), if self.untold.len() < EVENTS => match incoming {
                Some(incoming) => return self.take(incoming).await,
                None => return Some(RoomEnd::Lost),
            },
            wish = self.wishes.recv(), if !over => match wish {
                Some(Wish::Act(act)) => self.act(act).await,
                Some(Wish::Settled(waiter)) => self.settling.push(waiter),
                // Nobody holds the room any more.
                None => self.act(Box::new(|room, now| room.leave(now).into())).await,
            },
            submitted = submit => self.submitted(submitted).await,
            place = self.told.clone().reserve_owned(), if !self.untold.is_empty() => match (place, self.untold.pop_front()) {
                (Ok(place), Some(event)) => drop(place.send(event)),
                // Nobody listens; the room may still be spoken into.
                _ => self.untold.clear(),
            },
            () = tokio::time::sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {
                if !over {
                    self.act(Box::new(|room, now| room.tick(now).into())).await;
                }
            }
        }
        None
    }

    async fn take(&mut self, incoming: Incoming) -> Option<RoomEnd> {
        match incoming {
            Incoming::Event(event) => {
                if let Event::RoomClosed(closed) = &event {
                    self.closed = Some(closed.reason);
                }
                if let Some(fact) = translate::fact(event, &self.room_id) {
                    self.act(Box::new(move |room, now| room.handle(fact, now).into())).await;
                }
            }
            Incoming::Answer { id, answer } => {
                if let Some(asked) = self.asked.remove(&id) {
                    self.answered(asked, answer).await;
                }
            }
            Incoming::Gap(_) => self.act(Box::new(|room, now| room.handle(Fact::Gap, now).into())).await,
            Incoming::Away => self.untold.push_back(RoomEvent::Away),
            Incoming::Resumed => self.untold.push_back(RoomEvent::Back),
            Incoming::Ended(end) => {
                let ending = self.ending.take().map(|(end, _)| end);
                return Some(ending.unwrap_or(RoomEnd::Connection(end)));
            }
        }
        None
    }

    async fn submitted(&mut self, submitted: Result<RequestId, RequestError>) {
        let Some((command, wire)) = self.outbox.pop_front() else { return };
        let asked = Asked { command, packet: wire.packet().map(str::to_owned) };
        match submitted {
            Ok(id) => drop(self.asked.insert(id, asked)),
            Err(error) => self.answered(asked, Err(error)).await,
        }
    }

    async fn answered(&mut self, asked: Asked, answer: Result<Event, RequestError>) {
        if let (Some(packet), Ok(Event::Sent(sent))) = (asked.packet, &answer) {
            if self.tally.packet != packet {
                self.tally = Tally { packet, ..Tally::default() };
            }
            self.tally.reached += sent.reached.len();
            self.tally.held += sent.held.len();
            self.tally.absent += sent.absent.len();
        }
        let answer = translate::answer(answer);
        self.act(Box::new(move |room, now| room.answer(asked.command, answer, now).into())).await;
    }

    /// Has the machine do something on a blocking thread and deals with what comes of it.
    async fn act(&mut self, act: Act) {
        let Some(mut room) = self.room.take() else { return };
        let work = move || {
            let wished = act(&mut room, now_ms());
            let Wished { step: Step { commands, events }, message, invite } = wished;
            let commands: Vec<_> = commands.into_iter().map(|(id, command)| (id, Wire::new(command))).collect();
            let events: Vec<_> = events.into_iter().filter_map(|event| Told::new(&room, event)).collect();
            (room, commands, events, message, invite)
        };
        // The machine does not panic; if it did, there would be nothing left to go on with.
        let Ok((room, commands, events, message, invite)) = tokio::task::spawn_blocking(work).await else {
            self.ending = Some((RoomEnd::Lost, Instant::now()));
            return;
        };
        self.deadline = room.next_deadline();
        self.room = Some(room);
        self.outbox.extend(commands);
        self.unsent.extend(message);
        self.invites.extend(invite);
        for event in events {
            self.tell(event);
        }
    }

    fn tell(&mut self, told: Told) {
        match told {
            Told::Application(event) => {
                if let RoomEvent::NotSent { id, .. } = &event {
                    self.unsent.remove(id);
                }
                self.untold.push_back(event);
            }
            Told::Sent(id) => {
                self.unsent.remove(&id);
                let Tally { reached, held, absent, .. } = std::mem::take(&mut self.tally);
                self.untold.push_back(RoomEvent::Sent { id, reached, held, absent });
            }
            Told::Invite(link) => {
                if let Some(waiter) = self.waiter(link.certificate.kind) {
                    let _ = waiter.send(Some(link));
                }
            }
            Told::InviteFailed(kind) => match self.waiter(kind) {
                Some(waiter) => drop(waiter.send(None)),
                None => self.untold.push_back(RoomEvent::InviteFailed(kind)),
            },
            Told::Ended(ending) => {
                let end = translate::end(ending, self.closed);
                self.ending = Some((end, Instant::now() + GOODBYE));
                self.unsent.clear();
            }
        }
    }

    /// Invites of a kind come in the order in which they were asked for.
    fn waiter(&mut self, kind: InviteKind) -> Option<oneshot::Sender<Option<Box<Link>>>> {
        let at = self.invites.iter().position(|invite| invite.kind == kind)?;
        self.invites.remove(at).map(|invite| invite.waiter)
    }

    fn settle(&mut self) {
        if !self.settling.is_empty() && self.outbox.is_empty() && self.asked.is_empty() && self.unsent.is_empty() {
            for waiter in self.settling.drain(..) {
                let _ = waiter.send(());
            }
        }
    }
}

/// An event of the machine, for the application or for the driver.
enum Told {
    Application(RoomEvent),
    Sent(MessageId),
    Invite(Box<Link>),
    InviteFailed(InviteKind),
    Ended(Ending),
}

impl Told {
    fn new(room: &Room, event: machine::Event) -> Option<Self> {
        Some(match event {
            machine::Event::Sent(id) => Self::Sent(id),
            machine::Event::Invite(link) => Self::Invite(link),
            machine::Event::InviteFailed(kind) => Self::InviteFailed(kind),
            machine::Event::Ended(ending) => Self::Ended(ending),
            event => return translate::event(room, event).map(Self::Application),
        })
    }
}

//! The task behind a [`SealedRoom`](super::SealedRoom): moves what happens between the connection, the machine's thread
//! and the application.
//!
//! Back-pressure: the application's requests wait when [64 inputs](super::thread) wait for the machine. The machine
//! takes at most 1,024 texts. Reading from the server pauses while 64 inputs wait for the machine, or [`EVENTS`] events
//! for the application. Writing to the server never waits for the application, nor the other way round.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::event::{RoomEnd, RoomEvent};
use super::thread::{Input, Output, instant};
use super::translate::{self, Wire};
use crate::client::events::Events;
use crate::client::handle::Client;
use crate::client::request::{Incoming, RequestError, RequestId};
use crate::protocol::codes::GapReason;
use crate::protocol::codes::RoomClosedReason;
use crate::protocol::event::Event;
use crate::sealed::room::{CommandId, Fact};

/// Events that may wait for the application before reading pauses.
pub(super) const EVENTS: usize = 256;
/// Time for the last commands of a membership.
const GOODBYE: Duration = Duration::from_secs(5);

/// The ends of the channels to the machine's thread and to the application.
pub(super) struct Channels {
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) outputs: mpsc::UnboundedReceiver<Output>,
    pub(super) application: mpsc::Sender<RoomEvent>,
    /// Closed when the application holds the room no more.
    pub(super) holders: mpsc::Receiver<Infallible>,
}

pub(super) struct Driver {
    client: Client,
    incoming: Events,
    channels: Channels,
    room_id: String,
    /// When the machine wants a tick, in milliseconds of its clock.
    deadline: Option<u64>,
    /// Commands that are not submitted yet.
    commands: VecDeque<(CommandId, Wire)>,
    /// Commands that wait for their answer.
    asked: HashMap<RequestId, CommandId>,
    /// Events that the application has not taken yet.
    events: VecDeque<RoomEvent>,
    /// Whether the machine waits for nothing.
    settled: bool,
    settling: Vec<oneshot::Sender<()>>,
    closed: Option<RoomClosedReason>,
    /// The application holds the room no more.
    let_go: bool,
    /// The membership is over; the last commands still get this much time.
    ending: Option<(RoomEnd, Instant)>,
}

impl Driver {
    pub(super) fn new(client: Client, incoming: Events, channels: Channels, room_id: String) -> Self {
        Self {
            client,
            incoming,
            channels,
            room_id,
            deadline: None,
            commands: VecDeque::new(),
            asked: HashMap::new(),
            events: VecDeque::new(),
            settled: false,
            settling: Vec::new(),
            closed: None,
            let_go: false,
            ending: None,
        }
    }

    /// Runs until the membership is over.
    pub(super) async fn run(mut self) {
        let end = loop {
            let answered = self.commands.is_empty() && self.asked.is_empty();
            if answered && self.settled {
                for waiter in self.settling.drain(..) {
                    let _ = waiter.send(());
                }
            }
            if let Some((end, until)) = &self.ending
                && (answered || Instant::now() >= *until)
            {
                break end.clone();
            }
            if let Some(end) = self.turn().await {
                break end;
            }
        };
        // What came before still goes to the application. The outputs end when the keys are wiped.
        self.give(Input::Stop).await;
        while let Some(output) = self.channels.outputs.recv().await {
            self.events.extend(output.events);
        }
        self.client.close().await;
        for event in self.events.into_iter().chain([RoomEvent::Ended(end)]) {
            if self.channels.application.send(event).await.is_err() {
                return;
            }
        }
    }

    /// Waits for one thing to happen and deals with it.
    async fn turn(&mut self) -> Option<RoomEnd> {
        let over = self.ending.is_some();
        let wait = match (&self.ending, self.deadline) {
            (Some((_, until)), _) => Some(*until),
            (None, Some(at)) => Some(instant(at)),
            (None, None) => None,
        };
        let Channels { inputs, outputs, application, holders } = &mut self.channels;
        let incoming = async {
            // When the machine is gone, there is no place; what comes then are answers to the last commands.
            let place = inputs.clone().reserve_owned().await.ok();
            (place, self.incoming.next().await)
        };
        let submit = async {
            match self.commands.front() {
                Some((_, wire)) => self.client.submit(wire.command(&self.room_id)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (place, incoming) = incoming, if self.events.len() < EVENTS => match incoming.map(|it| self.take(it)) {
                Some(Ok(input)) => if let (Some(place), Some(input)) = (place, input) {
                    place.send(input);
                },
                Some(Err(end)) => return Some(end),
                None => return Some(RoomEnd::Lost),
            },
            output = outputs.recv(), if !over => match output {
                Some(output) => self.follow(output),
                // The machine does not panic; if it did, there would be nothing left to go on with.
                None => return Some(RoomEnd::Lost),
            },
            _ = holders.recv(), if !self.let_go => {
                self.let_go = true;
                self.give(Input::Act(Box::new(|machine, now| machine.leave(now)))).await;
            }
            submitted = submit => self.submitted(submitted).await,
            place = application.clone().reserve_owned(), if !self.events.is_empty() => {
                match (place, self.events.pop_front()) {
                    (Ok(place), Some(event)) => drop(place.send(event)),
                    // Nobody listens; the room may still be spoken into.
                    _ => self.events.clear(),
                }
            }
            () = tokio::time::sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {
                if !over {
                    // Any other input lets the time pass as well, so that one that waits is enough.
                    let _ = self.channels.inputs.try_send(Input::Tick);
                    self.deadline = None;
                }
            }
        }
        None
    }

    /// What something that came in says to the machine, if anything.
    fn take(&mut self, incoming: Incoming) -> Result<Option<Input>, RoomEnd> {
        Ok(match incoming {
            Incoming::Event(event) => {
                if let Event::RoomClosed(closed) = &event {
                    self.closed = Some(closed.reason);
                }
                translate::fact(event, &self.room_id).map(Input::Fact)
            }
            Incoming::Answer { id, answer } => {
                self.asked.remove(&id).map(|command| Input::Answer(command, translate::answer(answer)))
            }
            // Of joins and leaves nothing is missing: the event that names the members stands for them.
            Incoming::Gap(gap) if gap.reason == GapReason::Members => None,
            Incoming::Gap(_) => Some(Input::Fact(Fact::Gap)),
            Incoming::Away => Some(Input::Connection(Fact::Away, RoomEvent::Away)),
            // What was missed came before.
            Incoming::Resumed => Some(Input::Connection(Fact::Live, RoomEvent::Back)),
            Incoming::Ended(end) => {
                let ending = self.ending.take().map(|(end, _)| end);
                return Err(ending.unwrap_or(RoomEnd::Connection(end)));
            }
        })
    }

    async fn submitted(&mut self, submitted: Result<RequestId, RequestError>) {
        let Some((command, _)) = self.commands.pop_front() else { return };
        match submitted {
            Ok(id) => drop(self.asked.insert(id, command)),
            Err(error) => self.give(Input::Answer(command, translate::answer(Err(error)))).await,
        }
    }

    /// Gives the machine something. It never waits for this task, so this does not wait long.
    async fn give(&self, input: Input) {
        // When the machine is gone, nothing is to be said to it.
        let _ = self.channels.inputs.send(input).await;
    }

    /// Does what follows from an input.
    fn follow(&mut self, output: Output) {
        let Output { commands, events, deadline, settled, settling, ended } = output;
        self.commands.extend(commands);
        self.events.extend(events);
        self.settling.extend(settling);
        (self.deadline, self.settled) = (deadline, settled);
        if let Some(ending) = ended {
            self.ending = Some((translate::end(ending, self.closed), Instant::now() + GOODBYE));
        }
    }
}

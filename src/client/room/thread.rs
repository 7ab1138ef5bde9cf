//! The thread that owns a room's machine: everything that happens comes in by one channel, and what follows goes out by
//! another.
//!
//! Opening and sealing takes up to some 20 ms, too long for an executor's thread. Nothing is shared: the machine and
//! its keys are on this thread alone, and are wiped when it ends.
use std::collections::HashMap;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::error::RoomError;
use super::event::RoomEvent;
use super::kept::Kept;
use super::translate::{self, Wire};
use crate::sealed::room::{Answer, CommandId, Ending, Event, Fact, InviteId, Machine, Now, Place, Step};
use crate::sealed::{InviteKind, Link};
use crate::secret::wipe;

/// Inputs that may wait.
const INPUTS: usize = 64;

/// The time, for the machine: by the wall, and since the first call.
pub(super) fn now() -> Now {
    let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono_ms: milliseconds(beginning().elapsed()), wall_ms: milliseconds(wall) }
}

/// When the machine's clock says so many milliseconds.
pub(super) fn instant(mono_ms: u64) -> Instant {
    beginning() + Duration::from_millis(mono_ms)
}

fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// Something that is done with the machine at the given time.
type Act = Box<dyn FnOnce(&mut Machine, Now) -> Step + Send>;
/// Where the link goes that somebody waits for.
type LinkSender = oneshot::Sender<Result<Link, RoomError>>;

/// What comes in.
pub(super) enum Input {
    /// The server says something about the room.
    Fact(Fact),
    /// The server answered a command.
    Answer(CommandId, Answer),
    /// The machine's deadline has come.
    Tick,
    /// The connection is gone, or back, which the application learns as well.
    Connection(Fact, RoomEvent),
    /// The application asks for something.
    Act(Act),
    /// The application asks for an invite.
    Invite { kind: InviteKind, expires_in: Option<Duration>, link: LinkSender },
    /// The application wants to know when nothing is under way.
    Settled(oneshot::Sender<()>),
    /// The connection is over for good.
    Stop,
}

/// What follows from one input.
#[derive(Default)]
pub(super) struct Output {
    /// For the server, in this order.
    pub(super) commands: Vec<(CommandId, Wire)>,
    /// For the application, in this order.
    pub(super) events: Vec<RoomEvent>,
    /// When the machine wants a tick, in milliseconds of its clock.
    pub(super) deadline: Option<u64>,
    /// Whether the machine waits for nothing.
    pub(super) settled: bool,
    /// To be told when nothing is under way.
    pub(super) settling: Option<oneshot::Sender<()>>,
    /// The membership is over. This is the last output, and the keys are wiped.
    pub(super) ended: Option<Ending>,
}

/// Starts the thread. `first` is what entering gave; its output is the first.
///
/// # Errors
/// The system has no thread to give.
pub(super) fn start(
    machine: Machine,
    first: Step,
) -> io::Result<(mpsc::Sender<Input>, mpsc::UnboundedReceiver<Output>)> {
    let (inputs, inputs_in) = mpsc::channel(INPUTS);
    // Not bounded itself: each output answers an input, and those are.
    let (outputs_in, outputs) = mpsc::unbounded_channel();
    let run = move || {
        let mut outputs_in = outputs_in;
        run(machine, first, inputs_in, &mut outputs_in);
        wipe::stack::<{ wipe::DEEP }>();
        // The driver takes the end of the outputs for the end of the keys.
        drop(outputs_in);
    };
    std::thread::Builder::new().name("subrosa-room".to_owned()).spawn(run)?;
    Ok((inputs, outputs))
}

fn run(machine: Machine, first: Step, mut inputs: mpsc::Receiver<Input>, outputs: &mut mpsc::UnboundedSender<Output>) {
    let mut room = RoomThread { machine, links: HashMap::new(), kept: Kept::default() };
    let mut output = room.output(first);
    loop {
        if output.ended.is_some() {
            // Wipes the keys before the application learns of the end.
            drop(room);
            let _ = outputs.send(output);
            return;
        }
        if outputs.send(output).is_err() {
            return;
        }
        wipe::stack::<{ wipe::DEEP }>();
        output = match inputs.blocking_recv() {
            Some(input) => match room.take(input) {
                Some(output) => output,
                None => return,
            },
            None => return,
        };
    }
}

struct RoomThread {
    machine: Machine,
    /// The invites that somebody waits for.
    links: HashMap<InviteId, LinkSender>,
    kept: Kept,
}

impl RoomThread {
    /// Does what an input asks; `None` when nothing more is to be done.
    fn take(&mut self, input: Input) -> Option<Output> {
        let (machine, now) = (&mut self.machine, now());
        let step = match input {
            Input::Fact(fact) => machine.handle(fact, now),
            Input::Answer(id, answer) => machine.answer(id, answer, now),
            Input::Tick => machine.tick(now),
            Input::Act(act) => act(machine, now),
            Input::Invite { kind, expires_in, link } => match machine.invite(kind, expires_in, now) {
                Ok((id, step)) => {
                    self.links.insert(id, link);
                    step
                }
                Err(error) => {
                    let _ = link.send(Err(error.into()));
                    Step::default()
                }
            },
            Input::Connection(fact, event) => {
                let step = machine.handle(fact, now);
                let mut output = self.output(step);
                output.events.insert(0, event);
                return Some(output);
            }
            Input::Settled(waiter) => {
                let output = self.output(Step::default());
                return Some(Output { settling: Some(waiter), ..output });
            }
            Input::Stop => return None,
        };
        Some(self.output(step))
    }

    fn output(&mut self, step: Step) -> Output {
        let mut output = Output {
            commands: step.commands.into_iter().map(|(id, command)| (id, Wire::new(command))).collect(),
            deadline: self.machine.next_deadline(),
            settled: self.machine.is_settled(),
            ..Output::default()
        };
        for event in step.events {
            match event {
                Event::Invite { id, link } => self.answer_invite(id, Ok(*link)),
                Event::InviteFailed { id, .. } => self.answer_invite(id, Err(RoomError::NoInvite)),
                Event::Ended(ending) => output.ended = Some(ending),
                event => {
                    let kept = self.follow_kept(&event);
                    output.events.extend(translate::event(&self.machine, event));
                    output.events.extend(kept);
                }
            }
        }
        output
    }

    /// What an event says about texts that the server keeps. A member that says something is back: what was kept for it
    /// was given to it first.
    fn follow_kept(&mut self, event: &Event) -> Option<RoomEvent> {
        match event {
            Event::Sent { id, held, .. } => {
                self.kept.keep(*id, held);
                None
            }
            Event::Message { place: Place { from, .. }, .. } | Event::Unsupported { from, .. } => {
                let ids = self.kept.settle(*from);
                let to = translate::person(&self.machine, from);
                (!ids.is_empty()).then_some(RoomEvent::Delivered { ids, to })
            }
            Event::MemberLeft { member, name, .. } => {
                let ids = self.kept.settle(*member);
                (!ids.is_empty()).then(|| RoomEvent::NotDelivered { ids, to: name.clone() })
            }
            _ => None,
        }
    }

    fn answer_invite(&mut self, id: InviteId, link: Result<Link, RoomError>) {
        // If nobody waits any more, the link is dropped: it was shown to nobody.
        if let Some(waiter) = self.links.remove(&id) {
            let _ = waiter.send(link);
        }
    }
}

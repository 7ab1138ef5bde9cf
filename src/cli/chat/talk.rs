//! The conversation: typed lines become requests to the room, and the room's events become lines of output.

use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::commands::{Shown, obey};
use super::input::Input;
use super::names::shown;
use super::terminal::Terminal;
use super::typed::Typed;
use crate::cli::output::Failure;
use subrosa::client::{Person, RoomEnd, RoomEvent, RoomEvents, SealedRoom};
use subrosa::protocol::codes::LeaveReason;
use subrosa::sealed::InviteKind;
use subrosa::sealed::chain::Right;
use subrosa::sealed::room::{MessageId, NotSent};

/// Time for the server to answer the last commands; longer than a reconnection may take.
const LAST_ANSWERS: Duration = Duration::from_secs(120);
/// Time for the last output if the reader is gone.
const GOODBYE: Duration = Duration::from_secs(3);

type Doing = Pin<Box<dyn Future<Output = Vec<Shown>> + Send>>;

/// Talks until the membership ends. At the end of the input it sends all messages before it leaves the room.
///
/// # Errors
/// Standard output is closed, the membership ended without `leave`, or a line of the input had no effect.
pub(super) async fn talk<O: Write, E: Write>(
    room: SealedRoom,
    mut events: RoomEvents,
    mut input: Input,
    mut terminal: Terminal<O, E>,
    mut signals: Signals,
    opened: bool,
) -> Result<(), Failure> {
    // One line at a time; events appear at once.
    let mut doing: Option<Doing> = Some(Box::pin(greeting(room.clone(), opened)));
    let mut room = Some(room);
    // A script must learn whether all its lines had an effect.
    let (mut failed, mut to_the_end) = (false, false);
    loop {
        let done = tokio::select! {
            event = events.next() => match event {
                Some(RoomEvent::Ended(RoomEnd::Left)) if failed && to_the_end => {
                    return Err("some lines were not sent or had no effect".into());
                }
                Some(RoomEvent::Ended(end)) => return ended(&mut terminal, end),
                Some(event) => {
                    failed |= matches!(event, RoomEvent::NotSent { .. });
                    show(&mut terminal, event)
                }
                None => return Ok(()),
            },
            done = doing_or_never(&mut doing) => {
                doing = None;
                done.into_iter().try_for_each(|what| match what {
                    Shown::Event(text) => terminal.event(&text),
                    Shown::Link(link) => terminal.link(link.to_url().expose_secret()),
                    Shown::Status(text) => terminal.status(&text),
                    Shown::NotDone(text) => {
                        failed = true;
                        terminal.status(&text)
                    }
                    Shown::Leave => {
                        doing = room.take().map(leaving);
                        Ok(())
                    }
                })
            }
            typed = input.next(), if doing.is_none() && room.is_some() && !to_the_end => match typed {
                Typed::Line(line) => {
                    doing = room.clone().map(|room| -> Doing { Box::pin(obey(room, line)) });
                    Ok(())
                }
                Typed::Bad => {
                    failed = true;
                    terminal.status("that line is too long or not UTF-8; it was not sent")
                }
                Typed::End => {
                    to_the_end = true;
                    doing = room.clone().map(settling);
                    Ok(())
                }
            },
            () = signals.next() => {
                // The second signal: dropping the pending work ends the connection.
                let Some(room) = room.take() else { return Ok(()) };
                doing = Some(leaving(room));
                Ok(())
            }
        };
        if let Err(error) = done {
            // Dropping the last handle leaves the room.
            drop((doing, room));
            let _ = tokio::time::timeout(GOODBYE, async { while events.next().await.is_some() {} }).await;
            // A closed pipe (`| head`) is a regular end.
            return if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) };
        }
    }
}

/// The signals that ask a program to stop.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal was closed.
    hangup: Signal,
}

impl Signals {
    /// From here on they do not end the program by themselves.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next. Cancel-safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

async fn doing_or_never(doing: &mut Option<Doing>) -> Vec<Shown> {
    match doing {
        Some(doing) => doing.await,
        None => std::future::pending().await,
    }
}

fn leaving(room: SealedRoom) -> Doing {
    Box::pin(async move {
        // If the membership has ended already, the event of its end follows.
        let _ = room.leave().await;
        Vec::new()
    })
}

fn settling(room: SealedRoom) -> Doing {
    Box::pin(async move {
        let settled = tokio::time::timeout(LAST_ANSWERS, room.settled()).await;
        leaving(room).await;
        match settled {
            Ok(_) => Vec::new(),
            Err(_) => vec![Shown::NotDone("the server did not answer all commands in time".to_owned())],
        }
    })
}

/// The first output. The creator's includes the link.
async fn greeting(room: SealedRoom, opened: bool) -> Vec<Shown> {
    let Ok(members) = room.members().await else { return Vec::new() };
    let mut lines = Vec::new();
    if !room.notice().is_empty() {
        lines.push(Shown::Status(format!("The server's host says: {}", room.notice())));
    }
    let name = match members.room_name.as_str() {
        "" => "the room".to_owned(),
        name => shown(name),
    };
    let help = Shown::Status("Type to talk, /help for more.".to_owned());
    if !opened {
        let others = match members.others.len() {
            0 => "alone".to_owned(),
            1 => "with one other".to_owned(),
            count => format!("with {count} others"),
        };
        lines.extend([Shown::Status(format!("You are in {name}, {others}.")), help]);
        return lines;
    }
    match room.invite(InviteKind::OneTime, None).await {
        Ok(link) => {
            let hint = "This link lets one person in; send it over a channel that you trust:";
            lines.extend([Shown::Status(format!("You opened {name}. {hint}")), Shown::Link(Box::new(link)), help]);
        }
        Err(error) => {
            lines.extend([Shown::Status(format!("You opened {name}, but there is no invite: {error}")), help]);
        }
    }
    lines
}

fn names(people: &[Person]) -> String {
    people.iter().map(|person| shown(&person.name)).collect::<Vec<_>>().join(", ")
}

/// How many messages it is about, if more than one.
fn count(ids: &[MessageId]) -> String {
    if ids.len() == 1 { String::new() } else { format!("{} messages ", ids.len()) }
}

fn show<O: Write, E: Write>(terminal: &mut Terminal<O, E>, event: RoomEvent) -> io::Result<()> {
    match event {
        RoomEvent::Message { from, text, private, early, .. } => {
            if early {
                terminal.status("the next line answers something that has not come")?;
            }
            terminal.message(&from.name, &text, private)
        }
        RoomEvent::Edited { from, text, private, .. } => {
            terminal.status(&format!("{} changed a message; it reads now:", shown(&from.name)))?;
            terminal.message(&from.name, &text, private)
        }
        RoomEvent::Deleted { from, .. } => terminal.event(&format!("{} took a message back", shown(&from.name))),
        RoomEvent::Reacted { from, sign, .. } => match &*sign {
            "" => terminal.event(&format!("{} took a reaction back", shown(&from.name))),
            sign => terminal.event(&format!("{} reacted: {sign}", shown(&from.name))),
        },
        // A terminal has no place for them.
        RoomEvent::Typing { .. } | RoomEvent::Read { .. } => Ok(()),
        RoomEvent::Settings(settings) => terminal.event(&match settings.gone {
            0 => "messages do not disappear by themselves".to_owned(),
            seconds => {
                format!("the owner lets messages disappear after {seconds} seconds; this terminal keeps what it has shown")
            }
        }),
        RoomEvent::Missing { from, count, private } => {
            let kind = if private { "private " } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            terminal.event(&format!("{count} {kind}message{plural} missing from {}", shown(&from.name)))
        }
        RoomEvent::Unconfirmed(members) => terminal.alarm(&format!(
            "{}: no sign for two minutes that what you say arrives there",
            names(&members)
        )),
        RoomEvent::Behind(member) => terminal.event(&format!("{} does not have the new secret yet", shown(&member.name))),
        RoomEvent::OwnerGone { owner, heir, me, soon } => {
            let soon = if soon { " It was heard a moment ago, so it may only be cut off." } else { "" };
            let next = match heir {
                _ if me => " You may take the room with /take-over. Ask the owner first, if you can.".to_owned(),
                Some(heir) => format!(" {} may take the room.", shown(&heir.name)),
                None => String::new(),
            };
            terminal.alarm(&format!("the server says that the owner ({}) is gone.{soon}{next}", shown(&owner)))
        }
        RoomEvent::OwnerSilent { minutes } => terminal.alarm(&format!(
            "nothing from the owner for {minutes} minutes: it is away, or you are cut off and may not know who was removed"
        )),
        RoomEvent::Joined { who, live: true } => terminal.event(&format!("{} came in", shown(&who.name))),
        RoomEvent::Joined { who, live: false } => terminal.event(&format!("{} is here", shown(&who.name))),
        RoomEvent::NotHereYet => {
            terminal.status("someone is joining; your client sends them nothing until it knows their identity")
        }
        RoomEvent::Left { name, reason, .. } => terminal.event(&match (shown(&name), reason) {
            (name, LeaveReason::Left) => format!("{name} left"),
            (name, LeaveReason::Removed) => format!("{name} was removed"),
            (name, LeaveReason::Lost) => format!("{name} did not come back and is out of the room"),
        }),
        RoomEvent::Unsupported { from } => {
            terminal.event(&format!("{} sent something that this version cannot show", shown(&from.name)))
        }
        RoomEvent::Sent { held, absent, .. } => {
            if !held.is_empty() {
                terminal.status(&format!("away: {}; the server keeps it for them", names(&held)))?;
            }
            if absent.is_empty() { Ok(()) } else { terminal.status(&format!("not delivered to {}", names(&absent))) }
        }
        RoomEvent::Delivered { ids, to } => {
            terminal.status(&format!("{}delivered to {}", count(&ids), shown(&to.name)))
        }
        RoomEvent::NotDelivered { ids, to } => {
            terminal.status(&format!("{}not delivered to {}", count(&ids), shown(&to)))
        }
        RoomEvent::NotSent { reason, .. } => terminal.status(match reason {
            NotSent::Alone => "not sent: nobody else is in the room",
            NotSent::RecipientGone => "not sent: they have left",
            NotSent::Refused => "not sent: the server refused it",
        }),
        RoomEvent::OwnerChanged { owner, me, right } => {
            let who = if me { "you own".to_owned() } else { format!("{} owns", shown(&owner.name)) };
            terminal.event(&format!("{who} the room now{}", match right {
                Right::HandOver => ": it was handed over",
                Right::Heir => ", as heir: the server says that the owner is gone",
            }))
        }
        RoomEvent::HandOverFailed => terminal.status("the room could not be handed over"),
        RoomEvent::Rekeyed { .. } => terminal.event("the room has a new secret; older links no longer work"),
        RoomEvent::RekeyUndelivered(names) => terminal.alarm(&{
            let names: Vec<_> = names.iter().map(|name| shown(name)).collect();
            format!("the new secret did not reach {}", names.join(", "))
        }),
        RoomEvent::Gap => terminal.event("some messages were lost while the connection was away"),
        RoomEvent::Alarm(alarm) => terminal.alarm(&alarm.to_string()),
        RoomEvent::Away => terminal.status("connection lost; reconnecting …"),
        RoomEvent::Back => terminal.status("connected again"),
        // The loop deals with the end; what a newer library tells is not for this program.
        _ => Ok(()),
    }
}

fn ended<O: Write, E: Write>(terminal: &mut Terminal<O, E>, end: RoomEnd) -> Result<(), Failure> {
    match end {
        RoomEnd::Left => Ok(()),
        RoomEnd::Closed(_) => Ok(terminal.event(&end.to_string())?),
        end => Err(end.to_string().into()),
    }
}

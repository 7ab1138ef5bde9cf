//! The task behind a [`Client`](super::Client): keeps a connection, makes another when it breaks, and moves frames
//! between socket, [session](super::session) and application.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::backoff::Backoff;
use super::config::Config;
use super::dial::{self, Socket};
use super::events::EventQueue;
use super::request::{End, Incoming, printable};
use super::session::{Out, Pending, SessionState};
use super::write::write;
use crate::protocol::codes::{GoneReason, reconnect_after};
use crate::protocol::event::Hello;
use crate::protocol::limits::Limits;

/// An acknowledgement waits this long for further events.
const ACK_WITHIN: Duration = Duration::from_millis(250);
/// Time for the close frames.
const GOODBYE: Duration = Duration::from_secs(2);

/// Received events for which the application has no room, with their sizes in bytes. While there are any, nothing more
/// is read.
type Waiting = VecDeque<(Box<Incoming>, usize)>;

/// Why one connection is over.
enum Cause {
    /// The session ends with it.
    End(End),
    /// Another connection may resume the session, at once or after the announced time.
    Broken(Option<Duration>),
}

/// The task's state besides the session and the present connection.
pub(super) struct ConnectionTask {
    config: Config,
    tls: Arc<ClientConfig>,
    /// Largest event that the server may send, in bytes, by its own word and the application's.
    largest: usize,
    /// How long the server may keep a session whose connection it has yet to find dead.
    kept_for: Duration,
    commands: mpsc::Receiver<Pending>,
    closing: watch::Receiver<bool>,
    events: EventQueue,
}

impl ConnectionTask {
    pub(super) fn new(
        config: Config,
        tls: Arc<ClientConfig>,
        limits: &Limits,
        ping_interval_s: u64,
        commands: mpsc::Receiver<Pending>,
        closing: watch::Receiver<bool>,
        events: EventQueue,
    ) -> Self {
        let window = config.for_s().map_or(limits.resume_window_s, |for_s| for_s.min(limits.resume_window_s));
        let kept_for = window.saturating_add(ping_interval_s).saturating_add(limits.pong_timeout_s);
        // At most a day and an hour, whatever the server announces.
        let kept_for = Duration::from_secs(kept_for.min(90_000));
        let largest = largest(&config, limits);
        Self { config, tls, largest, kept_for, commands, closing, events }
    }

    /// Runs until the session is over.
    pub(super) async fn run(mut self, socket: Socket, mut session: SessionState, mut first: Vec<Out>) {
        let mut socket = socket;
        let mut backoff = Backoff::new(self.config.first_retry_within);
        let mut waiting = Waiting::new();
        let end = loop {
            let todo = std::mem::take(&mut first);
            let cause = self.serve(socket, &mut session, todo, &mut backoff, &mut waiting).await;
            // They count as arrived, so they must survive the connection. They come from one frame.
            for (incoming, _) in waiting.drain(..) {
                self.events.push(*incoming, None);
            }
            let announced = match cause {
                Cause::End(end) => break end,
                Cause::Broken(_) if !session.resumable() => break End::SessionLost(None),
                Cause::Broken(announced) => announced,
            };
            self.events.push(Incoming::Away, None);
            match self.reconnect(announced, &mut backoff).await {
                Ok((next, hello)) => {
                    self.largest = largest(&self.config, &hello.limits);
                    session.reconnected(hello.resume_token, &hello.limits, &mut first);
                    socket = next;
                }
                Err(end) => break end,
            }
        };
        session.end(&end);
        self.commands.close();
        while let Ok(unsent) = self.commands.try_recv() {
            let mut nothing = Vec::new();
            session.submit(unsent, &mut nothing);
        }
        session.end(&end);
        self.events.push(Incoming::Ended(end), None);
    }

    /// Dials until there is a connection, the session cannot be resumed any more, or the application ends it.
    async fn reconnect(&mut self, announced: Option<Duration>, backoff: &mut Backoff) -> Result<(Socket, Hello), End> {
        let give_up = Instant::now() + self.kept_for + announced.unwrap_or_default();
        let mut wait = announced.unwrap_or_else(|| backoff.next());
        let max_event = self.config.max_event_bytes as usize;
        loop {
            let dial = async {
                tokio::time::sleep(wait).await;
                dial::dial(&self.config.server, &self.tls, max_event, self.config.connect_within).await
            };
            tokio::select! {
                () = asked_to_close(&mut self.closing) => return Err(End::Closed),
                () = sleep_until(give_up) => return Err(End::SessionLost(Some(GoneReason::Time))),
                dialled = dial => if let Ok(connected) = dialled {
                    return Ok(connected);
                },
            }
            wait = backoff.next();
        }
    }

    /// One connection's life.
    async fn serve(
        &mut self,
        socket: Socket,
        session: &mut SessionState,
        first: Vec<Out>,
        backoff: &mut Backoff,
        waiting: &mut Waiting,
    ) -> Cause {
        let (sink, mut stream) = socket.split();
        let (out, frames) = mpsc::unbounded_channel();
        let moved = AtomicBool::new(false);
        let mut writer = pin!(write(sink, frames, self.config.pong_within, &moved));
        let mut restart = None;
        let mut todo = first;
        let mut silent_since = Instant::now();
        let mut pinged = false;
        let mut ack_at = None;
        loop {
            for what in todo.drain(..) {
                match what {
                    Out::Send(frame) => drop(out.send(Message::Text(frame))),
                    Out::Deliver(incoming, bytes) => waiting.push_back((incoming, bytes)),
                    Out::Restarting(wait) => restart = Some(wait),
                    Out::Lost(reason) => return Cause::End(End::SessionLost(reason)),
                }
            }
            if session.is_live() {
                backoff.reset();
            }
            if let Some(ack) = session.ack(false) {
                drop(out.send(Message::Text(ack)));
            }
            ack_at = session.owes_ack().then(|| ack_at.unwrap_or_else(|| Instant::now() + ACK_WITHIN));
            let patience =
                if pinged { self.config.ping_after + self.config.pong_within } else { self.config.ping_after };
            tokio::select! {
                () = asked_to_close(&mut self.closing) => {
                    let close = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
                    let _ = out.send(Message::Close(Some(close)));
                    drop(out);
                    let goodbye = async {
                        writer.as_mut().await;
                        while let Some(Ok(_)) = stream.next().await {}
                    };
                    let _ = timeout(GOODBYE, goodbye).await;
                    return Cause::End(End::Closed);
                }
                () = &mut writer => return Cause::Broken(restart),
                permit = self.events.room_for(waiting.front().map_or(0, |(_, bytes)| *bytes)), if !waiting.is_empty() => {
                    if let Some((incoming, _)) = waiting.pop_front() {
                        self.events.push(*incoming, permit);
                    }
                    // This side read nothing while it waited, so the silence is not the server's.
                    silent_since = Instant::now();
                }
                frame = stream.next(), if waiting.is_empty() => {
                    (silent_since, pinged) = (Instant::now(), false);
                    match frame {
                        Some(Ok(Message::Text(text))) => if text.len() > self.largest || session.receive(&text, &mut todo).is_err() {
                            return Cause::End(End::Protocol);
                        },
                        Some(Ok(Message::Close(close))) => {
                            let _ = timeout(GOODBYE, stream.next()).await;
                            return closed_by_server(close, restart);
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Binary(_) | Message::Frame(_))) => return Cause::End(End::Protocol),
                        Some(Err(error)) => return broken(&error, restart),
                        None => return Cause::Broken(restart),
                    }
                }
                command = self.commands.recv(), if session.takes_commands() => match command {
                    Some(command) => session.submit(command, &mut todo),
                    // The last handle is gone; `closing` says the same in the next turn.
                    None => tokio::task::yield_now().await,
                },
                () = sleep_until(silent_since + patience), if waiting.is_empty() => {
                    if moved.swap(false, Ordering::Relaxed) {
                        (silent_since, pinged) = (Instant::now(), false);
                    } else if pinged {
                        return Cause::Broken(restart);
                    } else {
                        pinged = true;
                        let _ = out.send(Message::Ping(tungstenite::Bytes::new()));
                    }
                }
                () = sleep_until(ack_at.unwrap_or(silent_since)), if ack_at.is_some() => {
                    ack_at = None;
                    if let Some(ack) = session.ack(true) {
                        drop(out.send(Message::Text(ack)));
                    }
                }
            }
        }
    }
}

/// The largest event to accept: the server's `event_bytes`, but at most the application's limit.
fn largest(config: &Config, limits: &Limits) -> usize {
    let promised = limits.event_bytes;
    usize::try_from(promised).unwrap_or(usize::MAX).min(config.max_event_bytes as usize)
}

/// Waits until the application closes the session or has dropped its last handle.
async fn asked_to_close(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// The meaning of the server's close frame.
fn closed_by_server(close: Option<CloseFrame>, restart: Option<Duration>) -> Cause {
    let Some(CloseFrame { code, reason }) = close else { return Cause::Broken(restart) };
    let code = u16::from(code);
    if reconnect_after(code) {
        return Cause::Broken(restart);
    }
    // The text goes to people, and the server is not trusted.
    let reason = printable(&reason);
    Cause::End(End::ServerClosed { code, reason })
}

/// The meaning of an error: after a broken connection the client reconnects, after a breach of the protocol it does
/// not.
fn broken(error: &tungstenite::Error, restart: Option<Duration>) -> Cause {
    use tungstenite::error::ProtocolError;
    match error {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Cause::Broken(restart),
        tungstenite::Error::Protocol(_) | tungstenite::Error::Capacity(_) | tungstenite::Error::Utf8(_) => {
            Cause::End(End::Protocol)
        }
        _ => Cause::Broken(restart),
    }
}

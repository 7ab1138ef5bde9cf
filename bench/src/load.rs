//! The measuring loop: keeps every sender's window full, or sends at a fixed rate, and counts what arrives.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::Failure;
use super::generator::Generator;
use super::process::Usage;
use super::progress::Progress;
use super::shape::Plan;
use super::stamp::{STAMP_BYTES, Stamp};
use super::wire::{Outgoing, To, Window};
use hdrhistogram::Histogram;

/// Messages that nobody received for so long, in nanoseconds, are counted as lost.
const LOST_AFTER: u64 = 5_000_000_000;
/// At a fixed rate a sender may fall behind by so many windows before it gives up sendings.
const BEHIND: u64 = 64;
/// When nothing has come at all: how often, and for how many seconds, it is waited longer.
const MORE_TURNS: usize = 100;
const MORE_S: f64 = 0.1;
/// How often waiting looks up.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Time for what entering the rooms caused to arrive.
const SETTLE: Duration = Duration::from_millis(300);

struct Sender {
    member: usize,
    targets: Vec<usize>,
    next: usize,
}

/// Load on a generator whose members are in their rooms.
pub(super) struct Load {
    // Fixed at start.
    senders: Vec<Sender>,
    filler: Vec<u8>,
    /// One sending is one message to the room.
    publishes: bool,
    /// Messages that one sending delivers, and how many may be under way.
    batch: u64,
    window: u64,
    // The pace of a fixed rate: nanoseconds between sendings, when the next is due, and whose turn it is.
    pace: Option<(f64, OwnedFd)>,
    due: f64,
    turn: usize,
    // Counts since the start.
    lost: u64,
    skipped: u64,
    last_arrival: (u64, u64),
}

/// What was counted up to a moment.
#[derive(Clone, Copy)]
struct Counts {
    at: u64,
    server: Option<Usage>,
    own: Usage,
    delivered: u64,
    bytes: u64,
    frames: u64,
    reads: u64,
}

/// What a run under load showed. CPU is of the server process, user and system together; latencies are end to end.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct LoadFigures {
    pub(super) delivered_per_s: f64,
    pub(super) mbytes_per_s: f64,
    pub(super) server_cpu_us_per_message: Option<f64>,
    pub(super) server_user_us_per_message: Option<f64>,
    pub(super) server_system_us_per_message: Option<f64>,
    /// Processors that were busy, on average.
    pub(super) server_busy: Option<f64>,
    pub(super) generator_busy: f64,
    #[serde(flatten)]
    pub(super) latency: Latency,
    pub(super) messages_per_read: f64,
    pub(super) messages_per_frame: f64,
    pub(super) lost: u64,
    pub(super) skipped: u64,
    pub(super) refused: u64,
    pub(super) closed: usize,
}

/// In microseconds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Latency {
    pub(super) latency_us_p50: f64,
    pub(super) latency_us_p99: f64,
    pub(super) latency_us_p999: f64,
    pub(super) latency_us_max: f64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let quantile = |share| histogram.value_at_quantile(share) as f64 / 1e3;
        Self {
            latency_us_p50: quantile(0.5),
            latency_us_p99: quantile(0.99),
            latency_us_p999: quantile(0.999),
            latency_us_max: histogram.max() as f64 / 1e3,
        }
    }
}

impl Load {
    /// Load as planned. Waits a moment for what entering the rooms caused.
    pub(super) fn new(plan: &Plan, generator: &mut Generator) -> Result<Self, Failure> {
        generator.settle(SETTLE)?;
        let fanout = plan.shape.is_fanout();
        let mut senders = Vec::new();
        for room in 0..plan.active_rooms {
            for sender in 0..plan.senders {
                let targets = plan.targets_of(room, sender);
                if !targets.is_empty() {
                    senders.push(Sender { member: room * plan.members + sender, targets, next: 0 });
                }
            }
        }
        let batch = if fanout { plan.members as u64 - 1 } else { 1 };
        let pace = if plan.rate > 0.0 {
            let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
            generator.watch_timer(timer.as_raw_fd())?;
            Some((batch as f64 * 1e9 / plan.rate, timer))
        } else {
            None
        };
        generator.sink.may_send = (0..senders.len()).collect();
        generator.sink.windows = senders.iter().map(|_| Window { inflight: 0, listed: true }).collect();
        let now = generator.sink.now();
        Ok(Self {
            senders,
            filler: (0..plan.payload - STAMP_BYTES).map(|at| b'a' + (at % 26) as u8).collect(),
            publishes: fanout && generator.wire.has_fanout(),
            batch,
            window: plan.inflight * batch,
            pace,
            due: now as f64,
            turn: 0,
            lost: 0,
            skipped: 0,
            last_arrival: (0, now),
        })
    }

    /// Loads for the time planned and measures all but its start. `server` is the server's process.
    pub(super) fn measure(
        &mut self,
        plan: &Plan,
        generator: &mut Generator,
        server: Option<u32>,
        progress: &mut Progress,
    ) -> Result<LoadFigures, Failure> {
        self.run(generator, plan.warmup_s, None, progress)?;
        generator.sink.latencies.reset();
        let (lost, skipped) = (self.lost, self.skipped);
        let before = counts(generator, server)?;
        self.run(generator, plan.duration_s, None, progress)?;
        // On a machine that is busy otherwise even the first may take longer than was planned for all.
        for _ in 0..MORE_TURNS {
            if generator.sink.delivered > before.delivered {
                break;
            }
            self.run(generator, MORE_S, None, progress)?;
        }
        let after = counts(generator, server)?;
        let messages = (after.delivered - before.delivered) as f64;
        if messages == 0.0 {
            let trouble = generator.sink.trouble.as_deref().unwrap_or("the server is alive, but mute");
            return Err(format!("no message arrived: {trouble}").into());
        }
        let seconds = (after.at - before.at) as f64 / 1e9;
        let used = after.server.zip(before.server).map(|(after, before)| after.since(before));
        Ok(LoadFigures {
            delivered_per_s: messages / seconds,
            mbytes_per_s: (after.bytes - before.bytes) as f64 / seconds / 1e6,
            server_cpu_us_per_message: used.map(|used| used.total_us() / messages),
            server_user_us_per_message: used.map(|used| used.user_us / messages),
            server_system_us_per_message: used.map(|used| used.system_us / messages),
            server_busy: used.map(|used| used.total_us() / 1e6 / seconds),
            generator_busy: after.own.since(before.own).total_us() / 1e6 / seconds,
            latency: Latency::of(&generator.sink.latencies),
            messages_per_read: messages / (after.reads - before.reads).max(1) as f64,
            messages_per_frame: messages / (after.frames - before.frames).max(1) as f64,
            lost: self.lost - lost,
            skipped: self.skipped - skipped,
            refused: generator.sink.refused,
            closed: generator.sink.closed,
        })
    }

    /// Loads for `seconds`, or until `stop`.
    pub(super) fn run(
        &mut self,
        generator: &mut Generator,
        seconds: f64,
        stop: Option<&AtomicBool>,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let started = (generator.sink.now(), generator.sink.delivered);
        let end = started.0.saturating_add((seconds * 1e9) as u64);
        loop {
            let now = generator.sink.now();
            if now >= end || stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Ok(());
            }
            let timeout = if self.pace.is_some() { self.send_due(generator)? } else { self.fill_windows(generator) };
            generator.turn(timeout.min(Duration::from_nanos(end - now)))?;
            self.give_up_lost(generator);
            let delivered = generator.sink.delivered - started.1;
            progress.say(|| {
                let seconds_so_far = (now - started.0) as f64 / 1e9;
                format!("{seconds_so_far:.1} s: {:.0} messages/s", delivered as f64 / seconds_so_far.max(0.001))
            });
        }
    }

    /// Sends until every window is full.
    fn fill_windows(&mut self, generator: &mut Generator) -> Duration {
        let mut may_send = std::mem::take(&mut generator.sink.may_send);
        for index in may_send.drain(..) {
            let window = &mut generator.sink.windows[index];
            window.listed = false;
            let sendings = self.window.saturating_sub(window.inflight) / self.batch;
            if sendings > 0 {
                window.inflight += sendings * self.batch;
                let now = generator.sink.now();
                self.send(generator, index, sendings, now);
            }
        }
        if generator.sink.may_send.is_empty() {
            generator.sink.may_send = may_send;
        }
        LOOK_UP
    }

    /// Sends all that is due at the fixed rate. Stamps tell when it was due, so that a late sending counts as latency.
    fn send_due(&mut self, generator: &mut Generator) -> Result<Duration, Failure> {
        for index in generator.sink.may_send.drain(..) {
            generator.sink.windows[index].listed = false;
        }
        let Some(step) = self.pace.as_ref().map(|(step, _)| *step) else { return Ok(LOOK_UP) };
        while self.due <= generator.sink.now() as f64 {
            let index = self.turn % self.senders.len();
            self.turn += 1;
            let window = &mut generator.sink.windows[index];
            if window.inflight + self.batch <= self.window * BEHIND {
                window.inflight += self.batch;
                self.send(generator, index, 1, self.due as u64);
            } else {
                self.skipped += self.batch;
            }
            self.due += step;
        }
        if let Some((_, timer)) = &self.pace {
            // The poll's own timeout is counted in whole milliseconds.
            let left = (self.due as u64).saturating_sub(generator.sink.now()).max(1);
            let once = Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as _ };
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let timing = Itimerspec { it_interval: never, it_value: once };
            rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &timing)?;
        }
        Ok(LOOK_UP)
    }

    /// `sendings` messages (or fan-outs) of a sender, stamped `at`, in one write.
    fn send(&mut self, generator: &mut Generator, index: usize, sendings: u64, at: u64) {
        let Some(sender) = self.senders.get_mut(index) else { return };
        let (from, publishes, filler) = (sender.member, self.publishes, &self.filler);
        let count = if publishes { sendings } else { sendings * self.batch };
        let stamp = Stamp { at, sender: index as u32 }.to_bytes();
        let mut messages = (0..count).map(|_| {
            let to = if publishes { To::Room } else { To::Member(sender.targets[sender.next]) };
            sender.next = (sender.next + 1) % sender.targets.len();
            Outgoing { from, to, stamp, filler }
        });
        generator.send(from, &mut messages);
    }

    /// When nothing came for long, what is under way will not come any more.
    fn give_up_lost(&mut self, generator: &mut Generator) {
        let (seen, at) = self.last_arrival;
        let sink = &mut generator.sink;
        let now = sink.now();
        if sink.delivered != seen {
            self.last_arrival = (sink.delivered, now);
        } else if now - at > LOST_AFTER {
            self.last_arrival = (seen, now);
            for (index, window) in sink.windows.iter_mut().enumerate() {
                self.lost += std::mem::take(&mut window.inflight);
                if !std::mem::replace(&mut window.listed, true) {
                    sink.may_send.push(index);
                }
            }
        }
    }
}

fn counts(generator: &Generator, server: Option<u32>) -> Result<Counts, Failure> {
    let sink = &generator.sink;
    let server = match server {
        Some(pid) => Some(Usage::of(pid).ok_or("the server has died")?),
        None => None,
    };
    Ok(Counts {
        at: sink.now(),
        server,
        own: Usage::own(),
        delivered: sink.delivered,
        bytes: sink.bytes,
        frames: sink.frames,
        reads: sink.reads,
    })
}

//! What a calm room feels of an attack: the room alone, then beside one hostile address, for each attack on a server of
//! its own.
//!
//! The server runs with its default limits. The attack has a thread of its own, which gives way to the one that
//! measures.

mod attacks;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

pub(crate) use attacks::Attack;

use super::Failure;
use super::fairness::GIVE_WAY;
use super::generator::{Destination, Generator};
use super::load::{Load, LoadFigures};
use super::process::Memory;
use super::progress::Progress;
use super::server::Running;
use super::shape::{Plan, Shape, Targets};

/// Members of the calm room.
const MEMBERS: usize = 5;
/// Its messages a second, in all.
const RATE: f64 = 20.0;
/// Descriptors of a server that shall run out of them.
const FEW_FILES: u64 = 96;
/// How often it is looked whether the attack has begun, and how long the attacker rests after it was cut off.
const LOOK_UP: Duration = Duration::from_millis(50);

/// What one attack came to.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct HostileFigures {
    attack: Attack,
    alone_us_p50: f64,
    alone_us_p99: f64,
    alone_us_max: f64,
    attacked_us_p50: f64,
    attacked_us_p99: f64,
    attacked_us_max: f64,
    /// Messages and connections of the calm room.
    lost: u64,
    closed: usize,
    /// Processors that the server kept busy.
    server_busy: Option<f64>,
    memory_before_kib: Option<u64>,
    /// At most, from the start of the server on.
    memory_peak_kib: Option<u64>,
    /// What the attacker did, and how often the server cut it off.
    steps: u64,
    cut_off: u64,
}

/// One attack against a server that has served nobody yet. `takeover` is the path of its take-over socket.
pub(super) fn measure(
    attack: Attack,
    plan: &Plan,
    running: &Running,
    takeover: PathBuf,
    destination: &Destination,
    progress: &mut Progress,
) -> Result<HostileFigures, Failure> {
    let calm = calm(plan);
    let mut generator = Generator::new(destination.clone(), running.relay.wire(&calm, 0))?;
    generator.connect(calm.connections(), progress)?;
    generator.enter(progress)?;
    let alone = Load::new(&calm, &mut generator)?.measure(&calm, &mut generator, None, progress)?;
    let before = running.pid.and_then(Memory::of);
    if let (Attack::Descriptors, Some(pid)) = (attack, running.pid.and_then(|pid| Pid::from_raw(pid as i32))) {
        let few = Rlimit { current: Some(FEW_FILES), maximum: Some(FEW_FILES) };
        prlimit(Some(pid), Resource::Nofile, few)?;
    }
    let mut attacker = Attacker::start(attack, destination.clone(), takeover)?;
    while !attacker.attacks()? {
        progress.say(|| "the attacker prepares".to_owned());
        generator.settle(LOOK_UP)?;
    }
    let attacked = Load::new(&calm, &mut generator)?.measure(&calm, &mut generator, running.pid, progress)?;
    let steps_and_cuts = attacker.stop()?;
    Ok(figures(attack, (&alone, &attacked), steps_and_cuts, before, running.pid.and_then(Memory::of)))
}

fn calm(plan: &Plan) -> Plan {
    Plan {
        shape: Shape::Rate,
        members: MEMBERS,
        rooms: 1,
        active_rooms: 1,
        senders: MEMBERS,
        key_bytes: 0,
        targets: Targets::All,
        rate: RATE,
        ..plan.clone()
    }
}

fn figures(
    attack: Attack,
    (alone, attacked): (&LoadFigures, &LoadFigures),
    (steps, cut_off): (u64, u64),
    before: Option<Memory>,
    after: Option<Memory>,
) -> HostileFigures {
    HostileFigures {
        attack,
        alone_us_p50: alone.latency.latency_us_p50,
        alone_us_p99: alone.latency.latency_us_p99,
        alone_us_max: alone.latency.latency_us_max,
        attacked_us_p50: attacked.latency.latency_us_p50,
        attacked_us_p99: attacked.latency.latency_us_p99,
        attacked_us_max: attacked.latency.latency_us_max,
        lost: alone.lost + attacked.lost,
        closed: attacked.closed,
        server_busy: attacked.server_busy,
        memory_before_kib: before.map(|memory| memory.resident_kib),
        memory_peak_kib: after.map(|memory| memory.peak_kib),
        steps,
        cut_off,
    }
}

/// A line for each attack.
pub(super) fn table(all: &[HostileFigures]) -> String {
    let mut out = String::from(
        "A calm room of 5 members at 20 messages/s, alone and under attack from one address. Latencies in ms.\n\n\
         attack           alone p50    p99    max | attacked p50    p99    max | lost closed | busy | MiB before    peak | cut off\n",
    );
    for row in all {
        let ms = |us: f64| us / 1e3;
        let mib =
            |kib: Option<u64>| kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1}", kib as f64 / 1024.0));
        let busy = row.server_busy.map_or_else(|| "unknown".to_owned(), |busy| format!("{busy:.2}"));
        let name = serde_json::to_value(row.attack).ok().and_then(|name| Some(name.as_str()?.to_owned()));
        let _ = writeln!(
            out,
            "{:<16} {:>9.2} {:>6.2} {:>6.2} | {:>12.2} {:>6.2} {:>6.2} | {:>4} {:>6} | {busy:>4} | {:>10} {:>7} | {:>7}",
            name.unwrap_or_default(),
            ms(row.alone_us_p50),
            ms(row.alone_us_p99),
            ms(row.alone_us_max),
            ms(row.attacked_us_p50),
            ms(row.attacked_us_p99),
            ms(row.attacked_us_max),
            row.lost,
            row.closed,
            mib(row.memory_before_kib),
            mib(row.memory_peak_kib),
            row.cut_off,
        );
    }
    out
}

/// Steps of the attack, and how often the server cut it off.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    steps: AtomicU64,
    cut_off: AtomicU64,
}

/// An attack under way, until it is stopped.
struct Attacker {
    tally: Arc<Tally>,
    began: mpsc::Receiver<()>,
    thread: JoinHandle<Result<(), String>>,
}

impl Attacker {
    fn start(attack: Attack, destination: Destination, takeover: PathBuf) -> Result<Self, Failure> {
        let tally = Arc::new(Tally::default());
        let (begins, began) = mpsc::channel();
        let told = tally.clone();
        let thread = std::thread::Builder::new().name("attacker".to_owned()).spawn(move || {
            // Refused or not, the attack comes.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), GIVE_WAY);
            let mut step = attack.begin(&destination, Some(takeover.clone())).map_err(|error| error.to_string())?;
            let _ = begins.send(());
            while !told.stop.load(Ordering::Relaxed) {
                if step().is_ok() {
                    told.steps.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                told.cut_off.fetch_add(1, Ordering::Relaxed);
                // An attacker comes back.
                std::thread::sleep(LOOK_UP);
                if let Ok(again) = attack.begin(&destination, Some(takeover.clone())) {
                    step = again;
                }
            }
            Ok(())
        })?;
        Ok(Self { tally, began, thread })
    }

    /// Whether the attack is under way.
    fn attacks(&mut self) -> Result<bool, Failure> {
        match self.began.try_recv() {
            Ok(()) => Ok(true),
            Err(mpsc::TryRecvError::Empty) => Ok(false),
            // It was refused before it began, and then it tells why.
            Err(mpsc::TryRecvError::Disconnected) => Ok(true),
        }
    }

    /// Ends the attack.
    fn stop(self) -> Result<(u64, u64), Failure> {
        self.tally.stop.store(true, Ordering::Relaxed);
        let attacked = self.thread.join().map_err(|_| "the attack ended by a fault of its own")?;
        attacked.map_err(|error| format!("the attack could not begin: {error}"))?;
        Ok((self.tally.steps.load(Ordering::Relaxed), self.tally.cut_off.load(Ordering::Relaxed)))
    }
}

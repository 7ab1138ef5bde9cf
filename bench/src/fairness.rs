//! Whether one room's flood is felt in another: a room at a moderate rate, alone and then beside the flood.
//!
//! The flood has a thread and an epoll of its own, which gives way to the one that measures: what is late shall be late
//! for the server's sake and not for the generator's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Failure;
use super::generator::{Destination, Generator};
use super::load::{Load, LoadFigures};
use super::progress::Progress;
use super::server::Running;
use super::shape::{Plan, Shape, Targets};

/// Members of the room that measures.
const MODERATE_MEMBERS: usize = 10;
/// Its payload in bytes.
const MODERATE_PAYLOAD: usize = 256;
/// Seconds between two looks whether the flood has begun to flow.
const FIRST_S: f64 = 0.02;
/// How often it is looked whether the flood has begun.
const LOOK_UP: Duration = Duration::from_millis(50);
/// How much less the flood's thread gets of a processor that both want (as with `nice`).
pub(super) const GIVE_WAY: i32 = 10;

/// What the moderate room felt.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct FairnessFigures {
    pub(super) quiet_us_p50: f64,
    pub(super) quiet_us_p99: f64,
    pub(super) quiet_us_max: f64,
    pub(super) flooded_us_p50: f64,
    pub(super) flooded_us_p99: f64,
    pub(super) flooded_us_p999: f64,
    /// The longest that the moderate room was held up.
    pub(super) flooded_us_max: f64,
    /// p99 beside the flood, over p99 alone.
    pub(super) p99_ratio: f64,
    pub(super) moderate_per_s: f64,
    pub(super) flood_per_s: f64,
    pub(super) lost: u64,
    pub(super) closed: usize,
}

/// Runs the plan: its sizes are the flood's, its rate is the moderate room's.
pub(super) fn measure(
    plan: &Plan,
    running: &Running,
    destination: &Destination,
    progress: &mut Progress,
) -> Result<FairnessFigures, Failure> {
    let (moderate, flood) = (moderate(plan), flood(plan));
    let mut generator = Generator::new(destination.clone(), running.relay.wire(&moderate, 0))?;
    generator.connect(moderate.connections(), progress)?;
    generator.enter(progress)?;
    let quiet = Load::new(&moderate, &mut generator)?.measure(&moderate, &mut generator, None, progress)?;
    let mut flooding = Flood::start(flood, running, destination.clone())?;
    loop {
        match flooding.flows() {
            Ok(true) => break,
            Ok(false) => {}
            // It says itself why.
            Err(error) => return flooding.stop().and(Err(error)),
        }
        progress.say(|| "the flood enters its room".to_owned());
        // Who answers no pings meanwhile is put out.
        generator.settle(LOOK_UP)?;
    }
    let flooded = Load::new(&moderate, &mut generator)?.measure(&moderate, &mut generator, None, progress)?;
    let flood_per_s = flooding.stop()?;
    Ok(figures(&quiet, &flooded, flood_per_s))
}

fn figures(quiet: &LoadFigures, flooded: &LoadFigures, flood_per_s: f64) -> FairnessFigures {
    FairnessFigures {
        quiet_us_p50: quiet.latency.latency_us_p50,
        quiet_us_p99: quiet.latency.latency_us_p99,
        quiet_us_max: quiet.latency.latency_us_max,
        flooded_us_p50: flooded.latency.latency_us_p50,
        flooded_us_p99: flooded.latency.latency_us_p99,
        flooded_us_p999: flooded.latency.latency_us_p999,
        flooded_us_max: flooded.latency.latency_us_max,
        p99_ratio: flooded.latency.latency_us_p99 / quiet.latency.latency_us_p99,
        moderate_per_s: flooded.delivered_per_s,
        flood_per_s,
        lost: quiet.lost + flooded.lost,
        closed: flooded.closed,
    }
}

fn moderate(plan: &Plan) -> Plan {
    Plan {
        shape: Shape::Rate,
        members: MODERATE_MEMBERS,
        rooms: 1,
        active_rooms: 1,
        senders: 1,
        payload: MODERATE_PAYLOAD,
        key_bytes: 0,
        targets: Targets::All,
        ..plan.clone()
    }
}

fn flood(plan: &Plan) -> Plan {
    Plan { rate: 0.0, rooms: 1, active_rooms: 1, ..plan.clone() }
}

/// A room that floods, until it is stopped.
struct Flood {
    stop: Arc<AtomicBool>,
    began: mpsc::Receiver<()>,
    thread: JoinHandle<Result<f64, String>>,
}

impl Flood {
    /// Fills the room, and then floods it.
    fn start(plan: Plan, running: &Running, destination: Destination) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (begins, began) = mpsc::channel();
        let (stopped, relay) = (stop.clone(), running.relay);
        let thread = std::thread::Builder::new().name("flood".to_owned()).spawn(move || {
            // Refused or not, the flood comes.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), GIVE_WAY);
            let wire = relay.wire(&plan, MODERATE_MEMBERS);
            let flooded = || -> Result<f64, Failure> {
                let mut generator = Generator::new(destination, wire)?;
                generator.connect(plan.connections(), &mut Progress::silent())?;
                generator.enter(&mut Progress::silent())?;
                let mut load = Load::new(&plan, &mut generator)?;
                let started = std::time::Instant::now();
                while generator.sink.delivered == 0 && !stopped.load(Ordering::Relaxed) {
                    load.run(&mut generator, FIRST_S, None, &mut Progress::silent())?;
                    if let Some(trouble) = &generator.sink.trouble {
                        return Err(trouble.clone().into());
                    }
                }
                let _ = begins.send(());
                load.run(&mut generator, f64::INFINITY, Some(&stopped), &mut Progress::silent())?;
                Ok(generator.sink.delivered as f64 / started.elapsed().as_secs_f64())
            };
            flooded().map_err(|error| error.to_string())
        })?;
        Ok(Self { stop, began, thread })
    }

    /// Whether everybody is in the room and messages arrive.
    fn flows(&mut self) -> Result<bool, Failure> {
        match self.began.try_recv() {
            Ok(()) => Ok(true),
            Err(mpsc::TryRecvError::Empty) => Ok(false),
            Err(mpsc::TryRecvError::Disconnected) => Err("the flood did not begin".into()),
        }
    }

    /// Ends the flood; how many messages a second it was.
    fn stop(self) -> Result<f64, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let flooded = self.thread.join().map_err(|_| "the flood ended by a fault of its own")?;
        flooded.map_err(|error| format!("the flood: {error}").into())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn figures_of(load: &LoadFigures) -> FairnessFigures {
        figures(load, load, 1.0)
    }
}

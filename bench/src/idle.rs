//! Members that do nothing: what a handshake costs, what a member costs in memory, and whether doing nothing costs
//! time.

use std::time::Duration;

use super::Failure;
use super::generator::Generator;
use super::process::{Memory, Usage};
use super::progress::Progress;
use super::shape::Plan;
use super::stamp::{STAMP_BYTES, Stamp};
use super::wire::{Outgoing, To};

/// Time for the server to come to rest before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// What idle members showed. Memory is of the server process; what the kernel holds for sockets is not in it.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct IdleFigures {
    pub(super) handshakes_per_s: f64,
    /// Milliseconds of the server's CPU for TCP, TLS and upgrade.
    pub(super) cpu_ms_per_handshake: Option<f64>,
    pub(super) enter_s: f64,
    pub(super) cpu_ms_per_entry: Option<f64>,
    pub(super) empty_kib: Option<u64>,
    pub(super) kib_per_connection: Option<f64>,
    /// After one message went over every connection.
    pub(super) touched_kib_per_connection: Option<f64>,
    pub(super) touched: u64,
    pub(super) idle_cpu_percent: Option<f64>,
    pub(super) closed: usize,
}

/// Runs the plan against a server that has served nobody yet.
pub(super) fn measure(
    plan: &Plan,
    generator: &mut Generator,
    server: Option<u32>,
    progress: &mut Progress,
) -> Result<IdleFigures, Failure> {
    let count = plan.connections();
    let usage = || server.and_then(Usage::of);
    let resident = || server.and_then(Memory::of).map(|memory| memory.resident_kib);
    let used = |before: Option<Usage>| usage().zip(before).map(|(now, before)| now.since(before).total_us());
    let (empty, before) = (resident(), usage());
    let connecting = generator.connect(count, progress)?;
    let (handshakes, before) = (used(before), usage());
    let entering = generator.enter(progress)?;
    generator.settle(SETTLE)?;
    let entries = used(before);
    let full = resident();
    touch(plan, generator, progress)?;
    generator.settle(SETTLE)?;
    let touched = resident();
    let before = usage();
    progress.say(|| "doing nothing".to_owned());
    generator.settle(Duration::from_secs_f64(plan.duration_s))?;
    let idle = used(before);
    let each =
        |total: Option<u64>| total.zip(empty).map(|(now, empty)| now.saturating_sub(empty) as f64 / count as f64);
    Ok(IdleFigures {
        handshakes_per_s: count as f64 / connecting.as_secs_f64(),
        cpu_ms_per_handshake: handshakes.map(|us| us / 1e3 / count as f64),
        enter_s: entering.as_secs_f64(),
        cpu_ms_per_entry: entries.map(|us| us / 1e3 / count as f64),
        empty_kib: empty,
        kib_per_connection: each(full),
        touched_kib_per_connection: each(touched),
        touched: generator.sink.delivered,
        idle_cpu_percent: idle.map(|us| us / 1e4 / plan.duration_s.max(0.001)),
        closed: generator.sink.closed,
    })
}

/// Every member sends one message to the next in its room: buffers are used once everywhere.
fn touch(plan: &Plan, generator: &mut Generator, progress: &mut Progress) -> Result<(), Failure> {
    let filler = vec![b'x'; plan.payload - STAMP_BYTES];
    for member in 0..plan.connections() {
        let room = member - member % plan.members;
        let next = room + (member + 1) % plan.members;
        let stamp = Stamp { at: generator.sink.now(), sender: 0 }.to_bytes();
        let message = Outgoing { from: member, to: To::Member(next), stamp, filler: &filler };
        generator.send(member, &mut std::iter::once(message));
        generator.turn(Duration::ZERO)?;
        progress.say(|| format!("one message over every connection: {member}"));
    }
    Ok(())
}

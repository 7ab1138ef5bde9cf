//! Members that are away: what the server keeps for each, and how fast all of them come back.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::json;

use super::Failure;
use super::client::Client;
use super::generator::Destination;
use super::process::{Memory, Usage};
use super::progress::Progress;
use super::shape::Plan;

/// Threads that clients share; a client waits for the server most of the time.
const THREADS: usize = 8;
/// Connections from one loopback address: a handful of addresses, as for all loads.
const PER_SOURCE: usize = 10_000;
/// Time for the server to come to rest before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// What absent members showed. Memory is of the server process.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct AbsentFigures {
    pub(super) absent: usize,
    pub(super) empty_kib: Option<u64>,
    /// While all are away.
    pub(super) kib_per_absent: Option<f64>,
    /// From the first connection to the last `resumed`.
    pub(super) return_s: f64,
    pub(super) returned_per_s: f64,
    pub(super) return_ms_p50: f64,
    pub(super) return_ms_p99: f64,
    /// Milliseconds of the server's CPU for each that came back.
    pub(super) cpu_ms_per_return: Option<f64>,
    /// Sessions that the server did not know any more.
    pub(super) not_resumed: usize,
}

/// Runs the plan against a server that has served nobody yet: its rooms, whose members all lose their connections and
/// come back.
pub(super) fn measure(
    plan: &Plan,
    destination: &Destination,
    server: Option<u32>,
    progress: &mut Progress,
) -> Result<AbsentFigures, Failure> {
    let resident = || server.and_then(Memory::of).map(|memory| memory.resident_kib);
    let empty = resident();
    progress.say(|| "entering rooms".to_owned());
    let rooms: Vec<usize> = (0..plan.rooms).collect();
    let members = in_parallel(&rooms, |room| enter(plan, destination, *room))?;
    // All connections break at once, without a goodbye.
    let tokens: Vec<_> = members.into_iter().flatten().map(|member| (member.token.clone(), member.seq)).collect();
    std::thread::sleep(SETTLE);
    let away = resident();
    let before = server.and_then(Usage::of);
    progress.say(|| "coming back".to_owned());
    let started = Instant::now();
    let numbered: Vec<_> = tokens.iter().enumerate().collect();
    let returns = in_parallel(&numbered, |(number, (token, seq))| come_back(destination, *number, token, *seq))?;
    let took = started.elapsed().as_secs_f64();
    let used = server.and_then(Usage::of).zip(before).map(|(now, before)| now.since(before).total_us());
    let mut times = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3)?;
    let mut kept = Vec::new();
    for (time, client) in returns {
        if let Some(client) = client {
            times.saturating_record(time.as_micros() as u64);
            kept.push(client);
        }
    }
    let count = tokens.len();
    Ok(AbsentFigures {
        absent: count,
        empty_kib: empty,
        kib_per_absent: away.zip(empty).map(|(away, empty)| away.saturating_sub(empty) as f64 / count as f64),
        return_s: took,
        returned_per_s: kept.len() as f64 / took,
        return_ms_p50: times.value_at_quantile(0.5) as f64 / 1e3,
        return_ms_p99: times.value_at_quantile(0.99) as f64 / 1e3,
        cpu_ms_per_return: used.map(|us| us / 1e3 / count as f64),
        not_resumed: count - kept.len(),
    })
}

/// Fills one room with sessions that may be resumed.
fn enter(plan: &Plan, to: &Destination, room: usize) -> Result<Vec<Client>, Failure> {
    let first = room * plan.members;
    let mut members = Vec::with_capacity(plan.members);
    let mut entrance = None;
    for number in first..first + plan.members {
        let mut member = Client::connect(to, source(number))?;
        member.ask("resume", json!({}))?;
        match &entrance {
            None => {
                let id = member.create()?;
                entrance = Some((member.forever_key(&id)?, id));
            }
            Some((key, id)) => drop(member.join(id, key)?),
        }
        members.push(member);
    }
    // Whatever a command is answered, all earlier events are there then. What is acknowledged is not kept.
    for member in &mut members {
        member.ask("list-members", json!({"room_id": ""}))?;
        let seq = member.seq;
        member.ask("ack", json!({"seq": seq}))?;
    }
    Ok(members)
}

/// Takes a session up again. No client when the server does not know it any more.
fn come_back(to: &Destination, number: usize, token: &str, seq: u64) -> Result<(Duration, Option<Client>), Failure> {
    let started = Instant::now();
    let mut client = Client::connect(to, source(number))?;
    let answer = client.ask("resume", json!({"token": token, "last_seq": seq}))?;
    Ok((started.elapsed(), (answer["cmd"] == "resumed").then_some(client)))
}

fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + (number / PER_SOURCE) as u32)
}

/// Does the same with each item, on a few threads; the results come in any order.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let done = Mutex::new(Ok(Vec::with_capacity(items.len())));
    let share = items.len().div_ceil(THREADS).max(1);
    let (work, results_of_all) = (&work, &done);
    std::thread::scope(|scope| {
        for chunk in items.chunks(share) {
            scope.spawn(move || {
                for item in chunk {
                    let result = work(item);
                    let Ok(mut done) = results_of_all.lock() else { return };
                    match (&mut *done, result) {
                        (Ok(results), Ok(result)) => results.push(result),
                        (Ok(_), Err(error)) => *done = Err(error),
                        (Err(_), _) => return,
                    }
                }
            });
        }
    });
    done.into_inner().map_err(|_| "a thread of clients ended by a fault of its own")?
}

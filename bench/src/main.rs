//! `subrosa-bench`, a load generator: it measures how much a machine can carry, with this server and with others.
//!
//! ```text
//! shape → plan ─┬→ server   started for the run, or given
//!               ├→ wire     what members say: JSON commands, or another relay's protocol
//!               └→ generator → load | idle | fairness → report
//! ```
//!
//! One thread with one epoll runs all members. The main figure is the server's CPU time per delivered message, which
//! stays valid when the generator is the bottleneck. The generator verifies servers by a pinned key.

mod absent;
mod client;
mod connection;
mod fairness;
mod floor;
mod frame;
mod generator;
mod hostile;
mod idle;
mod load;
mod process;
mod progress;
mod report;
mod server;
mod shape;
mod stamp;
mod wire;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rustls::NamedGroup;
use subrosa::client::{Pin, pinned_config};

use fairness::measure as measure_fairness;
use generator::{Destination, Generator};
use hostile::Attack;
use load::Load;
use process::{Memory, Usage};
use progress::Progress;
use report::{Figures, Report, Reports, SetUp};
use server::{Relay, Running, Start};
use shape::{Plan, Shape, Sizes};

/// Descriptors beside those of the connections.
const OTHER_FILES: u64 = 256;
/// Rounds of a comparison, unless told.
const COMPARED_ROUNDS: u32 = 3;

/// What a command fails with; printed for people.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures how much this machine carries.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The floor that `--compare floor` compares with.
    #[command(hide = true)]
    Floor(floor::Floor),
}

fn main() -> ExitCode {
    let Cli { command, bench } = Cli::parse();
    let done = match command {
        Some(Command::Floor(floor)) => floor.run(),
        None => bench.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "subrosa-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output; a reader that went away (`| head`) is no failure.
fn say(what: &dyn std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match write!(out, "{what}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Which key exchange clients offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KeyExchange {
    /// X25519 with ML-KEM-768, as this program's clients do.
    Hybrid,
    /// X25519 alone, which every relay has.
    X25519,
}

/// What to measure, and against what.
#[derive(Debug, Args)]
struct Bench {
    #[command(flatten)]
    sizes: Sizes,
    /// A server that runs already. Without it one is started for every run, with its bounds raised.
    #[arg(long, value_name = "ADDR:PORT", requires = "pin")]
    server: Option<SocketAddr>,
    /// The pin of that server's certificate.
    #[arg(long, value_name = "PIN", requires = "server", allow_hyphen_values = true)]
    pin: Option<Pin>,
    /// Its process on this machine, whose CPU time and memory are measured.
    #[arg(long, value_name = "PID", requires = "server")]
    pid: Option<u32>,
    /// With `--shape hostile`: these attacks alone. By default all of them.
    #[arg(long = "attack", value_name = "ATTACK", value_enum, value_delimiter = ',')]
    attacks: Vec<Attack>,
    /// Runs these too, in turn, and shows how they compare.
    #[arg(long, value_name = "RELAY", value_enum, value_delimiter = ',')]
    compare: Vec<Relay>,
    /// How often everything runs; medians are shown. By default 3 with `--compare`, else 1.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: Option<u32>,
    /// The `subrosa` program to start. By default it is the one beside this program.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    program: Option<PathBuf>,
    /// The processor that servers run on.
    #[arg(long, value_name = "NUMBER", conflicts_with = "server")]
    server_cpu: Option<usize>,
    /// The processor that the load comes from.
    #[arg(long, value_name = "NUMBER")]
    generator_cpu: Option<usize>,
    /// Event loops of the server that is started; by default one for each of its processors.
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true, conflicts_with = "server")]
    workers: usize,
    /// A bound of the server that is started, as with `serve`. Can be given several times.
    #[arg(long = "limit", value_name = "NAME=VALUE", conflicts_with = "server")]
    limits: Vec<String>,
    /// Handshakes under way at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    handshakes: u32,
    /// Which key exchange clients offer.
    #[arg(long, value_enum, default_value = "x25519")]
    key_exchange: KeyExchange,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Bench {
    fn run(self) -> Result<(), Failure> {
        let plan = self.sizes.plan();
        let mut progress = Progress::on_terminal();
        self.prepare(&plan)?;
        if plan.shape == Shape::Hostile {
            return self.hostile(&plan, &mut progress);
        }
        let rounds = self.rounds.unwrap_or(if self.compare.is_empty() { 1 } else { COMPARED_ROUNDS });
        let relays: Vec<_> = std::iter::once(Relay::Subrosa).chain(self.compare.iter().copied()).collect();
        let mut reports = Vec::new();
        // In turn, so that whatever else the machine does meanwhile meets all of them.
        for round in 1..=rounds {
            for relay in &relays {
                progress.label(format!("{} ({round} of {rounds}):", relay.name()));
                let report = self.one(*relay, &plan, &mut progress);
                progress.clear();
                reports.push(match report {
                    Err(error) if relays.len() > 1 => return Err(format!("{}: {error}", relay.name()).into()),
                    other => other?,
                });
            }
        }
        let reports = Reports::new(&reports);
        if self.json { say(&format_args!("{}\n", reports.to_json())) } else { say(&reports.to_table()) }
    }

    /// Every attack against a server of its own, which has the limits of a host.
    fn hostile(&self, plan: &Plan, progress: &mut Progress) -> Result<(), Failure> {
        if self.server.is_some() || !self.compare.is_empty() {
            return Err("--shape hostile starts the servers that it attacks; leave --server and --compare away".into());
        }
        let attacks = if self.attacks.is_empty() { Attack::value_variants() } else { &self.attacks[..] };
        let mut rows = Vec::new();
        for attack in attacks {
            progress.label(format!("{attack:?}:"));
            let running = Start { guarded: true, ..self.start() }.start(Relay::Subrosa, plan)?;
            let destination = self.destination(&running)?;
            let takeover = running.takeover().ok_or("the server has no take-over socket")?;
            rows.push(hostile::measure(*attack, plan, &running, takeover, &destination, progress)?);
            progress.clear();
        }
        if self.json { say(&format_args!("{}\n", serde_json::to_string(&rows)?)) } else { say(&hostile::table(&rows)) }
    }

    fn start(&self) -> Start {
        Start {
            program: self.program.clone(),
            cpu: self.server_cpu,
            own_cpu: self.generator_cpu,
            workers: self.workers,
            limits: self.limits.clone(),
            guarded: false,
        }
    }

    fn destination(&self, running: &Running) -> Result<Destination, Failure> {
        let groups: &[NamedGroup] = match self.key_exchange {
            KeyExchange::Hybrid => &[NamedGroup::X25519MLKEM768, NamedGroup::X25519],
            KeyExchange::X25519 => &[NamedGroup::X25519],
        };
        let tls = pinned_config(running.pin, groups)?;
        Ok(Destination { address: running.address, tls, at_once: self.handshakes as usize })
    }

    /// Descriptors and processor of this process.
    fn prepare(&self, plan: &Plan) -> Result<(), Failure> {
        let files = plan.connections() as u64 + OTHER_FILES;
        // The server, which is started from here, needs them as well.
        process::allow_files(files).map_err(|allowed| {
            format!(
                "{files} connections and files are needed, but this process may have {allowed} open; raise the hard limit \
                 (ulimit -Hn), or run as administrator"
            )
        })?;
        if let Some(cpu) = self.generator_cpu {
            process::run_on(cpu).map_err(|error| format!("cannot run on processor {cpu}: {error}"))?;
        }
        Ok(())
    }

    /// One run against one relay.
    fn one(&self, relay: Relay, plan: &Plan, progress: &mut Progress) -> Result<Report, Failure> {
        let running = match (self.server, self.pin) {
            (Some(address), Some(pin)) if relay == Relay::Subrosa => Running::existing(address, pin, self.pid),
            _ => self.start().start(relay, plan)?,
        };
        let destination = self.destination(&running)?;
        let (figures, mut set_up) = measure(plan, &running, &destination, progress)?;
        let memory = running.pid.and_then(Memory::of);
        set_up.memory_kib = memory.map(|memory| memory.resident_kib);
        set_up.peak_memory_kib = memory.map(|memory| memory.peak_kib);
        Ok(Report { relay, plan: plan.clone(), set_up, figures })
    }
}

fn measure(
    plan: &Plan,
    running: &Running,
    destination: &Destination,
    progress: &mut Progress,
) -> Result<(Figures, SetUp), Failure> {
    let mut set_up = SetUp::new(plan.connections());
    if matches!(plan.shape, Shape::Fairness | Shape::FloodFanout) {
        return Ok((Figures::Fairness(measure_fairness(plan, running, destination, progress)?), set_up));
    }
    if plan.shape == Shape::Absent {
        if running.relay != Relay::Subrosa {
            return Err(format!("{} has no sessions that survive their connection", running.relay.name()).into());
        }
        return Ok((Figures::Absent(absent::measure(plan, destination, running.pid, progress)?), set_up));
    }
    let mut generator = Generator::new(destination.clone(), running.relay.wire(plan, 0))?;
    if plan.shape == Shape::Idle {
        return Ok((Figures::Idle(idle::measure(plan, &mut generator, running.pid, progress)?), set_up));
    }
    let before = running.pid.and_then(Usage::of);
    let connecting = generator.connect(plan.connections(), progress)?;
    let after = running.pid.and_then(Usage::of);
    let count = plan.connections() as f64;
    set_up.handshakes_per_s = Some(count / connecting.as_secs_f64());
    set_up.cpu_ms_per_handshake = after.zip(before).map(|(after, before)| after.since(before).total_us() / 1e3 / count);
    generator.enter(progress)?;
    let mut load = Load::new(plan, &mut generator)?;
    Ok((Figures::Load(load.measure(plan, &mut generator, running.pid, progress)?), set_up))
}

//! The server under load: one that runs already, this program's own, the floor, or another relay that is installed.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::Failure;
use super::process::run_on;
use super::shape::Plan;
use super::wire::{Mqtt, Nats, Ours, Raw, Wire};
use subrosa::client::Pin;
use subrosa::server::{DEV_CERT, DEV_KEY, Identity};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// Which relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Relay {
    /// This program.
    #[value(skip)]
    Subrosa,
    /// nats-server, over TLS and WebSocket.
    Nats,
    /// mosquitto (MQTT), over TLS and WebSocket.
    Mosquitto,
    /// The least that a relay over TLS and WebSocket can do: binary frames, nothing checked.
    Floor,
}

impl Relay {
    /// How members talk to it. `first` is the number of the first member, where several generators share the server.
    pub(super) fn wire(self, plan: &Plan, first: usize) -> Box<dyn Wire> {
        match self {
            Self::Subrosa => Box::new(Ours::new(plan)),
            Self::Nats => Box::new(Nats::new(plan, first)),
            Self::Mosquitto => Box::new(Mqtt::new(plan, first)),
            Self::Floor => Box::new(Raw::new(plan, first)),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Subrosa => "subrosa",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
            Self::Floor => "floor",
        }
    }
}

/// A relay that accepts connections.
pub(super) struct Running {
    pub(super) relay: Relay,
    pub(super) address: SocketAddr,
    pub(super) pin: Pin,
    /// Its process, where that is known.
    pub(super) pid: Option<u32>,
    /// Ends with this.
    _process: Option<Process>,
    /// Where a guarded server keeps its take-over socket.
    folder: Option<Folder>,
}

impl Running {
    /// The take-over socket of a guarded server.
    pub(super) fn takeover(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(Folder::socket)
    }

    /// A server that somebody else started.
    pub(super) fn existing(address: SocketAddr, pin: Pin, pid: Option<u32>) -> Self {
        Self { relay: Relay::Subrosa, address, pin, pid, _process: None, folder: None }
    }
}

/// A process that is killed when dropped: nothing that it holds is worth a goodbye.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How to start servers.
pub(super) struct Start {
    /// The `subrosa` program; by default the one beside this program.
    pub(super) program: Option<PathBuf>,
    /// The processor to run them on.
    pub(super) cpu: Option<usize>,
    /// The processor to come back to after starting one.
    pub(super) own_cpu: Option<usize>,
    /// `--workers` of `serve`; 0 leaves it to the server.
    pub(super) workers: usize,
    /// Further `--limit` of `serve`.
    pub(super) limits: Vec<String>,
    /// With the limits of a host and a take-over socket, instead of limits that a load does not meet.
    pub(super) guarded: bool,
}

impl Start {
    /// Starts a relay on a free port of 127.0.0.1 and waits until it accepts connections.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub(super) fn start(&self, relay: Relay, plan: &Plan) -> Result<Running, Failure> {
        let folder = Folder::new()?;
        let identity = Identity::development(&folder.0)?.identity;
        let pin: Pin = identity.pin().parse()?;
        let (cert, key) = (folder.0.join(DEV_CERT), folder.0.join(DEV_KEY));
        let (command, port) = match relay {
            Relay::Subrosa => (self.subrosa(plan, &cert, &key, &folder)?, None),
            Relay::Floor => (floor(&cert, &key)?, None),
            Relay::Nats => nats(&folder, &cert, &key)?,
            Relay::Mosquitto => mosquitto(&folder, &cert, &key)?,
        };
        let mut process = self.spawn(relay, command)?;
        let address = match port {
            Some(port) => wait_for_port(port, &mut process)?,
            None => told_address(&mut process)?,
        };
        // From here on the server has what it needs in memory, and the folder goes unless its socket is there.
        let pid = Some(process.0.id());
        let folder = self.guarded.then_some(folder);
        Ok(Running { relay, address, pin, pid, _process: Some(process), folder })
    }

    fn spawn(&self, relay: Relay, mut command: Command) -> Result<Process, Failure> {
        // A child inherits the processor of the thread that starts it.
        if let Some(cpu) = self.cpu {
            run_on(cpu).map_err(|error| format!("cannot run on processor {cpu}: {error}"))?;
        }
        let child = command.spawn();
        if let Some(cpu) = self.own_cpu {
            run_on(cpu).map_err(|error| format!("cannot run on processor {cpu}: {error}"))?;
        }
        child.map(Process).map_err(|error| match (relay, error.kind()) {
            (Relay::Nats | Relay::Mosquitto, std::io::ErrorKind::NotFound) => {
                let package = if relay == Relay::Nats { "nats-server" } else { "mosquitto" };
                format!("{package} is not installed; on Debian: apt-get install {package}").into()
            }
            _ => format!("cannot start {}: {error}", relay.name()).into(),
        })
    }

    fn program(&self) -> Result<PathBuf, Failure> {
        let program = match &self.program {
            Some(given) => given.clone(),
            None => std::env::current_exe()?.with_file_name("subrosa"),
        };
        if !program.is_file() {
            let build = "build it (cargo build --release), or name it with --program";
            return Err(format!("there is no program {}; {build}", program.display()).into());
        }
        Ok(program)
    }

    fn subrosa(&self, plan: &Plan, cert: &Path, key: &Path, folder: &Folder) -> Result<Command, Failure> {
        let mut command = Command::new(self.program()?);
        command.arg("serve").args(["--listen", "127.0.0.1:0", "--workers", &self.workers.to_string()]);
        command.arg("--cert").arg(cert).arg("--key").arg(key);
        // A load is no guest: what bounds one connection is out of its way, and connections may wait for their turn to
        // enter.
        let members = plan.members.max(1_024);
        let raised = [
            "commands_per_s=1000000000".to_owned(),
            "commands_burst=1000000000".to_owned(),
            "connections=10000000".to_owned(),
            "connections_from_loopback=10000000".to_owned(),
            "rooms=10000000".to_owned(),
            "queue_bytes=1099511627776".to_owned(),
            "queue_events=1000000000".to_owned(),
            "first_command_s=3600".to_owned(),
            format!("members_per_room={members}"),
        ];
        if self.guarded {
            command.arg("--takeover").arg(folder.socket());
        }
        let raised = if self.guarded { &[][..] } else { &raised[..] };
        for limit in raised.iter().chain(&self.limits) {
            command.args(["--limit", limit]);
        }
        command.env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(command)
    }
}

fn floor(cert: &Path, key: &Path) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(super::floor::COMMAND).arg("--cert").arg(cert).arg("--key").arg(key);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

fn nats(folder: &Folder, cert: &Path, key: &Path) -> Result<(Command, Option<u16>), Failure> {
    let (port, own) = (free_port()?, free_port()?);
    let settings = format!(
        "listen: \"127.0.0.1:{own}\"\nmax_payload: 8388608\nmax_pending: 1073741824\nmax_connections: 1000000\n\
         websocket {{\n  listen: \"127.0.0.1:{port}\"\n  tls {{ cert_file: {cert:?}, key_file: {key:?} }}\n}}\n"
    );
    let mut command = Command::new("nats-server");
    command.arg("--config").arg(folder.file("nats.conf", &settings)?);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((command, Some(port)))
}

fn mosquitto(folder: &Folder, cert: &Path, key: &Path) -> Result<(Command, Option<u16>), Failure> {
    let (port, own) = (free_port()?, free_port()?);
    // Started by the administrator it would become a user that cannot read the key. Without a plain listener Debian's
    // does not start (eclipse-mosquitto/mosquitto issue 2578).
    let settings = format!(
        "user root\npersistence false\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n\
         listener {own} 127.0.0.1\nlistener {port} 127.0.0.1\nprotocol websockets\ncertfile {}\nkeyfile {}\n",
        cert.display(),
        key.display()
    );
    // Debian keeps it where ordinary users' shells do not look.
    let packaged = Path::new("/usr/sbin/mosquitto");
    let mut command = Command::new(if packaged.exists() { packaged } else { Path::new("mosquitto") });
    command.arg("-c").arg(folder.file("mosquitto.conf", &settings)?);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((command, Some(port)))
}

/// A port that nobody listens on. Somebody else may take it before it is used; then the server does not start, and says
/// so.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn wait_for_port(port: u16, process: &mut Process) -> Result<SocketAddr, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let until = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        if let Some(status) = process.0.try_wait()? {
            return Err(format!("the server ended at once ({status})").into());
        }
        if Instant::now() > until {
            return Err("the server did not start in time".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(address)
}

/// The address that a server of this program prints when it listens.
fn told_address(process: &mut Process) -> Result<SocketAddr, Failure> {
    let output = process.0.stdout.take().ok_or("the server's output cannot be read")?;
    for line in BufReader::new(output).lines() {
        if let Some(address) = address_in(&line?) {
            return Ok(address);
        }
    }
    Err("the server did not start".into())
}

/// The address in a line such as `… listens on 127.0.0.1:5656: …`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listens on ")?;
    rest.split_whitespace().next()?.trim_end_matches(':').parse().ok()
}

/// A folder of this user alone that goes when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("subrosa-bench-{:032x}", rand::random::<u128>()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn socket(&self) -> PathBuf {
        self.0.join("takeover")
    }

    fn file(&self, name: &str, content: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_address_from_the_welcome() {
        let line = "Subrosa 0.1.0 listens on 127.0.0.1:5656: https://localhost:5656/ and wss://localhost:5656/v1";
        assert_eq!(address_in(line), Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 5656))));
        assert_eq!(address_in("listens on 127.0.0.1:7"), Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7))));
        assert_eq!(address_in("Made a development certificate"), None);
    }

    #[test]
    fn the_folder_goes_when_it_is_dropped() {
        let folder = Folder::new().unwrap();
        let path = folder.0.clone();
        assert!(folder.file("a", "b").unwrap().exists());
        drop(folder);
        assert!(!path.exists());
    }
}

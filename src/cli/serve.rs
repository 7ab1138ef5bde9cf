//! `subrosa serve`: runs a room server until it is told to stop.
//!
//! ```text
//! certificate, port or takeover → hardening → threads → serving
//! ```
//!
//! Whatever needs a file or a new socket comes before the hardening, and every thread after it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::certificate::Files;
use super::descriptors;
use super::output::{Failure, log_to_stderr, say};
use super::settings::Flags;
use subrosa::secret::hardening::{Hardening, harden};
use subrosa::secret::wipe;
use subrosa::server::{DEFAULT_PORT, DEV_CERT, DEV_KEY, Identity, Inheritance, Options, Origin, Server};

/// Where the development certificate lies.
const CERTS: &str = "certs";

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Serves until a signal or another process ends it.
pub(super) fn run(flags: Flags) -> Result<(), Failure> {
    log_to_stderr();
    let settings = flags.resolve(std::env::vars_os())?;
    let limits = settings.limits;
    let development = settings.identity.is_none();
    let identity = match &settings.identity {
        Some((cert, key)) => Identity::from_pem_files(cert, key)?,
        None => development_identity()?,
    };
    let pin = identity.pin();
    let workers = settings.workers;
    let mut options = Options::default().notice(settings.notice).workers(workers);
    options.allowed_origins = settings.allowed_origins;
    options.development_pin = development.then(|| pin.clone());
    options.takeover = settings.takeover;
    if let Some(few) = descriptors::raise(limits.connections) {
        tracing::warn!("{few}");
    }
    let inheritance = match &options.takeover {
        Some(path) => Inheritance::receive(path, limits.clone(), options.notice.clone())?,
        None => None,
    };
    // All keys of all rooms have just been read on this stack.
    wipe::stack::<{ wipe::DEEP }>();
    let listener = if inheritance.is_none() { Some(listen(settings.listen)?) } else { None };
    let files = settings.identity.as_ref().map(|(cert, key)| Files::open(cert, key)).transpose()?;
    let hardening = harden(options.takeover.as_deref().map(folder_of));
    if settings.require_hardening {
        hardening.insist()?;
    }
    for missing in hardening.missing() {
        tracing::warn!("not hardened: {missing}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .on_thread_park(wipe::stack::<{ wipe::DEEP }>)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before the line that says that it listens: a reader of that line can already stop the server.
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let inherited = inheritance.is_some();
        let server = match (inheritance, listener) {
            (Some(inheritance), _) => Server::inherit(inheritance, &identity, options)?,
            (None, Some(listener)) => {
                Server::new(tokio::net::TcpListener::from_std(listener)?, &identity, limits, options)
            }
            (None, None) => return Err("there is nothing to listen on".into()),
        };
        let welcome = welcome(server.local_addr()?, &pin, development, inherited, &hardening);
        let renewal = files.zip(server.shown_identity()).map(|(files, shown)| files.renew_on_request(shown, pin));
        let renewal = renewal.transpose()?;
        let stop = async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => break,
                    _ = terminate.recv() => break,
                    _ = hangup.recv() => match &renewal {
                        // The thread at the other end lives as long as this process.
                        Some(renewal) => drop(renewal.send(())),
                        None => tracing::info!("nothing to reload: a start renews the development certificate"),
                    },
                }
            }
            notify(&[NotifyState::Stopping]);
            tracing::info!("stopping: telling the clients and wiping all memory");
        };
        let relay = server.relay();
        server
            .on_serving(move || {
                // Nobody may be reading; the server serves all the same.
                let _ = say(&welcome);
                notify(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
            })
            .run(stop)
            .await?;
        tracing::info!("stopped{}", if relay.is_taken_over() { ": another process has taken over" } else { "" });
        Ok(())
    })
}

/// The socket that a service manager opened for this process (systemd's socket activation), or a new one.
fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = match ListenFd::from_env().take_tcp_listener(0)? {
        Some(listener) => listener,
        None => {
            let bound = TcpListener::bind(address).and_then(|listener| {
                rustix::net::listen(&listener, BACKLOG)?;
                Ok(listener)
            });
            bound.map_err(|error| format!("cannot listen on {address}: {error}"))?
        }
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The folder that a path lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Tells the service manager, where there is one.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// The development certificate, made on the first run.
fn development_identity() -> Result<Identity, Failure> {
    let development = Identity::development(Path::new(CERTS))?;
    match development.origin {
        Origin::Made => say(&format!(
            "Made a development certificate for one year: {CERTS}/{DEV_CERT}, its key in {CERTS}/{DEV_KEY} (mode 0600).\n"
        ))?,
        Origin::Renewed => say(&format!(
            "Renewed the development certificate {CERTS}/{DEV_CERT}, which was about to expire. The pin is the same.\n"
        ))?,
        _ => {}
    }
    Ok(development.identity)
}

fn welcome(address: SocketAddr, pin: &str, development: bool, inherited: bool, hardening: &Hardening) -> String {
    let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    let server = format!(" --server wss://{host} --pin {pin}");
    let here = development && address.port() == DEFAULT_PORT;
    format!(
        "{}Subrosa {} listens on {address}: https://{host}/ and wss://{host}/v1\n\
         Certificate pin (SHA-256 of its public key): {pin}\n\
         {hardening}\n\
         Open a room:  subrosa chat create --as alice{}\n",
        if inherited { "Took over from the previous process.\n" } else { "" },
        env!("CARGO_PKG_VERSION"),
        if here { "" } else { &server },
    )
}

//! `subrosa serve`: runs a room server until it is told to stop.
//!
//! ```text
//! certificate, port or takeover → hardening → threads → serving
//! ```
//!
//! Whatever needs a file or a new socket comes before the hardening, and every thread after it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use clap::Args;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, descriptors, log_to_stderr, say};
use subrosa::protocol::authority::{self, Authority};
use subrosa::protocol::limits::Limits;
use subrosa::secret::hardening::{Hardening, harden};
use subrosa::secret::wipe;
use subrosa::server::{DEFAULT_PORT, DEV_CERT, DEV_KEY, Identity, Inheritance, Options, Origin, Server};

/// Where the development certificate lies.
const CERTS: &str = "certs";

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Options of `serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value_t = SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)))]
    listen: SocketAddr,
    /// Certificate chain in PEM, leaf first. Without it, the server makes a development certificate in `certs/`.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Sets a limit; `subrosa limits` lists them. May be given several times.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<String>,
    /// Allows web pages of this origin to connect, such as `https://chat.example.org`. May be given several times.
    #[arg(long = "allow-origin", value_name = "URL", value_parser = origin)]
    allow_origins: Vec<String>,
    /// A message to the users. Clients show it when they connect.
    #[arg(long, value_name = "TEXT", default_value = "")]
    notice: String,
    /// Takes over the port and all rooms from the server that listens on this Unix socket, if there is one. Then listens there for
    /// the next process. An update loses no room this way.
    #[arg(long, value_name = "SOCKET")]
    takeover: Option<PathBuf>,
    /// Number of event loops. Default: one for each processor that the process may use.
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true)]
    workers: usize,
    /// Exits unless every hardening measure works: no dumps, no swap, no files, no outgoing connections, filtered system calls.
    #[arg(long)]
    require_hardening: bool,
}

/// An origin as browsers write it: scheme, host, and port unless it is the scheme's own.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || "write an origin as https://HOST or https://HOST:PORT".to_owned();
    let (scheme, host) = text.trim_end_matches('/').split_once("://").ok_or_else(wrong)?;
    let default_port = match scheme {
        "https" => authority::DEFAULT_PORT,
        "http" => 80,
        _ => return Err(wrong()),
    };
    let authority = Authority::parse(host, default_port).map_err(|error| format!("{}: {error}", wrong()))?;
    if authority.port() == default_port {
        Ok(format!("{scheme}://{}", authority.url_host()))
    } else {
        Ok(format!("{scheme}://{authority}"))
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        log_to_stderr();
        let limits = Limits::from_settings(&self.limits)?;
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Identity::from_pem_files(cert, key)?,
            _ => development()?,
        };
        let pin = identity.pin();
        let workers = match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let mut options = Options::default().notice(self.notice).workers(workers);
        options.allowed_origins = self.allow_origins;
        options.development_pin = self.cert.is_none().then(|| pin.clone());
        options.takeover = self.takeover;
        if let Some(few) = descriptors::raise(limits.connections) {
            tracing::warn!("{few}");
        }
        let inheritance = match &options.takeover {
            Some(path) => Inheritance::receive(path, limits.clone(), options.notice.clone())?,
            None => None,
        };
        // All keys of all rooms have just been read on this stack.
        wipe::stack::<{ wipe::DEEP }>();
        let listener = if inheritance.is_none() { Some(listen(self.listen)?) } else { None };
        let hardening = harden(options.takeover.as_deref().map(folder_of));
        if self.require_hardening {
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
            // Before the word that it listens, so that whoever reads it can already stop it.
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let inherited = inheritance.is_some();
            let server = match (inheritance, listener) {
                (Some(inheritance), _) => Server::inherit(inheritance, &identity, options)?,
                (None, Some(listener)) => {
                    Server::new(tokio::net::TcpListener::from_std(listener)?, &identity, limits, options)
                }
                (None, None) => return Err("there is nothing to listen on".into()),
            };
            let welcome = welcome(server.local_addr()?, &pin, self.cert.is_none(), inherited, &hardening);
            let stop = async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
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

fn development() -> Result<Identity, Failure> {
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

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for (text, written) in [
            ("https://Chat.example.org:443/", "https://chat.example.org"),
            ("https://[::1]:5656", "https://[::1]:5656"),
            ("http://localhost:80", "http://localhost"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(written));
        }
        for text in
            ["chat.example.org", "wss://a", "https://", "https://[x", "https://a/b", "https://you@a", "https://a:0"]
        {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}

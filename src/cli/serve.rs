//! `subrosa serve`: runs a room server until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, log_to_stderr, say};
use crate::protocol::limits::Limits;
use crate::server::tls::{DEV_CERT, DEV_KEY, Identity};
use crate::server::{DEFAULT_PORT, Options, Server};

/// Where the development certificate lies.
const CERTS: &str = "certs";

/// Options of `serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value_t = SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)))]
    listen: SocketAddr,
    /// Certificate chain in PEM, leaf first. Without it a development certificate is made in `certs/`.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Sets a bound; `subrosa limits` lists them. Can be given several times.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<String>,
    /// Lets web pages of this origin connect, such as `https://chat.example.org`. Can be given several times.
    #[arg(long = "allow-origin", value_name = "URL", value_parser = origin)]
    allow_origins: Vec<String>,
    /// A word to the users, which every client is told when it connects.
    #[arg(long, value_name = "TEXT", default_value = "")]
    notice: String,
    /// Event loops; by default one for each processor that may be used.
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true)]
    workers: usize,
}

/// An origin as browsers write it: scheme, host and port, nothing behind.
fn origin(text: &str) -> Result<String, String> {
    let origin = text.trim_end_matches('/');
    match origin.split_once("://") {
        Some(("https" | "http", host)) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => {
            Ok(origin.to_owned())
        }
        _ => Err("an origin is written https://HOST or https://HOST:PORT".to_owned()),
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
        let tls = identity.server_config()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind(self.listen)
                .await
                .map_err(|error| format!("cannot listen on {}: {error}", self.listen))?;
            let address = listener.local_addr()?;
            // Before the word that it listens, so that whoever reads it can already stop it.
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let options = Options {
                notice: self.notice.clone(),
                allowed_origins: self.allow_origins.clone(),
                workers: self.workers,
            };
            let server = Server::new(listener, tls, limits, options);
            say(&welcome(address, &pin, self.cert.is_none()))?;
            server
                .run(async {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    tracing::info!("stopping: clients are told, and everything is wiped");
                })
                .await?;
            tracing::info!("stopped");
            Ok(())
        })
    }
}

fn development() -> Result<Identity, Failure> {
    let (identity, made) = Identity::development(Path::new(CERTS))?;
    if made {
        say(&format!(
            "Made a development certificate: {CERTS}/{DEV_CERT}, its key in {CERTS}/{DEV_KEY} (mode 0600).\n"
        ))?;
    }
    Ok(identity)
}

fn welcome(address: SocketAddr, pin: &str, development: bool) -> String {
    let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    let server = format!(" --server wss://{host} --pin {pin}");
    let here = development && address.port() == DEFAULT_PORT;
    format!(
        "Subrosa {} listens on {address}: https://{host}/ and wss://{host}/v1\n\
         Certificate pin (SHA-256 of its public key): {pin}\n\
         Open a room:  subrosa chat create --as alice{}\n",
        env!("CARGO_PKG_VERSION"),
        if here { "" } else { &server },
    )
}

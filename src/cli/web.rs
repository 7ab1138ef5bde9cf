//! `subrosa web-hash` and `subrosa web-check`: the hash of this program's web client, and a comparison with a server's.
//!
//! The web client keeps its promises only if the server serves the released page. The check does not trust a hash that
//! the server reports: it fetches every file and compares it with the one in this program. A server can still give
//! other clients another page. Asking over Tor, or from several places, makes that harder.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::output::{Failure, say};
use subrosa::client::{Address, Pin, Trust, tls_config};
use subrosa::server::web::{HASH_PATH, release};

/// Upper bound for a file, in bytes. The files of the client are much smaller.
const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Time for one file, and for the connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Options of `web-check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The server, such as `https://chat.example.org`.
    #[arg(value_name = "https://HOST")]
    server: Address,
    /// The server's pin. Needed if the certificate is not publicly trusted.
    #[arg(long, value_name = "PIN", allow_hyphen_values = true)]
    pin: Option<Pin>,
}

/// Prints the hash.
pub(super) fn hash() -> Result<(), Failure> {
    say(&format_args!("{}\n", release().hash()))
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let found = runtime.block_on(self.compare())?;
        if found.is_empty() {
            return say(&format_args!(
                "https://{}/ serves the web client of subrosa {}: all {} files are the same.\nHash: {}\n",
                self.server.authority(),
                env!("CARGO_PKG_VERSION"),
                release().assets().count(),
                release().hash(),
            ));
        }
        let mut report = format!(
            "https://{}/ does NOT serve the web client of subrosa {}",
            self.server.authority(),
            env!("CARGO_PKG_VERSION")
        );
        for difference in found {
            write!(report, "\n  {difference}")?;
        }
        Err(report.into())
    }

    /// The differences, one per line.
    async fn compare(&self) -> Result<Vec<String>, Failure> {
        let trust = self.pin.map_or(Trust::System, Trust::Pin);
        let mut server = Fetcher { address: &self.server, tls: tls_config(trust)?, sender: None };
        let mut differences = Vec::new();
        for (path, asset) in release().assets() {
            match server.get(path).await? {
                (StatusCode::OK, content) if content == asset.plain => {}
                (StatusCode::OK, _) => differences.push(format!("{path}: another content")),
                (status, _) => differences.push(format!("{path}: status {}", status.as_u16())),
            }
        }
        let (_, hash) = server.get(HASH_PATH).await?;
        if hash.trim_ascii() != release().hash().as_bytes() {
            differences.push(format!("{HASH_PATH}: another hash"));
        }
        Ok(differences)
    }
}

/// Fetches files, over one connection as long as the server keeps it open.
struct Fetcher<'a> {
    address: &'a Address,
    tls: Arc<ClientConfig>,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

impl Fetcher<'_> {
    async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes), Failure> {
        tokio::time::timeout(PATIENCE, self.get_now(path)).await.map_err(|_| "the server did not answer in time")?
    }

    async fn get_now(&mut self, path: &str) -> Result<(StatusCode, Bytes), Failure> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        sender.ready().await?;
        let request = Request::get(path)
            .header(header::HOST, self.address.authority().to_string())
            .header(header::ACCEPT, "*/*")
            .header(header::USER_AGENT, concat!("subrosa/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_FILE_BYTES).collect().await?.to_bytes();
        self.sender = Some(sender);
        Ok((status, body))
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, Failure> {
        let (host, port) = (self.address.host(), self.address.port());
        let stream =
            TcpStream::connect((host, port)).await.map_err(|error| format!("cannot reach the server: {error}"))?;
        let name = ServerName::try_from(host.to_owned())?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

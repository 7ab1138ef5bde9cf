//! WebSockets of connections that another program accepted: a relay inside a program that has an HTTPS server of its
//! own.
//!
//! ```text
//! the program: accept → TLS → HTTP ─ request for a WebSocket → adopt ─▶ 101
//! this server:        event loops ◀── socket and TLS state ◀── upgraded
//! ```

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::{ProtocolVersion, ServerConnection};
use socket2::SockRef;
use tokio_rustls::server::TlsStream;

use super::admission::{Admission, Permit, Verdict};
use super::http::{self, Site};
use super::mailbox::{Newcomer, WorkersHandle};
use crate::sync::lock;

/// Bytes that wait in the system for a reader, beside those on their way. What it does not read waits in its session's
/// window, and is charged.
const UNSENT: u32 = 128 * 1024;

/// Where an upgraded connection enters a running server.
pub(super) struct Door {
    pub(super) site: Site,
    pub(super) admission: Arc<Admission>,
    pub(super) workers: WorkersHandle,
    /// Time from connecting to the first command.
    pub(super) set_up: Duration,
}

/// Why an upgraded connection is not served.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it is not a TlsStream<TcpStream> of tokio-rustls directly below hyper")]
    Transport,
    #[error("it does not speak TLS 1.3")]
    Version,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Door {
    /// Moves a connection that became a WebSocket to the event loops.
    pub(super) async fn enter(&self, upgraded: OnUpgrade, permit: Permit, deadline: Instant) {
        // An error before the end of the upgrade concerns the client only.
        let Ok(upgraded) = upgraded.await else { return };
        match take_apart(upgraded) {
            Ok((stream, tls, read)) => {
                // Without it the connection works as well, and costs the system more memory.
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
                self.workers.adopt(Newcomer { stream, tls, read, permit, deadline });
            }
            Err(unfit) => tracing::error!("an upgraded connection was closed: {unfit}"),
        }
    }
}

/// The socket, the state of TLS on it, and what was read past the HTTP request.
fn take_apart(upgraded: Upgraded) -> Result<(TcpStream, ServerConnection, Vec<u8>), Unfit> {
    let parts = upgraded.downcast::<TokioIo<TlsStream<tokio::net::TcpStream>>>().map_err(|_| Unfit::Transport)?;
    let (stream, tls) = parts.io.into_inner().into_inner();
    if tls.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Err(Unfit::Version);
    }
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, tls, parts.read_buf.to_vec()))
}

/// Serves WebSockets of connections that another program accepted. Clones are the same; [`super::Server::adopter`]
/// makes the first.
///
/// The connection must be HTTP/1.1 by hyper over a [`TlsStream`] of tokio-rustls over TCP, with TLS 1.3: this server
/// takes the TLS state over and speaks TLS itself from there on. Plaintext behind a proxy is refused by design: the
/// proxy could read which client is in which room. The embedding program chooses the rest of its TLS settings. It
/// should issue no session tickets and take no early data, as [`Identity`](super::Identity) has it, and use an
/// allocator that wipes what it frees, as the `subrosa` program does.
#[derive(Clone, Default)]
pub struct Adopter(Arc<Mutex<Option<Arc<Door>>>>);

impl Adopter {
    /// Answers a request for a WebSocket. Once that answer is sent, the server serves the connection like one of its
    /// own, with the same limits; `peer` is the address that they count.
    ///
    /// Send the answer as it is. It is 101 when the connection becomes a WebSocket, 400 or 426 when the request does
    /// not ask for one, 403 when its web page may not connect, and 503 when there are too many connections or the
    /// server does not run. The path of the request does not matter; clients expect [`PATH`](crate::protocol::PATH).
    ///
    /// Must be called within the runtime of tokio that serves the connection.
    pub fn adopt<B>(&self, request: &mut Request<B>, peer: IpAddr) -> Response<Full<Bytes>> {
        let Some(door) = lock(&self.0).clone() else {
            return http::not_serving();
        };
        let Verdict::Admitted(permit) = door.admission.admit(peer) else { return http::too_many() };
        let answer = door.site.upgrade(request);
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (upgraded, deadline) = (hyper::upgrade::on(request), Instant::now() + door.set_up);
            tokio::spawn(async move {
                let _ = tokio::time::timeout_at(deadline.into(), door.enter(upgraded, permit, deadline)).await;
            });
        }
        answer
    }

    /// From here on connections are adopted.
    pub(super) fn open(&self, door: Arc<Door>) {
        *lock(&self.0) = Some(door);
    }

    /// From here on no connection is adopted.
    pub(super) fn close(&self) {
        *lock(&self.0) = None;
    }
}

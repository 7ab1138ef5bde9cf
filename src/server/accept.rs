//! From a TCP connection to a WebSocket: admission, TLS, HTTP, upgrade. One deadline covers all of it and the first
//! command.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::admission::{Permit, Refused, Verdict};
use super::adopt::Door;
use super::complaint::Complaint;
use super::http;
use crate::sync::lock;

/// Largest HTTP request head, in bytes. hyper's own minimum is 8 KiB.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// What a plaintext request to the port is told.
const PLAINTEXT_ANSWER: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
Content-Length: 49\r\n\r\nThis port speaks TLS only: use https:// or wss://";

/// Accepts connections and brings them to the workers.
pub(super) struct Acceptor {
    tls: TlsAcceptor,
    door: Arc<Door>,
    complaint: Complaint,
}

impl Acceptor {
    pub(super) fn new(tls: Arc<rustls::ServerConfig>, door: Arc<Door>) -> Arc<Self> {
        Arc::new(Self { tls: tls.into(), door, complaint: Complaint::default() })
    }

    /// Accepts for ever.
    pub(super) async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let acceptor = self.clone();
                    match self.door.admission.admit(peer.ip()) {
                        Verdict::Admitted(permit) => drop(tokio::spawn(acceptor.set_up(stream, Ok(permit)))),
                        Verdict::Refused(refused) => drop(tokio::spawn(acceptor.set_up(stream, Err(refused)))),
                        Verdict::Dropped => {}
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Out of descriptors or memory: connections that end make room.
                    self.complaint.about("cannot accept connections", &error);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn set_up(self: Arc<Self>, stream: TcpStream, admitted: Result<Permit, Refused>) {
        let deadline = Instant::now() + self.door.set_up;
        // Whatever went wrong with a stranger's connection is the stranger's; it simply ends.
        let _ = tokio::time::timeout_at(deadline.into(), self.serve(stream, admitted, deadline)).await;
    }

    async fn serve(&self, stream: TcpStream, admitted: Result<Permit, Refused>, deadline: Instant) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_alphabetic() {
            return explain_plaintext(stream).await;
        }
        let stream = self.tls.accept(stream).await?;
        let (permit, refused) = match admitted {
            Ok(permit) => (Some(permit), None),
            Err(refused) => (None, Some(refused)),
        };
        let place = Mutex::new(permit);
        let service = service_fn(|request| {
            let response = if refused.is_some() {
                http::too_many()
            } else {
                self.door.site.answer(request, |upgraded| {
                    let permit = lock(&place).take();
                    let door = self.door.clone();
                    if let Some(permit) = permit {
                        tokio::spawn(async move { door.enter(upgraded, permit, deadline).await });
                    }
                })
            };
            async move { Ok::<_, std::convert::Infallible>(response) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.door.set_up)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await
            .map_err(io::Error::other)
    }
}

/// Errors of `accept` that concern the one connection that was to be accepted (`accept(2)`, "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Somebody typed `http://`: the one mistake of people rather than of programs, so it gets an answer that can be read.
async fn explain_plaintext(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAINTEXT_ANSWER).await?;
    stream.shutdown().await?;
    // Closing with unread input would reset the connection before the answer is read.
    let mut rest = [0; 1024];
    for _ in 0..64 {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

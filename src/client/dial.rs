//! One connection: name lookup, TCP, TLS, WebSocket and the server's `hello`, all under one deadline.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::address::{Address, AddressError};
use super::tls::PinMismatch;
use crate::protocol::authority::AuthorityError;
use crate::protocol::event::{Event, Hello};
use crate::protocol::{PATH, VERSION};

/// Messages are small, and the reader clears the free part of its buffer at every read.
const READ_BUFFER: usize = 4 * 1024;
/// From here on what is queued goes out; every message is flushed anyway.
const WRITE_BUFFER: usize = 16 * 1024;

/// The WebSocket to the server.
pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The client has no means to verify the server.
    #[error(transparent)]
    Trust(#[from] super::tls::TrustError),
    /// The address is not valid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No TCP connection, or it broke. The text is the system's.
    #[error("cannot reach the server: {}", words(.0))]
    Tcp(io::Error),
    /// The server's key does not match the pin: another server, a new key, or an attacker in between.
    #[error(
        "the server's key does not match the pin: it is another server, it has a new key, or somebody intercepts the connection"
    )]
    PinMismatch,
    /// No authority that this machine trusts vouches for the server's certificate.
    #[error("the server's certificate is not trusted ({0}); if it is your own server, give its pin")]
    Certificate(String),
    /// No TLS 1.3 connection.
    #[error("no TLS 1.3 connection with the server ({0})")]
    Tls(String),
    /// The server speaks HTTP but opens no WebSocket here.
    #[error("the server refused the connection (HTTP status {0})")]
    Status(u16),
    /// The server does not speak this protocol.
    #[error("this is not a subrosa server")]
    NotSubrosa,
    /// The server speaks another version of the protocol.
    #[error("the server speaks version {0} of the protocol, this client version {VERSION}")]
    Version(u32),
    /// The time-out expired.
    #[error("the server did not answer in time")]
    Timeout,
}

/// What the system says of an error. The TLS library's words for a closed connection are for programmers.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

/// Opens a connection and reads the server's greeting. `max_event` bounds every frame from the server, in bytes.
pub(crate) async fn dial(
    address: &Address,
    tls: &Arc<ClientConfig>,
    max_event: usize,
    within: Duration,
) -> Result<(Socket, Hello), ConnectError> {
    tokio::time::timeout(within, dial_now(address, tls, max_event)).await.map_err(|_| ConnectError::Timeout)?
}

async fn dial_now(
    address: &Address,
    tls: &Arc<ClientConfig>,
    max_event: usize,
) -> Result<(Socket, Hello), ConnectError> {
    let stream = TcpStream::connect((address.host(), address.port())).await.map_err(ConnectError::Tcp)?;
    // Small frames must not wait for more data.
    let _ = stream.set_nodelay(true);
    let name = ServerName::try_from(address.host().to_owned()).map_err(|_| AddressError::from(AuthorityError::Host))?;
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(tls_error)?;
    let bounds = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(max_event))
        .max_frame_size(Some(max_event));
    let url = format!("{address}{PATH}");
    let (mut socket, _) =
        tokio_tungstenite::client_async_with_config(url, stream, Some(bounds)).await.map_err(|error| match error {
            tungstenite::Error::Http(response) => ConnectError::Status(response.status().as_u16()),
            tungstenite::Error::Io(error) => ConnectError::Tcp(error),
            _ => ConnectError::NotSubrosa,
        })?;
    let hello = loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => match Event::from_json(&text) {
                Ok(Some((_, Event::Hello(hello)))) => break hello,
                _ => return Err(ConnectError::NotSubrosa),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Err(tungstenite::Error::Io(error))) => return Err(ConnectError::Tcp(error)),
            _ => return Err(ConnectError::NotSubrosa),
        }
    };
    if hello.protocol != VERSION {
        return Err(ConnectError::Version(hello.protocol));
    }
    Ok((socket, hello))
}

/// The meaning of a failed handshake. The TLS library's error is inside the stream's.
fn tls_error(error: io::Error) -> ConnectError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return ConnectError::Tls(error.to_string());
    };
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<PinMismatch>() => {
            ConnectError::PinMismatch
        }
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            ConnectError::Tls("the server does not have the key of its certificate".to_owned())
        }
        rustls::Error::InvalidCertificate(reason) => ConnectError::Certificate(certificate_error(reason)),
        other => ConnectError::Tls(other.to_string()),
    }
}

fn certificate_error(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => "its issuer is unknown".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name".to_owned()
        }
        CertificateError::Other(_) => "it is not a valid server certificate".to_owned(),
        other => other.to_string(),
    }
}

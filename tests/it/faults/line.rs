//! One connection of a client that expects it to break at any moment.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::test_server::soon;

/// The connection is gone; with the code of the close frame, if there was one.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) Option<u16>);

pub(crate) struct Line(WebSocketStream<TlsStream<TcpStream>>);

impl Line {
    /// A connection, and `data` of its greeting.
    pub(crate) async fn open(to: SocketAddr, tls: &Arc<ClientConfig>) -> Result<(Self, Value), Broken> {
        soon("a connection or its end", async {
            let stream = TcpStream::connect(to).await.map_err(|_| Broken(None))?;
            let _ = stream.set_nodelay(true);
            let name = ServerName::try_from("localhost").unwrap();
            let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|_| Broken(None))?;
            let upgraded = tokio_tungstenite::client_async("wss://localhost/v1", stream).await;
            let mut line = Self(upgraded.map_err(|_| Broken(None))?.0);
            let mut hello = line.next().await?;
            assert_eq!(hello["cmd"], "hello", "{hello}");
            Ok((line, hello["data"].take()))
        })
        .await
    }

    /// Sends a text frame.
    pub(crate) async fn send(&mut self, text: &str) -> Result<(), Broken> {
        soon("room to write", self.0.send(Message::text(text))).await.map_err(|_| Broken(None))
    }

    /// The next text frame. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Value, Broken> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(close))) => return Err(Broken(close.map(|close| close.code.into()))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Broken(None)),
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn goodbye(mut self) {
        let _ = self.0.close(None).await;
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

//! A server played by a test, frame by frame, over real TLS and WebSocket.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use subrosa::client::{Address, Config, Pin, Trust, pin_of};
use subrosa::protocol::limits::Limits;
use subrosa::secret::Token;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::tls::{certificate, server_config};

/// Listens on a free port.
pub(crate) struct Script {
    listener: TcpListener,
    tls: TlsAcceptor,
    pub(crate) pin: Pin,
}

/// One connection to it.
pub(crate) struct Line(WebSocketStream<TlsStream<TcpStream>>);

impl Script {
    pub(crate) async fn start() -> Self {
        let (certificate, key) = certificate();
        let pin = pin_of(&certificate).unwrap();
        let tls = TlsAcceptor::from(server_config(certificate, key));
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls, pin }
    }

    pub(crate) fn address(&self) -> Address {
        Address::new("127.0.0.1", self.listener.local_addr().unwrap().port()).unwrap()
    }

    /// For a client that knows the pin.
    pub(crate) fn config(&self) -> Config {
        Config::new(self.address(), Trust::Pin(self.pin))
    }

    /// The next connection, TLS and WebSocket done, without a greeting. Panics when the client breaks off.
    pub(crate) async fn accept(&self) -> Line {
        let (stream, _) = self.listener.accept().await.unwrap();
        let stream = self.tls.accept(stream).await.unwrap();
        Line(tokio_tungstenite::accept_async(stream).await.unwrap())
    }

    /// The next connection, with a greeting; and its resume token.
    pub(crate) async fn greet(&self) -> (Line, String) {
        let mut line = self.accept().await;
        let token = Token::random().expose().to_string();
        line.send(hello(&token)).await;
        (line, token)
    }

    /// The next TLS handshake's outcome for the server.
    pub(crate) async fn handshake(&self) -> std::io::Result<()> {
        let (stream, _) = self.listener.accept().await?;
        self.tls.accept(stream).await.map(drop)
    }
}

/// A greeting with short time limits.
pub(crate) fn hello(token: &str) -> Value {
    json!({"cmd": "hello", "data": {
        "protocol": 1, "server": "script", "limits": Limits::default(), "ping_interval_s": 25, "notice": "", "resume_token": token,
    }})
}

impl Line {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.0.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// The next text frame.
    pub(crate) async fn read(&mut self) -> Value {
        loop {
            match self.0.next().await.expect("the connection lives").expect("the connection is whole") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(close) => panic!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// The next text frame, which must be `cmd`.
    pub(crate) async fn expect(&mut self, cmd: &str) -> Value {
        let frame = self.read().await;
        assert_eq!(frame["cmd"], cmd, "{frame}");
        frame
    }

    /// Reads until the client closes, and returns its close code.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.0.next().await {
            if let Message::Close(close) = message {
                return close.map(|close| close.code.into());
            }
        }
        None
    }

    pub(crate) async fn close(mut self, code: u16) {
        let close = CloseFrame { code: code.into(), reason: "because\u{1b}[2J".into() };
        self.0.close(Some(close)).await.unwrap();
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// Answers the opting in.
    pub(crate) async fn keep(&mut self) {
        let asked = self.expect("resume").await;
        assert_eq!(asked["data"], json!({"keeps": true}));
        self.send(json!({"cmd": "resumed", "id": asked["id"], "data": {"seq": 0}})).await;
    }
}

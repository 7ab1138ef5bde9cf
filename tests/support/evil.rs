//! A hostile relay: it stands before a real one, terminates TLS itself, and twists what passes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use serde_json::Value;
use subrosa::client::{Address, Config, Pin, Trust, pin_of};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

use super::test_server::TestServer;
use super::tls::{certificate, server_config, tls_over};

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// Gets the number of the connection, in the order of connecting, the way, and a frame; returns what is to pass in its
/// place.
type Twist = Box<dyn FnMut(usize, Way, Value) -> Vec<Value> + Send>;

struct Shared {
    twist: Mutex<Twist>,
    lines: Mutex<Vec<mpsc::UnboundedSender<(Way, Value)>>>,
    asked: Mutex<HashMap<String, oneshot::Sender<Value>>>,
}

pub(crate) struct Evil {
    pub(crate) pin: Pin,
    port: u16,
    shared: Arc<Shared>,
}

impl Evil {
    /// Stands before `server`, and is honest until told otherwise.
    pub(crate) async fn before(server: &TestServer) -> Self {
        let (certificate, key) = certificate();
        let pin = pin_of(&certificate).unwrap();
        let acceptor = TlsAcceptor::from(server_config(certificate, key));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            twist: Mutex::new(Box::new(|_, _, frame| vec![frame])),
            lines: Mutex::default(),
            asked: Mutex::default(),
        });
        let (for_all, trust, to) = (shared.clone(), server.trust(), server.client_address());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (sender, injected) = mpsc::unbounded_channel();
                let number = {
                    let mut lines = for_all.lines.lock().unwrap();
                    lines.push(sender);
                    lines.len() - 1
                };
                let (acceptor, trust, to) = (acceptor.clone(), trust.clone(), to.clone());
                tokio::spawn(pass(number, stream, acceptor, trust, to, for_all.clone(), injected));
            }
        });
        Self { pin, port, shared }
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(Address::new("127.0.0.1", self.port).unwrap(), Trust::Pin(self.pin))
    }

    /// From now on every frame passes through `twist`.
    pub(crate) fn twist(&self, twist: impl FnMut(usize, Way, Value) -> Vec<Value> + Send + 'static) {
        *self.shared.twist.lock().unwrap() = Box::new(twist);
    }

    /// Tells a client something that no server said.
    pub(crate) fn tell(&self, connection: usize, frame: Value) {
        self.shared.lines.lock().unwrap()[connection].send((Way::ToClient, frame)).unwrap();
    }

    /// Asks the real server something in a client's name; the client does not learn of it. `frame` needs an `id` of its
    /// own.
    pub(crate) async fn ask(&self, connection: usize, frame: Value) -> Value {
        let (sender, answer) = oneshot::channel();
        let id = frame["id"].as_str().unwrap().to_owned();
        self.shared.asked.lock().unwrap().insert(id, sender);
        self.shared.lines.lock().unwrap()[connection].send((Way::ToServer, frame)).unwrap();
        answer.await.unwrap()
    }
}

async fn pass(
    number: usize,
    stream: TcpStream,
    acceptor: TlsAcceptor,
    trust: ClientConfig,
    to: Address,
    shared: Arc<Shared>,
    mut injected: mpsc::UnboundedReceiver<(Way, Value)>,
) -> Option<()> {
    let client = acceptor.accept(stream).await.ok()?;
    let mut client = tokio_tungstenite::accept_async(client).await.ok()?;
    let server = TcpStream::connect((to.host(), to.port())).await.ok()?;
    let server = tls_over(server, trust).await.ok()?;
    let (mut server, _) = tokio_tungstenite::client_async(format!("{to}/v1"), server).await.ok()?;
    loop {
        let (way, message) = tokio::select! {
            message = client.next() => (Way::ToServer, message?.ok()?),
            message = server.next() => (Way::ToClient, message?.ok()?),
            frame = injected.recv() => {
                let (way, frame) = frame?;
                let message = Message::Text(frame.to_string().into());
                match way {
                    Way::ToServer => server.send(message).await.ok()?,
                    Way::ToClient => client.send(message).await.ok()?,
                }
                continue;
            }
        };
        let Message::Text(text) = &message else {
            if message.is_close() {
                let to = if way == Way::ToServer { server.close(None).await } else { client.close(None).await };
                return to.ok();
            }
            continue;
        };
        let frame: Value = serde_json::from_str(text).unwrap();
        // What was told or kept back upsets the count that acknowledgements go by.
        if frame["cmd"] == "ack" && way == Way::ToServer {
            continue;
        }
        let asked = frame["id"].as_str().and_then(|id| shared.asked.lock().unwrap().remove(id));
        if let (Some(asked), Way::ToClient) = (asked, way) {
            let _ = asked.send(frame);
            continue;
        }
        let frames = (shared.twist.lock().unwrap())(number, way, frame);
        for frame in frames {
            let message = Message::Text(frame.to_string().into());
            match way {
                Way::ToServer => server.send(message).await.ok()?,
                Way::ToClient => client.send(message).await.ok()?,
            }
        }
    }
}

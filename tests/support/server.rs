//! A real server in this process, on a free port.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use subrosa::client::{Address, Config, Pin, Trust, pin_of};
use subrosa::protocol::limits::Limits;
use subrosa::relay::Relay;
use subrosa::server::{Options, Server};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::script::{certificate, server_config};

pub struct TestServer {
    certificate: CertificateDer<'static>,
    pub pin: Pin,
    pub relay: Arc<Relay>,
    port: u16,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl TestServer {
    pub async fn start(limits: &[&str]) -> Self {
        let (certificate, key) = certificate();
        let pin = pin_of(&certificate).unwrap();
        let own = certificate.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Options { workers: 1, ..Options::default() };
        let limits = Limits::from_settings(limits).unwrap();
        let server = Server::new(listener, server_config(certificate, key), limits, options);
        let relay = server.relay();
        let (stop, stopped) = oneshot::channel::<()>();
        let done = tokio::spawn(async move { server.run(async { drop(stopped.await) }).await.unwrap() });
        Self { certificate: own, pin, relay, port, stop, done }
    }

    pub fn address(&self) -> Address {
        Address::new("127.0.0.1", self.port).unwrap()
    }

    /// TLS to this server without the Rust client.
    pub fn connector(&self) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }

    pub fn config(&self) -> Config {
        Config::new(self.address(), Trust::Pin(self.pin))
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.done.await.unwrap();
    }
}

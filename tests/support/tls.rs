//! TLS for tests: certificates, and connections that trust one certificate alone.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use subrosa::server::DEV_CERT;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The only version that the server speaks.
pub(crate) const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A key and a self-signed certificate for `localhost`, for servers that a test plays itself.
pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.der().clone(), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
}

/// The TLS settings of a server that a test plays itself.
pub(crate) fn server_config(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(TLS13).unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
}

/// The TLS settings of a server that shows a certificate and has another key.
pub(crate) fn server_config_with_other_key(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // Made without the check that both fit.
    let shown = CertifiedKey::new(vec![certificate], provider.key_provider.load_private_key(key).unwrap());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(TLS13).unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(shown))))
}

/// The development certificate in `folder`.
pub(crate) fn certificate_in(folder: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(DEV_CERT)).unwrap()
}

/// A client's TLS settings that trust the development certificate in `folder` alone.
pub(crate) fn trusting(folder: &Path, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate_in(folder)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// A TLS 1.3 connection to the server at `address`, which has the development certificate in `folder`.
pub(crate) async fn tls_to(address: SocketAddr, folder: &Path) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    tls_over(stream, trusting(folder, TLS13)).await.unwrap()
}

/// TLS over a connection, to a server that is named `localhost`.
pub(crate) async fn tls_over(stream: TcpStream, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

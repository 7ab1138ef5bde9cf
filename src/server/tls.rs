//! The server's TLS: certificate and key from PEM files, and TLS 1.3 only.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::protocol::pin::Pin;
use crate::sync::lock;

/// Why there is no usable certificate. No error contains content of the files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file contains no certificate in PEM.
    #[error("{0}: there is no certificate in this file; it must be PEM with BEGIN CERTIFICATE")]
    NoCertificate(PathBuf),
    /// The file contains no private key in PEM.
    #[error(
        "{0}: there is no private key in this file; it must be PEM with BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY"
    )]
    NoKey(PathBuf),
    /// The PEM is damaged.
    #[error("{0}: the PEM in this file is damaged")]
    BadPem(PathBuf),
    /// TLS 1.3 cannot use this kind of key.
    #[error("{0}: this key cannot be used for TLS 1.3")]
    BadKey(PathBuf),
    /// The certificate is damaged.
    #[error("{0}: the first certificate in this file cannot be read")]
    BadCertificate(PathBuf),
    /// The key belongs to another certificate.
    #[error("the key in {key} does not belong to the certificate in {cert}")]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The development certificate could not be made.
    #[error("making a development certificate failed: {0}")]
    Generate(#[from] rcgen::Error),
    /// The TLS library refused its own settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// A certificate chain and its key, which belong together. It never prints the key.
///
/// A server that uses it speaks TLS 1.3 only, with ALPN `http/1.1`, and neither issues session tickets nor takes early
/// data: tickets would let the server link a client's visits, and early data can be replayed. No program can change
/// that.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    /// Everything but the certificate.
    settings: Arc<ServerConfig>,
}

/// The cryptography of all TLS in this program. It prefers the post-quantum key exchange.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Identity {
    /// Reads a certificate chain, leaf first, and the leaf's key, both PEM.
    ///
    /// # Errors
    /// A file is missing or has the wrong content, or the two do not belong together.
    pub fn from_pem_files(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(cert)?, &read(key)?, cert, key)
    }

    /// Reads a certificate chain, leaf first, and the leaf's key, both PEM, from the content of two files. Their paths
    /// are for errors.
    ///
    /// # Errors
    /// There is no such thing in it, or the two do not belong together.
    pub fn from_pem(mut cert_pem: &[u8], mut key_pem: &[u8], cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> =
            rustls_pemfile::certs(&mut cert_pem).collect::<Result<_, _>>().map_err(|error| pem_error(cert, error))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(cert.to_owned()));
        }
        let private = rustls_pemfile::private_key(&mut key_pem).map_err(|error| pem_error(key, error))?;
        let private = private.ok_or_else(|| TlsError::NoKey(key.to_owned()))?;
        Self::matching(chain, private, cert, key)
    }

    fn matching(
        chain: Vec<CertificateDer<'static>>,
        private: PrivateKeyDer<'static>,
        cert: &Path,
        key: &Path,
    ) -> Result<Self, TlsError> {
        let signer = provider().key_provider.load_private_key(private).map_err(|_| TlsError::BadKey(key.to_owned()))?;
        let certified = CertifiedKey::new(chain, signer);
        certified.end_entity_cert().map_err(|_| TlsError::BadCertificate(cert.to_owned()))?;
        match certified.keys_match() {
            Ok(()) => Ok(Self { settings: settings(&certified)?, key: Arc::new(certified) }),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned() })
            }
            Err(_) => Err(TlsError::BadCertificate(cert.to_owned())),
        }
    }

    /// The pin: SHA-256 of the certificate's SubjectPublicKeyInfo (as in RFC 7469 §2.4), in URL-safe base64 without
    /// padding, 43 characters.
    pub fn pin(&self) -> String {
        let spki = self.key.key.public_key();
        spki.map(|spki| Pin::of_spki(&spki).to_string()).unwrap_or_default()
    }

    /// The certificate itself.
    pub(super) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }

    /// The server's TLS settings with this certificate, for a program that accepts the connections itself and lets
    /// [`Adopter`](super::Adopter) serve them.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.settings.clone()
    }
}

/// The certificate of a running server. It can be replaced; existing connections keep the old one.
#[derive(Clone, Debug)]
pub struct ShownIdentity(Arc<Shown>);

#[derive(Debug)]
struct Shown(Mutex<Arc<CertifiedKey>>);

impl ShownIdentity {
    /// Shows `identity` from now on, together with the settings that have the server show what is set here.
    pub(super) fn new(identity: &Identity) -> (Self, Arc<ServerConfig>) {
        let shown = Arc::new(Shown(Mutex::new(identity.key.clone())));
        let mut config = ServerConfig::clone(&identity.settings);
        config.cert_resolver = shown.clone();
        (Self(shown), Arc::new(config))
    }

    /// Shows another certificate to all connections from now on.
    pub fn replace(&self, identity: &Identity) {
        *lock(&self.0.0) = identity.key.clone();
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(lock(&self.0).clone())
    }
}

fn settings(key: &CertifiedKey) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone())));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|error| file_error(path, error))?;
    Ok(bytes)
}

pub(super) fn file_error(path: &Path, error: io::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), error }
}

/// Damaged PEM comes as an error of reading, too.
fn pem_error(path: &Path, error: io::Error) -> TlsError {
    if error.kind() == io::ErrorKind::InvalidData { TlsError::BadPem(path.to_owned()) } else { file_error(path, error) }
}

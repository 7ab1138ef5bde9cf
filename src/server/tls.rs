//! The server's TLS: certificate and key from PEM files, TLS 1.3 alone, and a development certificate for the first run.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::protocol::pin::Pin;

/// File name of the development certificate.
pub const DEV_CERT: &str = "dev-cert.pem";
/// File name of the development certificate's key.
pub const DEV_KEY: &str = "dev-key.pem";

/// Why there is no usable certificate. None of them repeats what the files hold.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file holds no certificate in PEM.
    #[error("{0}: there is no certificate in this file; it must be PEM with BEGIN CERTIFICATE")]
    NoCertificate(PathBuf),
    /// The file holds no private key in PEM.
    #[error(
        "{0}: there is no private key in this file; it must be PEM with BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY"
    )]
    NoKey(PathBuf),
    /// The PEM is damaged.
    #[error("{0}: the PEM in this file is damaged")]
    BadPem(PathBuf),
    /// The key is of no kind that TLS 1.3 can use.
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

/// A certificate chain with its key, found to belong together.
#[derive(Debug)]
pub struct Identity {
    key: CertifiedKey,
}

/// The cryptography that all of this program's TLS uses; post-quantum key exchange comes first.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Identity {
    /// Reads a certificate chain, leaf first, and the leaf's key, both PEM.
    ///
    /// # Errors
    /// A file is missing, holds no such thing, or the two do not belong together.
    pub fn from_pem_files(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = rustls_pemfile::certs(&mut open(cert)?)
            .collect::<Result<_, _>>()
            .map_err(|error| pem_error(cert, error))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(cert.to_owned()));
        }
        let private = rustls_pemfile::private_key(&mut open(key)?).map_err(|error| pem_error(key, error))?;
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
            Ok(()) => Ok(Self { key: certified }),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned() })
            }
            Err(_) => Err(TlsError::BadCertificate(cert.to_owned())),
        }
    }

    /// The development certificate in `folder`; made there when it is missing. Also whether it was made now.
    ///
    /// It names `localhost`, `127.0.0.1`, `::1` and this host; its key file is readable by its owner alone.
    ///
    /// # Errors
    /// The folder cannot be written to, or what is in it is not a certificate with its key.
    pub fn development(folder: &Path) -> Result<(Self, bool), TlsError> {
        let (cert, key) = (folder.join(DEV_CERT), folder.join(DEV_KEY));
        let made = !cert.exists() || !key.exists();
        if made {
            make_development_certificate(folder, &cert, &key)?;
        }
        Ok((Self::from_pem_files(&cert, &key)?, made))
    }

    /// The pin: SHA-256 of the certificate's SubjectPublicKeyInfo (as in RFC 7469 §2.4), in URL-safe base64 without padding, 43 characters.
    pub fn pin(&self) -> String {
        let spki = self.key.key.public_key();
        spki.map(|spki| Pin::of_spki(&spki).to_string()).unwrap_or_default()
    }

    /// The server's TLS settings: TLS 1.3 only, ALPN `http/1.1`, no session tickets and no early data.
    ///
    /// Tickets would let the server link a client's visits, and early data can be replayed.
    ///
    /// # Errors
    /// The TLS library refuses its own settings; not expected.
    pub fn server_config(self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let resolver = rustls::sign::SingleCertAndKey::from(self.key);
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

fn open(path: &Path) -> Result<BufReader<File>, TlsError> {
    File::open(path).map(BufReader::new).map_err(|error| file_error(path, error))
}

fn file_error(path: &Path, error: io::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), error }
}

/// Damaged PEM comes as an error of reading, too.
fn pem_error(path: &Path, error: io::Error) -> TlsError {
    if error.kind() == io::ErrorKind::InvalidData { TlsError::BadPem(path.to_owned()) } else { file_error(path, error) }
}

fn make_development_certificate(folder: &Path, cert: &Path, key: &Path) -> Result<(), TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Ok(name) = rustix::system::uname().nodename().to_str()
        && !name.is_empty()
        && !names.iter().any(|known| known == name)
    {
        names.push(name.to_owned());
    }
    let pair = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "Subrosa development certificate");
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&pair)?;
    fs::create_dir_all(folder).map_err(|error| file_error(folder, error))?;
    let secret = zeroize::Zeroizing::new(pair.serialize_pem());
    // The key first: a run that is cut off between the two starts over.
    write_file(key, secret.as_bytes(), 0o600)?;
    write_file(cert, certificate.pem().as_bytes(), 0o644)
}

/// Writes a file under its name only when it is whole, with the mode from its first byte on.
fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TlsError> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&unfinished)?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|error| file_error(path, error))
}

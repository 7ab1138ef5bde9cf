//! How a client recognises its server: by the authorities that the operating system trusts, or by exactly one key.
//!
//! There is no third way, and no way to skip the check. TLS 1.3 only (RFC 8446), with the post-quantum key exchange
//! first.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use subtle::ConstantTimeEq;

use crate::protocol::pin::Pin;

/// How the client recognises the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A certificate for the server's name from an authority that this machine trusts.
    System,
    /// Exactly the public key with this hash. The name, the dates and the issuer of its certificate do not matter.
    Pin(Pin),
}

/// Why the client cannot verify a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// This machine has no list of trusted authorities.
    #[error("this machine has no trusted certificate authorities; give the server's pin")]
    NoRoots,
    /// The cryptography does not offer TLS 1.3.
    #[error("TLS 1.3 is not available")]
    NoTls13,
}

/// The server's key does not match the pin. The TLS library wraps this error.
#[derive(Debug, thiserror::Error)]
#[error("the server's key is not the pinned one")]
pub(crate) struct PinMismatch;

/// The TLS side of every connection under `trust`.
///
/// # Errors
/// This machine trusts no authority, or the cryptography does not offer TLS 1.3.
pub fn config(trust: Trust) -> Result<Arc<ClientConfig>, TrustError> {
    config_with(trust, aws_lc_rs::default_provider())
}

/// The TLS side of connections to the server with this key that offer these key exchanges alone, for the load
/// generator.
///
/// # Errors
/// The cryptography does not offer TLS 1.3.
pub fn pinned_config(pin: Pin, groups: &[rustls::NamedGroup]) -> Result<Arc<ClientConfig>, TrustError> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| groups.contains(&group.name()));
    config_with(Trust::Pin(pin), provider)
}

fn config_with(trust: Trust, provider: CryptoProvider) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| TrustError::NoTls13)?;
    let mut config = match trust {
        Trust::System => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TrustError::NoRoots);
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Pin(pin) => {
            let verifier = PinVerifier { pin, algorithms: provider.signature_verification_algorithms };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A ticket would let the server link a person's visits.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Accepts one key. The handshake's signature, which proves that the server has the private key, is verified as always.
struct PinVerifier {
    pin: Pin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for PinVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinVerifier").field("pin", &self.pin).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = pin_of(end_entity).ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if found.as_bytes().ct_eq(self.pin.as_bytes()).into() {
            Ok(ServerCertVerified::assertion())
        } else {
            let error = rustls::OtherError(Arc::new(PinMismatch));
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // TLS 1.2 is not offered, so this is never asked; if it were, the answer is no.
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The pin of a certificate; `None` when it is not an X.509 certificate.
pub fn pin_of(certificate: &CertificateDer<'_>) -> Option<Pin> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(Pin::of_spki(&certificate.subject_public_key_info()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_is_the_hash_of_the_public_key() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        assert_eq!(pin_of(certificate.der()), Some(Pin::of_spki(&spki)));
        assert_eq!(pin_of(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn another_key_is_refused_whatever_its_certificate_says() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let verify = |pin| {
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            let name = ServerName::try_from("localhost").unwrap();
            PinVerifier { pin, algorithms }.verify_server_cert(certificate.der(), &[], &name, &[], UnixTime::now())
        };
        assert!(verify(pin_of(certificate.der()).unwrap()).is_ok());
        assert!(verify(Pin::new([0; 32])).is_err());
    }

    #[test]
    fn offers_tls_1_3_and_http_1_1_alone() {
        let config = config(Trust::Pin(Pin::new([0; 32]))).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
        assert!(!config.enable_early_data);
        let provider: &CryptoProvider = config.crypto_provider();
        assert_eq!(provider.kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}

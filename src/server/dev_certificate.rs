//! A certificate for the first run and for development: self-signed, only for this machine's local names, valid for a
//! year.
//!
//! The key outlives the certificate, so its pin stays valid: a certificate that is about to expire is made again with
//! the same key.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, UnixTime};
use zeroize::Zeroizing;

use super::tls::{Identity, TlsError, file_error, provider};

/// File name of the development certificate.
pub const DEV_CERT: &str = "dev-cert.pem";
/// File name of the development certificate's key.
pub const DEV_KEY: &str = "dev-key.pem";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The validity of a new certificate.
const LIFE: Duration = DAY.saturating_mul(365);
/// A certificate with less time left is made again.
const LEAST_LEFT: Duration = DAY.saturating_mul(30);

/// A development certificate, and whether this call made it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Development {
    /// The certificate with its key.
    pub identity: Identity,
    /// Its origin.
    pub origin: Origin,
}

/// The origin of a development certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Certificate and key existed.
    Found,
    /// The key existed. Its certificate had expired, or had less than 30 days left, and was made again. The pin is
    /// the same.
    Renewed,
    /// Certificate and key were made now.
    Made,
}

impl Identity {
    /// The development certificate in `folder`; made there when it is missing.
    ///
    /// It names `localhost`, `127.0.0.1` and `::1`, and is valid for a year. Only its owner can read the key file.
    ///
    /// # Errors
    /// The folder is not writable, or its files are not a certificate and its key.
    pub fn development(folder: &Path) -> Result<Development, TlsError> {
        Self::development_at(folder, SystemTime::now())
    }

    fn development_at(folder: &Path, now: SystemTime) -> Result<Development, TlsError> {
        let (cert, key) = (folder.join(DEV_CERT), folder.join(DEV_KEY));
        let mut origin = Origin::Found;
        if !cert.exists() || !key.exists() {
            fs::create_dir_all(folder).map_err(|error| file_error(folder, error))?;
            let pair = KeyPair::generate()?;
            // The key first: if a run ends between the two, the next one starts again.
            write_file(&key, Zeroizing::new(pair.serialize_pem()).as_bytes(), 0o600)?;
            write_certificate(&cert, &pair, now)?;
            origin = Origin::Made;
        }
        let mut identity = Self::from_pem_files(&cert, &key)?;
        if identity.leaf().is_some_and(|leaf| expires_by(leaf, now + LEAST_LEFT)) {
            let pem = Zeroizing::new(fs::read_to_string(&key).map_err(|error| file_error(&key, error))?);
            write_certificate(&cert, &KeyPair::from_pem(&pem)?, now)?;
            identity = Self::from_pem_files(&cert, &key)?;
            origin = Origin::Renewed;
        }
        Ok(Development { identity, origin })
    }
}

/// Whether a self-signed certificate has expired at `time`. One that an authority signed is its owner's affair.
fn expires_by(leaf: &CertificateDer<'_>, time: SystemTime) -> bool {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (Ok(parsed), Ok(anchor)) = (webpki::EndEntityCert::try_from(leaf), webpki::anchor_from_trusted_cert(leaf))
    else {
        return false;
    };
    let anchors = [anchor];
    let verdict = parsed.verify_for_usage(
        provider().signature_verification_algorithms.all,
        &anchors,
        &[],
        UnixTime::since_unix_epoch(since),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    );
    matches!(verdict, Err(webpki::Error::CertExpired { .. }))
}

fn write_certificate(path: &Path, pair: &KeyPair, now: SystemTime) -> Result<(), TlsError> {
    let mut params = CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "Subrosa development certificate");
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Clocks differ.
    params.not_before = (now - DAY).into();
    params.not_after = (now + LIFE).into();
    let certificate = params.self_signed(pair)?;
    write_file(path, certificate.pem().as_bytes(), 0o644)
}

/// Writes a file, with its mode from the first byte on, and gives it its name only when it is complete.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A new empty folder below the build's own.
    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("subrosa-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_certificate_lives_a_year_and_its_key_longer() {
        let folder = folder("development-year");
        let now = SystemTime::now();
        let made = Identity::development_at(&folder, now).unwrap();
        assert_eq!(made.origin, Origin::Made);
        let leaf = made.identity.leaf().unwrap();
        assert!(!expires_by(leaf, now + LIFE - DAY));
        assert!(expires_by(leaf, now + LIFE + DAY));
        let later = now + LIFE - LEAST_LEFT - DAY;
        assert_eq!(Identity::development_at(&folder, later).unwrap().origin, Origin::Found);
        let late = now + LIFE - LEAST_LEFT + DAY;
        let renewed = Identity::development_at(&folder, late).unwrap();
        assert_eq!((renewed.origin, renewed.identity.pin()), (Origin::Renewed, made.identity.pin()));
        assert!(!expires_by(renewed.identity.leaf().unwrap(), late + LIFE - DAY));
        assert_eq!(Identity::development_at(&folder, late).unwrap().origin, Origin::Found);
        fs::remove_dir_all(folder).unwrap();
    }
}

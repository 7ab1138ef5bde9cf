//! Certificates and keys from files: what is wrong is said, with the file's name and nothing of what is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use subrosa::server::{DEV_CERT, DEV_KEY, Identity, Origin, TlsError};

use crate::support::test_server::folder;

/// A folder with a good pair.
fn pair() -> (PathBuf, PathBuf, PathBuf) {
    let folder = folder();
    Identity::development(&folder).unwrap();
    let (cert, key) = (folder.join(DEV_CERT), folder.join(DEV_KEY));
    (folder, cert, key)
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn bad_files_are_told_apart_by_name() {
    let (folder, cert, key) = pair();
    let (_, _, other_key) = pair();
    let (cert_text, key_text) = (fs::read_to_string(&cert).unwrap(), fs::read_to_string(&key).unwrap());
    let missing = folder.join("missing.pem");
    let empty = write(&folder, "empty.pem", "");
    let noise = write(&folder, "noise.pem", "this is no PEM");
    let damaged = write(&folder, "damaged-cert.pem", &cert_text.replace("\nMII", "\n!!!"));
    let damaged_key = write(&folder, "damaged-key.pem", &key_text.replace("\nMI", "\n!!"));
    let hollow = write(&folder, "hollow.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let hollow_key = write(&folder, "hollow-key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let half = write(&folder, "half.pem", &cert_text[..cert_text.len() / 2]);
    type Is = fn(&TlsError) -> bool;
    let cases: [(&Path, &Path, &Path, Is); 14] = [
        (&missing, &key, &missing, |error| matches!(error, TlsError::File { .. })),
        (&cert, &missing, &missing, |error| matches!(error, TlsError::File { .. })),
        (&folder, &key, &folder, |error| matches!(error, TlsError::File { .. })),
        (&empty, &key, &empty, |error| matches!(error, TlsError::NoCertificate(_))),
        (&noise, &key, &noise, |error| matches!(error, TlsError::NoCertificate(_))),
        (&key, &key, &key, |error| matches!(error, TlsError::NoCertificate(_))),
        (&cert, &empty, &empty, |error| matches!(error, TlsError::NoKey(_))),
        (&cert, &cert, &cert, |error| matches!(error, TlsError::NoKey(_))),
        (&damaged, &key, &damaged, |error| matches!(error, TlsError::BadPem(_))),
        (&half, &key, &half, |error| matches!(error, TlsError::BadPem(_))),
        (&cert, &damaged_key, &damaged_key, |error| matches!(error, TlsError::BadPem(_))),
        (&hollow, &key, &hollow, |error| matches!(error, TlsError::BadCertificate(_))),
        (&cert, &hollow_key, &hollow_key, |error| matches!(error, TlsError::BadKey(_))),
        (&cert, &other_key, &other_key, |error| matches!(error, TlsError::Mismatch { .. })),
    ];
    for (cert, key, culprit, expected) in cases {
        let error = Identity::from_pem_files(cert, key).unwrap_err();
        assert!(expected(&error), "{}: {error:?}", culprit.display());
        let text = format!("{error} {error:?}");
        assert!(text.contains(culprit.to_str().unwrap()), "{text} does not name {}", culprit.display());
        let secrets = key_text.lines().filter(|line| !line.contains("-----"));
        assert!(secrets.into_iter().all(|line| !text.contains(line)), "{text}");
    }
}

#[test]
fn the_development_certificate_is_made_once_and_its_key_is_private() {
    let folder = folder().join("made/for/this");
    let first = Identity::development(&folder).unwrap();
    let second = Identity::development(&folder).unwrap();
    assert_eq!((first.origin, second.origin), (Origin::Made, Origin::Found));
    let (first, second) = (first.identity, second.identity);
    assert_eq!((first.pin(), first.pin().len()), (second.pin(), 43));
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(DEV_KEY), mode(DEV_CERT)), (0o600, 0o644));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing half-written stays");
    // A run that was cut off between the two files starts over.
    fs::remove_file(folder.join(DEV_CERT)).unwrap();
    let third = Identity::development(&folder).unwrap();
    assert_eq!(third.origin, Origin::Made);
    assert_ne!(third.identity.pin(), first.pin());
    assert_eq!(mode(DEV_KEY), 0o600);
}

#[test]
fn the_development_certificate_names_local_names_alone() {
    let (_, cert, _) = pair();
    let certificate = CertificateDer::from_pem_file(&cert).unwrap();
    let certificate = webpki::EndEntityCert::try_from(&certificate).unwrap();
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    for name in ["localhost", "127.0.0.1", "::1"] {
        let name = ServerName::try_from(name).unwrap();
        certificate.verify_is_valid_for_subject_name(&name).unwrap();
    }
    for name in ["example.org", "a.localhost", "127.0.0.2", "::2", &host] {
        let name = ServerName::try_from(name).unwrap();
        assert!(certificate.verify_is_valid_for_subject_name(&name).is_err());
    }
}

#[test]
fn tls_settings_leave_nothing_to_link_visits_by() {
    let (_, cert, key) = pair();
    let config = Identity::from_pem_files(&cert, &key).unwrap().server_config();
    assert_eq!((config.send_tls13_tickets, config.max_early_data_size), (0, 0));
    assert!(!config.session_storage.can_cache());
    assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    let groups: Vec<_> = config.crypto_provider().kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(groups.first(), Some(&rustls::NamedGroup::X25519MLKEM768), "post-quantum first: {groups:?}");
}

//! The web client: the files under `web/app`, embedded when this program was built.
//!
//! [`release`] is the embedded client. The server sends each file unchanged, or compressed if the browser accepts that.
//! It reads nothing from disk, so nobody can make a running server send other files. The hash over all files identifies
//! a release.

/// Every file: the path under which it is served, its content, the same in gzip, and its entity tag. In the order of
/// the paths' bytes.
type Files = &'static [(&'static str, &'static [u8], &'static [u8], &'static str)];

static RELEASE: Release = Release {
    files: include!(concat!(env!("OUT_DIR"), "/web_client.rs")),
    hash: include_str!(concat!(env!("OUT_DIR"), "/web_client.hash")),
};

/// The path under which the hash of the web client is served.
pub const HASH_PATH: &str = "/web-hash";

/// The rights of the page. It loads scripts and styles from this server only, connects to this server only, has no
/// inline code, and can set text only as text.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// The devices that the page may use: the camera to scan codes, and the clipboard to copy links.
pub(super) const PERMISSIONS_POLICY: &str = "camera=(self), clipboard-write=(self), accelerometer=(), autoplay=(), \
     clipboard-read=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), \
     identity-credentials-get=(), idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
     publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), sync-xhr=(), \
     usb=(), xr-spatial-tracking=()";

/// One file of the web client.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its media type, for `Content-Type`.
    pub kind: &'static str,
    /// Its content.
    pub plain: &'static [u8],
    /// The same in gzip (RFC 1952).
    pub gzip: &'static [u8],
    /// Its entity tag (RFC 9110 §8.8.3), which changes with its content. In quotes.
    pub tag: &'static str,
}

/// A whole web client.
#[derive(Debug)]
pub struct Release {
    files: Files,
    hash: &'static str,
}

/// The web client that is part of this program.
pub fn release() -> &'static Release {
    &RELEASE
}

impl Release {
    /// The file under a path of the server; the page itself is `/`.
    pub fn get(&self, path: &str) -> Option<Asset> {
        let found = self.files.binary_search_by(|(name, ..)| (*name).cmp(path)).ok()?;
        let (path, plain, gzip, tag) = self.files[found];
        Some(Asset { kind: kind_of(path), plain, gzip, tag })
    }

    /// All files with their paths, in the order of the paths' bytes.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = (&'static str, Asset)> {
        self.files.iter().map(|(path, plain, gzip, tag)| (*path, Asset { kind: kind_of(path), plain, gzip, tag }))
    }

    /// The SHA-256 over each path and content, each behind its length (8 bytes, big-endian), in URL-safe base64 without
    /// padding.
    pub fn hash(&self) -> &'static str {
        self.hash
    }
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("/" | "html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn what_is_embedded_is_what_lies_in_the_folder() {
        fn count(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/app");
        assert_eq!(release().assets().count(), count(&folder));
        for (path, asset) in release().assets() {
            let name = if path == "/" { "index.html" } else { &path[1..] };
            assert_eq!(std::fs::read(folder.join(name)).unwrap(), asset.plain, "{name}");
            assert_eq!(release().get(path).unwrap().plain, asset.plain, "{path}");
        }
    }

    #[test]
    fn compressed_is_the_same() {
        for (path, asset) in release().assets() {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(asset.gzip).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, asset.plain, "{path}");
        }
    }

    #[test]
    fn the_hash_covers_paths_and_contents() {
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for (path, asset) in release().assets() {
            for part in [path.as_bytes(), asset.plain] {
                digest.update(&(part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        assert_eq!(release().hash(), URL_SAFE_NO_PAD.encode(digest.finish()));
    }

    #[test]
    fn every_file_has_a_kind_and_the_page_is_there() {
        assert!(release().get("/").unwrap().kind.starts_with("text/html"));
        let unknown: Vec<_> = release()
            .assets()
            .filter(|(path, asset)| asset.kind.starts_with("text/plain") && !path.contains("LICENSE"))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

//! Embeds the web client into the server: lists the files under `web/app`, compresses each of them, and hashes all of
//! them together.
//!
//! `src/server/web.rs` includes the table that this writes and says how the hash is made.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "server")]
    web_client::embed();
}

#[cfg(feature = "server")]
mod web_client {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::{env, fs, io};

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use sha2::{Digest, Sha256};

    /// Bytes of a content's hash in its entity tag.
    const TAG_BYTES: usize = 16;

    pub(super) fn embed() {
        let folder = Path::new(&variable("CARGO_MANIFEST_DIR")).join("web/app");
        // A folder counts as changed when a file in it was added, changed or removed.
        println!("cargo::rerun-if-changed={}", folder.display());
        let out = PathBuf::from(variable("OUT_DIR"));
        if let Err(error) = write_table(&folder, &out) {
            panic!("the web client in {} cannot be embedded: {error}", folder.display());
        }
    }

    fn variable(name: &str) -> String {
        env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
    }

    fn write_table(folder: &Path, out: &Path) -> io::Result<()> {
        let mut files = BTreeMap::new();
        list(folder, "/", &mut files)?;
        let (mut table, mut hash) = (String::from("&[\n"), Sha256::new());
        for (number, (path, file)) in files.iter().enumerate() {
            let content = fs::read(file)?;
            for part in [path.as_bytes(), &content] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            let compressed = out.join(format!("{number}.gz"));
            fs::write(&compressed, gzip(&content)?)?;
            let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&content)[..TAG_BYTES]));
            let entry = format!("({path:?}, include_bytes!({file:?}), include_bytes!({compressed:?}), {tag:?}),");
            writeln!(table, "    {entry}").map_err(io::Error::other)?;
        }
        table.push_str("]\n");
        fs::write(out.join("web_client.rs"), table)?;
        fs::write(out.join("web_client.hash"), URL_SAFE_NO_PAD.encode(hash.finalize()))
    }

    /// Adds the files below `folder` by the paths under which they are served; `index.html` is the page itself.
    fn list(folder: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|name| io::Error::other(format!("{name:?}")))?;
            if entry.file_type()?.is_dir() {
                list(&entry.path(), &format!("{prefix}{name}/"), files)?;
            } else {
                let path =
                    if prefix == "/" && name == "index.html" { "/".to_owned() } else { format!("{prefix}{name}") };
                files.insert(path, entry.path());
            }
        }
        Ok(())
    }

    fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content)?;
        encoder.finish()
    }
}

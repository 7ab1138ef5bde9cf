//! A renewed certificate for a hardened server. The server cannot open files any more, so a process of its own reads
//! them when the server asks.
//!
//! ```text
//! SIGHUP → thread of the server ── one byte ─▶ reader: reads both files
//!                               ◀─ both, or what is wrong ──
//! ```
//!
//! The reader does nothing else, has no network connection, and ends when the server does.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use clap::Args;
use subrosa::secret::hardening;
use subrosa::server::{Identity, ShownIdentity};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::output::Failure;

/// The hidden command that is the reader.
pub(super) const COMMAND: &str = "certificate-reader";
/// Bytes of the largest file.
const MOST: u64 = 1024 * 1024;
const READ: u8 = b'R';
const WRONG: u8 = b'!';

/// Options of the reader.
#[derive(Debug, Args)]
pub(super) struct Reader {
    /// Certificate chain in PEM.
    #[arg(long)]
    cert: PathBuf,
    /// Its key in PEM.
    #[arg(long)]
    key: PathBuf,
}

impl Reader {
    pub(super) fn run(self) -> Result<(), Failure> {
        hardening::conceal();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Signals to the whole group are for the server, whose end is the end of this process, too.
        let _within = runtime.enter();
        let _signals = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        let (mut asked, mut out) = (io::stdin().lock(), io::stdout().lock());
        while asked.read(&mut [0])? > 0 {
            match (read(&self.cert), read(&self.key)) {
                (Ok(cert), Ok(key)) => {
                    out.write_all(&[READ])?;
                    write_part(&mut out, &cert)?;
                    write_part(&mut out, &key)?;
                }
                (Err(error), _) | (_, Err(error)) => {
                    out.write_all(&[WRONG])?;
                    write_part(&mut out, error.as_bytes())?;
                }
            }
            out.flush()?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MOST => Err(format!("{}: this file is too large", path.display())),
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn write_part(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)
}

fn read_part(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if u64::from(length) > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length as usize]);
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The server's end of a reader that runs.
pub(super) struct Files {
    paths: (PathBuf, PathBuf),
    /// Taken care of by the system when this process ends.
    _reader: Child,
    ask: ChildStdin,
    answers: ChildStdout,
}

impl Files {
    /// Starts the reader of these two files. Possible only before the hardening.
    pub(super) fn open(cert: &Path, key: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(COMMAND).arg("--cert").arg(cert).arg("--key").arg(key);
        // What the service manager says is for the server.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            command.env_remove(name);
        }
        let mut reader = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the process that reads a renewed certificate: {error}"))?;
        let pipes = reader.stdin.take().zip(reader.stdout.take());
        let (ask, answers) = pipes.ok_or("the process that reads a renewed certificate has no pipes")?;
        Ok(Self { paths: (cert.to_owned(), key.to_owned()), _reader: reader, ask, answers })
    }

    /// Reads both files again.
    fn read(&mut self) -> Result<Identity, Failure> {
        let gone = |error| format!("the process that reads the files has ended: {error}");
        self.ask.write_all(&[READ]).map_err(gone)?;
        let mut kind = [0];
        self.answers.read_exact(&mut kind).map_err(gone)?;
        let first = read_part(&mut self.answers).map_err(gone)?;
        if kind != [READ] {
            return Err(String::from_utf8_lossy(&first).into());
        }
        let key = read_part(&mut self.answers).map_err(gone)?;
        Ok(Identity::from_pem(&first, &key, &self.paths.0, &self.paths.1)?)
    }

    /// Shows the certificate of the files whenever something is sent. A certificate that is wrong changes nothing.
    pub(super) fn renew_on_request(mut self, shown: ShownIdentity, mut pin: String) -> io::Result<Sender<()>> {
        let (request, requests) = channel();
        std::thread::Builder::new().name("certificate".to_owned()).spawn(move || {
            while requests.recv().is_ok() {
                match self.read() {
                    Ok(identity) => {
                        shown.replace(&identity);
                        tracing::info!("reloaded the certificate; new connections get it");
                        let new = identity.pin();
                        if new != pin {
                            tracing::warn!("the certificate has another key: its pin is {new}, and links with the earlier pin are void");
                            pin = new;
                        }
                    }
                    Err(error) => tracing::error!("the certificate was not reloaded, the earlier one stays: {error}"),
                }
            }
        })?;
        Ok(request)
    }
}

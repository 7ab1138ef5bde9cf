//! Creates a room or joins one.

use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::input::Input;
use super::options::{Create, Join};
use super::paste::find_link;
use super::typed::Typed;
use crate::cli::output::Failure;
use subrosa::client::{Address, Config, NewRoom, Pin, RoomEvents, SealedRoom, Trust, pin_of};
use subrosa::sealed::Link;
use subrosa::sealed::link::MAX_LINK_BYTES;

/// The development certificate of `subrosa serve`.
const DEVELOPMENT: &str = "certs/dev-cert.pem";
/// The default address of `subrosa serve`.
const LOCAL: (&str, u16) = ("localhost", 5656);
/// Lines that are pasted together come within this time.
const REST_OF_LINK: Duration = Duration::from_millis(500);

pub(super) async fn create(options: Create) -> Result<(SealedRoom, RoomEvents), Failure> {
    let (server, trust) = match (options.server, options.pin) {
        (Some(server), Some(pin)) => (server, Trust::Pin(pin)),
        (Some(server), None) => (server, Trust::System),
        (None, Some(pin)) => (Address::new(LOCAL.0, LOCAL.1)?, Trust::Pin(pin)),
        (None, None) => (Address::new(LOCAL.0, LOCAL.1)?, Trust::Pin(development_pin(Path::new(DEVELOPMENT))?)),
    };
    let new = NewRoom::default()
        .room_name(options.room_name)
        .expires_in(options.expires)
        .owner_leaves(options.owner_leaves.into());
    let shown = server.to_string();
    SealedRoom::create(Config::new(server, trust), &options.name, new)
        .await
        .map_err(|error| format!("cannot open a room on {shown}: {error}").into())
}

pub(super) async fn join(options: Join, input: &mut Input) -> Result<(SealedRoom, RoomEvents), Failure> {
    let link = match (options.link, options.link_file) {
        (Some(link), _) if link.0.as_str() == "-" => typed_link(input).await?,
        (Some(link), _) => find_link(&link.0)?,
        (None, Some(file)) => find_link(&link_in(&file)?)?,
        (None, None) => return Err("there is no link".into()),
    };
    SealedRoom::join(link, &options.name).await.map_err(Into::into)
}

/// A link on standard input. If it is not whole with its first line, the lines that come with it belong to it.
async fn typed_link(input: &mut Input) -> Result<Link, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_LINK_BYTES * 2));
    let mut error = None;
    loop {
        let next = async {
            match error {
                None => Some(input.next().await),
                Some(_) => tokio::time::timeout(REST_OF_LINK, input.next()).await.ok(),
            }
        };
        match (next.await, error) {
            (Some(Typed::Line(line)), _) if text.len() + line.len() < MAX_LINK_BYTES * 2 => {
                text.push_str(&line);
                text.push('\n');
            }
            (_, Some(error)) => return Err(Failure::from(error)),
            (_, None) => return Err("there is no link on standard input".into()),
        }
        match find_link(&text) {
            Ok(link) => return Ok(link),
            Err(no_link) => error = Some(no_link),
        }
    }
}

fn link_in(file: &Path) -> Result<Zeroizing<String>, Failure> {
    use std::io::Read;
    let mut text = Zeroizing::new(String::with_capacity(MAX_LINK_BYTES + 2));
    let read =
        std::fs::File::open(file).and_then(|file| file.take(MAX_LINK_BYTES as u64 + 2).read_to_string(&mut text));
    read.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(text)
}

/// The pin of the development certificate.
fn development_pin(file: &Path) -> Result<Pin, Failure> {
    let hint = "start a server here with `subrosa serve`, or name one with --server";
    let pem = std::fs::read(file).map_err(|_| format!("there is no {} in this directory; {hint}", file.display()))?;
    let certificate = rustls_pemfile::certs(&mut pem.as_slice()).next().and_then(Result::ok);
    certificate
        .and_then(|certificate| pin_of(&certificate))
        .ok_or_else(|| format!("{} contains no certificate; {hint}", file.display()).into())
}

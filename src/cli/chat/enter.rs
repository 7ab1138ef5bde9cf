//! Creates a room or joins one.

use std::path::Path;

use zeroize::Zeroizing;

use super::input::{Input, Typed};
use super::options::{Create, Join};
use crate::cli::output::Failure;
use subrosa::client::{Address, Config, NewRoom, Pin, RoomEvents, SealedRoom, Trust, pin_of};
use subrosa::sealed::Link;
use subrosa::sealed::link::MAX_LINK_BYTES;

/// The development certificate of `subrosa serve`.
const DEVELOPMENT: &str = "certs/dev-cert.pem";
/// The default address of `subrosa serve`.
const LOCAL: (&str, u16) = ("localhost", 5656);

pub(super) async fn create(options: Create) -> Result<(SealedRoom, RoomEvents), Failure> {
    let (server, trust) = match (options.server, options.pin) {
        (Some(server), Some(pin)) => (server, Trust::Pin(pin)),
        (Some(server), None) => (server, Trust::System),
        (None, Some(pin)) => (Address::new(LOCAL.0, LOCAL.1)?, Trust::Pin(pin)),
        (None, None) => (Address::new(LOCAL.0, LOCAL.1)?, Trust::Pin(development_pin(Path::new(DEVELOPMENT))?)),
    };
    let new = NewRoom {
        room_name: options.room_name,
        expires_in: options.expires,
        owner_leaves: options.owner_leaves.into(),
        max_members: None,
    };
    let shown = server.to_string();
    SealedRoom::create(Config::new(server, trust), &options.name, new)
        .await
        .map_err(|error| format!("cannot open a room on {shown}: {error}").into())
}

pub(super) async fn join(options: Join, input: &mut Input) -> Result<(SealedRoom, RoomEvents), Failure> {
    let text = match (options.link, options.link_file) {
        (Some(link), _) if link.0.as_str() == "-" => match input.next().await {
            Typed::Line(line) => line,
            Typed::Bad | Typed::End => return Err("there is no link on standard input".into()),
        },
        (Some(link), _) => link.0,
        (None, Some(file)) => link_in(&file)?,
        (None, None) => return Err("there is no link".into()),
    };
    let link = Link::parse(text.trim()).map_err(|error| format!("that is not a usable invite link: {error}"))?;
    drop(text);
    SealedRoom::join(link, &options.name).await.map_err(Into::into)
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

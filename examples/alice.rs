//! Opens a sealed room, prints a link for one person, and answers what that person says.
//!
//! `cargo run --example alice wss://HOST:PORT PIN`, with what `subrosa serve` or the example `server` prints.

use std::error::Error;
use std::time::Duration;

use secrecy::ExposeSecret;
use subrosa::client::{Config, NewRoom, RoomEvent, SealedRoom, Trust};
use subrosa::sealed::InviteKind;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(pin)) = (arguments.next(), arguments.next()) else {
        return Err("usage: alice wss://HOST:PORT PIN".into());
    };
    let config = Config::new(server.parse()?, Trust::Pin(pin.parse()?));
    let (room, mut events) = SealedRoom::create(config, "alice", NewRoom::default()).await?;
    let link = room.invite(InviteKind::OneTime, Some(Duration::from_secs(600))).await?;
    eprintln!("cargo run --example bob '{}'", link.to_url().expose_secret());

    while let Some(event) = events.next().await {
        // Debug output escapes what a terminal would obey; an application must see to that itself.
        match event {
            RoomEvent::Joined { who, .. } => {
                eprintln!("{:?} came in; compare in person: {}", who.name, who.fingerprint.words().join(" "));
                room.say("hello").await?;
            }
            RoomEvent::Message { from, text, .. } => {
                eprintln!("{:?}: {:?}", from.name, &*text);
                room.tell(from.fingerprint, &format!("you said {} characters", text.chars().count())).await?;
            }
            RoomEvent::Alarm(alarm) => eprintln!("ALARM: {:?}", alarm.to_string()),
            // The room ends with its owner.
            RoomEvent::Left { .. } => room.leave().await?,
            other => eprintln!("{other:?}"),
        }
    }
    Ok(())
}

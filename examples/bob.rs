//! Enters a sealed room by its link, says something, waits for the answer, and leaves.
//!
//! `cargo run --example bob LINK`, with the link that the example `alice` prints.

use std::error::Error;

use subrosa::client::{RoomEvent, SealedRoom};
use subrosa::sealed::Link;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let link = std::env::args().nth(1).ok_or("usage: bob LINK")?;
    // The link says where the server is, by which key it is known, and who owns the room.
    let (room, mut events) = SealedRoom::join(Link::parse(&link)?, "bob").await?;
    room.say("good evening").await?;

    while let Some(event) = events.next().await {
        // Debug output escapes what a terminal would obey; an application must see to that itself.
        match event {
            RoomEvent::Message { from, text, private, .. } => {
                eprintln!("{:?}{}: {:?}", from.name, if private { " (to me alone)" } else { "" }, &*text);
                if private {
                    room.leave().await?;
                }
            }
            RoomEvent::Alarm(alarm) => eprintln!("ALARM: {:?}", alarm.to_string()),
            other => eprintln!("{other:?}"),
        }
    }
    Ok(())
}

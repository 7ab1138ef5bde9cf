//! A server, two members and a third who is put out, in one process: `cargo run --example e2e`. It checks what it
//! shows.

use std::error::Error;

use subrosa::client::{Config, NewRoom, RoomEnd, RoomEvent, RoomEvents, SealedRoom, Trust};
use subrosa::protocol::limits::Limits;
use subrosa::sealed::InviteKind;
use subrosa::server::{Identity, Options, Server};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The next event of a kind.
async fn next<T>(events: &mut RoomEvents, pick: impl Fn(RoomEvent) -> Option<T>) -> Result<T, Box<dyn Error>> {
    while let Some(event) = events.next().await {
        if let Some(found) = pick(event) {
            return Ok(found);
        }
    }
    Err("the room ended".into())
}

fn said(event: RoomEvent) -> Option<String> {
    if let RoomEvent::Message { from, text, .. } = event { Some(format!("{}: {text}", from.name)) } else { None }
}

fn end(event: RoomEvent) -> Option<RoomEnd> {
    if let RoomEvent::Ended(end) = event { Some(end) } else { None }
}

fn joined(event: RoomEvent) -> Option<subrosa::client::Person> {
    if let RoomEvent::Joined { who, .. } = event { Some(who) } else { None }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The relay. It sees ciphertext, sizes by bucket, and times; no names and no words.
    let identity = Identity::development("certs".as_ref())?.identity;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("wss://{}", listener.local_addr()?);
    let config = Config::new(address.parse()?, Trust::Pin(identity.pin().parse()?));
    let server = Server::new(listener, &identity, Limits::default(), Options::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.run(async { drop(stopped.await) }));

    // Alice opens a room; Bob comes by a link that works once, Carol by one that works until it is withdrawn.
    let new = NewRoom::default().room_name("tea");
    let (alice, mut at_alice) = SealedRoom::create(config, "alice", new).await?;
    let (bob, mut at_bob) = SealedRoom::join(alice.invite(InviteKind::OneTime, None).await?, "bob").await?;
    let bobs = next(&mut at_alice, joined).await?;
    let forever = alice.invite(InviteKind::Forever, None).await?;
    let (carol, mut at_carol) = SealedRoom::join(forever, "carol").await?;
    let carols = next(&mut at_alice, joined).await?;
    next(&mut at_bob, |event| joined(event).filter(|who| who.name == "carol")).await?;

    // What people compare to be sure of each other is the same on both sides.
    assert_eq!(bobs.fingerprint, bob.members().await?.me.fingerprint);
    eprintln!("bob is {}", bobs.fingerprint.words().join(" "));

    alice.say("welcome").await?;
    assert_eq!(next(&mut at_bob, said).await?, "alice: welcome");
    assert_eq!(next(&mut at_carol, said).await?, "alice: welcome");
    bob.say("good evening").await?;
    assert_eq!(next(&mut at_alice, said).await?, "bob: good evening");
    assert_eq!(next(&mut at_carol, said).await?, "bob: good evening");
    eprintln!("three talk");

    // Carol is put out: the room gets a new secret, and her link is dead with the old one.
    alice.remove(carols.fingerprint).await?;
    assert_eq!(next(&mut at_carol, end).await?, RoomEnd::Removed);
    next(&mut at_bob, |event| matches!(event, RoomEvent::Rekeyed { .. }).then_some(())).await?;
    alice.say("among ourselves").await?;
    assert_eq!(next(&mut at_bob, said).await?, "alice: among ourselves");
    assert!(at_carol.next().await.is_none() && carol.say("?").await.is_err());
    eprintln!("carol reads nothing any more");

    bob.leave().await?;
    assert_eq!(next(&mut at_bob, end).await?, RoomEnd::Left);
    alice.close().await?;
    next(&mut at_alice, end).await?;
    let _ = stop.send(());
    server.await??;
    eprintln!("done");
    Ok(())
}

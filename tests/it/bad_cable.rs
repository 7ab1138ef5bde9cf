//! Connections that break at every possible byte and in every way: everything said arrives exactly once and in order.
//!
//! With `SUBROSA_SOAK=1` in the environment it goes on for 10,000 broken connections.

use std::time::Duration;

use crate::support::cable::Cable;
use crate::support::room::{again, came, message, one, until};
use crate::support::test_server::TestServer;
use subrosa::client::{Config, NewRoom, RoomEvent, RoomEvents, SealedRoom};
use subrosa::protocol::codes::GoneReason;

/// Settings for a client that loses no time.
fn hurried(cable: &Cable) -> Config {
    let mut config = cable.config();
    config.first_retry_within = Duration::from_millis(2);
    (config.ping_after, config.pong_within) = (Duration::from_millis(150), Duration::from_millis(150));
    config.connect_within = Duration::from_secs(2);
    config
}

/// Says `count` numbered things.
async fn say(room: SealedRoom, count: u32) {
    for n in 0..count {
        room.say(&n.to_string()).await.unwrap();
    }
}

/// Hears `count` numbered things in order, nothing twice, and no alarm.
async fn hear(events: &mut RoomEvents, count: u32) {
    for n in 0..count {
        assert_eq!(message(events).await.1, n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_once_and_in_order() {
    const EACH: u32 = 100;
    let enough = if std::env::var_os("SUBROSA_SOAK").is_some() { 10_000 } else { 30 };
    let server = TestServer::start(&[]).await;
    let (near_alice, near_bob) = (Cable::before(&server, 7).await, Cable::before(&server, 11).await);
    let (alice, mut at_alice) = SealedRoom::create(hurried(&near_alice), "alice", NewRoom::default()).await.unwrap();
    let link = one(&alice).await;
    let (bob, mut at_bob) = SealedRoom::join_with(hurried(&near_bob), again(&link), "bob").await.unwrap();
    came(&mut at_alice).await;
    came(&mut at_bob).await;
    // A new connection takes about 5,000 bytes before it is of use, so some break while they are made; a record of TLS
    // takes up to 16,000, so that with much less nothing would ever arrive.
    near_alice.rot(60_000);
    near_bob.rot(60_000);
    while near_alice.cuts() + near_bob.cuts() < enough {
        tokio::join!(
            say(alice.clone(), EACH),
            say(bob.clone(), EACH),
            hear(&mut at_alice, EACH),
            hear(&mut at_bob, EACH)
        );
    }
    near_alice.rot(0);
    near_bob.rot(0);
    alice.say("calm").await.unwrap();
    assert_eq!(message(&mut at_bob).await.1, "calm");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_to_someone_away_is_held_and_arrives() {
    let server = TestServer::start(&[]).await;
    let cable = Cable::before(&server, 3).await;
    let (alice, mut at_alice) = SealedRoom::create(server.config(), "alice", NewRoom::default()).await.unwrap();
    let (bob, mut at_bob) = SealedRoom::join_with(hurried(&cable), one(&alice).await, "bob").await.unwrap();
    came(&mut at_alice).await;
    // Nothing gets through any more; the first thing that Bob says breaks his connection.
    cable.rot(1);
    bob.say("are you there?").await.unwrap();
    until(&mut at_bob, |event| matches!(event, RoomEvent::Away).then_some(())).await;
    // The server may find the broken connection a moment after its client did.
    let mut said = 0;
    loop {
        alice.say(&said.to_string()).await.unwrap();
        said += 1;
        let held = until(&mut at_alice, |event| match event {
            RoomEvent::Sent { reached, held, .. } => Some((reached.len(), held.len()) == (0, 1)),
            _ => None,
        });
        if held.await {
            break;
        }
    }
    cable.rot(0);
    hear(&mut at_bob, said).await;
    until(&mut at_bob, |event| matches!(event, RoomEvent::Back).then_some(())).await;
    assert_eq!(message(&mut at_alice).await.1, "are you there?");
    let delivered = until(&mut at_alice, |event| match event {
        RoomEvent::Delivered { ids, to } => Some((ids.len(), to.name.clone())),
        _ => None,
    });
    assert_eq!(delivered.await, (1, "bob".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_never_got_is_told() {
    let server = TestServer::start(&["resume_window_s=2"]).await;
    let cable = Cable::before(&server, 3).await;
    let (alice, mut at_alice) = SealedRoom::create(server.config(), "alice", NewRoom::default()).await.unwrap();
    let (bob, mut at_bob) = SealedRoom::join_with(hurried(&cable), one(&alice).await, "bob").await.unwrap();
    came(&mut at_alice).await;
    cable.rot(1);
    bob.say("are you there?").await.unwrap();
    until(&mut at_bob, |event| matches!(event, RoomEvent::Away).then_some(())).await;
    let mut kept = Vec::new();
    let not_delivered = loop {
        // The server may find the broken connection a moment after its client did.
        if kept.is_empty() {
            alice.say("hello?").await.unwrap();
        }
        let told = until(&mut at_alice, |event| match event {
            RoomEvent::Sent { id, held, .. } if held.is_empty() => Some(Err((*id, false))),
            RoomEvent::Sent { id, .. } => Some(Err((*id, true))),
            RoomEvent::NotDelivered { ids, to } => Some(Ok((ids.clone(), to.clone()))),
            _ => None,
        });
        match told.await {
            Ok(not_delivered) => break not_delivered,
            Err((id, true)) => kept.push(id),
            Err((_, false)) => {}
        }
    };
    assert_eq!(not_delivered, (kept, "bob".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stays_away_too_long_is_out_and_learns_it() {
    let server = TestServer::start(&["resume_window_s=1"]).await;
    let cable = Cable::before(&server, 3).await;
    let (alice, mut at_alice) = SealedRoom::create(server.config(), "alice", NewRoom::default()).await.unwrap();
    let (bob, mut at_bob) = SealedRoom::join_with(hurried(&cable), one(&alice).await, "bob").await.unwrap();
    came(&mut at_alice).await;
    cable.rot(1);
    bob.say("are you there?").await.unwrap();
    let reason = until(&mut at_alice, |event| match event {
        RoomEvent::Left { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.await, subrosa::protocol::codes::LeaveReason::Lost);
    cable.rot(0);
    let end = crate::support::room::ended(&mut at_bob).await;
    assert_eq!(end, subrosa::client::RoomEnd::Connection(subrosa::client::End::SessionLost(Some(GoneReason::Time))));
    assert!(bob.say("still?").await.is_err());
}

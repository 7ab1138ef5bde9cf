//! Sealed rooms over a real server and real connections.

use std::time::Duration;

use crate::support::room::{again, came, ended, message, one, until};
use crate::support::test_server::TestServer;
use subrosa::client::{EnterError, NewRoom, RoomEnd, RoomError, RoomEvent, RoomEvents, SealedRoom};
use subrosa::protocol::codes::{LeaveReason, OwnerLeaves, RoomClosedReason};
use subrosa::sealed::InviteKind;
use subrosa::sealed::room::IntentError;

async fn tea(server: &TestServer, owner_leaves: OwnerLeaves) -> (SealedRoom, RoomEvents) {
    let new = NewRoom::default().room_name("tea").owner_leaves(owner_leaves);
    SealedRoom::create(server.config(), "alice", new).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_talk_and_a_spent_link_is_refused() {
    let server = TestServer::start(&[]).await;
    let (alice, mut at_alice) = tea(&server, OwnerLeaves::Close).await;
    let link = one(&alice).await;
    let spent = again(&link);
    let (bob, mut at_bob) = SealedRoom::join(link, "bob").await.unwrap();
    let members = bob.members().await.unwrap();
    assert_eq!(
        (members.room_name.as_str(), members.others[0].name.as_str(), members.others[0].owner),
        ("tea", "alice", true)
    );
    assert_eq!(came(&mut at_alice).await.name, "bob");

    let id = alice.say("hello").await.unwrap();
    assert_eq!(message(&mut at_bob).await, ("alice".to_owned(), "hello".to_owned(), false));
    let sent = until(&mut at_alice, |event| match event {
        RoomEvent::Sent { id, reached, held, absent, .. } => Some((*id, reached.len(), held.len(), absent.len())),
        _ => None,
    });
    assert_eq!(sent.await, (id, 1, 0, 0));
    let alices = bob.members().await.unwrap().others[0].fingerprint;
    assert_eq!(alices, alice.members().await.unwrap().me.fingerprint);
    bob.tell(alices, "psst").await.unwrap();
    assert_eq!(message(&mut at_alice).await, ("bob".to_owned(), "psst".to_owned(), true));

    let refused = SealedRoom::join(spent, "carol").await;
    assert!(matches!(refused, Err(EnterError::InviteRefused)), "{refused:?}");
    assert!(refused.unwrap_err().to_string().starts_with("the server did not accept the invite:"));

    bob.leave().await.unwrap();
    assert_eq!(ended(&mut at_bob).await, RoomEnd::Left);
    let left =
        until(&mut at_alice, |event| if let RoomEvent::Left { reason, .. } = event { Some(*reason) } else { None });
    assert_eq!(left.await, LeaveReason::Left);
    assert!(matches!(alice.say("alone?").await, Err(RoomError::Intent(IntentError::Alone))));
    drop(alice);
    assert_eq!(ended(&mut at_alice).await, RoomEnd::Left);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_reads_nothing_and_the_rest_go_on() {
    let server = TestServer::start(&[]).await;
    let (alice, mut at_alice) = tea(&server, OwnerLeaves::Close).await;
    let forever = alice.invite(InviteKind::Forever, None).await.unwrap();
    let (_bob, mut at_bob) = SealedRoom::join(again(&forever), "bob").await.unwrap();
    let (carol, mut at_carol) = SealedRoom::join(again(&forever), "carol").await.unwrap();
    let bobs = came(&mut at_alice).await;
    came(&mut at_alice).await;
    assert!(matches!(carol.remove(bobs.fingerprint).await, Err(RoomError::Intent(IntentError::NotOwner))));
    alice.remove(bobs.fingerprint).await.unwrap();
    assert_eq!(ended(&mut at_bob).await, RoomEnd::Removed);
    alice.say("among ourselves").await.unwrap();
    assert_eq!(message(&mut at_carol).await.1, "among ourselves");
    // The old link is dead.
    assert!(SealedRoom::join(forever, "bob again").await.is_err());
    let (_dave, mut at_dave) = SealedRoom::join(one(&alice).await, "dave").await.unwrap();
    assert_eq!(came(&mut at_carol).await.name, "dave");
    carol.say("welcome").await.unwrap();
    assert_eq!(message(&mut at_dave).await, ("carol".to_owned(), "welcome".to_owned(), false));
    alice.close().await.unwrap();
    assert_eq!(ended(&mut at_carol).await, RoomEnd::Closed(Some(RoomClosedReason::Closed)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_taken_over() {
    let server = TestServer::start(&[]).await;
    let (alice, mut at_alice) = tea(&server, OwnerLeaves::Transfer).await;
    let (bob, mut at_bob) = SealedRoom::join(one(&alice).await, "bob").await.unwrap();
    let bobs = came(&mut at_alice).await;
    alice.hand_over(bobs.fingerprint).await.unwrap();
    let me = until(&mut at_bob, |event| if let RoomEvent::OwnerChanged { me, .. } = event { Some(*me) } else { None });
    assert!(me.await);
    let owner = until(&mut at_alice, |event| match event {
        RoomEvent::OwnerChanged { owner, me: false, .. } => Some(owner.name.clone()),
        _ => None,
    });
    assert_eq!(owner.await, "bob");
    assert!(matches!(alice.invite(InviteKind::OneTime, None).await, Err(RoomError::Intent(IntentError::NotOwner))));
    let (_carol, mut at_carol) = SealedRoom::join(one(&bob).await, "carol").await.unwrap();
    assert_eq!(came(&mut at_alice).await.name, "carol");
    alice.leave().await.unwrap();
    bob.say("ours").await.unwrap();
    assert_eq!(message(&mut at_carol).await.1, "ours");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_standing_member_may_inherit_the_room() {
    let server = TestServer::start(&[]).await;
    let (alice, mut at_alice) = tea(&server, OwnerLeaves::Transfer).await;
    let (bob, mut at_bob) = SealedRoom::join(one(&alice).await, "bob").await.unwrap();
    came(&mut at_alice).await;
    let (_carol, mut at_carol) = SealedRoom::join(one(&alice).await, "carol").await.unwrap();
    came(&mut at_alice).await;
    // What makes Bob the heir is on its way to him once this is answered.
    alice.settled().await.unwrap();
    alice.leave().await.unwrap();
    let mine = until(&mut at_bob, |event| match event {
        RoomEvent::OwnerGone { owner, me, .. } => Some((owner.starts_with("someone who left"), *me)),
        _ => None,
    });
    assert_eq!(mine.await, (true, true));
    // Nothing happens by itself: Bob decides.
    assert!(matches!(bob.invite(InviteKind::OneTime, None).await, Err(RoomError::Intent(IntentError::NotOwner))));
    bob.take_office().await.unwrap();
    let me = until(&mut at_bob, |event| if let RoomEvent::OwnerChanged { me, .. } = event { Some(*me) } else { None });
    assert!(me.await);
    let owner = until(&mut at_carol, |event| match event {
        RoomEvent::OwnerChanged { owner, .. } => Some(owner.name.clone()),
        _ => None,
    });
    assert_eq!(owner.await, "bob");
    let (_dave, mut at_dave) = SealedRoom::join(one(&bob).await, "dave").await.unwrap();
    came(&mut at_dave).await;
    bob.say("it goes on").await.unwrap();
    assert_eq!(message(&mut at_carol).await.1, "it goes on");
    assert_eq!(message(&mut at_dave).await.1, "it goes on");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_ends_when_its_time_is_up() {
    let server = TestServer::start(&[]).await;
    let new = NewRoom::default().expires_in(Duration::from_secs(1));
    let (_alice, mut at_alice) = SealedRoom::create(server.config(), "alice", new).await.unwrap();
    assert_eq!(ended(&mut at_alice).await, RoomEnd::Closed(Some(RoomClosedReason::Expired)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_said_is_answered_before_settled() {
    let server = TestServer::start(&[]).await;
    let (alice, mut at_alice) = tea(&server, OwnerLeaves::Close).await;
    let (bob, mut at_bob) = SealedRoom::join(one(&alice).await, "bob").await.unwrap();
    came(&mut at_alice).await;
    for n in 0..200 {
        bob.say(&n.to_string()).await.unwrap();
    }
    // The events must be read for it to come.
    let settled = async {
        bob.settled().await.unwrap();
        bob.leave().await.unwrap();
    };
    let (_, end) = tokio::join!(settled, ended(&mut at_bob));
    assert_eq!(end, RoomEnd::Left);
    for n in 0..200 {
        assert_eq!(message(&mut at_alice).await.1, n.to_string());
    }
    server.stop().await;
}

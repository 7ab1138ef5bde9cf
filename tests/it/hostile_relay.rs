//! A hostile relay against the real client, over real connections: each trick shows as an alarm of its own, and nothing is ever sealed to an
//! intruder.

use std::sync::{Arc, Mutex};

use crate::support::evil::{Evil, Way};
use crate::support::room::{again, alarm, came, message, one, until};
use crate::support::test_server::TestServer;
use serde_json::{Value, json};
use subrosa::client::{NewRoom, RoomEvent, RoomEvents, SealedRoom};
use subrosa::protocol::codes::OwnerLeaves;
use subrosa::protocol::ids::UserId;
use subrosa::sealed::InviteKind;
use subrosa::sealed::alarm::AlarmKind;

/// Alice and Bob in a room behind the hostile relay; Alice's is connection 0, Bob's 1.
struct Scene {
    evil: Evil,
    alice: SealedRoom,
    at_alice: RoomEvents,
    bob: SealedRoom,
    at_bob: RoomEvents,
    room_id: String,
    bobs_id: String,
    _server: TestServer,
}

async fn alice_alone() -> (TestServer, Evil, SealedRoom, RoomEvents) {
    let server = TestServer::start(&[]).await;
    let evil = Evil::before(&server).await;
    // A room without heirs: with heirs, the server may name one of them at any time.
    let new = NewRoom::default().owner_leaves(OwnerLeaves::Close);
    let (alice, at_alice) = SealedRoom::create(evil.config(), "alice", new).await.unwrap();
    (server, evil, alice, at_alice)
}

async fn scene() -> Scene {
    let (_server, evil, alice, mut at_alice) = alice_alone().await;
    let link = one(&alice).await;
    let room_id = link.room_id.clone();
    let bobs_id = Arc::new(Mutex::new(String::new()));
    let seen = bobs_id.clone();
    evil.twist(move |_, _, frame| {
        if frame["cmd"] == "joined" {
            *seen.lock().unwrap() = frame["data"]["user_id"].as_str().unwrap().to_owned();
        }
        vec![frame]
    });
    let (bob, at_bob) = SealedRoom::join(link, "bob").await.unwrap();
    came(&mut at_alice).await;
    evil.twist(|_, _, frame| vec![frame]);
    let bobs_id = bobs_id.lock().unwrap().clone();
    Scene { evil, alice, at_alice, bob, at_bob, room_id, bobs_id, _server }
}

/// The recipients that get a chain or a private message from now on.
fn recipients(evil: &Evil) -> Arc<Mutex<Vec<String>>> {
    let named = Arc::new(Mutex::new(Vec::new()));
    let seen = named.clone();
    evil.twist(move |_, way, frame| {
        if way == Way::ToServer && frame["cmd"] == "send-messages" {
            let to = frame["data"]["to"].as_array().unwrap().iter().filter(|to| to["content"].is_string());
            seen.lock().unwrap().extend(to.map(|to| to["to_user_id"].as_str().unwrap().to_owned()));
        }
        vec![frame]
    });
    named
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_member_is_an_intruder_and_gets_nothing() {
    let mut scene = scene().await;
    let named = recipients(&scene.evil);
    for card in [None, Some("AgAAAAA")] {
        let data = json!({
            "room_id": scene.room_id, "room_name": "", "user_id": UserId::random(), "username": "bob",
            "card": card, "version": 2,
        });
        scene.evil.tell(0, json!({"cmd": "user-joined-onetime", "data": data}));
        let alarm = alarm(&mut scene.at_alice).await;
        assert_eq!(alarm.kind == AlarmKind::NoCard, card.is_none(), "{alarm:?}");
    }
    scene.alice.say("for bob").await.unwrap();
    assert_eq!(message(&mut scene.at_bob).await.1, "for bob");
    assert_eq!(*named.lock().unwrap(), [scene.bobs_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_card_is_found_out() {
    let (_server, evil, alice, mut at_alice) = alice_alone().await;
    let link = one(&alice).await;
    evil.twist(move |connection, way, mut frame| {
        if connection == 0 && way == Way::ToClient && frame["cmd"] == "user-joined-onetime" {
            let card = frame["data"]["card"].as_str().unwrap();
            let changed = if &card[2_000..2_001] == "A" { "B" } else { "A" };
            frame["data"]["card"] = format!("{}{changed}{}", &card[..2_000], &card[2_001..]).into();
        }
        vec![frame]
    });
    let (bob, _at_bob) = SealedRoom::join(link, "bob").await.unwrap();
    assert_eq!(alarm(&mut at_alice).await.kind, AlarmKind::CardDoesNotOpen);
    let named = recipients(&evil);
    assert!(alice.say("to nobody").await.is_err());
    drop(bob);
    assert!(named.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_member_keeps_its_name() {
    let (_server, evil, alice, mut at_alice) = alice_alone().await;
    evil.twist(|_, _, mut frame| {
        if frame["cmd"] == "user-joined-onetime" {
            frame["data"]["username"] = "carol".into();
            frame["data"]["room_name"] = "another".into();
        }
        vec![frame]
    });
    let (_bob, _at_bob) = SealedRoom::join(one(&alice).await, "bob").await.unwrap();
    assert_eq!(came(&mut at_alice).await.name, "bob");
    assert_eq!(alice.members().await.unwrap().room_name, "");
}

/// Twists the messages that go to Alice.
fn twist_messages(evil: &Evil, mut twist: impl FnMut(Value) -> Vec<Value> + Send + 'static) {
    evil.twist(move |connection, way, frame| {
        if connection == 0 && way == Way::ToClient && frame["cmd"] == "send-message" {
            twist(frame)
        } else {
            vec![frame]
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_message_is_shown_once() {
    let mut scene = scene().await;
    let mut first = None;
    // Each one twice at once, and the first once more behind the second.
    twist_messages(&scene.evil, move |frame| {
        let again = first.get_or_insert_with(|| frame.clone()).clone();
        vec![frame.clone(), frame, again]
    });
    scene.bob.say("once").await.unwrap();
    scene.bob.say("two").await.unwrap();
    assert_eq!(message(&mut scene.at_alice).await.1, "once");
    assert_eq!(message(&mut scene.at_alice).await.1, "two");
    assert_eq!(alarm(&mut scene.at_alice).await.kind, AlarmKind::OutOfOrder);
}

/// The next count of missing messages.
async fn missing(events: &mut RoomEvents) -> (String, u32) {
    until(events, |event| match event {
        RoomEvent::Missing { from, count, private: false } => Some((from.name.clone(), *count)),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_message_is_missed() {
    let mut scene = scene().await;
    scene.bob.say("chain").await.unwrap();
    assert_eq!(message(&mut scene.at_alice).await.1, "chain");
    let mut first = true;
    twist_messages(&scene.evil, move |frame| if std::mem::take(&mut first) { vec![] } else { vec![frame] });
    scene.bob.say("kept back").await.unwrap();
    scene.bob.say("let through").await.unwrap();
    assert_eq!(missing(&mut scene.at_alice).await, ("bob".to_owned(), 1));
    assert_eq!(message(&mut scene.at_alice).await.1, "let through");
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_messages_show() {
    let mut scene = scene().await;
    scene.bob.say("chain").await.unwrap();
    assert_eq!(message(&mut scene.at_alice).await.1, "chain");
    let mut held = Vec::new();
    twist_messages(&scene.evil, move |frame| {
        held.insert(0, frame);
        if held.len() == 2 { std::mem::take(&mut held) } else { vec![] }
    });
    scene.bob.say("first").await.unwrap();
    scene.bob.say("second").await.unwrap();
    assert_eq!(missing(&mut scene.at_alice).await, ("bob".to_owned(), 1));
    assert_eq!(message(&mut scene.at_alice).await.1, "second");
    assert_eq!(alarm(&mut scene.at_alice).await.kind, AlarmKind::OutOfOrder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_laid_at_anothers_door_does_not_open() {
    let mut scene = scene().await;
    let (carol, mut at_carol) = SealedRoom::join(one(&scene.alice).await, "carol").await.unwrap();
    came(&mut at_carol).await;
    // Alice has Bob's chain, of the same generation as Carol's.
    scene.bob.say("I am bob").await.unwrap();
    assert_eq!(message(&mut scene.at_alice).await.1, "I am bob");
    carol.say("I am carol").await.unwrap();
    assert_eq!(message(&mut scene.at_alice).await.1, "I am carol");
    let carols = Arc::new(Mutex::new(None));
    let (seen, bobs_id) = (carols.clone(), scene.bobs_id.clone());
    // What Carol says is shown as Bob's.
    twist_messages(&scene.evil, move |mut frame| {
        *seen.lock().unwrap() = Some(frame["data"]["user_id"].clone());
        frame["data"]["user_id"] = bobs_id.clone().into();
        vec![frame]
    });
    carol.say("I am bob").await.unwrap();
    let alarm = alarm(&mut scene.at_alice).await;
    assert_eq!(alarm.kind, AlarmKind::MessageDoesNotOpen);
    assert!(alarm.to_string().starts_with("bob "));
    assert_ne!(*carols.lock().unwrap(), Some(scene.bobs_id.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_message_does_not_open() {
    let mut scene = scene().await;
    twist_messages(&scene.evil, |mut frame| {
        let shared = frame["data"]["shared"].as_str().unwrap();
        let last = if shared.as_bytes()[shared.len() - 6] == b'A' { "B" } else { "A" };
        let mut changed = shared.to_owned();
        changed.replace_range(shared.len() - 6..shared.len() - 5, last);
        frame["data"]["shared"] = changed.into();
        vec![frame]
    });
    scene.bob.say("whole").await.unwrap();
    assert_eq!(alarm(&mut scene.at_alice).await.kind, AlarmKind::MessageDoesNotOpen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_invite_that_the_relay_honours_again_is_refused_by_the_members() {
    let (_server, evil, alice, mut at_alice) = alice_alone().await;
    let link = one(&alice).await;
    let (spent, room_id) = (again(&link), link.room_id.clone());
    let (_bob, _at_bob) = SealedRoom::join(link, "bob").await.unwrap();
    came(&mut at_alice).await;
    // The relay lets the link's second user in by a key of its own making.
    let fresh = evil.ask(0, json!({"cmd": "room-key-onetime", "id": "evil", "data": {"room_id": room_id}})).await;
    let key = fresh["data"]["one_time_key"].clone();
    evil.twist(move |_, _, mut frame| {
        if frame["cmd"] == "join-room-onetime" {
            frame["data"]["one_time_key"] = key.clone();
        }
        vec![frame]
    });
    let (_mallory, _at_mallory) = SealedRoom::join(spent, "mallory").await.unwrap();
    let alarm = alarm(&mut at_alice).await;
    assert_eq!(alarm.kind, AlarmKind::InviteReused);
    let named = recipients(&evil);
    alice.say("for bob alone").await.unwrap();
    until(&mut at_alice, |event| matches!(event, RoomEvent::Sent { reached, .. } if reached.len() == 1).then_some(()))
        .await;
    assert_eq!(named.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ownership_cannot_be_imposed() {
    let mut scene = scene().await;
    let data = json!({"room_id": scene.room_id, "owner_id": scene.bobs_id, "version": 2});
    scene.evil.tell(1, json!({"cmd": "owner-changed", "data": data}));
    assert_eq!(alarm(&mut scene.at_bob).await.kind, AlarmKind::OwnershipImposed);
    assert!(scene.bob.invite(InviteKind::OneTime, None).await.is_err());
}

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
use subrosa::sealed::alarm::Alarm;
use subrosa::sealed::{Identity, InviteKind, SystemRandom};

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

/// A public key that anybody can make.
fn stranger_key() -> String {
    Identity::generate(&mut SystemRandom).unwrap().public_key().pkcs1_pem()
}

/// The recipients that `send-messages` frames name from now on.
fn recipients(evil: &Evil) -> Arc<Mutex<Vec<String>>> {
    let named = Arc::new(Mutex::new(Vec::new()));
    let seen = named.clone();
    evil.twist(move |_, way, frame| {
        if way == Way::ToServer && frame["cmd"] == "send-messages" {
            let to = frame["data"]["to"].as_array().unwrap();
            seen.lock().unwrap().extend(to.iter().map(|to| to["to_user_id"].as_str().unwrap().to_owned()));
        }
        vec![frame]
    });
    named
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_member_is_an_intruder_and_gets_nothing() {
    let mut scene = scene().await;
    let named = recipients(&scene.evil);
    for card in [None, Some("AQAAAAA")] {
        let data = json!({
            "room_id": scene.room_id, "room_name": "", "user_id": UserId::random(), "username": "bob",
            "public_key": stranger_key(), "card": card, "version": 3,
        });
        scene.evil.tell(0, json!({"cmd": "user-joined-onetime", "data": data}));
        let alarm = alarm(&mut scene.at_alice).await;
        assert_eq!(matches!(alarm, Alarm::NoCard(_)), card.is_none(), "{alarm:?}");
    }
    scene.alice.say("for bob").await.unwrap();
    assert_eq!(message(&mut scene.at_bob).await.1, "for bob");
    assert_eq!(*named.lock().unwrap(), [scene.bobs_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_key_is_found_out() {
    let (_server, evil, alice, mut at_alice) = alice_alone().await;
    let link = one(&alice).await;
    let key = stranger_key();
    evil.twist(move |connection, way, mut frame| {
        if connection == 0 && way == Way::ToClient && frame["cmd"] == "user-joined-onetime" {
            frame["data"]["public_key"] = key.clone().into();
        }
        vec![frame]
    });
    let (bob, _at_bob) = SealedRoom::join(link, "bob").await.unwrap();
    let alarm = alarm(&mut at_alice).await;
    assert!(matches!(alarm, Alarm::CardDoesNotOpen(_)), "{alarm:?}");
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
    twist_messages(&scene.evil, |frame| vec![frame.clone(), frame]);
    scene.bob.say("once").await.unwrap();
    assert_eq!(message(&mut scene.at_alice).await.1, "once");
    assert!(matches!(alarm(&mut scene.at_alice).await, Alarm::Replayed(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_message_is_missed() {
    let mut scene = scene().await;
    let mut first = true;
    twist_messages(&scene.evil, move |frame| if std::mem::take(&mut first) { vec![] } else { vec![frame] });
    scene.bob.say("kept back").await.unwrap();
    scene.bob.say("let through").await.unwrap();
    let alarm = alarm(&mut scene.at_alice).await;
    assert!(matches!(alarm, Alarm::MessagesMissing { count: 1, private: false, .. }), "{alarm:?}");
    assert_eq!(alarm.to_string(), "1 message missing from bob");
    assert_eq!(message(&mut scene.at_alice).await.1, "let through");
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_messages_show() {
    let mut scene = scene().await;
    let mut held = Vec::new();
    twist_messages(&scene.evil, move |frame| {
        held.insert(0, frame);
        if held.len() == 2 { std::mem::take(&mut held) } else { vec![] }
    });
    scene.bob.say("first").await.unwrap();
    scene.bob.say("second").await.unwrap();
    assert!(matches!(alarm(&mut scene.at_alice).await, Alarm::MessagesMissing { count: 1, .. }));
    assert_eq!(message(&mut scene.at_alice).await.1, "second");
    assert!(matches!(alarm(&mut scene.at_alice).await, Alarm::Replayed(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_laid_at_anothers_door_is_forged() {
    let mut scene = scene().await;
    let (carol, mut at_carol) = SealedRoom::join(one(&scene.alice).await, "carol").await.unwrap();
    came(&mut at_carol).await;
    let carols = Arc::new(Mutex::new(None));
    let (seen, bobs_id) = (carols.clone(), scene.bobs_id.clone());
    // What Carol says is shown as Bob's.
    twist_messages(&scene.evil, move |mut frame| {
        *seen.lock().unwrap() = Some(frame["data"]["user_id"].clone());
        frame["data"]["user_id"] = bobs_id.clone().into();
        vec![frame]
    });
    came(&mut scene.at_alice).await;
    carol.say("I am carol").await.unwrap();
    let alarm = alarm(&mut scene.at_alice).await;
    assert!(matches!(alarm, Alarm::MessageForged(_)), "{alarm:?}");
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
    assert!(matches!(alarm(&mut scene.at_alice).await, Alarm::MessageDoesNotOpen(..)));
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
    assert!(matches!(alarm, Alarm::InviteReused(_)), "{alarm:?}");
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
    assert!(matches!(alarm(&mut scene.at_bob).await, Alarm::OwnershipImposed));
    assert!(scene.bob.invite(InviteKind::OneTime, None).await.is_err());
}

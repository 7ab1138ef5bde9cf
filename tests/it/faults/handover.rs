//! Servers that take over from each other while their rooms are in use.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;
use subrosa::relay::Stats;

use super::amount;
use super::chain::Chain;
use super::proxy::Proxy;
use super::world::World;
use crate::support::raw::{Client, join_forever, join_onetime};
use crate::support::test_server::until;

const MEMBERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_hand_overs() {
    let began = Instant::now();
    let times = 100;
    let mut chain = Chain::start(&[]).await;
    let world = World::new(chain.address, chain.trust(), 2, MEMBERS, &[4000]).await;
    let talking = world.talk(false);
    let mut longest = std::time::Duration::ZERO;
    for _ in 0..times {
        let enough = talking.shared.sends.load(Ordering::Acquire) + 200;
        until("talk", || talking.shared.sends.load(Ordering::Acquire) > enough || talking.failed()).await;
        let begun = Instant::now();
        chain.hand_over().await;
        longest = longest.max(begun.elapsed());
    }
    let figures = talking.finish().await;
    eprintln!("{times} hand-overs in {:.1?}, the longest took {longest:.1?}: {figures:?}", began.elapsed());
    assert_eq!((figures.missing, figures.absent, figures.gaps), (0, 0, 0));
    assert!(figures.comebacks as usize >= times * MEMBERS);
    let relay = chain.relay.clone();
    until("an empty relay", || Stats { scheduled: 0, ..relay.stats() } == Stats::default()).await;
    drop(relay);
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_hand_overs_over_bad_connections() {
    let mut chain = Chain::start(&["ping_interval_s=1", "pong_timeout_s=2", "first_command_s=3"]).await;
    let mut proxies = Vec::new();
    for index in 0..MEMBERS {
        proxies.push(Proxy::before(chain.address, 2_000 + index as u64).await);
    }
    let mut world = World::new(chain.address, chain.trust(), 2, MEMBERS, &[4000, 4001, 4002, 4003]).await;
    world.take_ways(&proxies.iter().map(|proxy| proxy.address).collect::<Vec<_>>());
    let talking = world.talk(false);
    for _ in 0..amount(10, 100) {
        let enough = talking.shared.sends.load(Ordering::Acquire) + 100;
        until("talk", || talking.shared.sends.load(Ordering::Acquire) > enough || talking.failed()).await;
        chain.hand_over().await;
    }
    proxies.iter().for_each(Proxy::calm);
    let figures = talking.finish().await;
    let broken: usize = proxies.iter().map(Proxy::faults).sum();
    eprintln!("{broken} broken connections during hand-overs: {figures:?}");
    assert_eq!((figures.missing, figures.absent, figures.gaps), (0, 0, 0));
    assert!(broken > 20);
    chain.stop().await;
}

async fn resumable(chain: &Chain) -> Client {
    let mut client = chain.client().await;
    client.get("resume", json!({}), "resumed").await;
    client
}

/// Reads to the end of a connection whose server was taken over from, and goes on where it ended.
async fn follow(chain: &Chain, mut client: Client, last_seq: u64) -> Client {
    let token = client.token().to_owned();
    assert_eq!(client.closed().await, (4000, "restarting".to_owned()));
    let mut next = chain.client().await;
    next.get("resume", json!({"token": token, "last_seq": last_seq}), "resumed").await;
    next
}

#[tokio::test]
async fn everything_about_a_room_comes_along() {
    let mut chain = Chain::start(&[]).await;
    let (mut alice, mut bob, mut carol) = (resumable(&chain).await, resumable(&chain).await, chain.client().await);
    let room = alice.create_with(json!({"card": "alice's card", "owner_leaves": "transfer"})).await;
    let short = alice.create_with(json!({"expires_in_s": 3})).await;
    let keys = json!({"room_id": room.id, "count": 3});
    let keys = alice.get("room-key-onetime", keys, "room-key-onetime").await["data"]["one_time_keys"].take();
    let key = |n: usize| keys[n].as_str().unwrap().to_owned();
    let brief = json!({"room_id": room.id, "expires_in_s": 3});
    let brief = alice.get("room-key-onetime", brief, "room-key-onetime").await["data"]["one_time_key"].take();
    let forever = alice.forever_key(&room).await;
    let bob_in = bob.get("join-room-onetime", join_onetime(&room, &key(0)), "joined").await;
    let bob_id = bob_in["data"]["user_id"].clone();
    let carol_in = carol.get("join-room-onetime", join_onetime(&room, &key(1)), "joined").await;
    let carol_id = carol_in["data"]["user_id"].clone();
    bob.get("set-card", json!({"room_id": room.id, "card": "bob's new card"}), "set-card").await;
    alice.get("transfer-owner", json!({"room_id": room.id, "user_id": bob_id}), "transfer-owner").await;
    // Alice's events: two rooms, two times keys, the forever key, two joins, the owner and the answer.
    bob.sync().await;
    // Bounds may be lower in the new process: what there is stays.
    chain.limits.rooms = 1;
    chain.hand_over().await;
    assert_eq!(carol.closed().await.0, 4000);
    let mut alice = follow(&chain, alice, 9).await;
    let lost = alice.expect("user-left").await;
    assert_eq!(lost["data"], json!({"room_id": room.id, "user_id": carol_id, "reason": "lost", "version": 4}));
    // Bob's: joined, Carol's join, the card, the owner, the last answer.
    let mut bob = follow(&chain, bob, 5).await;
    bob.expect("user-left").await;
    let again = bob.get("join-room-onetime", join_onetime(&room, &key(0)), "joined").await;
    assert_eq!((&again["data"]["user_id"], &again["data"]["owner_id"]), (&bob_id, &bob_id));
    let list = alice.get("list-members", json!({"room_id": room.id}), "list-members").await;
    assert_eq!(list["data"]["users"][0]["card"], "bob's new card");
    let list = bob.get("list-members", json!({"room_id": room.id}), "list-members").await;
    assert_eq!(list["data"]["users"][0]["card"], "alice's card");
    alice.refused("room-key-onetime", json!({"room_id": room.id}), "not-owner").await;
    assert_eq!(bob.forever_key(&room).await, forever);
    let mut dave = chain.client().await;
    for spent in [&key(0), &key(1)] {
        dave.refused("join-room-onetime", join_onetime(&room, spent), "denied").await;
    }
    dave.get("join-room-onetime", join_onetime(&room, &key(2)), "joined").await;
    let mut erin = chain.client().await;
    erin.get("join-room-forever", join_forever(&room, &forever), "joined").await;
    // What had three seconds to live has no more than that.
    alice.expect("user-joined-onetime").await;
    alice.expect("user-joined-forever").await;
    let closed = alice.expect("room-closed").await;
    assert_eq!(closed["data"], json!({"room_id": short.id, "reason": "expired"}));
    let relay = chain.relay.clone();
    until("the expiry of the key", || relay.stats().scheduled == 0).await;
    drop(relay);
    let mut frank = chain.client().await;
    frank.refused("join-room-onetime", join_onetime(&room, brief.as_str().unwrap()), "denied").await;
    drop((alice, bob, dave, erin, frank));
    chain.stop().await;
}

/// A window that holds events, answers and a gap comes along as it is, and so does what was taken but not acknowledged.
#[tokio::test]
async fn windows_come_along() {
    let mut chain = Chain::start(&["window_events=256", "members_per_room=4", "card_bytes=0"]).await;
    let (mut alice, mut bob) = (resumable(&chain).await, resumable(&chain).await);
    let room = alice.create().await;
    let (bob_id, alice_id) = bob.join(&mut alice, &room).await;
    let say = |to: &str, n: usize| json!({"room_id": room.id, "to_user_id": to, "content": n.to_string()});
    // Bob's send is answered, and neither he nor Alice acknowledges anything.
    let sent = bob.get("send-message", say(&alice_id, 0), "sent").await;
    let token = bob.token().to_owned();
    let relay = chain.relay.clone();
    drop(bob);
    until("bob's absence", || relay.stats().away == 1).await;
    drop(relay);
    for n in 1..=300 {
        alice.get("send-message", say(&bob_id, n), "sent").await;
        // Her own events: the room, a key, Bob, his message, and one answer after the other.
        alice.send(json!({"cmd": "ack", "data": {"seq": 4 + n}})).await;
    }
    chain.hand_over().await;
    chain.hand_over().await;
    let mut bob = chain.client().await;
    // He had seen `joined` and not the answer; the same id is not sent again, but answered.
    bob.send(json!({"cmd": "resume", "data": {"token": token, "last_seq": 1}})).await;
    bob.send(json!({"cmd": "send-message", "id": "test-3", "data": say(&alice_id, 0)})).await;
    bob.expect("resumed").await;
    let mut answer = bob.expect("sent").await;
    assert_eq!(answer.as_object_mut().unwrap().remove("id"), Some(json!("test-3")));
    assert_eq!(answer, sent);
    let gap = bob.expect("gap").await;
    assert_eq!(gap["data"]["from"], 3);
    let to = gap["data"]["to"].as_u64().unwrap();
    for n in to - 1..=300 {
        assert_eq!(bob.expect("send-message").await["data"]["content"], n.to_string());
    }
    assert_eq!(bob.expect("sent").await["id"], "test-3");
    bob.silent().await;
    drop((alice, bob));
    chain.stop().await;
}

//! Many threads at once: what is admitted, told and held must come out even.

use std::sync::Barrier;

use serde_json::json;

use super::world::{Peer, World, by_onetime};
use crate::relay::Stats;

#[test]
fn a_thousand_joins_on_one_key_admit_one() {
    let world = World::new(&[]);
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let key = alice.onetime_key(&room);
    let peers: Vec<Vec<Peer>> = (0..8).map(|_| (0..125).map(|_| world.peer()).collect()).collect();
    let start = Barrier::new(peers.len());
    let data = by_onetime(&room, &key);
    std::thread::scope(|scope| {
        for peers in &peers {
            scope.spawn(|| {
                start.wait();
                peers.iter().for_each(|peer| peer.say("join-room-onetime", data.clone()));
            });
        }
    });
    let answers: Vec<_> = peers.iter().flatten().map(Peer::one).collect();
    let (joined, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["cmd"] == "joined");
    assert_eq!((joined.len(), refused.len()), (1, 999));
    assert!(refused.iter().all(|answer| answer["data"]["code"] == "denied"));
    assert_eq!(alice.names(), ["user-joined-onetime"]);
    assert_eq!(world.relay.stats().members, 2);
    peers.iter().flatten().for_each(Peer::drop);
    alice.drop();
    world.is_empty();
}

#[test]
fn members_leave_while_a_fan_out_runs() {
    let world = World::new(&[]);
    let alice = world.peer();
    let (room, _) = alice.create(&json!({}));
    let key = alice.forever_key(&room);
    let peers: Vec<_> = (0..40).map(|_| world.peer()).collect();
    let ids: Vec<_> = peers.iter().map(|peer| peer.join(&room, &key)).collect();
    alice.read();
    let to: Vec<_> = ids.iter().map(|id| json!({"to_user_id": id, "content": "m"})).collect();
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            for n in 0..100 {
                let data = json!({"room_id": room, "to": to});
                alice.send(&json!({"cmd": "send-messages", "id": n.to_string(), "data": data}));
            }
        });
        scope.spawn(|| {
            start.wait();
            for (n, peer) in peers.iter().enumerate() {
                if n % 2 == 0 { peer.drop() } else { peer.say("leave-room", json!({"room_id": room})) }
            }
        });
    });
    // Who is told of as gone is never told of as reached again.
    let mut gone = Vec::new();
    for frame in alice.read() {
        match frame["cmd"].as_str().unwrap() {
            "user-left" => gone.push(frame["data"]["user_id"].clone()),
            "sent" => {
                let reached = frame["data"]["reached"].as_array().unwrap();
                let absent = frame["data"]["absent"].as_array().unwrap();
                assert_eq!(reached.len() + absent.len(), ids.len());
                // Who has ended and is not yet told of as gone is absent already.
                assert!(gone.iter().all(|user| absent.contains(user)));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(gone.len(), ids.len());
    peers.iter().for_each(Peer::drop);
    alice.drop();
    world.is_empty();
}

#[test]
fn storms_of_rooms_joins_resumes_and_drops_leave_nothing() {
    let world = World::new(&["resume_window_s=1"]);
    let (host, key, room) = {
        let host = world.peer();
        let (room, _) = host.create(&json!({}));
        let key = host.forever_key(&room);
        (host, key, room)
    };
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (world, room, key) = (&world, &room, &key);
            scope.spawn(move || {
                for n in 0..60 {
                    let mut peer = if n % 2 == 0 { world.resumable() } else { world.peer() };
                    peer.say("join-room-forever", super::world::by_forever(room, key));
                    peer.read();
                    let data = json!({"name": "", "username": "", "public_key_string": super::world::public_key(9)});
                    peer.say("create-room", data);
                    let made = peer.read().into_iter().find(|frame| frame["cmd"] == "create-room").unwrap();
                    let own = made["room"]["room_id"].as_str().unwrap().to_owned();
                    match (n + thread) % 4 {
                        0 => peer.drop(),
                        1 => peer.leave(),
                        2 => {
                            peer.say("close-room", json!({"room_id": own}));
                            peer.say("leave-room", json!({"room_id": room}));
                            peer.drop();
                        }
                        _ => {
                            let token = peer.token.clone();
                            peer.drop();
                            if let Ok(again) = world.resume(&token, 0) {
                                peer = again;
                                peer.read();
                                peer.drop();
                            }
                        }
                    }
                }
            });
        }
        scope.spawn(|| (0..200).for_each(|_| world.expire(world.relay.now())));
    });
    world.relay.check_consistency().unwrap();
    host.drop();
    world.window_passes();
    world.is_empty();
}

/// A session's time runs out in the very moment in which it is taken up: one of the two happens, not a bit of both.
#[test]
fn resume_and_the_end_of_the_window_race() {
    for _ in 0..1_000 {
        let world = World::new(&["resume_window_s=1"]);
        let (alice, bob) = (world.peer(), world.resumable());
        let (room, _) = alice.create(&json!({}));
        let bob_id = bob.join(&room, &alice.forever_key(&room));
        alice.read();
        bob.drop();
        let start = Barrier::new(2);
        let again = std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                world.window_passes();
            });
            start.wait();
            world.resume(&bob.token, 1)
        });
        let data = json!({"room_id": room, "to_user_id": bob_id, "content": "m"});
        match again {
            Ok(again) => {
                let sent = alice.ask("send-message", data);
                assert_eq!(sent["data"]["reached"], json!([bob_id]), "resumed, and told so: it lives");
                assert_eq!(again.names(), ["resumed", "send-message"]);
                again.leave();
                alice.read();
            }
            Err(code) => {
                assert_eq!(code, "denied");
                assert_eq!(alice.one()["cmd"], "user-left");
            }
        }
        alice.drop();
        assert_eq!(world.relay.stats(), Stats::default());
        assert_eq!(
            std::sync::Arc::strong_count(&world.relay),
            1 + 2 * 2,
            "no session outlives the two connections that are named here"
        );
    }
}

//! Many at once over real sockets: exactly one wins, nobody is lost, nothing is left.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::keys::public_key;
use crate::support::raw::{join_forever, join_onetime};
use crate::support::test_server::TestServer;

#[tokio::test]
async fn a_thousand_joins_on_one_key_admit_one() {
    let server = TestServer::start(&[]).await;
    let mut alice = server.client().await;
    let room = alice.create().await;
    let key = alice.onetime_key(&room).await;
    let mut clients = join_all((0..50).map(|_| server.client())).await;
    let join = json!({"cmd": "join-room-onetime", "data": join_onetime(&room, &key)}).to_string();
    let answers = join_all(clients.iter_mut().map(|client| async {
        for _ in 0..20 {
            client.send_text(&join).await;
        }
        let mut joined = Vec::new();
        for _ in 0..20 {
            let answer = client.next().await;
            match answer["cmd"].as_str().unwrap() {
                "joined" => joined.push(answer["data"]["user_id"].clone()),
                _ => assert_eq!(answer["data"]["code"], "denied"),
            }
        }
        joined
    }))
    .await;
    let winners: Vec<_> = answers.iter().filter(|joined| !joined.is_empty()).collect();
    assert_eq!(winners.len(), 1);
    // The winner's own repetitions are told the same again.
    assert_eq!(winners[0].len(), 20);
    assert!(winners[0].iter().all(|user| *user == winners[0][0]));
    alice.expect("user-joined-onetime").await;
    alice.silent().await;
    assert_eq!(server.relay.stats().members, 2);
    drop((alice, clients));
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
async fn members_leave_while_a_fan_out_runs() {
    let server = TestServer::start(&[]).await;
    let (mut alice, mut carol) = (server.client().await, server.client().await);
    let room = alice.create().await;
    let (carol_id, _) = carol.join(&mut alice, &room).await;
    let key = alice.forever_key(&room).await;
    let mut leavers = join_all((0..30).map(|_| server.client())).await;
    let mut ids = vec![carol_id];
    for client in &mut leavers {
        let joined = client.get("join-room-forever", join_forever(&room, &key), "joined").await;
        ids.push(joined["data"]["user_id"].as_str().unwrap().to_owned());
    }
    let to: Vec<_> = ids.iter().map(|id| json!({"to_user_id": id, "content": "m"})).collect();
    let fan_out = async {
        for n in 0..60 {
            let packet = json!({"room_id": room.id, "shared": n.to_string(), "to": to});
            alice.send(json!({"cmd": "send-messages", "id": n.to_string(), "data": packet})).await;
        }
    };
    let leave = join_all(leavers.into_iter().enumerate().map(|(n, mut client)| {
        let room = &room;
        async move {
            match n % 3 {
                0 => client.leave(room).await,
                1 => client.close(1000).await,
                _ => drop(client),
            }
        }
    }));
    tokio::join!(fan_out, leave);
    // Who stays gets every message once and in order, whatever happens around it.
    let (mut next, mut gone) = (0, 0);
    while next < 60 || gone < 30 {
        let frame = carol.next().await;
        match frame["cmd"].as_str().unwrap() {
            "send-message" => {
                assert_eq!(frame["data"]["shared"], next.to_string());
                next += 1;
            }
            "user-left" => gone += 1,
            "user-joined-forever" => {}
            other => panic!("{other}"),
        }
    }
    drop((alice, carol));
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
async fn storms_leave_nothing() {
    let server = TestServer::start(&["resume_window_s=1"]).await;
    let mut host = server.client().await;
    let common = host.create().await;
    let key = host.forever_key(&common).await;
    let storm = |n: usize| {
        let (server, common, key) = (&server, &common, &key);
        async move {
            for round in 0..6 {
                let mut client = server.client().await;
                if n.is_multiple_of(3) {
                    client.get("resume", json!({}), "resumed").await;
                }
                client.send(json!({"cmd": "join-room-forever", "data": join_forever(common, key)})).await;
                let own = json!({"name": "", "username": "", "public_key_string": public_key(1)});
                client.send(json!({"cmd": "create-room", "data": own})).await;
                match (n + round) % 4 {
                    // Before the answers, or after them; with a goodbye, or without.
                    0 => drop(client),
                    1 => {
                        client.sync().await;
                        drop(client);
                    }
                    2 => client.close(1000).await,
                    _ => {
                        client.leave(common).await;
                        client.close(1001).await;
                    }
                }
            }
        }
    };
    join_all((0..24).map(storm)).await;
    drop(host);
    server.empty().await;
    server.stop().await;
}

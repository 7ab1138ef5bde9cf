//! The Rust client against a server played frame by frame: trust, order, loss, and coming back.

use std::time::Duration;

use crate::support::script::{Line, Script};
use crate::support::tls::{certificate, server_config_with_other_key};
use serde_json::json;
use subrosa::client::{Address, Client, Config, ConnectError, End, Events, Incoming, Pin, RequestError, Trust, pin_of};
use subrosa::protocol::codes::GoneReason;
use subrosa::protocol::command::{Command, InRoom};
use subrosa::protocol::event::Event;
use subrosa::protocol::ids::{RoomId, UserId};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A connected client and the server's end; the session is one that the server keeps.
async fn connected(script: &Script, config: Config) -> (Client, Events, Line, String) {
    let (client, (mut line, token)) = tokio::join!(Client::connect(config), script.greet());
    let (client, events) = client.unwrap();
    line.keep().await;
    (client, events, line, token)
}

fn list(room: &RoomId) -> Command<'_> {
    Command::ListMembers(InRoom { room_id: room.as_str().into() })
}

fn left(n: u8) -> serde_json::Value {
    let (room, user) = (RoomId::random(), UserId::random());
    json!({"cmd": "user-left", "data": {"room_id": room, "user_id": user, "reason": "left", "version": 3, "n": n}})
}

async fn ended(events: &mut Events) -> End {
    loop {
        match events.next().await.expect("an end is told") {
            Incoming::Ended(end) => return end,
            _ => continue,
        }
    }
}

#[tokio::test]
async fn a_server_with_another_key_is_refused() {
    let script = Script::start().await;
    let config = Config::new(script.address(), Trust::Pin(Pin::new([7; 32])));
    let (client, server) = tokio::join!(Client::connect(config), script.handshake());
    assert!(matches!(client, Err(ConnectError::PinMismatch)), "{client:?}");
    assert!(server.is_err());
}

#[tokio::test]
async fn a_server_that_shows_the_pinned_certificate_without_its_key_is_refused() {
    let ((real, _), (_, own_key)) = (certificate(), certificate());
    let pin = pin_of(&real).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
    let config = Config::new(address, Trust::Pin(pin));
    let impostor = TlsAcceptor::from(server_config_with_other_key(real, own_key));
    let serve = async { impostor.accept(listener.accept().await.unwrap().0).await.map(drop) };
    let (client, server) = tokio::join!(Client::connect(config), serve);
    assert!(matches!(client, Err(ConnectError::Tls(_))), "{client:?}");
    assert!(server.is_err());
}

#[tokio::test]
async fn a_server_that_no_authority_knows_is_refused() {
    let script = Script::start().await;
    for host in ["127.0.0.1", "localhost"] {
        let address = Address::new(host, script.address().port()).unwrap();
        let (client, _) = tokio::join!(Client::connect(Config::new(address, Trust::System)), script.handshake());
        assert!(matches!(client, Err(ConnectError::Certificate(_) | ConnectError::Trust(_))), "{client:?}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", plain.local_addr().unwrap().port()).unwrap();
    let server = async {
        let (mut stream, _) = plain.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (client, _) = tokio::join!(Client::connect(Config::new(address, Trust::Pin(Pin::new([7; 32])))), server);
    assert!(matches!(client, Err(ConnectError::Tls(_))), "{client:?}");
}

#[tokio::test]
async fn nobody_there_is_told_as_such() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", closed.local_addr().unwrap().port()).unwrap();
    drop(closed);
    let client = Client::connect(Config::new(address, Trust::System)).await;
    assert!(
        match &client {
            Err(ConnectError::Tcp(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            other => matches!(other, Err(ConnectError::Trust(_))),
        },
        "{client:?}"
    );
}

#[tokio::test]
async fn what_is_no_subrosa_server_is_told_as_such() {
    let script = Script::start().await;
    let server = async {
        let mut line = script.accept().await;
        line.send(json!({"greetings": true})).await;
        line
    };
    let (client, _) = tokio::join!(Client::connect(script.config()), server);
    assert!(matches!(client, Err(ConnectError::NotSubrosa)), "{client:?}");
    let server = async {
        let mut line = script.accept().await;
        let mut hello = crate::support::script::hello(&subrosa::secret::Token::random().expose());
        hello["data"]["protocol"] = 2.into();
        line.send(hello).await;
        line
    };
    let (client, _) = tokio::join!(Client::connect(script.config()), server);
    assert!(matches!(client, Err(ConnectError::Version(2))), "{client:?}");
}

#[tokio::test]
async fn answers_find_their_commands_and_events_keep_their_order() {
    let script = Script::start().await;
    let (client, mut events, mut line, _) = connected(&script, script.config()).await;
    let room = RoomId::random();
    let submitted = client.submit(list(&room)).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.request(list(&room)).await }
    });
    let first = line.expect("list-members").await;
    let second = line.expect("list-members").await;
    let owner = UserId::random();
    // Out of order, and with an event between: ids decide.
    line.send(json!({"cmd": "list-members-error", "id": second["id"], "data": {"room_id": room, "code": "denied", "msg": "no"}})).await;
    line.send(left(1)).await;
    line.send(
        json!({"cmd": "list-members", "id": first["id"], "data": {"room_id": room, "owner_id": owner, "users": [], "version": 3}}),
    )
    .await;
    line.send(left(2)).await;
    let refused = waiting.await.unwrap();
    assert!(matches!(refused, Err(RequestError::Refused(data)) if data.code == "denied"));
    assert!(matches!(events.next().await, Some(Incoming::Event(Event::UserLeft(_)))));
    let answer = events.next().await;
    assert!(
        matches!(answer, Some(Incoming::Answer { id, answer: Ok(Event::ListMembers(_)) }) if id == submitted),
        "{answer:?}"
    );
    assert!(matches!(events.next().await, Some(Incoming::Event(Event::UserLeft(_)))));
}

#[tokio::test]
async fn comes_back_and_repeats_what_stayed_unanswered() {
    let script = Script::start().await;
    let (client, mut events, mut line, token) = connected(&script, script.config()).await;
    let room = RoomId::random();
    line.send(left(1)).await;
    assert!(matches!(events.next().await, Some(Incoming::Event(_))));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.request(list(&room)).await }
    });
    let asked = line.expect("list-members").await;
    drop(line);

    let (mut line, _) = script.greet().await;
    let resume = line.expect("resume").await;
    assert_eq!(resume["data"], json!({"token": token, "last_seq": 1, "keeps": true}));
    line.send(json!({"cmd": "resumed", "id": resume["id"], "data": {"seq": 1}})).await;
    line.send(left(2)).await;
    let sync = line.expect("ack").await;
    line.send(json!({"cmd": "ack", "id": sync["id"], "data": {"seq": 1}})).await;
    assert_eq!(line.expect("list-members").await, asked);
    line.send(json!({"cmd": "list-members-error", "id": asked["id"], "data": {"code": "denied", "msg": "no"}})).await;
    assert!(matches!(waiting.await.unwrap(), Err(RequestError::Refused(_))));
    assert!(matches!(events.next().await, Some(Incoming::Away)));
    assert!(matches!(events.next().await, Some(Incoming::Event(_))));
    assert!(matches!(events.next().await, Some(Incoming::Resumed)));
    // Events 2 to 4 arrived: one replayed and two answers.
    assert_eq!(line.expect("ack").await["data"]["seq"], 4);
}

#[tokio::test]
async fn a_session_that_the_server_forgot_ends() {
    let script = Script::start().await;
    let (client, mut events, line, _) = connected(&script, script.config()).await;
    line.close(4001).await;
    let (mut line, _) = script.greet().await;
    let resume = line.expect("resume").await;
    line.send(
        json!({"cmd": "resume-error", "id": resume["id"], "data": {"code": "denied", "msg": "no", "reason": "memory"}}),
    )
    .await;
    assert_eq!(ended(&mut events).await, End::SessionLost(Some(GoneReason::Memory)));
    let room = RoomId::random();
    assert!(matches!(client.request(list(&room)).await, Err(RequestError::Ended(_))));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn close_codes_decide_and_their_text_is_made_harmless() {
    for code in [4500, 1002, 1009, 4999] {
        let script = Script::start().await;
        let (_client, mut events, line, _) = connected(&script, script.config()).await;
        line.close(code).await;
        let end = ended(&mut events).await;
        assert_eq!(end, End::ServerClosed { code, reason: "because[2J".to_owned() });
    }
    for code in [1001, 1011, 4000, 4499] {
        let script = Script::start().await;
        let (_client, _events, line, _) = connected(&script, script.config()).await;
        line.close(code).await;
        script.greet().await.0.expect("resume").await;
    }
}

#[tokio::test]
async fn an_announced_restart_is_waited_for() {
    let script = Script::start().await;
    let (_client, mut events, mut line, _) = connected(&script, script.config()).await;
    line.send(json!({"cmd": "restarting", "data": {"reconnect_in_ms": 40}})).await;
    let since = tokio::time::Instant::now();
    line.close(4000).await;
    script.greet().await.0.expect("resume").await;
    assert!(since.elapsed() >= Duration::from_millis(40));
    assert!(matches!(events.next().await, Some(Incoming::Away)));
}

#[tokio::test]
async fn a_silent_server_counts_as_dead() {
    let script = Script::start().await;
    let mut config = script.config();
    (config.ping_after, config.pong_within) = (Duration::from_millis(30), Duration::from_millis(30));
    // The first line stays open, but nobody reads it: no pong comes.
    let (_client, mut events, _line, _) = connected(&script, config).await;
    let (mut line, _) = script.greet().await;
    line.expect("resume").await;
    assert!(matches!(events.next().await, Some(Incoming::Away)));
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_left() {
    let script = Script::start().await;
    let (_client, mut events, mut line, _) = connected(&script, script.config()).await;
    line.send(json!("nonsense")).await;
    assert_eq!(ended(&mut events).await, End::Protocol);
}

#[tokio::test]
async fn an_event_past_the_bound_is_not_taken() {
    let script = Script::start().await;
    let mut config = script.config();
    config.max_event_bytes = 8 * 1024;
    let (_client, mut events, mut line, _) = connected(&script, config).await;
    line.send(json!({"cmd": "new", "data": {"x": "x".repeat(9 * 1024)}})).await;
    assert_eq!(ended(&mut events).await, End::Protocol);
}

#[tokio::test]
async fn a_command_past_the_bound_is_not_sent() {
    let script = Script::start().await;
    let (client, _events, _line, _) = connected(&script, script.config()).await;
    let long = "x".repeat(2 << 20);
    let command = Command::ListMembers(InRoom { room_id: long.as_str().into() });
    assert!(matches!(client.request(command).await, Err(RequestError::TooLarge)));
}

#[tokio::test]
async fn an_unanswered_command_times_out() {
    let script = Script::start().await;
    let mut config = script.config();
    config.answer_within = Duration::from_millis(20);
    let (client, _events, _line, _) = connected(&script, config).await;
    let room = RoomId::random();
    assert!(matches!(client.request(list(&room)).await, Err(RequestError::Timeout)));
}

#[tokio::test]
async fn closing_says_goodbye_and_so_does_dropping() {
    let script = Script::start().await;
    let (client, mut events, mut line, _) = connected(&script, script.config()).await;
    let ((), code) = tokio::join!(client.close(), line.closed());
    assert_eq!(code, Some(1000));
    assert_eq!(ended(&mut events).await, End::Closed);
    let (client, mut events, mut line, _) = connected(&script, script.config()).await;
    drop(client);
    assert_eq!(line.closed().await, Some(1000));
    assert_eq!(ended(&mut events).await, End::Closed);
}

#[tokio::test]
async fn events_wait_for_a_slow_application_without_loss() {
    let script = Script::start().await;
    let mut config = script.config();
    config.max_event_bytes = 4 * 1024;
    let (_client, mut events, mut line, _) = connected(&script, config).await;
    // More than may wait: reading pauses, and goes on when the application reads.
    let server = tokio::spawn(async move {
        for n in 0..200 {
            line.send(left(n)).await;
        }
        line
    });
    for _ in 0..200 {
        assert!(matches!(events.next().await, Some(Incoming::Event(_))));
    }
    drop(server.await.unwrap());
}

#[tokio::test]
async fn what_waits_for_the_application_outlives_its_connection() {
    let script = Script::start().await;
    let mut config = script.config();
    config.max_event_bytes = 4 * 1024;
    config.first_retry_within = Duration::from_millis(1);
    let (client, mut events, mut line, _) = connected(&script, config).await;
    let all: Vec<_> = (0..200).map(left).collect();
    for event in &all {
        line.send(event.clone()).await;
    }
    drop(line);
    // The application reads nothing, so the client finds the broken connection only by writing.
    let room = RoomId::random();
    let write = async {
        loop {
            client.submit(list(&room)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (mut line, _) = tokio::select! {
        greeted = script.greet() => greeted,
        () = write => unreachable!(),
    };
    let resume = line.expect("resume").await;
    let last = resume["data"]["last_seq"].as_u64().unwrap();
    assert!(last < 200, "all of it fitted");
    line.send(json!({"cmd": "resumed", "id": resume["id"], "data": {"seq": last}})).await;
    let server = tokio::spawn({
        let rest = all[last as usize..].to_vec();
        async move {
            for event in rest {
                line.send(event).await;
            }
            line
        }
    });
    let mut read = Vec::new();
    while read.len() < 200 {
        let next = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
        if let Incoming::Event(Event::UserLeft(left)) = next.expect("all of it comes").unwrap() {
            read.push(left.user_id.to_string());
        }
    }
    let sent: Vec<_> = all.iter().map(|event| event["data"]["user_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(read, sent);
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_large_command_arrives_whole() {
    let script = Script::start().await;
    let (client, _events, mut line, _) = connected(&script, script.config()).await;
    let long = "x".repeat(300_000);
    client.submit(Command::ListMembers(InRoom { room_id: long.as_str().into() })).await.unwrap();
    assert_eq!(line.expect("list-members").await["data"]["room_id"], long);
}

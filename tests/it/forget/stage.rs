//! A real server as a child process, and clients whose every field is a canary.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::forget::scan::{Canaries, random_text};
use crate::support::frame::{PONG, TEXT, frame};
use crate::support::process::Process;
use crate::support::raw::{Wire, upgrade_request};
use crate::support::test_server::folder;
use crate::support::tls::{TLS13, tls_to, trusting};

/// The program under test: a release build where `./check` names its folder, else the one that was built with this
/// test.
pub(crate) fn program(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_subrosa"));
    let folder = std::env::var_os("SUBROSA_UNDER_TEST").map_or(own.parent().unwrap().to_owned(), PathBuf::from);
    let program = folder.join(name);
    assert!(program.exists(), "{} is not built", program.display());
    program
}

/// The address in a server's first line.
fn address_of(server: &Process) -> SocketAddr {
    let line = server.out_starting("Subrosa ");
    let address = line.split(" listens on ").nth(1).unwrap().split(": ").next().unwrap();
    address.parse().unwrap()
}

/// A running server.
pub(crate) struct Stage {
    pub(crate) server: Process,
    pub(crate) folder: PathBuf,
    pub(crate) address: SocketAddr,
    /// The pin of its certificate.
    pub(crate) pin: String,
    program: PathBuf,
}

impl Stage {
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::start_program(&program("subrosa"), more)
    }

    pub(crate) fn start_program(program: &Path, more: &[&str]) -> Self {
        let folder = folder();
        let server = Self::spawn(program, &folder, more);
        let address = address_of(&server);
        let pin = server.out_starting("Certificate pin").rsplit(' ').next().unwrap().to_owned();
        server.out_starting("Open a room");
        Self { server, folder, address, pin, program: program.to_owned() }
    }

    fn spawn(program: &Path, folder: &Path, more: &[&str]) -> Process {
        let mut command = Command::new(program);
        command.current_dir(folder).args(["serve", "--listen", "127.0.0.1:0", "--workers", "2"]).args(more);
        command.env_remove("RUST_LOG");
        Process::spawn(&mut command)
    }

    /// Another process takes over; the one before must end.
    pub(crate) fn hand_over(&mut self, more: &[&str]) {
        let next = Self::spawn(&self.program, &self.folder, more);
        next.out_starting("Took over");
        next.out_starting("Open a room");
        let old = std::mem::replace(&mut self.server, next);
        assert!(old.wait().success());
    }

    pub(crate) async fn connect(&self) -> Talker {
        let mut wire = Wire::open(tls_to(self.address, &self.folder.join("certs")).await).await;
        let token = text(&wire.expect("hello").await["data"]["resume_token"]);
        Talker { wire, token, seq: 0, asked: 0 }
    }

    /// A connection that leaves its session for later.
    pub(crate) async fn connect_resumable(&self) -> Talker {
        let mut talker = self.connect().await;
        talker.ask("resume", json!({}), "resumed").await;
        talker
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}")).to_owned()
}

/// A client that masks with the mask that the scan knows, and counts what it must acknowledge.
pub(crate) struct Talker {
    pub(crate) wire: Wire,
    pub(crate) token: String,
    seq: u64,
    asked: u64,
}

impl Talker {
    pub(crate) async fn send(&mut self, command: &Value) {
        self.send_text(&command.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.wire.write(&frame(TEXT, text.as_bytes())).await;
    }

    /// The next event that is numbered.
    pub(crate) async fn next(&mut self) -> Value {
        let event: Value = loop {
            match self.wire.read().await.expect("an event") {
                (TEXT, payload) => break serde_json::from_slice(&payload).unwrap(),
                (PONG, _) => {}
                other => panic!("{other:?}"),
            }
        };
        match event["cmd"].as_str() {
            Some("hello" | "gap" | "restarting") => {}
            Some("resumed") => self.seq = event["data"]["seq"].as_u64().unwrap(),
            _ => self.seq += 1,
        }
        event
    }

    pub(crate) async fn until(&mut self, cmd: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["cmd"] == cmd {
                return event;
            }
        }
    }

    /// Sends a command and reads to its answer, which must be `answer`.
    pub(crate) async fn ask(&mut self, cmd: &str, data: Value, answer: &str) -> Value {
        self.asked += 1;
        let id = format!("q{}", self.asked);
        self.send(&json!({"cmd": cmd, "id": id, "data": data})).await;
        loop {
            let event = self.next().await;
            if event["id"] == *id {
                assert_eq!(event["cmd"], answer, "{event}");
                return event;
            }
        }
    }

    /// Acknowledges everything that came.
    pub(crate) async fn acknowledge(&mut self) {
        self.ask("ack", json!({"seq": 0}), "ack").await;
        self.send(&json!({"cmd": "ack", "data": {"seq": self.seq}})).await;
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.seq
    }
}

/// A room with three members, every field of it a canary.
pub(crate) struct Play {
    pub(crate) room: String,
    /// Made its session resumable.
    pub(crate) owner: Talker,
    /// Made its session resumable, and acknowledges nothing.
    pub(crate) holder: Talker,
    pub(crate) holder_id: String,
    /// Ends with its connection.
    pub(crate) guest: Talker,
    pub(crate) guest_id: String,
}

impl Play {
    /// All members read on to an event of this kind, and acknowledge it.
    pub(crate) async fn all_read(&mut self, cmd: &str) {
        self.holder.until(cmd).await;
        self.guest.until(cmd).await;
        self.owner.acknowledge().await;
        self.holder.acknowledge().await;
    }
}

/// The same JSON with every letter of `plain` written as an escape.
fn escaped(json: &str, plain: &str) -> String {
    let escapes: String = plain.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
    json.replace(plain, &escapes)
}

/// Opens a room and does in it everything that a command can do.
pub(crate) async fn play(stage: &Stage, canaries: &mut Canaries, options: Value) -> Play {
    let mut owner = stage.connect_resumable().await;
    let mut data = json!({
        "name": canaries.kept("room name", 40),
        "username": canaries.kept("owner's name", 40),
        "client_room_id": canaries.passing("client room id", 40),
        "public_key_string": canaries.public_key("owner's public key", true),
        "card": canaries.passing("owner's first card", 400),
        "unknown": canaries.passing("an unknown field", 40),
    });
    for (name, value) in options.as_object().unwrap() {
        data[name] = value.clone();
    }
    let made = owner.ask("create-room", data, "create-room").await;
    let room = canaries.token("room id", true, &text(&made["room"]["room_id"]));
    let owner_id = canaries.token("owner's id", true, &text(&made["room"]["owner_id"]));
    canaries.token("owner's resume token", false, &owner.token);
    owner.ask("set-card", json!({"room_id": room, "card": canaries.kept("owner's card", 400)}), "set-card").await;

    let keys = owner.ask("room-key-onetime", json!({"room_id": room, "count": 5}), "room-key-onetime").await;
    let mut keys: Vec<_> = keys["data"]["one_time_keys"].as_array().unwrap().iter().map(text).collect();
    let (spent, revoked) = (keys.pop().unwrap(), keys.pop().unwrap());
    canaries.token("a spent one-time key", false, &spent);
    canaries.token("a revoked one-time key", false, &revoked);
    keys.iter().for_each(|key| drop(canaries.token("a one-time key", true, key)));
    let forever =
        owner.ask("room-key-forever", json!({"room_id": room, "expires_in_s": 600}), "room-key-forever").await;
    let forever = canaries.token("the forever key", true, &text(&forever["data"]["forever_join_key"]));
    owner.ask("revoke-key", json!({"room_id": room, "key": revoked}), "revoke-key").await;

    let mut holder = stage.connect_resumable().await;
    canaries.token("holder's resume token", false, &holder.token);
    let data = json!({
        "room_id": room, "one_time_key": spent,
        "username": canaries.kept("holder's name", 40),
        "public_key": canaries.public_key("holder's public key", true),
        "card": canaries.kept("holder's card", 400),
    });
    let joined = holder.ask("join-room-onetime", data, "joined").await;
    let holder_id = canaries.token("holder's id", true, &text(&joined["data"]["user_id"]));

    let mut guest = stage.connect().await;
    canaries.token("guest's resume token", false, &guest.token);
    let name = canaries.kept("guest's name", 40);
    let command = json!({"cmd": "join-room-forever", "id": "j", "data": {
        "room_id": room, "forever_key": forever, "username": name,
        "public_key": canaries.public_key("guest's public key", true), "card": canaries.kept("guest's card", 400),
    }});
    guest.send_text(&escaped(&command.to_string(), &name)).await;
    let guest_id = canaries.token("guest's id", true, &text(&guest.until("joined").await["data"]["user_id"]));

    refused(&mut owner, &mut guest, canaries, &room).await;

    // What the holder gets stays in its window until it acknowledges.
    for (field, size) in [("a short message", 40), ("a message", 400), ("a large message", 20_000)] {
        let content = canaries.kept(field, size);
        let data = json!({"room_id": room, "to_user_id": holder_id, "content": content});
        guest.ask("send-message", data, "sent").await;
        guest
            .send(&json!({"cmd": "send-message", "data": {
                "room_id": room, "to_user_id": owner_id, "content": canaries.passing("a message to the owner", size),
            }}))
            .await;
    }
    let escape = canaries.passing("an escaped message", 40);
    let command = json!({"cmd": "send-message", "data": {"room_id": room, "to_user_id": owner_id, "content": escape}});
    guest.send_text(&escaped(&command.to_string(), &escape)).await;
    for shared in [200, 4_000] {
        owner
            .ask(
                "send-messages",
                json!({
                    "room_id": room, "shared": canaries.kept("a shared payload", shared),
                    "to": [{"to_user_id": holder_id, "content": canaries.kept("one's payload", 40)},
                           {"to_user_id": guest_id, "content": canaries.passing("another's payload", 40)}],
                }),
                "sent",
            )
            .await;
    }
    // In three fragments, the middle one with a ping before it.
    let parted = json!({"cmd": "send-message", "id": "f", "data": {
        "room_id": room, "to_user_id": holder_id, "content": canaries.kept("a fragmented message", 3_000),
    }});
    let parted = parted.to_string().into_bytes();
    let (first, rest) = parted.split_at(1_000);
    let (middle, last) = rest.split_at(1_000);
    guest.wire.write(&frame(0x01, first)).await;
    guest.wire.write(&frame(0x89, canaries.passing("a ping", 40).as_bytes())).await;
    guest.wire.write(&frame(0x00, middle)).await;
    guest.wire.write(&frame(0x80, last)).await;
    guest.until("sent").await;

    for cmd in ["list-members", "leave-room"] {
        let answer = format!("{cmd}-error");
        let other = canaries.token("an unknown room", false, &token());
        owner.ask(cmd, json!({"room_id": other}), &answer).await;
    }
    owner.ask("list-members", json!({"room_id": room}), "list-members").await;
    owner.ask("transfer-owner", json!({"room_id": room, "user_id": holder_id}), "transfer-owner").await;
    holder.ask("transfer-owner", json!({"room_id": room, "user_id": owner_id}), "transfer-owner").await;
    Play { room, owner, holder, holder_id, guest, guest_id }
}

/// 24 bytes as 32 characters.
fn token() -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())
}

/// Everything that a connected client can do wrong without being disconnected.
async fn refused(owner: &mut Talker, guest: &mut Talker, canaries: &mut Canaries, room: &str) {
    let mut word = |field: &str| canaries.passing(field, 40);
    for text in [
        word("no JSON"),
        format!("{{\"cmd\":\"{}\"", word("broken JSON")),
        json!({"cmd": word("an unknown command"), "id": word("its id"), "data": {"x": word("its data")}}).to_string(),
        json!({"cmd": "create-room", "data": {"name": [word("a name of the wrong type")]}}).to_string(),
        json!({"cmd": "create-room", "data": {"name": word("a name alone")}}).to_string(),
        json!({"cmd": "send-message", "id": word("a long id") + &random_text(100), "data": {}}).to_string(),
        json!({"cmd": "set-card", "data": {"room_id": room, "card": word("a card too large").repeat(200)}}).to_string(),
        json!({"cmd": "ack", "data": {"seq": word("no number")}}).to_string(),
        json!({"cmd": "resume", "data": {"token": word("no token"), "last_seq": 0}}).to_string(),
        json!({"cmd": "send-message", "data": {
            "room_id": room, "to_user_id": word("no user id"), "content": word("a message to nobody")}})
        .to_string(),
    ] {
        guest.send_text(&text).await;
        guest.next().await;
    }
    guest.wire.write(&frame(0x82, word("a binary frame").as_bytes())).await;
    guest.next().await;
    let key = canaries.token("a wrong key", false, &token());
    for (cmd, field) in [("join-room-onetime", "one_time_key"), ("join-room-forever", "forever_key")] {
        let mut data = json!({
            "room_id": room, field: key, "username": canaries.passing("a stranger's name", 40),
            "public_key": canaries.public_key("a stranger's public key", false), "card": canaries.passing("a stranger's card", 400),
        });
        owner.ask(cmd, data.clone(), &format!("{cmd}-error")).await;
        data["public_key"] = canaries.passing("no public key", 400).into();
        owner.ask(cmd, data, &format!("{cmd}-error")).await;
    }
    let data = json!({"room_id": room, "user_id": canaries.token("an unknown user", false, &token())});
    guest.ask("remove-member", data, "remove-member-error").await;
    let data = json!({"room_id": room, "key": canaries.token("an unknown key", false, &token())});
    owner.ask("revoke-key", data, "revoke-key-error").await;
}

/// What strangers bring to the port: HTTP, broken handshakes, connections that end half-way.
pub(crate) async fn strangers(stage: &Stage, canaries: &mut Canaries) {
    let mut word = |field: &str| canaries.passing(field, 40);
    let certs = stage.folder.join("certs");
    let requests = [
        format!(
            "GET /{}?{} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nx-{}: {}\r\nConnection: close\r\n\r\n",
            word("a path"),
            word("a query"),
            word("a host"),
            word("a cookie"),
            word("a header's name"),
            word("a header")
        ),
        format!(
            "POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\nConnection: close\r\n\r\n{}",
            word("a body")
        ),
        upgrade_request("/v1", &format!("Origin: https://{}.example\r\nConnection: close\r\n", word("an origin"))),
        format!("{} / HTTP/1.1\r\n\r\n", word("a method")),
        format!("{}\r\n\r\n", word("no HTTP")),
        // These end in the middle.
        format!("GET /{} HTTP/1.1\r\nx-half: {}", word("half a path"), word("half a header")),
        upgrade_request("/v1", "") + "\u{1}" + &word("no frame"),
    ];
    for request in requests {
        let mut stream = tls_to(stage.address, &certs).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // The server has read it when it closes, or when something comes back.
        let mut answer = [0; 64];
        let waits = request.contains("half");
        if !waits {
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut answer).await;
        }
    }
    // Plaintext, and handshakes that are none.
    for bytes in [
        format!("GET /{} HTTP/1.1\r\n\r\n", word("a plaintext path")).into_bytes(),
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", word("half a ClientHello").as_bytes()].concat(),
        [b"\x16\x03\x01\xff\xff", word("no ClientHello").as_bytes()].concat(),
        [b"\x80\x00", word("garbage").as_bytes()].concat(),
    ] {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    }
    // A whole handshake that asks for another name.
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let name = format!("{}.example", word("a server name"));
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(trusting(&certs, TLS13)));
    assert!(connector.connect(name.try_into().unwrap(), stream).await.is_err());
    // WebSockets that are closed for what they send.
    let closing = [
        frame(TEXT, &[word("no UTF-8").as_bytes(), b"\xff\xfe"].concat()),
        frame(0x83, word("an unknown opcode").as_bytes()),
        frame(0x88, &[&4000u16.to_be_bytes()[..], word("a close reason").as_bytes()].concat()),
        frame(TEXT, format!("{}{}", word("a frame too large"), " ".repeat(20_000)).as_bytes()),
        [&frame(TEXT, &[b' '; 200])[..20], word("half a frame").as_bytes()].concat(),
    ];
    for bytes in closing {
        let mut talker = stage.connect().await;
        talker.wire.write(&bytes).await;
        if bytes.len() != 60 {
            talker.wire.closed().await;
        }
    }
}

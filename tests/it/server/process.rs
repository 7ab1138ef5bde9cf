//! The program itself: how it starts, what it says when it cannot, how it ends, and what its logs tell of its users.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use subrosa::server::{DEV_CERT, DEV_KEY, Identity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::frame::{BINARY, TEXT, frame};
use crate::support::keys::public_key;
use crate::support::process::Process;
use crate::support::raw::{Client, Wire, upgrade_request};
use crate::support::test_server::{folder, soon, until};
use crate::support::tls::tls_to;

/// A `subrosa` that serves in a folder of its own.
struct Program {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_subrosa"));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
    command
}

impl Program {
    async fn start(folder: &Path, arguments: &[&str], log: &str) -> Self {
        let file = |name: &str| File::create(folder.join(name)).unwrap();
        let mut command = command(folder, &[&["--listen", "127.0.0.1:0"], arguments].concat());
        command.env("RUST_LOG", log).stdout(file("stdout")).stderr(file("stderr"));
        let mut child = command.spawn().unwrap();
        let mut address = None;
        until("the word that it listens", || {
            assert!(child.try_wait().unwrap().is_none(), "{}", read(folder, "stderr"));
            let said = read(folder, "stdout");
            // The last line is written last.
            let place = said.contains("Open a room:").then(|| said.split("listens on ").nth(1)).flatten();
            address = place.and_then(|rest| rest.split(": ").next()?.parse().ok());
            address.is_some()
        })
        .await;
        Self { child, folder: folder.to_owned(), address: address.unwrap() }
    }

    async fn client(&self) -> Client {
        Client::open(tls_to(self.address, &self.folder.join("certs")).await).await
    }

    async fn wire(&self) -> Wire {
        Wire::open(tls_to(self.address, &self.folder.join("certs")).await).await
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the program's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[tokio::test]
async fn both_signals_say_goodbye_and_end_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::start(&folder(), &[], "info").await;
        let (mut alice, mut bob) = (program.client().await, program.client().await);
        let room = alice.create().await;
        bob.join(&mut alice, &room).await;
        // One that is still on its way in.
        let idle = tls_to(program.address, &program.folder.join("certs")).await;
        program.signal(signal);
        for client in [&mut alice, &mut bob] {
            assert_eq!(client.closed().await, (4000, "restarting".to_owned()));
            // That, and nothing of who was disconnected first.
            let restarting = client.expect("restarting").await;
            assert!(client.has_read_all());
            let delay = restarting["data"]["reconnect_in_ms"].as_u64().unwrap();
            assert!((1..=10_000).contains(&delay), "{delay}");
        }
        drop((alice, bob, idle));
        assert_eq!(program.ended().await.code(), Some(0));
        assert!(tokio::net::TcpStream::connect(program.address).await.is_err());
    }
}

#[tokio::test]
async fn the_first_run_makes_a_certificate_and_the_next_uses_it() {
    let folder = folder();
    let pin = |said: &str| said.lines().find_map(|line| line.split("key): ").nth(1).map(str::to_owned)).unwrap();
    let mut pins = Vec::new();
    for run in 0..2 {
        let mut program = Program::start(&folder, &[], "info").await;
        let said = read(&folder, "stdout");
        assert_eq!(said.contains("Made a development certificate"), run == 0, "{said}");
        assert!(said.contains("subrosa chat create"), "{said}");
        pins.push(pin(&said));
        program.client().await.close(1000).await;
        program.signal(Signal::TERM);
        assert_eq!(program.ended().await.code(), Some(0));
    }
    assert_eq!(pins[0], pins[1]);
    let mode = |name: &str| fs::metadata(folder.join("certs").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(DEV_KEY), mode(DEV_CERT)), (0o600, 0o644));
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_said_and_nothing_serves() {
    let folder = folder();
    subrosa::server::Identity::development(&folder).unwrap();
    let other = crate::support::test_server::folder();
    subrosa::server::Identity::development(&other).unwrap();
    let other_key = other.join(DEV_KEY).to_str().unwrap().to_owned();
    fs::write(folder.join("noise.pem"), "noise").unwrap();
    fs::write(folder.join("wrong.toml"), "# A slip of the finger:\nlistn = \"127.0.0.1:0\"\n").unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    let _held = std::net::TcpListener::bind(&*busy);
    let files = |cert: &'static str, key: &'static str| vec!["serve", "--cert", cert, "--key", key];
    for (arguments, code, part) in [
        (vec!["--limit", "members=1"], 1, "members"),
        (vec!["--limit", "rooms"], 1, "NAME=VALUE"),
        (vec!["--limit", "rooms=many"], 1, "NAME=VALUE"),
        (vec!["--limit", "rooms=0"], 1, "between 1 and"),
        (vec!["--limit", "queue_bytes=65536"], 1, "queue_bytes must be at least"),
        (files("missing.pem", DEV_KEY), 1, "missing.pem"),
        (files(DEV_CERT, "missing.pem"), 1, "missing.pem"),
        (files("noise.pem", DEV_KEY), 1, "noise.pem"),
        (files(DEV_CERT, "noise.pem"), 1, "noise.pem"),
        (vec!["serve", "--cert", DEV_CERT, "--key", &other_key], 1, "does not belong"),
        (vec!["serve", "--cert", DEV_CERT], 1, "belong together"),
        (vec!["serve", "--key", DEV_KEY], 1, "belong together"),
        (
            vec!["--listen", "127.0.0.1:0", "--takeover", "missing/socket"],
            1,
            "cannot make the takeover socket missing/socket: No such",
        ),
        (vec!["serve", "--config", "missing.toml"], 1, "missing.toml: No such file"),
        (vec!["serve", "--config", "wrong.toml"], 1, "wrong.toml, line 2, listn: there is no such key"),
        (vec!["config", "--check", "--config", "wrong.toml"], 1, "wrong.toml, line 2, listn: there is no such key"),
        (vec!["config", "--check", "--cert", "missing.pem", "--key", DEV_KEY], 1, "missing.pem"),
        (vec!["config"], 2, "--check"),
        (vec!["serve", "--listen", "nowhere"], 2, "--listen"),
        (vec!["serve", "--allow-origin", "chat.example.org"], 2, "https://HOST"),
        (vec!["serve", "--allow-origin", "https://chat.example.org/page"], 2, "https://HOST"),
        (vec!["serve", "--no-tls"], 2, "--no-tls"),
        (vec!["dance"], 2, "dance"),
    ] {
        let output = run(&folder, &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    let listed = String::from_utf8(run(&folder, &["limits"]).stdout).unwrap();
    for (name, default, _) in subrosa::protocol::limits::Limits::TABLE {
        assert!(listed.lines().any(|line| line.starts_with(name) && line.contains(&default.to_string())), "{name}");
    }
}

#[tokio::test]
async fn a_configuration_file_is_checked_and_used() {
    let folder = folder();
    fs::write(folder.join("host.toml"), "notice = \"tea at five\"\n[limits]\nmembers_per_room = 50\n").unwrap();
    let output = run(&folder, &["config", "--check", "--config", "host.toml"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "The configuration is valid.\n");
    let program = Program::start(&folder, &["--config", "host.toml", "--limit", "rooms=7"], "info").await;
    let hello = program.client().await.hello;
    assert_eq!(hello["notice"], "tea at five");
    assert_eq!(hello["limits"]["members_per_room"], 50);
    assert_eq!(hello["limits"]["rooms"], 7);
    let example = String::from_utf8(run(&folder, &["config", "--example"]).stdout).unwrap();
    fs::write(folder.join("example.toml"), example).unwrap();
    assert!(run(&folder, &["config", "--check", "--config", "example.toml"]).status.success());
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let folder = folder();
    let program = Program::start(&folder, &[], "info").await;
    let second = command(&folder, &["--listen", &program.address.to_string()]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {}", program.address)), "{said}");
}

/// A word that cannot be in a log by chance.
fn canary(what: &str) -> String {
    format!("canary-{what}-{:08x}", rand::random::<u32>())
}

/// Every string in an answer that is as long as an id or a key.
fn collect_ids(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() == 32 => into.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect_ids(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| collect_ids(value, into)),
        _ => {}
    }
}

#[tokio::test]
async fn the_most_talkative_log_tells_nothing_of_anybody() {
    let folder = folder();
    let mut program = Program::start(&folder, &[], "trace").await;
    let words =
        ["name", "user", "client", "card", "id", "said", "both", "field", "command", "path", "origin", "header"];
    let words: Vec<_> = words.iter().map(|what| canary(what)).collect();
    let [name, user, client_room, card, id, said, both, field, unknown, path, origin, header] = &words[..] else {
        panic!("as many words as names")
    };
    let mut secrets = words.clone();

    let (mut alice, mut bob) = (program.client().await, program.client().await);
    collect_ids(&alice.hello, &mut secrets);
    let made = json!({"cmd": "create-room", "id": id, field: field, "data": {
        "name": name, "username": user, "client_room_id": client_room, "public_key_string": public_key(1), "card": card, field: field,
    }});
    alice.send(made).await;
    let made = alice.expect("create-room").await;
    collect_ids(&made, &mut secrets);
    let room = json!({"room_id": made["room"]["room_id"]});
    let with = |more: Value| {
        let mut data = room.clone();
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    let key = alice.get("room-key-onetime", with(json!({"count": 2})), "room-key-onetime").await;
    collect_ids(&key, &mut secrets);
    let forever = alice.get("room-key-forever", room.clone(), "room-key-forever").await;
    collect_ids(&forever, &mut secrets);
    let join = json!({"one_time_key": key["data"]["one_time_key"], "username": user, "public_key": public_key(2), "card": card});
    let joined = bob.get("join-room-onetime", with(join), "joined").await;
    collect_ids(&joined, &mut secrets);
    let bob_id = &joined["data"]["user_id"];
    alice.get("send-message", with(json!({"to_user_id": bob_id, "content": said})), "sent").await;
    let to = json!([{"to_user_id": bob_id, "content": said}]);
    alice.get("send-messages", with(json!({"shared": both, "to": to})), "sent").await;
    bob.get("set-card", with(json!({"card": card})), "set-card").await;
    bob.get("resume", json!({}), "resumed").await;
    // Refusals of every kind.
    for (cmd, data) in [
        (unknown.as_str(), json!({field: said})),
        ("revoke-key", with(json!({"key": said}))),
        ("remove-member", with(json!({"user_id": said}))),
        ("join-room-forever", with(json!({"forever_key": said, "username": user, "public_key": said}))),
        ("resume", json!({"token": said, "last_seq": 0})),
        ("ack", json!({"seq": said})),
    ] {
        alice.ask(cmd, data).await;
    }
    alice.send_text(said).await;
    // Breaches of the protocol, HTTP and TLS.
    for bytes in [
        frame(BINARY, said.as_bytes()),
        frame(0xc1, said.as_bytes()),
        frame(TEXT, &[said.as_bytes(), b"\xff"].concat()),
    ] {
        let mut wire = program.wire().await;
        wire.write(&bytes).await;
        wire.write(&frame(0xc1, b"")).await;
        wire.closed().await;
    }
    let headers = format!("Origin: https://{origin}\r\nX-Header: {header}\r\nCookie: {header}\r\n");
    for request in [upgrade_request(&format!("/{path}"), &headers), upgrade_request(&format!("/v1?{path}"), &headers)] {
        let mut stream = tls_to(program.address, &folder.join("certs")).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        soon("an answer", stream.read_exact(&mut answer)).await.unwrap();
    }
    let mut plain = tokio::net::TcpStream::connect(program.address).await.unwrap();
    plain.write_all(format!("GET /{path} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let port = plain.local_addr().unwrap();
    let _ = soon("an answer", plain.read_to_end(&mut Vec::new())).await;
    secrets.push(port.to_string());

    let resumed = bob.token().to_owned();
    drop(bob);
    let mut again = program.client().await;
    again.ask("resume", json!({"token": resumed, "last_seq": 1})).await;
    drop((alice, again));
    program.signal(Signal::TERM);
    assert_eq!(program.ended().await.code(), Some(0));
    let log = read(&folder, "stderr");
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "the log was not talkative: {log:.300}");
    let told = format!("{log}{}", read(&folder, "stdout"));
    for secret in secrets {
        let at = told.find(&secret);
        assert!(
            at.is_none(),
            "the log tells {secret}: {:?}",
            at.map(|at| &told[at.saturating_sub(300)..]).map(|t| &t[..400.min(t.len())])
        );
    }
}

/// A server that may open few files, the soft limit below the hard one.
fn with_few_files(folder: &Path, soft: u32, hard: u32, arguments: &[&str]) -> Process {
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_subrosa"), "serve", "--listen", "127.0.0.1:0"]).args(arguments);
    Process::spawn(shell.current_dir(folder))
}

#[test]
fn the_soft_limit_on_open_files_is_raised_and_a_low_hard_one_is_told() {
    let server = with_few_files(&folder(), 128, 512, &[]);
    let warning = server.err_with("may open 512 files");
    assert!(warning.contains("100000 connections") && warning.contains("LimitNOFILE"), "{warning}");
    server.out_starting("Open a room");
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["512", "512"]);
}

/// Whatever waits at a socket stays there when it cannot be accepted: asking again at once would take a whole processor
/// and fill the log.
#[test]
fn a_server_out_of_files_rests_at_both_of_its_sockets() {
    let folder = folder();
    let server = with_few_files(&folder, 64, 64, &["--takeover", "socket"]);
    let line = server.out_starting("Subrosa ");
    let address = line.split("listens on ").nth(1).unwrap().split(": ").next().unwrap().to_owned();
    let connections: Vec<_> = (0..80).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    assert!(server.err_with("cannot accept connections").contains("Too many open files"));
    let asking = std::os::unix::net::UnixStream::connect(folder.join("socket")).unwrap();
    assert!(server.err_with("cannot accept at the takeover socket").contains("Too many open files"));
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    // Not to wait for something: this is the time that is measured.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let used = ticks() - before;
    assert!(used < 25, "{used} of 100 hundredths of a second");
    assert_eq!(server.err_so_far(), [""; 0], "each is told once a minute");
    drop((connections, asking));
}

/// Sends a signal to a process.
fn send(server: &Process, signal: Signal) {
    kill_process(Pid::from_raw(server.id() as i32).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_hangup_reloads_the_certificate_and_a_wrong_one_changes_nothing() {
    let (folder, other) = (folder(), folder());
    Identity::development(&folder).unwrap();
    Identity::development(&other).unwrap();
    let server =
        Process::start_in(&folder, &["serve", "--listen", "127.0.0.1:0", "--cert", DEV_CERT, "--key", DEV_KEY]);
    let line = server.out_starting("Subrosa ");
    let address: SocketAddr = line.split("listens on ").nth(1).unwrap().split(": ").next().unwrap().parse().unwrap();
    // It fails where the server shows another certificate.
    drop(tls_to(address, &folder).await);
    for name in [DEV_CERT, DEV_KEY] {
        fs::copy(other.join(name), folder.join(name)).unwrap();
    }
    send(&server, Signal::HUP);
    server.err_with("reloaded the certificate");
    server.err_with("another key");
    drop(tls_to(address, &other).await);
    for (file, said) in [(DEV_KEY, "no private key"), (DEV_CERT, "No such file")] {
        match file {
            DEV_KEY => fs::write(folder.join(file), "noise").unwrap(),
            _ => fs::remove_file(folder.join(file)).unwrap(),
        }
        send(&server, Signal::HUP);
        let line = server.err_with("was not reloaded");
        assert!(line.contains(said) && line.contains(file), "{line}");
        drop(tls_to(address, &other).await);
    }
    server.interrupt();
    server.err_with("stopped");
    assert!(server.wait().success());
}

#[test]
fn a_hangup_without_files_to_reload_ends_nothing() {
    let server = Process::start_in(&folder(), &["serve", "--listen", "127.0.0.1:0"]);
    server.out_starting("Open a room");
    send(&server, Signal::HUP);
    server.err_with("nothing to reload");
    server.interrupt();
    server.err_with("stopped");
    assert!(server.wait().success());
}

/// The reader of a renewed certificate does not outlive its server, however that ends.
#[test]
fn the_certificate_reader_ends_with_its_server() {
    let mut reader = Command::new(env!("CARGO_BIN_EXE_subrosa"));
    reader.args(["certificate-reader", "--cert", "none", "--key", "none"]);
    let reader = reader.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(reader.status.success() && reader.stdout.is_empty(), "{reader:?}");
}

//! Successors that die, hang or lie at each step of a takeover: the old server goes on serving, and nothing is lost.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use subrosa::protocol::limits::Limits;
use subrosa::relay::Record;
use subrosa::server::{Identity, Inheritance, Options, Server, TakeoverError};

use super::chain::Chain;
use crate::support::raw::{Client, Room};
use crate::support::test_server::{PATIENCE, folder, soon, until};

const GREETING: &[u8] = b"subrosa takeover 2\n";

/// How far a successor comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Connected,
    Greeted,
    /// It has the listening socket.
    Socket,
    /// It is in the middle of a record that it gets while the old server serves.
    Record,
    /// It has all that it gets while the old server serves.
    Ahead,
    /// It has read everything.
    Read,
    Ready,
    /// It was told that it may serve.
    Committed,
}

const STEPS: [Step; 8] =
    [Step::Connected, Step::Greeted, Step::Socket, Step::Record, Step::Ahead, Step::Read, Step::Ready, Step::Committed];

fn byte(stream: &mut UnixStream) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte).map(|()| byte[0])
}

/// Reads one record, or the name of one that it has; whether it is the last.
fn is_last_record(stream: &mut UnixStream) -> io::Result<bool> {
    let kind = byte(stream)?;
    if matches!(kind, b'D' | b'K') {
        stream.read_exact(&mut [0; 16])?;
    }
    if kind == b'K' {
        return Ok(false);
    }
    assert!(matches!(kind, b'D' | b'N'), "{kind}");
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut bytes)?;
    Ok(matches!(postcard::from_bytes(&bytes).unwrap(), Record::End { .. }))
}

/// Reads what comes while the old server serves. The byte that ends it is at the front afterwards.
fn read_ahead(stream: &mut UnixStream) -> io::Result<()> {
    let mut records = 0;
    loop {
        let mut kind = [0];
        let peeked = rustix::net::recv(&*stream, &mut kind, rustix::net::RecvFlags::PEEK)?;
        if peeked.0 == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if kind == *b"P" {
            assert!(records > 1, "carol's session and the room come ahead");
            return byte(stream).map(drop);
        }
        assert!(!is_last_record(stream)?);
        records += 1;
    }
}

/// Plays a successor up to a step. An error is the end of the old server's patience.
fn successor(path: &std::path::Path, step: Step) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    if step >= Step::Greeted {
        stream.write_all(GREETING)?;
    }
    if step >= Step::Socket {
        assert_eq!(byte(&mut stream)?, b'L');
    }
    if step == Step::Record {
        stream.read_exact(&mut [0; 100])?;
    }
    if step >= Step::Ahead {
        read_ahead(&mut stream)?;
    }
    if step >= Step::Read {
        while !is_last_record(&mut stream)? {}
    }
    if step >= Step::Ready {
        stream.write_all(b"R")?;
    }
    if step >= Step::Committed {
        assert_eq!(byte(&mut stream)?, b'C');
    }
    Ok(stream)
}

/// Alice, Bob, and Carol who is away with much to read.
struct Company {
    alice: Client,
    bob: Client,
    room: Room,
    bob_id: String,
    carol_id: String,
    carol_token: String,
    /// Messages to both of them so far.
    said: u64,
}

impl Company {
    async fn gather(chain: &Chain) -> Self {
        let (mut alice, mut bob, mut carol) = (chain.client().await, chain.client().await, chain.client().await);
        let room = alice.create().await;
        let (bob_id, _) = bob.join(&mut alice, &room).await;
        carol.get("resume", json!({}), "resumed").await;
        let (carol_id, _) = carol.join(&mut alice, &room).await;
        bob.expect("user-joined-onetime").await;
        let carol_token = carol.token().to_owned();
        drop(carol);
        let relay = chain.relay.clone();
        until("carol's absence", || relay.stats().away == 1).await;
        let mut company = Self { alice, bob, room, bob_id, carol_id, carol_token, said: 0 };
        // More than a Unix socket takes in at once.
        for _ in 0..4 {
            company.say(&"x".repeat(400_000)).await;
        }
        company
    }

    fn command(&mut self, filling: &str) -> Value {
        self.said += 1;
        let part = |id: &str| json!({"to_user_id": id, "content": self.said.to_string()});
        let to = [part(&self.bob_id), part(&self.carol_id)];
        let data = json!({"room_id": self.room.id, "shared": filling, "to": to});
        json!({"cmd": "send-messages", "id": format!("said-{}", self.said), "data": data})
    }

    /// The send is answered, and what it sent has come.
    async fn arrives(&mut self) {
        let sent = self.alice.expect("sent").await;
        assert_eq!(sent["id"], format!("said-{}", self.said));
        assert_eq!(sent["data"]["reached"], json!([self.bob_id]));
        assert_eq!(sent["data"]["held"], json!([self.carol_id]));
        assert_eq!(self.bob.expect("send-message").await["data"]["content"], self.said.to_string());
    }

    async fn say(&mut self, filling: &str) {
        let command = self.command(filling);
        self.alice.send(command).await;
        self.arrives().await;
    }

    /// Carol comes back: nothing of all this is lost.
    async fn end(mut self, chain: &Chain) {
        let mut carol = chain.client().await;
        carol.get("resume", json!({"token": self.carol_token, "last_seq": 1}), "resumed").await;
        for n in 1..=self.said {
            assert_eq!(carol.expect("send-message").await["data"]["content"], n.to_string());
        }
        carol.silent().await;
        self.alice.silent().await;
        self.bob.silent().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_dies_harms_nothing() {
    let chain = Chain::start(&[]).await;
    let mut company = Company::gather(&chain).await;
    for step in STEPS {
        let path = chain.path.clone();
        let stream = tokio::task::spawn_blocking(move || successor(&path, step)).await.unwrap().unwrap();
        // While it hangs, something is said.
        let command = company.command("");
        company.alice.send(command).await;
        if step < Step::Ahead {
            // Nobody waits for a successor before it has nearly everything.
            company.arrives().await;
            drop(stream);
        } else {
            drop(stream);
            company.arrives().await;
        }
        assert!(!chain.relay.is_taken_over(), "{step:?}");
    }
    company.end(&chain).await;
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_hangs_is_not_waited_for() {
    let chain = Chain::with(&[], Some(Duration::from_millis(500))).await;
    let mut company = Company::gather(&chain).await;
    for step in STEPS {
        // On a busy machine the old server's patience may end before the successor has come so far; then it begins
        // again.
        let mut stream = loop {
            let path = chain.path.clone();
            let come = tokio::task::spawn_blocking(move || successor(&path, step)).await.unwrap();
            if let Ok(stream) = come {
                break stream;
            }
        };
        company.say("").await;
        if step == Step::Connected {
            continue;
        }
        // The old server has given up, or is about to: the successor cannot begin to serve any more.
        let late = tokio::task::spawn_blocking(move || {
            let _ = stream.read_to_end(&mut Vec::new());
            stream.write_all(b"S")
        });
        let late = soon("the old server's end of the conversation", late).await.unwrap();
        assert_eq!(late.unwrap_err().kind(), ErrorKind::BrokenPipe, "{step:?}");
        company.say("").await;
    }
    company.end(&chain).await;
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_the_wrong_thing_does_not_take_over() {
    let mut chain = Chain::start(&[]).await;
    let mut company = Company::gather(&chain).await;
    let refused = |words: &'static [u8]| {
        let path = chain.path.clone();
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(words).unwrap();
            byte(&mut stream).ok()
        })
    };
    for words in [b"subrosa takeover 1\n", b"GET / HTTP/1.1\r\n\r\n\0", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        assert_eq!(refused(words).await.unwrap(), None, "not even the socket is handed over");
    }
    let path = chain.path.clone();
    let wrong = tokio::task::spawn_blocking(move || {
        let mut stream = successor(&path, Step::Read).unwrap();
        stream.write_all(b"X").unwrap();
        byte(&mut stream).ok()
    });
    assert_eq!(wrong.await.unwrap(), None);
    company.say("").await;
    company.end(&chain).await;
    // After all that, one that does it right takes over.
    chain.hand_over().await;
    chain.stop().await;
}

#[tokio::test]
async fn what_lies_at_the_path_is_respected() {
    let folder = folder();
    let path = folder.join("takeover");
    let receive = || Inheritance::receive(&path, Limits::default(), String::new());
    assert!(receive().unwrap().is_none(), "nothing is there");
    std::fs::write(&path, "a letter").unwrap();
    assert!(matches!(receive(), Err(TakeoverError::NotASocket(_))));
    let options = || Options::default().takeover(&path).workers(1);
    let identity = Identity::development(&folder).unwrap().identity;
    let server = async || {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Server::new(listener, &identity, Limits::default(), options())
    };
    let refused = server().await.run(std::future::pending()).await;
    assert!(matches!(refused, Err(TakeoverError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a letter");
    std::fs::remove_file(&path).unwrap();
    // The socket of a server that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(receive().unwrap().is_none(), "nobody is there");
    let (serves, serving) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = server().await.on_serving(move || serves.send(()).unwrap());
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    serving.await.unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().filter(|entry| is_socket(entry.as_ref().unwrap())).count(), 0);
}

fn is_socket(entry: &std::fs::DirEntry) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&entry.file_type().unwrap())
}

/// A new process that cannot put its own socket at the path finds out before it serves, not after the old one has
/// ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_could_not_be_succeeded_does_not_take_over() {
    let chain = Chain::start(&[]).await;
    let mut company = Company::gather(&chain).await;
    let path = chain.path.clone();
    let received = tokio::task::spawn_blocking(move || Inheritance::receive(&path, Limits::default(), String::new()));
    let inheritance = received.await.unwrap().unwrap().unwrap();
    let identity = Identity::development(&folder()).unwrap().identity;
    let nowhere = chain.path.with_file_name("no such folder").join("takeover");
    let options = Options::default().takeover(nowhere).workers(1);
    let server = Server::inherit(inheritance, &identity, options).unwrap();
    assert!(soon("its end", server.run(std::future::pending())).await.is_err());
    company.say("").await;
    company.end(&chain).await;
    chain.stop().await;
}

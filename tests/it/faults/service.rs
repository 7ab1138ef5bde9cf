//! The program under a service manager: a socket that it was given, the word that it serves, and updates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use serde_json::json;
use subrosa::protocol::limits::Limits;
use subrosa::server::{Inheritance, TakeoverError};

use crate::support::raw::{Client, join_onetime};
use crate::support::test_server::{PATIENCE, folder, soon, until};
use crate::support::tls::tls_to;

/// A service: the socket that it is given, and where it says that it serves.
struct Service {
    folder: PathBuf,
    notices: Arc<UnixDatagram>,
    socket: Option<TcpListener>,
    address: Option<SocketAddr>,
}

/// A process of the service; it does not outlive the test.
struct Main(Child);

impl Main {
    async fn ends(mut self) -> ExitStatus {
        soon("the end of a process", async move {
            tokio::task::spawn_blocking(move || self.0.wait().unwrap()).await.unwrap()
        })
        .await
    }

    fn terminate(&self) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Main {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    fn new(activated: bool) -> Self {
        let folder = folder();
        let notices = UnixDatagram::bind(folder.join("notify")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = activated.then(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = socket.as_ref().map(|socket| socket.local_addr().unwrap());
        Self { folder, notices: Arc::new(notices), socket, address }
    }

    /// Starts a process; with the service's socket, as systemd passes it: descriptor 3, with its number and the
    /// process's id in the environment.
    fn start(&self, activated: bool) -> Main {
        let program = env!("CARGO_BIN_EXE_subrosa");
        let serve = format!("exec '{program}' serve --listen 127.0.0.1:0 --takeover takeover");
        let mut command = Command::new("sh");
        command.arg("-c").current_dir(&self.folder).env("NOTIFY_SOCKET", self.folder.join("notify"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if activated {
            let socket = self.socket.as_ref().unwrap().try_clone().unwrap();
            command.arg(format!("exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ {serve}"));
            command.stdin(OwnedFd::from(socket));
        } else {
            command.arg(serve).stdin(Stdio::null());
        }
        Main(command.spawn().unwrap())
    }

    /// The next notice, by its lines.
    async fn notice(&self) -> Vec<String> {
        let notices = self.notices.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut notice = [0; 1024];
            let length = notices.recv(&mut notice).expect("a notice");
            String::from_utf8(notice[..length].to_vec()).unwrap()
        });
        read.await.unwrap().lines().map(str::to_owned).collect()
    }

    async fn serves(&self, process: &Main) {
        assert_eq!(self.notice().await, ["READY=1".to_owned(), format!("MAINPID={}", process.0.id())]);
    }

    async fn client(&self) -> Client {
        client(self.address.unwrap(), &self.folder).await
    }
}

async fn client(address: SocketAddr, folder: &Path) -> Client {
    Client::open(tls_to(address, &folder.join("certs")).await).await
}

#[tokio::test]
async fn a_service_is_started_by_its_socket_updated_and_stopped() {
    let service = Service::new(true);
    let first = service.start(true);
    service.serves(&first).await;
    let (mut alice, mut bob) = (service.client().await, service.client().await);
    for client in [&mut alice, &mut bob] {
        client.get("resume", json!({}), "resumed").await;
    }
    let room = alice.create().await;
    let key = alice.onetime_key(&room).await;
    let joined = bob.get("join-room-onetime", join_onetime(&room, &key), "joined").await;
    let bob_id = joined["data"]["user_id"].as_str().unwrap().to_owned();
    alice.expect("user-joined-onetime").await;
    // Updates: each process takes over the socket of the one before.
    let mut serving = first;
    for n in 0..3u64 {
        let next = service.start(false);
        service.serves(&next).await;
        let old = std::mem::replace(&mut serving, next);
        for (client, seen) in [(&mut alice, 3 + n), (&mut bob, 1 + n)] {
            let token = client.token().to_owned();
            assert_eq!(client.closed().await.0, 4000);
            let mut back = service.client().await;
            back.get("resume", json!({"token": token, "last_seq": seen}), "resumed").await;
            *client = back;
        }
        assert!(old.ends().await.success(), "the old process ends well");
        let data = json!({"room_id": room.id, "to_user_id": bob_id, "content": n.to_string()});
        alice.get("send-message", data, "sent").await;
        assert_eq!(bob.expect("send-message").await["data"]["content"], n.to_string());
    }
    serving.terminate();
    assert_eq!(service.notice().await, ["STOPPING=1"]);
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.closed().await.0, 4000);
    }
    assert!(serving.ends().await.success());
    assert!(!service.folder.join("takeover").exists());
}

/// A server that was killed leaves its socket behind, which hinders nobody.
#[tokio::test]
async fn a_killed_process_hinders_no_fresh_start() {
    let service = Service::new(true);
    let first = service.start(true);
    service.serves(&first).await;
    drop(first);
    assert!(service.folder.join("takeover").exists());
    let second = service.start(true);
    service.serves(&second).await;
    let mut alice = service.client().await;
    alice.create().await;
    drop(alice);
    second.terminate();
    assert!(second.ends().await.success());
}

/// Takes its folder away.
struct Elsewhere(PathBuf);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Neither hands over to another user nor takes over from one. Needs the right to start a process as another user;
/// others skip it.
#[tokio::test]
async fn another_user_takes_nothing_over() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be two users");
        return;
    }
    // Where that user can come, unlike perhaps the build's folder.
    let elsewhere = Elsewhere(std::env::temp_dir().join(format!("subrosa-stranger-{}", std::process::id())));
    let folder = &elsewhere.0;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_subrosa"), folder.join("subrosa")).unwrap();
    std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(folder.join("subrosa"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--takeover", "takeover"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = Main(command.uid(NOBODY).gid(NOBODY).spawn().unwrap());
    let path = folder.join("takeover");
    until("the takeover socket", || path.exists()).await;
    let receive = || Inheritance::receive(&path, Limits::default(), String::new());
    assert!(matches!(receive(), Err(TakeoverError::Stranger)));
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may have closed before this arrives.
    let _ = stream.write_all(b"subrosa takeover 2\n");
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "not a byte");
    let complaints = server.0.stderr.take().unwrap();
    let mut complaints = BufReader::new(complaints).lines();
    assert!(complaints.any(|line| line.unwrap().contains("another user")));
    assert!(server.0.try_wait().unwrap().is_none(), "it goes on serving");
}

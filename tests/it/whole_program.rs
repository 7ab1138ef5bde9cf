//! The program as its host and its users have it: `serve` says what to type, and that opens a room; an update of the
//! server disturbs nobody.

use std::path::PathBuf;

use crate::support::process::Process;

/// A folder of its own that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("subrosa-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server and the command that it prints for opening a room, without the program's name.
fn serve(folder: &Folder, listen: &str) -> (Process, Vec<String>) {
    let server = Process::start_in(&folder.0, &["serve", "--listen", listen, "--takeover", "next.sock"]);
    let line = server.out_starting("Open a room:");
    let words = line.strip_prefix("Open a room:").unwrap().split_whitespace().skip(1);
    (server, words.map(str::to_owned).collect())
}

#[test]
fn the_printed_command_opens_a_room_that_outlives_three_updates() {
    let folder = Folder::new("updates");
    let (mut server, command) = serve(&folder, "127.0.0.1:0");
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let mut alice = Process::start_in(&folder.0, &command);
    let link = alice.out_starting("https://");
    let mut bob = Process::start_in(&folder.0, &["chat", "join", &link, "--as", "bob"]);
    alice.out_starting("* bob came in");
    for update in 0..3 {
        let (next, _) = serve(&folder, "127.0.0.1:0");
        let old = std::mem::replace(&mut server, next);
        alice.say(&format!("ping {update}"));
        assert_eq!(bob.out_starting("<alice> "), format!("<alice> ping {update}"));
        bob.say(&format!("pong {update}"));
        assert_eq!(alice.out_starting("<bob> "), format!("<bob> pong {update}"));
        assert_eq!(old.wait().code(), Some(0));
    }
    alice.say("/leave");
    assert_eq!(alice.wait().code(), Some(0));
    // The server's word alone makes nobody the owner.
    bob.out_starting("!!! ALARM: the server says that the owner");
    bob.say("/take-over");
    bob.out_starting("* you own the room now");
    bob.say("/leave");
    assert_eq!(bob.wait().code(), Some(0));
    server.interrupt();
    assert_eq!(server.wait().code(), Some(0));
}

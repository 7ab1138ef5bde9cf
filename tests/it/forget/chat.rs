//! `subrosa chat` after its room: held at its very end, when nothing runs any more, its memory is scanned.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::forget::scan::{Canaries, Found};
use crate::forget::stage::{Stage, program};
use crate::support::process::Process;

/// How long strace holds the process before it ends; it is killed before.
const HELD: &str = "exit_group:delay_enter=60s";
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that will not quite end.
fn chat(stage: &Stage, program: &Path, arguments: &[&str]) -> Process {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=exit_group", "-e", &format!("inject={HELD}")]);
    command.arg(program).arg("chat").args(arguments).arg("--plain").current_dir(&stage.folder);
    Process::spawn(&mut command)
}

/// The traced process below strace.
fn traced(strace: &Process) -> u32 {
    let id = strace.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    children.split_whitespace().next().expect("a child").parse().unwrap()
}

/// Waits until the process is held in its last system call.
fn held(process: u32) {
    let by = Instant::now() + PATIENCE;
    let at_its_end =
        || fs::read_to_string(format!("/proc/{process}/syscall")).is_ok_and(|call| call.starts_with("231 "));
    while !at_its_end() {
        assert!(Instant::now() < by, "the client does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Alice and Bob talk in a room where everything is a canary, until it ends: what is found in each of them then, and in
/// all while it is open.
fn conversation(program: &Path) -> (Canaries, [usize; 2], [Found; 2]) {
    let stage = Stage::start(&[]);
    let mut canaries = Canaries::default();
    let (alice_name, bob_name) = (canaries.kept("alice's name", 20), canaries.kept("bob's name", 20));
    let room = canaries.kept("the room's name", 20);
    let server = format!("wss://localhost:{}", stage.address.port());

    let place = ["--server", &server, "--pin", &stage.pin, "--owner-leaves", "close"];
    let create = [&["create", "--as", &alice_name, "--name", &room][..], &place].concat();
    let mut alice = chat(&stage, program, &create);
    let link = alice.out_starting("https://");
    let fragment = link.split_once("/#").unwrap().1;
    canaries.passing_text("the invite link", fragment);
    // The room's secret and the join key lie in the middle of it.
    let bytes = URL_SAFE_NO_PAD.decode(fragment).unwrap();
    canaries.passing_bytes("the invite's secrets", &bytes[40..110]);

    let mut bob = chat(&stage, program, &["join", "-", "--as", &bob_name]);
    bob.say(&link);
    bob.err_with("You are in");
    alice.out_starting(&format!("* {bob_name} came in"));
    for size in [40, 3_000] {
        let said = canaries.kept("said by alice", size);
        alice.say(&said);
        bob.out_starting(&format!("<{alice_name}> {said}"));
        let said = canaries.passing("said by bob", size);
        bob.say(&said);
        alice.out_starting(&format!("<{bob_name}> {said}"));
        let said = canaries.passing("said to alice alone", size);
        bob.say(&format!("/tell {alice_name} {said}"));
        alice.out_starting(&format!("[{bob_name} to you] {said}"));
    }
    alice.say("/invite");
    canaries.passing_text("a second invite link", alice.out_starting("https://").split_once("/#").unwrap().1);

    let scanner = canaries.scanner();
    let (alice_id, bob_id) = (traced(&alice), traced(&bob));
    let open = [alice_id, bob_id].map(|id| scanner.scan(id).count());
    assert!(open.iter().all(|count| *count > 0), "{open:?} hits while the room is open");
    alice.say("/leave");
    bob.out_starting("* the room ended");
    let after = [(alice_id, [&alice_name, &room]), (bob_id, [&bob_name, &bob_name])].map(|(id, own)| {
        held(id);
        // What stands in the arguments of a command the system shows to everybody.
        scanner.scan(id).without(&canaries.named(&own.map(String::as_str)))
    });
    (canaries, open, after)
}

#[test]
fn nothing_is_left_when_its_room_ends() {
    let (canaries, open, after) = conversation(&program("subrosa"));
    for (who, found) in ["alice", "bob"].iter().zip(&after) {
        let (hits, scanned) = (found.count(), found.bytes >> 20);
        eprintln!(
            "chat, {who}: {} canaries, {open:?} hits while open, {hits} hits at its end, {scanned} MiB scanned",
            canaries.len()
        );
        assert_eq!(hits, 0, "{who}:\n{}", found.report(&canaries));
    }
}

#[test]
fn the_scan_finds_what_is_not_wiped() {
    let (canaries, _, after) = conversation(&program("examples/unwiped"));
    let hits = after.map(|found| found.canaries());
    eprintln!("chat without wiping: traces of {hits:?} of {} canaries at its end", canaries.len());
    assert!(hits.iter().sum::<usize>() > 2, "a scan that finds nothing where nothing is wiped proves nothing");
}

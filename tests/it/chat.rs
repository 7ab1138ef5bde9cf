//! `subrosa chat` as people and scripts use it: child processes that talk through pipes.

use std::process::Command;

use crate::support::process::Process;
use crate::support::test_server::TestServer;

struct Host {
    server: String,
    pin: String,
    // Keeps the server running.
    _runtime: tokio::runtime::Runtime,
}

fn host() -> Host {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(TestServer::start(&[]));
    let (address, pin) = (server.client_address().to_string(), server.pin().to_string());
    // It runs until its runtime ends.
    std::mem::forget(server);
    Host { server: address, pin, _runtime: runtime }
}

/// Alice in a new room, and the link that lets one person in.
fn alice(host: &Host, more: &[&str]) -> (Process, String) {
    let arguments = ["chat", "create", "--as", "alice", "--server", &host.server, "--pin", &host.pin, "--plain"];
    let alice = Process::start(&[&arguments, more].concat());
    let link = alice.out();
    assert!(link.starts_with("https://127.0.0.1:"), "{link}");
    (alice, link)
}

#[test]
fn two_talk_and_a_third_is_refused() {
    let host = host();
    let (mut alice, link) = alice(&host, &["--name", "tea", "--expires", "2h", "--owner-leaves", "close"]);
    alice.err_with("You opened tea");
    let mut bob = Process::start(&["chat", "join", &link, "--as", "bob", "--plain"]);
    bob.err_with("You are in tea, with one other");
    assert_eq!(bob.out(), "* alice is here");
    assert_eq!(alice.out(), "* bob came in");
    alice.say("hello \u{1b}[31mbob\u{202e}");
    assert_eq!(bob.out(), "<alice> hello \u{fffd}[31mbob\u{fffd}");
    bob.say("/tell alice psst");
    assert_eq!(alice.out(), "[bob to you] psst");

    let carol = Process::start(&["chat", "join", &link, "--as", "carol"]);
    carol.err_with("the server did not accept the invite:");
    assert_eq!(carol.wait().code(), Some(1));

    alice.say("/mebers");
    alice.err_with("/help");
    alice.say("/tell carol hi");
    alice.err_with("nobody here has that name");
    bob.say("/remove alice");
    bob.err_with("only the owner");
    alice.say("/members");
    let (me, other) = (alice.out_starting("* alice (you, owner): "), alice.out_starting("* bob (not verified): "));
    bob.say("/members");
    let seen = bob.out_starting("* alice (not verified, owner): ");
    assert_eq!(me.split_once("): ").unwrap().1, seen.split_once("): ").unwrap().1);
    let words = other.split_once(" | ").unwrap().1;
    alice.say("/verify bob");
    alice.err_with(me.split_once(" | ").unwrap().1);
    alice.say("/verify bob one two three four five six");
    alice.err_with("NOT verified");
    alice.say(&format!("/verify bob {words}"));
    alice.err_with("bob is verified");
    alice.say("/members");
    alice.out_starting("* bob (verified): ");

    alice.say("/invite --forever --expires 10m");
    let forever = alice.out_starting("https://");
    for name in ["carol", "dave"] {
        let mut joiner = Process::start(&["chat", "join", "-", "--as", name]);
        joiner.say(&forever);
        joiner.out_starting("* alice is here");
        joiner.end_input();
        assert_eq!(joiner.wait().code(), Some(0));
        bob.out_starting(&format!("* {name} left"));
    }
    let mut gossip = Process::start(&["chat", "join", &forever, "--as", "eve"]);
    gossip.say("/tell nobody psst");
    gossip.end_input();
    gossip.err_with("some lines were not sent");
    assert_eq!(gossip.wait().code(), Some(1));
    alice.say("/leave");
    assert_eq!(alice.wait().code(), Some(0));
    bob.out_starting("* the room ended because its owner left");
    assert_eq!(bob.wait().code(), Some(0));
}

#[test]
fn everything_piped_in_arrives_before_the_end() {
    let host = host();
    let (alice, link) = alice(&host, &[]);
    let file = std::env::temp_dir().join(format!("subrosa-link-{}", std::process::id()));
    std::fs::write(&file, format!("{link}\n")).unwrap();
    let mut bob = Process::start(&["chat", "join", "--link-file", file.to_str().unwrap(), "--as", "bob"]);
    for n in 0..100 {
        bob.say(&format!("line {n}"));
    }
    bob.end_input();
    assert_eq!(bob.wait().code(), Some(0));
    std::fs::remove_file(file).unwrap();
    for n in 0..100 {
        assert_eq!(alice.out_starting("<bob> "), format!("<bob> line {n}"));
    }
    assert_eq!(alice.out(), "* bob left");
}

/// A chat at a terminal of its own, which `script` makes.
fn at_a_terminal(arguments: &[&str]) -> Process {
    let program = env!("CARGO_BIN_EXE_subrosa");
    let command = arguments.iter().fold(format!("'{program}' chat"), |command, word| format!("{command} '{word}'"));
    Process::spawn(Command::new("script").args(["-qefc", &command, "/dev/null"]))
}

#[test]
fn at_a_terminal_lines_arrive_whole_and_what_is_pasted_is_text() {
    let host = host();
    let (alice, link) = alice(&host, &[]);
    let mut bob = at_a_terminal(&["join", &link, "--as", "bob"]);
    alice.out_starting("* bob came in");
    // A terminal's own line ends after 4,095 bytes.
    let long = "L".repeat(6_000);
    bob.say(&long);
    assert_eq!(alice.out_starting("<bob> "), format!("<bob> {long}"));
    bob.say("slip\x7f\x7f\x7f\x7fsaid");
    assert_eq!(alice.out_starting("<bob> "), "<bob> said");
    bob.say("\x1b[200~one\r/leave\rthree\x1b[201~");
    assert_eq!(alice.out_starting("<bob> "), "<bob> one⏎/leave⏎three");
    bob.say("/leave");
    assert_eq!(alice.out_starting("* "), "* bob left");
}

#[test]
fn a_closed_terminal_leaves_the_room() {
    let host = host();
    let (alice, link) = alice(&host, &[]);
    let mut bob = Process::start(&["chat", "join", &link, "--as", "bob"]);
    alice.out_starting("* bob came in");
    bob.say("about to go");
    alice.out_starting("<bob> about to go");
    // The end of its input comes with the signal, and may be seen first.
    bob.end_input();
    bob.hang_up();
    assert_eq!(alice.out(), "* bob left");
    bob.wait();
}

#[test]
fn a_wrapped_link_is_read_from_standard_input() {
    let host = host();
    let (alice, link) = alice(&host, &[]);
    let (head, tail) = link.split_at(200);
    let mut bob = Process::start(&["chat", "join", "-", "--as", "bob"]);
    bob.say(&format!("Come in: <{head}"));
    bob.say(&format!("{tail}>, and hurry"));
    alice.out_starting("* bob came in");
    bob.say("here");
    assert_eq!(alice.out(), "<bob> here");
}

#[test]
fn what_is_for_one_member_goes_to_no_other() {
    let host = host();
    let (mut alice, link) = alice(&host, &[]);
    let bob = Process::start(&["chat", "join", &link, "--as", "bob"]);
    alice.out_starting("* bob came in");
    alice.say("/invite");
    let second = alice.out_starting("https://");
    let other = Process::start(&["chat", "join", &second, "--as", "bob two"]);
    assert_eq!(alice.out(), "* \"bob two\" came in");
    alice.say("/tell bob two hi");
    alice.err_with("in quotes");
    alice.say("/tell \"bob two\"   hi");
    assert_eq!(other.out_starting("[alice"), "[alice to you]   hi");
    alice.say("/tell \"bob\" two hi");
    assert_eq!(bob.out_starting("[alice"), "[alice to you] two hi");
}

#[test]
fn removing_handing_over_and_changing_the_secret() {
    let host = host();
    let (mut alice, link) = alice(&host, &["--owner-leaves", "transfer"]);
    let mut bob = Process::start(&["chat", "join", &link, "--as", "bob"]);
    alice.out_starting("* bob came in");
    alice.say("/rekey");
    alice.out_starting("* the room has a new secret");
    bob.out_starting("* the room has a new secret");
    alice.say("/owner bob");
    bob.out_starting("* you own the room now");
    alice.out_starting("* bob owns the room now");
    bob.say("/remove alice");
    alice.err_with("the owner removed you");
    assert_eq!(alice.wait().code(), Some(1));
    bob.out_starting("* alice was removed");
    bob.say("/reset-keys");
    bob.err_with("forget all unused links");
    bob.interrupt();
    assert_eq!(bob.wait().code(), Some(0));
}

#[test]
fn what_cannot_work_is_said_clearly() {
    let host = host();
    let says = |arguments: &[&str], part: &str| {
        let process = Process::start(arguments);
        process.err_with(part);
        assert_ne!(process.wait().code(), Some(0), "{arguments:?}");
    };
    let other_pin = "A".repeat(43);
    let create = ["chat", "create", "--as", "alice", "--server", &host.server];
    says(&[&create[..], &["--pin", &other_pin]].concat(), "does not match the pin");
    says(&create, "pin");
    says(&["chat", "create", "--as", "a\tb", "--server", &host.server, "--pin", &host.pin], "that name is not allowed");
    says(&["chat", "create", "--as", "alice", "--server", "ws://localhost"], "wss://");
    says(&["chat", "join", "https://localhost/#AAAA", "--as", "bob"], "not a usable invite link");
    says(&["chat", "join", "--link-file", "/nonexistent/link", "--as", "bob"], "/nonexistent/link");
    let mut nothing = Process::start(&["chat", "join", "-", "--as", "bob"]);
    nothing.end_input();
    nothing.err_with("no link on standard input");
    assert_eq!(nothing.wait().code(), Some(1));
}

#[test]
fn a_signal_before_the_room_ends_the_program_with_a_word() {
    // It takes the connection and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("wss://{}", silent.local_addr().unwrap());
    let chat = Process::start(&["chat", "create", "--as", "alice", "--server", &server, "--pin", &"A".repeat(43)]);
    let _connection = silent.accept().unwrap();
    chat.interrupt();
    chat.err_with("stopped before you were in the room");
    assert_eq!(chat.wait().code(), Some(1));
}

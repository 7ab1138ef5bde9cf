//! `docs/hosting.md`: every row of its troubleshooting tables is brought about, and the program says what the row
//! quotes.

use std::fs;
use std::path::Path;
use std::process::Command;

use subrosa::client::ConnectError;
use subrosa::server::{DEV_CERT, DEV_KEY, Identity};

use crate::support::test_server::{TestServer, folder};

/// The messages that the page quotes, in its order.
fn quoted() -> Vec<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hosting.md")).unwrap();
    let (_, tables) = page.split_once("\n## Troubleshooting\n").expect("the section");
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(message, _)| message.to_owned()).collect()
}

/// What `subrosa` with these arguments says when it cannot do it.
fn says(folder: &Path, arguments: &[&str]) -> String {
    said(Command::new(env!("CARGO_BIN_EXE_subrosa")).args(arguments), folder)
}

fn said(command: &mut Command, folder: &Path) -> String {
    let output = command.current_dir(folder).env_remove("RUST_LOG").output().unwrap();
    assert!(!output.status.success(), "{command:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_the_page_is_one_of_the_program() {
    let (folder, other) = (folder(), folder());
    Identity::development(&folder).unwrap();
    Identity::development(&other).unwrap();
    let other_key = other.join(DEV_KEY).to_str().unwrap().to_owned();
    fs::write(folder.join("wrong.toml"), "listn = 1").unwrap();
    fs::write(folder.join("file"), "").unwrap();
    let serve = |arguments: &[&str]| says(&folder, &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = TestServer::start(&[]).await;
    let here = server.client_address().to_string();
    let chat = |arguments: &[&str]| says(&folder, &[&["chat", "create", "--as", "alice"], arguments].concat());
    let program = env!("CARGO_BIN_EXE_subrosa");
    let few = format!("ulimit -n 300 && exec {program} serve --listen 127.0.0.1:0 --takeover file");

    let brought_about = [
        ("cannot listen on", says(&folder, &["serve", "--listen", &busy.local_addr().unwrap().to_string()])),
        ("No such file or directory", serve(&["--cert", "missing.pem", "--key", DEV_KEY])),
        ("there is no certificate in this file", serve(&["--cert", DEV_KEY, "--key", DEV_KEY])),
        ("there is no private key in this file", serve(&["--cert", DEV_CERT, "--key", DEV_CERT])),
        ("does not belong to the certificate", serve(&["--cert", DEV_CERT, "--key", &other_key])),
        ("belong together", serve(&["--cert", DEV_CERT])),
        ("this is not a socket; choose another path for --takeover", serve(&["--takeover", "file"])),
        ("cannot make the takeover socket", serve(&["--takeover", "missing/socket"])),
        ("there is no such key", serve(&["--config", "wrong.toml"])),
        (
            "there is no such variable",
            said(Command::new(program).arg("serve").env("SUBROSA_SERVE_LISTN", "127.0.0.1:0"), &folder),
        ),
        ("there is no limit named", serve(&["--limit", "room=1"])),
        ("must lie between", serve(&["--limit", "rooms=0"])),
        ("must be at least", serve(&["--limit", "queue_bytes=65536"])),
        ("too few for the", said(Command::new("sh").args(["-c", &few]), &folder)),
        ("cannot reach the server", chat(&["--server", &format!("wss://localhost:{free}")])),
        ("the server's certificate is not trusted", chat(&["--server", &here])),
        ("the server's key does not match the pin", chat(&["--server", &here, "--pin", &"A".repeat(43)])),
        ("this is not a subrosa server", ConnectError::NotSubrosa.to_string()),
    ];
    for (quoted, said) in &brought_about {
        assert!(said.contains(quoted), "{quoted:?} is not in {said:?}");
    }
    assert_eq!(quoted(), brought_about.map(|(quoted, _)| quoted), "the rows of the page");
}

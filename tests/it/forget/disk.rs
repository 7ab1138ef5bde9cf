//! A serving server touches no file: not while rooms come and go, and not when it stops.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::forget::scan::Canaries;
use crate::forget::stage::{Stage, play, strangers};
use crate::support::process::Process;

/// Every call that could open, make, change or remove a file, or start a program; and one that is certain to come.
const CALLS: &str = "trace=/^(open|creat|rename|link|symlink|unlink|mkdir|rmdir|mknod|truncate|ftruncate|fallocate|chmod|fchmod|chown|\
utime|setxattr|mount|execve|memfd_create|fork|vfork|io_uring|accept).*";
const PATIENCE: Duration = Duration::from_secs(30);

/// Follows all threads of a process from now on.
fn strace(stage: &Stage) -> Process {
    let id = stage.server.id();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-e", "signal=none", "-e", CALLS, "-o", "calls", "-p", &id.to_string()])
        .current_dir(&stage.folder);
    let strace = Process::spawn(&mut command);
    let by = Instant::now() + PATIENCE;
    let followed = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    while !fs::read_dir(format!("/proc/{id}/task")).unwrap().all(|task| followed(task.unwrap())) {
        assert!(Instant::now() < by, "strace does not follow the server");
        std::thread::sleep(Duration::from_millis(10));
    }
    strace
}

#[tokio::test]
async fn no_file_is_touched_and_no_log_tells() {
    let stage = Stage::start(&[]);
    let strace = strace(&stage);
    let mut canaries = Canaries::default();
    strangers(&stage, &mut canaries).await;
    let mut plays = Vec::new();
    for _ in 0..8 {
        plays.push(play(&stage, &mut canaries, json!({})).await);
    }
    let id = stage.server.id();

    let open = Command::new("lsof").args(["-nP", "-p", &id.to_string()]).output().unwrap();
    let open = String::from_utf8(open.stdout).unwrap();
    assert!(open.contains("(LISTEN)"), "lsof sees the server:\n{open}");
    assert!(!open.contains("deleted"), "{open}");
    for line in open.lines().filter(|line| line.contains(" REG ")) {
        let descriptor = line.split_whitespace().nth(3).unwrap();
        assert!(matches!(descriptor, "txt" | "mem"), "an open file: {line}");
    }
    for place in ["environ", "cmdline"] {
        let text = String::from_utf8_lossy(&fs::read(format!("/proc/{id}/{place}")).unwrap()).into_owned();
        assert!(!text.contains("PRIVATE KEY") && canaries.within(&text).is_empty(), "{text}");
    }

    for play in &mut plays {
        play.owner.ask("close-room", json!({"room_id": play.room}), "close-room").await;
    }
    drop(plays);
    stage.server.interrupt();
    let Stage { server, folder, .. } = stage;
    let said = server.finish();
    drop(strace.finish());
    let calls = fs::read_to_string(folder.join("calls")).unwrap();
    let (accepted, others): (Vec<_>, Vec<_>) = calls.lines().partition(|line| line.contains("accept4("));
    // The C library may ask how memory is overcommitted; it is refused, and does without.
    let refused =
        |line: &&str| line.contains("O_RDONLY") && !line.contains("O_CREAT") && line.contains(" = -1 EACCES ");
    let others: Vec<_> = others.into_iter().filter(|line| !refused(line)).collect();
    eprintln!(
        "disk: {} connections accepted, {} calls on files or programs, {} lines of log",
        accepted.len(),
        others.len(),
        said.len()
    );
    assert!(accepted.len() > 30, "strace saw {} connections", accepted.len());
    assert_eq!(others, Vec::<&str>::new());

    let log = said.join("\n");
    assert!(log.contains("stopped"), "{log}");
    assert!(canaries.within(&log).is_empty(), "{:?} in {log}", canaries.within(&log));
    assert!(!log.contains("127.0.0.1"), "an address in {log}");
}

//! What a running server has given up, as the kernel tells it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::process::Process;
use crate::support::test_server::folder;

/// The value of a line of `/proc/PID/status`.
fn status(id: u32, task: &str, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{id}/task/{task}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().to_owned()
}

fn served(server: &Process) -> String {
    server.out_starting("Hardened: ")
}

#[test]
fn every_thread_has_given_up_what_it_does_not_need() {
    let server = Process::start_in(&folder(), &["serve", "--listen", "127.0.0.1:0"]);
    let said = served(&server);
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().collect();
    assert!(tasks.len() > 1, "threads of the runtime and the workers");
    for task in tasks {
        let task = task.unwrap().file_name().into_string().unwrap();
        assert_eq!(status(server.id(), &task, "NoNewPrivs"), "1");
        assert_eq!(status(server.id(), &task, "Seccomp"), "2", "filtered: {said}");
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"]);
    for words in ["no memory dumps", "no core files", "locked", "no new privileges", "system calls filtered"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_takeover_works_under_the_hardening() {
    let folder = folder();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--takeover", "socket"];
    let first = Process::start_in(&folder, &arguments);
    served(&first);
    first.out_starting("Open a room");
    let second = Process::start_in(&folder, &arguments);
    second.out_starting("Took over");
    first.err_with("another process has taken over");
    assert!(first.wait().success());
    second.interrupt();
    second.err_with("stopped");
    assert!(second.wait().success());
    assert!(!folder.join("socket").exists(), "a socket that nobody listens at");
}

/// The calls that a hardened process could still make, and a process that is not hardened.
fn calls_that_go_through(arguments: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_subrosa")).with_file_name("examples").join("hardened");
    let output = Command::new(program).args(arguments).output().unwrap();
    let lines: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.last().map(String::as_str), Some("done"), "it ended early ({}): {lines:?}", output.status);
    lines[..lines.len() - 1].to_vec()
}

#[test]
fn the_kernel_refuses_every_system_call_that_a_server_gave_up() {
    assert_eq!(calls_that_go_through(&[]), [""; 0]);
}

/// Otherwise the test above could pass by itself.
#[test]
fn without_hardening_the_kernel_lets_system_calls_through() {
    let through = calls_that_go_through(&["--not-hardened"]);
    for call in ["SYS_execve", "SYS_execveat", "SYS_memfd_create", "openat to write", "mmap of code"] {
        assert!(through.iter().any(|name| name == call), "{call} is not among {through:?}");
    }
}

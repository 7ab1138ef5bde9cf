//! `subrosa` as a child process with pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `subrosa`.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Receiver<String>,
    err: Receiver<String>,
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(&std::env::temp_dir(), arguments)
    }

    /// Starts it in a folder.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_subrosa")).current_dir(folder).args(arguments))
    }

    /// Starts any command with pipes.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        let stdin = child.stdin.take();
        Self { child, stdin, out, err }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next line of its standard output.
    pub(crate) fn out(&self) -> String {
        self.out.recv_timeout(PATIENCE).expect("a line on standard output")
    }

    /// The next line of its standard output that starts with `start`; what came before is skipped.
    pub(crate) fn out_starting(&self, start: &str) -> String {
        loop {
            let line = self.out();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// The next line of its standard error that contains `part`; what came before is skipped.
    pub(crate) fn err_with(&self, part: &str) -> String {
        loop {
            let line =
                self.err.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("a line with {part:?} on standard error"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// What it has written to its standard error and nobody has read.
    pub(crate) fn err_so_far(&self) -> Vec<String> {
        self.err.try_iter().collect()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.stdin = None;
        self.child.wait().unwrap()
    }

    /// Waits for its end; everything that it still said, on either output.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.stdin = None;
        self.child.wait().unwrap();
        // Both end with the process.
        self.out.iter().chain(self.err.iter()).collect()
    }

    /// Asks it to stop, as a terminal does.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Tells it that its terminal was closed.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

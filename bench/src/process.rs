//! What the system says of processes: processor time and memory (`proc(5)`); and what it allows this one.

use procfs::process::Process;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Processor time of a process and its threads since its start, in microseconds. The system counts it in steps of 10
/// ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) user_us: f64,
    pub(super) system_us: f64,
}

impl Usage {
    /// What process `pid` has used; `None` when it has ended.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let stat = process(pid)?.stat().ok()?;
        let tick = 1e6 / procfs::ticks_per_second() as f64;
        let ended = matches!(stat.state, 'Z' | 'X');
        (!ended).then_some(Self { user_us: stat.utime as f64 * tick, system_us: stat.stime as f64 * tick })
    }

    /// What this process has used.
    pub(super) fn own() -> Self {
        Self::of(std::process::id()).unwrap_or_default()
    }

    /// The time since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            user_us: (self.user_us - earlier.user_us).max(0.0),
            system_us: (self.system_us - earlier.system_us).max(0.0),
        }
    }

    /// User and system time together, in microseconds.
    pub(super) fn total_us(self) -> f64 {
        self.user_us + self.system_us
    }
}

/// Memory of a process, in KiB. It excludes what the kernel uses for the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) resident_kib: u64,
    /// The most that was ever resident.
    pub(super) peak_kib: u64,
}

impl Memory {
    /// That of process `pid`; `None` when it has ended.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let status = process(pid)?.status().ok()?;
        Some(Self { resident_kib: status.vmrss?, peak_kib: status.vmhwm? })
    }
}

fn process(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

/// Allows this process, and those that it starts from now on, `files` open files; the bound that holds when that is
/// refused.
pub(super) fn allow_files(files: u64) -> Result<(), u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return Ok(());
    }
    if maximum.is_none_or(|maximum| maximum >= files) {
        let raised = Rlimit { current: Some(files), maximum };
        return setrlimit(Resource::Nofile, raised).map_err(|_| current.unwrap_or(files));
    }
    // Beyond the hard bound only the administrator may go.
    if setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: Some(files) }).is_ok() {
        return Ok(());
    }
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    Err(maximum.unwrap_or(files))
}

/// Lets this thread, and whatever it starts from now on, run on one processor only.
pub(super) fn run_on(cpu: usize) -> std::io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None::<Pid>, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_a_process_until_it_has_ended() {
        let own = std::process::id();
        assert!(Usage::of(own).is_some());
        let memory = Memory::of(own).unwrap();
        assert!(0 < memory.resident_kib && memory.resident_kib <= memory.peak_kib);
        // Nobody has asked how it ended, so the system still lists it.
        let mut ended = std::process::Command::new("true").stdout(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Read::read(&mut ended.stdout.take().unwrap(), &mut [0]).unwrap();
        while Usage::of(ended.id()).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(Memory::of(ended.id()), None);
        ended.wait().unwrap();
        assert_eq!(Usage::of(ended.id()), None);
    }

    #[test]
    fn few_files_are_always_allowed() {
        assert_eq!(allow_files(1), Ok(()));
    }
}

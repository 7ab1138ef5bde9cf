//! What the system says of processes: processor time and memory (`proc(5)`); and what it allows this one.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Processor time of a process and its threads since its start, in microseconds. The system counts it in steps of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) user_us: f64,
    pub(super) system_us: f64,
}

impl Usage {
    /// What process `pid` has used; `None` when it is gone.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// What this process has used.
    pub(super) fn own() -> Self {
        Self::of(std::process::id()).unwrap_or_default()
    }

    fn read(stat: &str) -> Option<Self> {
        // The second field is a name in brackets, which may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let dead = matches!(fields.first(), Some(&("Z" | "X")));
        let tick = 1e6 / rustix::param::clock_ticks_per_second() as f64;
        let time = |at: usize| Some(fields.get(at)?.parse::<u64>().ok()? as f64 * tick);
        (!dead).then_some(Self { user_us: time(11)?, system_us: time(12)? })
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

/// Memory of a process, in KiB. What the kernel holds for its sockets is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) resident_kib: u64,
    /// The most that was ever resident.
    pub(super) peak_kib: u64,
}

impl Memory {
    /// That of process `pid`; `None` when it is gone.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    fn read(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
        };
        Some(Self { resident_kib: field("VmRSS")?, peak_kib: field("VmHWM")? })
    }
}

/// Allows this process, and those that it starts from now on, `files` open files; the bound that holds when that is refused.
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
    fn reads_what_the_system_writes() {
        let tick = 1e6 / rustix::param::clock_ticks_per_second() as f64;
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0";
        assert_eq!(Usage::read(stat), Some(Usage { user_us: 250.0 * tick, system_us: 50.0 * tick }));
        assert_eq!(Usage::read(&stat.replace(" S ", " Z ")), None);
        assert_eq!(Usage::read("7 (a"), None);
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n";
        assert_eq!(Memory::read(status), Some(Memory { resident_kib: 1024, peak_kib: 2048 }));
        assert_eq!(Memory::read("Name:\tx\n"), None);
        assert!(Memory::of(std::process::id()).unwrap().resident_kib > 0);
        assert!(Usage::of(std::process::id()).is_some());
    }

    #[test]
    fn few_files_are_always_allowed() {
        assert_eq!(allow_files(1), Ok(()));
    }
}

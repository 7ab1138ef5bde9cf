//! The default for `memory_bytes`: half of the memory of this machine, its control group and its resource limits,
//! whichever is least.
//!
//! Read at the start, before the sandbox closes.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::protocol::limits::Limits;

/// A version 1 memory controller writes a number like this for "no limit" (a page-aligned `i64::MAX`).
const NO_LIMIT: u64 = 1 << 60;
/// What a machine that tells nothing is taken to have, in bytes.
const UNKNOWN: u64 = 1 << 30;

/// The limits, with `memory_bytes` chosen where the host did not choose it.
pub(super) fn bounded(mut limits: Limits) -> Limits {
    if limits.memory_bytes == 0 {
        limits.memory_bytes = usable();
    }
    limits
}

/// Half of the smallest bound on this process's memory, in bytes: the machine's, that of each control group up to the
/// root (versions 1 and 2), and the process's own limits.
fn usable() -> u64 {
    let limits = [Resource::As, Resource::Data].into_iter().filter_map(|resource| getrlimit(resource).current);
    let read = |path: &Path| fs::read_to_string(path).ok();
    machine(read).chain(limits).min().unwrap_or(UNKNOWN) / 2
}

/// The bounds that files tell, in bytes.
fn machine(read: impl Fn(&Path) -> Option<String> + Copy) -> impl Iterator<Item = u64> {
    let total = read(Path::new("/proc/meminfo")).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?.trim();
        line.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups: Vec<u64> = groups.lines().flat_map(|line| group(line, read)).collect();
    total.into_iter().chain(groups)
}

/// The bounds of one line of `/proc/self/cgroup`: `ID:CONTROLLERS:PATH` (cgroups(7)).
fn group(line: &str, read: impl Fn(&Path) -> Option<String>) -> Vec<u64> {
    let mut fields = line.splitn(3, ':');
    let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (roots, files): (&[&str], &[&str]) = if id == "0" && controllers.is_empty() {
        (&["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], &["memory.max", "memory.high"])
    } else if controllers.split(',').any(|controller| controller == "memory") {
        (&["/sys/fs/cgroup/memory"], &["memory.limit_in_bytes"])
    } else {
        return Vec::new();
    };
    let mut bounds = Vec::new();
    for root in roots {
        let mut at = Path::new(path.trim_start_matches('/'));
        loop {
            let numbers = files.iter().filter_map(|file| read(&Path::new(root).join(at).join(file)));
            bounds.extend(numbers.filter_map(|text| text.trim().parse::<u64>().ok()).filter(|bytes| *bytes < NO_LIMIT));
            let Some(above) = at.parent() else { break };
            at = above;
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[(&str, &str)]) -> Option<u64> {
        machine(|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned())).min()
    }

    #[test]
    fn the_machine_alone() {
        assert_eq!(told(&[("/proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\n")]), Some(2 << 20));
        assert_eq!(told(&[("/proc/meminfo", "nothing of the kind")]), None);
    }

    #[test]
    fn the_smallest_bound_on_the_way_to_the_root_counts() {
        let files = [
            ("/proc/meminfo", "MemTotal: 8388608 kB"),
            ("/proc/self/cgroup", "0::/system.slice/subrosa.service\n"),
            ("/sys/fs/cgroup/system.slice/subrosa.service/memory.max", "max\n"),
            ("/sys/fs/cgroup/system.slice/subrosa.service/memory.high", "1073741824\n"),
            ("/sys/fs/cgroup/system.slice/memory.max", "536870912\n"),
        ];
        assert_eq!(told(&files), Some(536_870_912));
    }

    #[test]
    fn both_versions_together() {
        let files = [
            ("/proc/meminfo", "MemTotal: 8388608 kB"),
            ("/proc/self/cgroup", "9:cpu,cpuacct:/a\n4:memory:/a/b\n0::/c\n"),
            ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "268435456\n"),
            ("/sys/fs/cgroup/unified/c/memory.max", "1073741824\n"),
            ("/sys/fs/cgroup/cpu/a/memory.max", "1\n"),
        ];
        assert_eq!(told(&files), Some(268_435_456));
    }

    #[test]
    fn this_machine_tells_something() {
        let usable = usable();
        assert!(usable > 1 << 20 && usable < 1 << 50, "{usable}");
    }
}

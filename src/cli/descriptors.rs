//! The number of files and sockets that this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those of the connections: the port, the event loops, the log.
const OTHERS: u64 = 256;

/// Raises the soft limit to the hard one. Returns a warning when that is too low for so many `connections`.
pub(super) fn raise(connections: u64) -> Option<String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let allowed = if raised.is_ok() { maximum } else { current }?;
    (allowed < connections.saturating_add(OTHERS)).then(|| {
        format!(
            "this process may open {allowed} files and sockets, too few for the {connections} connections of its limit; raise the hard \
             limit (LimitNOFILE, ulimit -Hn), or set --limit connections"
        )
    })
}

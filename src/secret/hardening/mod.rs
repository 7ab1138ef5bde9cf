//! Gives up, at start, what a relay never needs, so that a fault in it is worth less to whoever finds one.
//!
//! [`harden`] is called once, by the main thread, when every file is read and the port is bound, and before there is any other thread: each
//! thread inherits what its maker gave up. What a system does not offer is reported and done without, unless the host insists
//! ([`Hardening::insist`]).

mod linux;
mod measure;
mod system_calls;

use std::path::Path;

pub use measure::{Hardening, Incomplete, Measure};

/// Gives up what is not needed any more. `sockets` is the one folder in which local sockets may still be made, renamed and removed.
pub fn harden(sockets: Option<&Path>) -> Hardening {
    Hardening(linux::measures(sockets))
}

/// Keeps this process's memory from others of the same user and out of core files, as far as the system can: for clients, which need
/// files and connections.
pub fn conceal() {
    linux::conceal();
}

//! Gives up, at the start, the rights that a server never needs, so that an attacker who takes over the process gains
//! less.
//!
//! The main thread calls [`harden`] once: after it has read every file and bound the port, and before it starts another
//! thread. Each thread inherits the restrictions of the thread that started it. If a system lacks a measure, the server
//! reports this and continues, unless the host insists ([`Hardening::insist`]).

mod linux;
mod measure;
mod system_calls;

use std::path::Path;

pub use measure::{Hardening, Incomplete, Measure};

/// Gives up all rights that the server no longer needs. `sockets` is the one folder in which it may still make, rename
/// and remove Unix sockets.
pub fn harden(sockets: Option<&Path>) -> Hardening {
    Hardening(linux::measures(sockets))
}

/// Protects this process's memory from other processes of the same user, and keeps it out of core files, as far as the
/// system can. For clients, which need files and connections.
pub fn conceal() {
    linux::conceal();
}

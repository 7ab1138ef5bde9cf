//! The C library's heap: how freed memory goes back to the system.
//!
//! With many threads the heap keeps what was freed once, however much it was: its own thresholds only look at the end
//! of an arena.
#![allow(unsafe_code, reason = "a call of the C library that has no safe form")]

/// Gives freed memory back to the system. A thread that allocates meanwhile waits about 0.05 ms for each MiB.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes a number and touches only memory that is free (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

//! The C library's heap: how many arenas it keeps, and how freed memory goes back to the system.
//!
//! With many threads the heap keeps what was freed once, however much it was: its own thresholds only look at the end
//! of an arena.
#![allow(unsafe_code, reason = "two calls of the C library that have no safe form")]

/// Bounds the number of arenas. Call it before threads are started.
pub fn bound_arenas(count: usize) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let count = libc::c_int::try_from(count).unwrap_or(libc::c_int::MAX);
        // SAFETY: `mallopt` takes two numbers and changes a setting of the heap (mallopt(3)).
        unsafe { libc::mallopt(libc::M_ARENA_MAX, count) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = count;
}

/// Gives freed memory back to the system. A thread that allocates meanwhile waits about 0.05 ms for each MiB.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes a number and touches only memory that is free (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether this heap can give memory back.
pub const fn can_trim() -> bool {
    cfg!(all(target_os = "linux", target_env = "gnu"))
}

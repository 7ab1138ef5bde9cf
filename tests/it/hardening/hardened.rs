//! Hardens itself like a server, and then tries every system call that SECURITY.md says a server gave up. It prints the
//! name of each call that the kernel did not refuse with `EPERM`, and at last `done`.
//!
//! The list stands here once more on purpose: a call that is missing in the program's own list must not be missing
//! here, too.
#![allow(unsafe_code, reason = "the system calls are made as an intruder would make them")]
#![allow(clippy::print_stdout, reason = "the test reads it")]

use std::io::Write;

use libc::{c_long, syscall};

macro_rules! calls {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

const REFUSED: &[(&str, c_long)] = calls! {
    SYS_execve SYS_execveat SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_process_madvise SYS_pidfd_getfd SYS_kcmp
    SYS_openat2 SYS_open_by_handle_at SYS_name_to_handle_at SYS_mkdirat SYS_mknodat SYS_linkat SYS_symlinkat SYS_truncate SYS_fchownat
    SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_memfd_create SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register
    SYS_mount SYS_umount2 SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick SYS_pivot_root SYS_chroot SYS_unshare
    SYS_setns
    SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setgroups SYS_capset SYS_personality
    SYS_bpf SYS_perf_event_open SYS_userfaultfd SYS_add_key SYS_request_key SYS_keyctl SYS_fanotify_init SYS_quotactl SYS_acct SYS_swapon
    SYS_swapoff SYS_reboot SYS_kexec_load SYS_init_module SYS_finit_module SYS_delete_module SYS_syslog SYS_settimeofday SYS_clock_settime
    SYS_adjtimex SYS_clock_adjtime SYS_sethostname SYS_setdomainname
    SYS_renameat SYS_renameat2 SYS_unlinkat SYS_fchmodat SYS_fchmod
};

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[(&str, c_long)] = calls! {
    SYS_fork SYS_vfork SYS_creat SYS_mkdir SYS_rmdir SYS_mknod SYS_link SYS_symlink SYS_chown SYS_lchown SYS_kexec_file_load SYS_iopl
    SYS_ioperm SYS_modify_ldt SYS_uselib SYS_rename SYS_unlink SYS_chmod
};
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[(&str, c_long)] = &[];

/// Tried without the hardening, too.
const HARMLESS: &[&str] = &["SYS_execve", "SYS_execveat", "SYS_memfd_create"];

fn main() {
    let hardened = !std::env::args().any(|argument| argument == "--not-hardened");
    if hardened {
        subrosa::secret::hardening::harden(None);
    }
    let say = |line: &str| {
        println!("{line}");
        let _ = std::io::stdout().flush();
    };
    let report = |name: &str, result: c_long| {
        let error = std::io::Error::last_os_error();
        if result != -1 || error.raw_os_error() != Some(libc::EPERM) {
            say(name);
        }
    };
    for (name, number) in REFUSED.iter().chain(REFUSED_HERE) {
        if !hardened && !HARMLESS.contains(name) {
            continue;
        }
        // A call that goes through must do no harm: minus one is no pointer, no size, no descriptor, and leaves a user
        // id as it is. SAFETY: refused, or without effect on the memory of this process.
        let result = unsafe { syscall(*number, -1, -1, -1, -1, -1, -1) };
        if result == 0 && name.ends_with("fork") {
            // The process that should not exist.
            std::process::exit(1);
        }
        report(name, result);
    }
    let null = c"/dev/null".as_ptr();
    for (name, flags) in [
        ("openat to write", libc::O_WRONLY),
        ("openat to read and write", libc::O_RDWR),
        ("openat to create", libc::O_CREAT),
        ("openat to truncate", libc::O_TRUNC),
        ("openat of an unnamed file", libc::O_TMPFILE & !libc::O_DIRECTORY),
    ] {
        // SAFETY: the path is a string that lives as long as the program.
        report(name, unsafe { syscall(libc::SYS_openat, libc::AT_FDCWD, null, flags, 0o600) });
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        report(&name.replace("openat", "open"), unsafe { syscall(libc::SYS_open, null, flags, 0o600) });
    }
    let code = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a new mapping, at a place that the kernel chooses.
    report("mmap of code", unsafe {
        syscall(libc::SYS_mmap, 0, 4096, code, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    });
    // SAFETY: nothing is mapped at zero, so nothing changes.
    report("mprotect to code", unsafe { syscall(libc::SYS_mprotect, 0, 4096, code) });
    say("done");
}

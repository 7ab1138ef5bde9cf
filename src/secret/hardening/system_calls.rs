//! The system calls that a server never needs. They fail with `EPERM`.
//!
//! All other calls are allowed. A list of allowed calls would change with every version of the C library, and a mistake
//! in it would end rooms. This list contains the calls that an intruder wants: to start programs, to reach other
//! processes and files, and to use rare parts of the kernel.

use std::collections::BTreeMap;

use libc::{O_ACCMODE, O_CREAT, O_TMPFILE, O_TRUNC, PROT_EXEC, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// Refused with any arguments.
const NEVER: &[c_long] = &[
    // Other programs and processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Making, changing and removing files. Opening for writing is below.
    libc::SYS_openat2,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_memfd_create,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Mounts, roots, namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Users, groups and capabilities.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    // The kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// Needed to name and to remove a Unix socket; refused if there is none.
const FOR_SOCKETS: &[c_long] =
    &[libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_unlinkat, libc::SYS_fchmodat, libc::SYS_fchmod];

/// The older calls of this architecture for the same things.
#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_creat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[c_long] = &[];

#[cfg(target_arch = "x86_64")]
const FOR_SOCKETS_HERE: &[c_long] = &[libc::SYS_rename, libc::SYS_unlink, libc::SYS_chmod];
#[cfg(not(target_arch = "x86_64"))]
const FOR_SOCKETS_HERE: &[c_long] = &[];

/// Installs the filter for this thread and the threads that it starts. `sockets`: Unix sockets may be named and
/// removed.
pub(super) fn filter(sockets: bool) -> Result<String, String> {
    let program = program(sockets).map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())?;
    Ok("system calls filtered".to_owned())
}

fn program(sockets: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut refuse = |calls: &[c_long]| rules.extend(calls.iter().map(|call| (*call, Vec::new())));
    refuse(NEVER);
    refuse(NEVER_HERE);
    if !sockets {
        refuse(FOR_SOCKETS);
        refuse(FOR_SOCKETS_HERE);
    }
    rules.insert(libc::SYS_openat, writing(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, writing(1)?);
    // Executable memory: all code is loaded already.
    let code = flag(2, PROT_EXEC)?;
    rules.insert(libc::SYS_mmap, vec![code.clone()]);
    rules.insert(libc::SYS_mprotect, vec![code]);
    let refusal = SeccompAction::Errno(libc::EPERM as u32);
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture)?.try_into()
}

/// Rules that match an open call, whose flags are argument number `flags`, for anything but reading what is there.
fn writing(flags: u8) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let mut rules = Vec::new();
    // O_WRONLY is 1 and O_RDWR 2: either bit of the access mode means writing.
    for bit in [O_ACCMODE & 1, O_ACCMODE & 2, O_CREAT, O_TRUNC, O_TMPFILE & !libc::O_DIRECTORY] {
        rules.push(flag(flags, bit)?);
    }
    Ok(rules)
}

/// A rule that matches when `bit` is set in an argument.
fn flag(argument: u8, bit: libc::c_int) -> Result<SeccompRule, seccompiler::BackendError> {
    let bit = bit as u64;
    let set = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit)?;
    SeccompRule::new(vec![set])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_can_be_built_with_and_without_sockets() {
        let (with, without) = (program(true).unwrap(), program(false).unwrap());
        assert!(with.len() < without.len());
        // The kernel's maximum (BPF_MAXINSNS).
        assert!(without.len() <= 4096, "{} instructions", without.len());
    }
}

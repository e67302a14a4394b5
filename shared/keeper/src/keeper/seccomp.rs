//! What a task may not ask of the kernel at all, by seccomp: calls that change the machine and not the task. No
//! program that computes something needs them, and a task may run as root. A kernel without seccomp refuses less
//! and is no reason not to run a task.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Answered with "operation not permitted", as they are to users without rights.
const REFUSED: &[libc::c_long] = &[
    // File systems, and views of them.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    libc::SYS_open_by_handle_at,
    // Namespaces, in which a task would be root over more than it should see.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself, its clock, its swap and its name.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Ways into the kernel that most faults of the last years were in.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    // Keys of others.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
];

/// The filter, ready to be put in force by the child; none for a processor that nobody has described.
pub(super) fn build() -> Option<BpfProgram> {
    let refused = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let no = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let processor = std::env::consts::ARCH.try_into().ok()?;
    SeccompFilter::new(refused, SeccompAction::Allow, no, processor).ok()?.try_into().ok()
}

/// Binds the calling process and all that come from it.
pub(super) fn restrict_self(filter: &BpfProgram) {
    // It can only fail where the kernel has no seccomp, which is known by the time a task runs.
    let _ = apply_filter(filter);
}

//! What of the fence the kernel of this machine provides.

use std::fmt;

use crate::memory;

/// What keeps the tasks of this machine to themselves, beside limits and the rights of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fences {
    /// The form of Landlock that the kernel has.
    pub landlock: Option<u32>,
    /// It filters calls by seccomp.
    pub seccomp: bool,
    /// It counts the memory of each task in a control group.
    pub groups: bool,
}

/// Asks the kernel.
#[must_use]
#[allow(unsafe_code, reason = "the crate landlock does not tell the form that it found")]
pub fn fences() -> Fences {
    const ASK_FOR_THE_FORM: libc::c_uint = 1;
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: With this flag and without attributes the call reads nothing and answers a number.
    let form =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, ASK_FOR_THE_FORM) };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    Fences {
        landlock: u32::try_from(form).ok().filter(|form| *form > 0),
        seccomp: status.contains("\nSeccomp:"),
        groups: memory::has_groups(),
    }
}

impl fmt::Display for Fences {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            Some(form) => write!(out, "Landlock {form}")?,
            None => out.write_str("no Landlock")?,
        }
        let seccomp = if self.seccomp { "seccomp" } else { "no seccomp" };
        let memory = if self.groups { "cgroup and rlimit" } else { "rlimit" };
        write!(out, ", {seccomp}, no new privileges, rlimits, memory by {memory}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_provides_is_told_in_words() {
        let told = |landlock, there| Fences { landlock, seccomp: there, groups: there }.to_string();
        let all = "Landlock 6, seccomp, no new privileges, rlimits, memory by cgroup and rlimit";
        assert_eq!(told(Some(6), true), all);
        let none = "no Landlock, no seccomp, no new privileges, rlimits, memory by rlimit";
        assert_eq!(told(None, false), none);
    }
}

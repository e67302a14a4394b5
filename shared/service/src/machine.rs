//! The machine that this program runs on.

/// Its name, as the kernel has it.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map(|name| name.trim().to_owned()).unwrap_or_else(|_| "unknown".to_owned())
}

//! What the system says about processes: how much processor time they took and how much memory they hold.

use nix::unistd::{SysconfVar, sysconf};

use super::StackError;

/// Processor seconds that a process has taken so far, all its threads together.
pub fn cpu_seconds(pid: u32) -> Result<f64, StackError> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|e| StackError::Text(format!("{path}: {e}")))?;
    // The second field is the program's name in brackets and may hold anything; user and system time are
    // the 14th and 15th.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Ok(ticks as f64 / per_second as f64)
}

/// Megabytes of memory that a process holds.
pub fn memory_mb(pid: u32) -> Result<f64, StackError> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|e| StackError::Text(format!("{path}: {e}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse::<f64>().ok());
    Ok(kilobytes.unwrap_or(0.0) / 1024.0)
}

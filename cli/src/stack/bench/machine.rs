//! What the figures were measured on.

use serde::{Deserialize, Serialize};

/// The machine, as far as it matters for the figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Its processor.
    pub processor: String,
    /// How many of its cores we may use.
    pub cores: usize,
    /// Its memory.
    pub memory_mb: u64,
    /// Its system.
    pub system: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let line = |path: &str, field: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let value = text.lines().find(|line| line.starts_with(field));
            value
                .and_then(|line| line.split_once(':'))
                .map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let memory = line("/proc/meminfo", "MemTotal");
        let kilobytes = memory.split_whitespace().next().and_then(|text| text.parse::<u64>().ok());
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mb: kilobytes.unwrap_or(0) / 1024,
            system: format!("Linux {}", release.trim()),
        }
    }
}

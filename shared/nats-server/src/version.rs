//! The version of a broker binary: parsing, comparing, and the one version that Tasklane is checked with.

use std::fmt;

/// The version that is fetched, and the oldest that is accepted from anywhere else.
pub const PINNED: Version = Version { major: 2, minor: 15, patch: 1 };

/// A broker's version. The order is that of the three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Counts breaking changes.
    pub major: u32,
    /// Counts releases with new features.
    pub minor: u32,
    /// Counts releases with fixes alone.
    pub patch: u32,
}

impl Version {
    /// Reads `2.15.1` or `v2.15.1`. A suffix such as `-RC.2` or `+build` is dropped, so a release candidate
    /// counts as its release: whoever runs one chose it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let numbers = text.split(['-', '+']).next()?;
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().ok());
        let version = Version { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }

    /// Reads what `nats-server --version` prints: `nats-server: v2.15.1`. The name is required, so that some
    /// other program that has a `--version` is not taken for a broker.
    #[must_use]
    pub fn from_banner(output: &str) -> Option<Version> {
        Version::parse(output.lines().next()?.strip_prefix("nats-server:")?)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

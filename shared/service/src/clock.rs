//! The only place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Milliseconds since an arbitrary moment; never jumps.
#[derive(Debug, Clone, Copy)]
pub struct Ticks(tokio::time::Instant);

impl Ticks {
    /// Counts from here.
    pub fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// Milliseconds since it began.
    pub fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

//! Waiting for a condition: looked at again and again, never slept for, and a time-out says what was seen last.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

/// Long enough for a loaded machine; reached only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` gives `Ok`; panics with the last `Err` when patience ends.
pub async fn until<T, S: Debug, F: Future<Output = Result<T, S>>>(what: &str, look: impl FnMut() -> F) -> T {
    within(PATIENCE, what, look).await
}

/// The same with other patience, where the time itself is what is promised.
pub async fn within<T, S, F>(patience: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    S: Debug,
    F: Future<Output = Result<T, S>>,
{
    let began = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > patience => {
                panic!("not within {patience:?}: {what}; seen last: {seen:?}")
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

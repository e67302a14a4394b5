//! `provision`: makes the broker equal the topology, once, and ends. Safe to run again at any time.

use service::{Context, RunError};
use wire::topology;

/// Creates what is missing, changes what differs, and says what it did.
pub async fn run(context: Context) -> Result<(), RunError> {
    let streams = topology::streams(context.settings.sizes);
    let done = broker::provision::provision(&context.broker, &streams).await.map_err(RunError::from_text)?;
    for drift in done {
        tracing::info!(stream = drift.stream, was = drift.what, "provisioned");
    }
    Ok(())
}

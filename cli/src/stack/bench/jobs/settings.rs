//! How soon a changed setting acts.

use std::time::Duration;

use domain::Timestamp;
use serde_json::Value;
use service::clock;

use super::client::JobsClient;
use super::order::until_completed;
use crate::stack::StackError;
use crate::stack::bench::stats::Quantiles;

/// Raises `max_jobs` from 0 while a job waits, so many times: from the request to the claim.
pub async fn measure(client: &JobsClient, changes: usize) -> Result<Quantiles, StackError> {
    client.set("max_jobs", 0).await?;
    client.set("priority_slots", 0).await?;
    let before = client.completed().await?;
    let mut times = Vec::with_capacity(changes);
    for done in 1..=changes {
        client.submit(0, 5).await?;
        let asked = clock::now();
        client.set("max_jobs", 1).await?;
        until_completed(client, before + done as u64).await?;
        client.set("max_jobs", 0).await?;
        let newest = client.ask(0, http::Method::GET, "/tasklane/v1/tasks?limit=1", None).await?;
        let claimed = newest.pointer("/tasks/0/assigned_at").cloned().unwrap_or(Value::Null);
        let claimed: Timestamp = serde_json::from_value(claimed).map_err(StackError::text)?;
        let micros = u64::try_from(claimed.micros() - asked.micros());
        times.push(Duration::from_micros(
            micros.map_err(|_| StackError::Text("claimed too early".to_owned()))?,
        ));
    }
    Ok(Quantiles::of(&times))
}

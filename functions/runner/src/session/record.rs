//! The record of a session: written when its process is up and when it has ended, by nobody but its runner.

use std::time::Duration;

use domain::{SessionId, SessionKind, SessionOf, SessionState, Task, Timestamp};
use service::clock;
use tokio::task::JoinHandle;
use wire::records::SessionRecord;
use wire::topology::session_key;

use crate::Runner;

/// How long the record of an ended session is kept: as long as logs.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A record on its way into the bucket. Nobody waits for it: a session runs its tasks whether or not people can
/// see its record.
#[derive(Debug)]
pub struct Recorded {
    record: SessionRecord,
    written: JoinHandle<()>,
}

impl Recorded {
    /// Writes the record of a session that is up.
    pub fn begin(runner: &Runner, record: SessionRecord) -> Self {
        let written = tokio::spawn(write(runner.sessions.clone(), record.clone(), None));
        Self { record, written }
    }

    /// Writes how it ended, after the first write so that the two can't change places.
    pub async fn end(self, runner: &Runner, at: Timestamp, state: SessionState, tasks: u32, message: String) {
        // A failed first write has been told; the second one says more anyway.
        let _ = self.written.await;
        let record =
            SessionRecord { state, tasks, ended_at: Some(at), message: Some(message), ..self.record };
        write(runner.sessions.clone(), record, Some(KEPT)).await;
    }
}

/// Writes the record of a session that never was up.
pub async fn failed(runner: &Runner, record: SessionRecord) {
    write(runner.sessions.clone(), record, Some(KEPT)).await;
}

/// Writes that somebody ended the process of a task that has one of its own.
pub async fn record_ended(runner: &Runner, task: &Task, why: String) {
    let now = clock::now();
    let record = SessionRecord {
        id: task.session.unwrap_or(SessionId(task.id.0)),
        kind: SessionKind::Task,
        state: SessionState::Terminated,
        of: SessionOf::task(task),
        runner: runner.id,
        host: runner.origin.host.clone(),
        created_at: task.assigned_at.unwrap_or(task.created_at),
        started_at: task.running_at,
        ended_at: Some(now),
        tasks: 1,
        message: Some(why),
        process_of: Some(task.key()),
    };
    write(runner.sessions.clone(), record, Some(KEPT)).await;
}

async fn write(bucket: broker::Bucket<SessionRecord>, record: SessionRecord, keep: Option<Duration>) {
    let key = session_key(&record.of.tenant, record.id);
    if let Err(error) = bucket.put(&key, &record, keep).await {
        tracing::warn!(session = %record.id, %error, "a session's record could not be written");
    }
}

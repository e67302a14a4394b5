//! What the log of a job tells of the requests that made and changed it. A note that can't be stored is no reason
//! to refuse what was asked.

use domain::jobs::Job;
use domain::{Caller, TaskKey, TaskState, Timestamp};
use wire::runner::{LogLine, LogSource};
use wire::subjects;

use crate::create::Created;
use crate::forward::Forward;

impl Forward {
    /// The first row of a job, and when it is to run if that is not now.
    pub(crate) async fn note_created(&self, caller: &Caller, created: &Created, asked: Option<String>) {
        if created.repeated {
            return;
        }
        let task = &created.task;
        let key = TaskKey { tenant: (&caller.tenant).into(), id: task.id, run: task.run };
        self.note_asked(&key, task.created_at, asked).await;
        if task.state == TaskState::Scheduled {
            let text = will_run(domain::jobs::run_at(task));
            self.note(&key, task.created_at, LogSource::Scheduler, text).await;
        }
    }

    /// The row of a request.
    pub(crate) async fn note_asked(&self, key: &TaskKey, at: Timestamp, asked: Option<String>) {
        if let Some(asked) = asked {
            self.note(key, at, LogSource::Api, asked).await;
        }
    }

    /// One row.
    pub(crate) async fn note(&self, key: &TaskKey, at: Timestamp, source: LogSource, text: String) {
        let line = LogLine { source, ..LogLine::new(at, text) };
        if let Err(error) = self.broker.append(subjects::notes(key), &line).await {
            tracing::warn!(%key, %error, "a note on a job could not be stored");
        }
    }
}

/// The key of a job.
pub fn key_of(job: &Job) -> TaskKey {
    TaskKey { tenant: job.tenant.clone(), id: job.task.id, run: job.task.run }
}

/// The text is the documented one (reference/symetry_task_engine.md B5).
pub fn will_run(at: Timestamp) -> String {
    format!("Job will run at: \"{}\"", at.format("%Y-%m-%dT%H:%M:%S.%3f"))
}

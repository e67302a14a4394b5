//! Records of jobs, written in bulk as `create` would write them: a million jobs that have run would take an hour.

use broker::{Broker, Bucket, Credentials};
use domain::{Task, TaskId};
use futures_util::StreamExt;
use serde_json::{Value, json};
use service::clock;
use wire::Function;
use wire::topology::{TASKS, task_key};

use crate::stack::StackError;
use crate::stack::bench::stack::OwnStack;
use crate::stack::dev::TENANT;

/// Records that are on their way at once.
const AT_ONCE: usize = 512;

/// Writes records in the place of `create`.
pub struct Records {
    bucket: Bucket<Task>,
}

impl Records {
    /// With the credentials of `create`.
    pub async fn open(stack: &OwnStack) -> Result<Self, StackError> {
        let path = stack.files.keys().join(format!("{}.nk", Function::Create));
        let seed = std::fs::read_to_string(&path).map_err(|e| StackError::file(&path, &e))?;
        let credentials = Credentials { function: Function::Create, seed: seed.trim().to_owned() };
        let broker = Broker::connect(&stack.nats, &credentials).await.map_err(StackError::text)?;
        Ok(Self { bucket: Bucket::new(&broker, TASKS) })
    }

    /// Writes so many jobs, each with what `more` says of it.
    pub async fn write(&self, count: usize, more: impl Fn(usize) -> Value) -> Result<(), StackError> {
        let writes = (0..count).map(|index| {
            let task = task(more(index));
            async move {
                let task = task?;
                self.bucket
                    .write(&task_key(&task.key()), 0, &task)
                    .await
                    .map_err(|e| StackError::Text(format!("{e:?}")))
            }
        });
        let mut writes = futures_util::stream::iter(writes).buffer_unordered(AT_ONCE);
        while let Some(written) = writes.next().await {
            written?;
        }
        Ok(())
    }
}

fn task(more: Value) -> Result<Task, StackError> {
    let id = TaskId(service::ids::random().map_err(StackError::text)?);
    let now = clock::now();
    let mut task = json!({
        "id": id, "origin": "task_engine", "tenant": TENANT, "user": "admin", "app": "bench-jobs", "version": "1.0",
        "service": "bench", "runtime": "noop", "bundle": "", "lane": "jobs", "priority": 5, "position": 1,
        "state": "completed", "phase": "running", "epoch": 1, "retry_limit": 3, "created_at": now,
        "updated_at": now, "assigned_at": now, "running_at": now, "ended_at": now, "return_code": 0,
        "input": { "content_type": "application/json", "size": 23, "text": "{\"content_id\":\"abc123\"}" },
        "workflow": { "steps": ["run"], "done": 1, "failures": 0, "retry_limit": 3, "retry_delay_ms": 5000 },
        "request_digest": "",
    });
    if let (Some(task), Value::Object(more)) = (task.as_object_mut(), more) {
        task.extend(more);
    }
    serde_json::from_value(task).map_err(StackError::text)
}

//! Which run of a task a caller means. Most tasks have one; of a recurring one the last is meant unless the
//! caller names another.

use broker::{Broker, Tasks};
use domain::{Caller, Task, TaskId, TaskKey, TaskState};
use wire::Error;
use wire::calls::status::{StatusReply, StatusRequest};

/// The record that a caller means, with its revision. A deleted one is not there.
pub async fn find(
    broker: &Broker,
    tasks: &Tasks,
    caller: &Caller,
    id: TaskId,
    run: Option<u32>,
) -> Result<(u64, Task), Error> {
    let missing = || Error::task_not_found(id);
    let key = TaskKey { tenant: (&caller.tenant).into(), id, run: run.unwrap_or(0) };
    let (mut revision, mut task) = tasks.get(&key).await?.ok_or_else(missing)?;
    let recurs = task.timing.as_ref().is_some_and(|timing| timing.every.is_some());
    if run.is_none() && recurs {
        let request = StatusRequest::LastRun { key: key.clone() };
        let StatusReply::LastRun(Some(last)) = broker.call(&request).await? else { return Err(missing()) };
        let key = key.of_run(last);
        (revision, task) = tasks.get(&key).await?.ok_or_else(missing)?;
    }
    if task.state == TaskState::Deleted { Err(missing()) } else { Ok((revision, task)) }
}

//! Starting a stream task: its app, its topics and its lane are looked at in this order, and what is wrong is told
//! to the caller and written down with the task.

use std::sync::Arc;
use std::time::Duration;

use broker::Known;
use domain::access::rights_on;
use domain::kafka::{Kafka, SERVERS};
use domain::list::Summary;
use domain::task::input::{Input, Program, Refusal};
use domain::task::state::Runtime;
use domain::{Caller, Right, Task, TaskKey, TaskState};
use service::clock;
use tokio::time::Instant;
use wire::calls::schedule::{ScheduleReply, ScheduleRequest};
use wire::calls::topics::TopicsRequest;
use wire::{Code, Error, streams};

use crate::Amend;

/// How long the lane is waited for. A task that it has not decided on by then simply waits in it.
const DECIDED: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(15);

impl Amend {
    pub(crate) async fn start(&self, caller: &Caller, revision: u64, task: Task) -> Result<Summary, Error> {
        if task.runtime != Runtime::Stream {
            return Err(Refusal::NotAStream.into());
        }
        if task.state != TaskState::Stopped {
            return Ok(Summary::from(&task));
        }
        let key = task.key();
        let program = match self.prepare(caller, &task).await {
            Ok(program) => program,
            Err(error) => {
                self.not_started(&key, &error).await;
                return Err(error);
            }
        };
        let known = Known::Record(revision, Arc::new(task));
        let applied = self.tasks.apply(&key, &Input::Start(program), clock::now(), known).await?;
        if !applied.written {
            return Ok(Summary::from(&*applied.task));
        }
        self.until_decided(&key, applied.into_task()).await
    }

    /// What there has to be before it can run.
    async fn prepare(&self, caller: &Caller, task: &Task) -> Result<Program, Error> {
        let spec = streams::spec(task).map_err(|why| Error::new(Code::BadRequest, why))?;
        let latest =
            || Error::new(Code::LatestNotFound, format!("App {} with latest tag doesn't exist", task.app));
        let app = self.apps.current(&task.tenant, &task.app).await?.ok_or_else(latest)?;
        if !rights_on(caller, &app.grants).has(&[Right::Read, Right::Execute]) {
            let message =
                format!("user {} needs the rights read and execute on app {}", caller.user, app.name);
            return Err(Error::new(Code::Forbidden, message));
        }
        let version = app.latest.as_ref().ok_or_else(latest)?;
        let published = app.versions.get(version).ok_or_else(latest)?;
        if published.runtime != Runtime::Stream {
            let message = format!("app {} {version} has no stream to run; its runtime is another", app.name);
            return Err(Error::new(Code::BadRequest, message));
        }
        if let Some(most) = self.full(&task.lane).await {
            return Err(too_many(most));
        }
        match &spec.kafka {
            Some(kafka) => self.reachable(kafka)?,
            None => {
                let open = TopicsRequest::Open { key: task.key(), source: spec.source, sink: spec.sink };
                self.broker.call(&open).await?;
            }
        }
        Ok(Program { version: version.clone(), bundle: published.bundle.clone() })
    }

    /// What can be known of the servers without resolving a name is refused here, where the caller is told.
    fn reachable(&self, kafka: &Kafka) -> Result<(), Error> {
        for server in &kafka.servers {
            self.outbound.target(&format!("http://{server}/")).map_err(|why| {
                Error::new(Code::BadRequest, format!("parameter '{SERVERS}': {server} can't be used: {why}"))
            })?;
        }
        Ok(())
    }

    /// How many may run, where so many do.
    async fn full(&self, lane: &str) -> Option<u32> {
        let Ok(ScheduleReply::Lanes(lanes)) = self.broker.call(&ScheduleRequest::Lanes).await else {
            return None;
        };
        let lane = lanes.into_iter().find(|status| status.name == lane)?;
        (lane.running >= lane.limits.max_running).then_some(lane.limits.max_running)
    }

    /// Of several that are started at once the lane lets in as many as it has places. The others don't wait for
    /// one: their callers are told, and nothing of them has run.
    async fn until_decided(&self, key: &TaskKey, mut task: Task) -> Result<Summary, Error> {
        let until = Instant::now() + DECIDED;
        while task.state == TaskState::Queued && Instant::now() < until {
            let ask = ScheduleRequest::Waiting { key: key.clone() };
            if let Ok(ScheduleReply::Waiting(Some(waiting))) = self.broker.call(&ask).await
                && waiting.running >= waiting.max_running
            {
                let error = too_many(waiting.max_running);
                task = self.not_started(key, &error).await.unwrap_or(task);
                if task.state == TaskState::Stopped {
                    return Err(error);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
            match self.tasks.get(key).await? {
                Some((_, now)) => task = now,
                None => break,
            }
        }
        Ok(Summary::from(&task))
    }

    async fn not_started(&self, key: &TaskKey, error: &Error) -> Option<Task> {
        if matches!(error.code, Code::Unavailable | Code::Timeout | Code::Internal) {
            return None;
        }
        let input = Input::NotStarted(error.message.clone());
        match self.tasks.apply(key, &input, clock::now(), Known::Nothing).await {
            Ok(applied) => Some(applied.into_task()),
            Err(error) => {
                service::log_later(&error.into());
                None
            }
        }
    }
}

fn too_many(most: u32) -> Error {
    Error::new(Code::LaneFull, format!("Maximum number of running tasks reached [{most}]"))
}

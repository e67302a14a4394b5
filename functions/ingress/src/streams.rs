//! Stream tasks, which their callers know by name: `status` finds the task, and the functions that change it know it
//! by its id.

use dialects::{Outcome, StreamOrder, StreamStatus};
use domain::list::Summary;
use domain::task::state::Origin;
use domain::{Caller, TaskId, TaskState};
use service::ids;
use wire::calls::amend::{AmendChange, AmendRequest};
use wire::calls::create::{CreateRequest, Target};
use wire::calls::delete::DeleteRequest;
use wire::calls::sessions::{SessionsReply, SessionsRequest};
use wire::calls::status::{StatusReply, StatusRequest};
use wire::{Error, streams};

use crate::forward::Forward;
use crate::input;

impl Forward {
    pub(crate) async fn stream(&self, caller: &Caller, order: StreamOrder) -> Result<Outcome, Error> {
        match order {
            StreamOrder::Create { name, app, params, force } => {
                let body = streams::input(&params)?;
                let request = CreateRequest {
                    caller: caller.clone(),
                    id: TaskId(ids::random()?),
                    app,
                    version: None,
                    service: String::new(),
                    target: Target::Stream,
                    priority: None,
                    timing: None,
                    hooks: Vec::new(),
                    origin: Origin::Symetry,
                    input_digest: input::digest(&input::inlined(&body)?),
                    input: body,
                    idempotency_key: None,
                    name: Some(name),
                    force,
                };
                let reply = self.send(&request).await?;
                self.shown(caller, Summary::from(&reply.task)).await
            }
            StreamOrder::Start { name } => self.change(caller, name, AmendChange::Start).await,
            StreamOrder::Stop { name } => self.change(caller, name, AmendChange::Stop).await,
            StreamOrder::Delete { name } => {
                let task = self.named(caller, name).await?;
                let request = DeleteRequest::Stream { caller: caller.clone(), id: task.id };
                self.broker.call(&request).await.map(|()| Outcome::Done)
            }
            StreamOrder::Status { name } => {
                let task = self.named(caller, name).await?;
                self.shown(caller, task).await
            }
            StreamOrder::List => {
                let request = StatusRequest::Streams { caller: caller.clone() };
                let StatusReply::Streams(names) = self.broker.call(&request).await? else {
                    return Err(Error::internal("status answered something else where names were asked for"));
                };
                Ok(Outcome::Names(names))
            }
        }
    }

    async fn change(&self, caller: &Caller, name: String, change: AmendChange) -> Result<Outcome, Error> {
        let task = self.named(caller, name).await?;
        let request = AmendRequest { caller: caller.clone(), id: task.id, run: None, change };
        let task = self.broker.call(&request).await?;
        self.shown(caller, task).await
    }

    async fn named(&self, caller: &Caller, name: String) -> Result<Summary, Error> {
        let request = StatusRequest::Stream { caller: caller.clone(), name };
        let StatusReply::Stream { summary, .. } = self.broker.call(&request).await? else {
            return Err(Error::internal("status answered something else where a stream task was asked for"));
        };
        Ok(summary)
    }

    async fn shown(&self, caller: &Caller, task: Summary) -> Result<Outcome, Error> {
        let running = match task.state {
            TaskState::Scheduled
            | TaskState::Queued
            | TaskState::Assigned
            | TaskState::Running
            | TaskState::Paused => true,
            TaskState::Stopped
            | TaskState::Completed
            | TaskState::Failed
            | TaskState::Broken
            | TaskState::Deleted => false,
        };
        Ok(Outcome::Stream(StreamStatus {
            alive: running && self.is_alive(caller, task.id).await,
            name: task.name.unwrap_or_default(),
            running,
            started_at: task.running_at.filter(|_| running),
            last_error: task.error,
        }))
    }

    /// What the heartbeats say of its process. Where nobody tells them there is no process to be seen.
    async fn is_alive(&self, caller: &Caller, id: TaskId) -> bool {
        // A stream task is the tenant's, whoever of its users made it.
        let caller = Caller { admin: true, ..caller.clone() };
        match self.broker.call(&SessionsRequest::Live { caller }).await {
            Ok(SessionsReply::Live(live)) => {
                live.sessions.iter().any(|s| s.process.task == Some(id) && s.process.pid.is_some())
            }
            Ok(SessionsReply::Page(_) | SessionsReply::Session(_) | SessionsReply::Reached(_)) | Err(_) => {
                false
            }
        }
    }
}

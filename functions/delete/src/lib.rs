//! `delete`: writes a positive record that the task is gone, then removes its bodies. If it dies between,
//! `schedule` sees bodies on a deleted task and asks for the second half again.

use std::sync::Arc;

use broker::body::Bodies;
use broker::{Applied, Broker, Known, Tasks};
use domain::task::input::{Effect, Input};
use domain::task::state::Runtime;
use domain::{Caller, Right, Task, TaskId, TaskKey};
use service::apps::Apps;
use service::door::Endpoint;
use service::{Context, RunError, clock, serve_with_door};
use wire::calls::delete::DeleteRequest;
use wire::door::{replies, requests};
use wire::runner::Told;
use wire::topology::BODIES;
use wire::{Error, streams, subjects};

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Delete {
        tasks: Tasks::new(&context.broker),
        apps: Apps::follow(&context.broker),
        bodies: Bodies::new(&context.broker, BODIES),
        broker: context.broker.clone(),
    };
    let asked = function.clone();
    let delete = Endpoint::new(move |caller, requests::Delete { id, run, .. }| {
        let (function, request) = (asked.clone(), DeleteRequest::Task { caller, id, run });
        async move { function.handle(request).await.map(|()| replies::Done {}) }
    });
    serve_with_door(&context, vec![delete], move |request| {
        let function = function.clone();
        async move { function.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct Delete {
    tasks: Tasks,
    apps: Apps,
    bodies: Bodies,
    broker: Broker,
}

impl Delete {
    async fn handle(&self, request: DeleteRequest) -> Result<(), Error> {
        match request {
            DeleteRequest::Task { caller, id, run } => {
                let (revision, task) =
                    service::runs::find(&self.broker, &self.tasks, &caller, id, run).await?;
                let key = task.key();
                self.apps.check(&caller, &task, &[Right::Read, Right::Execute]).await?;
                self.forget_place(&task).await?;
                let known = Known::Record(revision, Arc::new(task));
                let applied = self.tasks.apply(&key, &Input::Delete, clock::now(), known).await?;
                if applied.effects.contains(&Effect::RemoveBodies) {
                    // The task is gone already; what fails here is done later, so the caller need not know.
                    let Applied { revision, task, .. } = applied;
                    if let Err(error) = self.remove_bodies(&key, Known::Record(revision, task)).await {
                        service::log_later(&error);
                    }
                }
                Ok(())
            }
            DeleteRequest::Stream { caller, id } => self.delete_stream(&caller, id).await,
            DeleteRequest::Bodies { key } => self.remove_bodies(&key, Known::Nothing).await,
        }
    }

    /// In this order, so that whatever is cut off half way is done by deleting the task again.
    async fn delete_stream(&self, caller: &Caller, id: TaskId) -> Result<(), Error> {
        let (revision, task) = service::runs::find(&self.broker, &self.tasks, caller, id, None).await?;
        let key = task.key();
        let known = Known::Record(revision, Arc::new(task));
        let Applied { revision, task, effects, .. } =
            self.tasks.apply(&key, &Input::Stop, clock::now(), known).await?;
        for effect in &effects {
            if let Effect::TellDrop(runner, epoch) = effect {
                let told = Told::Drop { key: key.clone(), epoch: *epoch };
                self.broker.tell(subjects::runner(*runner), &told).await;
            }
        }
        self.forget_place(&task).await?;
        let known = Known::Record(revision, task);
        self.tasks.apply(&key, &Input::Delete, clock::now(), known).await?;
        Ok(())
    }

    /// What a stream task has not read is kept for it no longer.
    async fn forget_place(&self, task: &Task) -> Result<(), Error> {
        if task.runtime == Runtime::Stream
            && !task.state.is_active()
            && let Ok(spec) = streams::spec(task)
        {
            let close = streams::close(task.key(), spec);
            self.broker.call(&close).await?;
        }
        Ok(())
    }

    async fn remove_bodies(&self, key: &TaskKey, known: Known) -> Result<(), Error> {
        let (revision, task) = match known {
            Known::Record(revision, task) => (revision, task),
            Known::Nothing | Known::Absent => {
                let found = self.tasks.get(key).await?.ok_or_else(|| Error::task_not_found(key.id))?;
                (found.0, Arc::new(found.1))
            }
        };
        for object in objects(&task) {
            if !self.bodies.remove(object).await {
                return Err(Error::unavailable(format!("body {object} could not be removed")));
            }
        }
        let known = Known::Record(revision, task);
        self.tasks.apply(key, &Input::BodiesRemoved, clock::now(), known).await?;
        Ok(())
    }
}

fn objects(task: &Task) -> impl Iterator<Item = &str> {
    let output = task.workflow.as_ref().and_then(|workflow| workflow.output.as_ref());
    let later = task.result.iter().chain(output);
    task.input.object().into_iter().chain(later.filter_map(|body| body.object()))
}

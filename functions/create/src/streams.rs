//! Stream tasks are known by their names. A name that was deleted and is used again is another task, with an id of
//! its own; one that is described anew with `force` stays the same task.

use std::sync::Arc;

use broker::Known;
use broker::tasks::ApplyError;
use domain::lane::{LaneLimits, STREAMS};
use domain::task::input::{Effect, Input, Refusal};
use domain::task::state::Runtime;
use domain::{Task, TaskId, TaskKey, TaskState};
use service::clock;
use wire::calls::create::{CreateReply, CreateRequest};
use wire::calls::topics::TopicsRequest;
use wire::runner::Told;
use wire::{Code, Error, names, streams, subjects};

use crate::{Create, Program, identity, record};

/// Tasks of one name that are looked for at once.
const AT_ONCE: u32 = 64;
/// How often a name may have been used for tasks that were deleted since.
const GENERATIONS_MAX: u32 = 10_000;
/// How often another may be faster.
const TRIES: usize = 10;

/// The newest task of a name.
enum Newest {
    /// There is none that lives; a new one gets this id.
    Free(TaskId),
    /// This one, at this revision.
    Taken(u64, Box<Task>),
}

impl Create {
    pub(crate) async fn stream(&self, request: &CreateRequest) -> Result<CreateReply, Error> {
        let name = request.name.as_deref().filter(|name| names::is_name(name));
        let name = name.ok_or_else(|| Error::new(Code::BadRequest, "a stream task has a name"))?;
        self.room.check()?;
        let program = Program {
            app: request.app.clone(),
            version: String::new(),
            bundle: String::new(),
            runtime: Runtime::Stream,
            workflow: None,
        };
        let mut task = record(request, program, STREAMS.to_owned(), &LaneLimits::of(STREAMS));
        task.name = Some(name.to_owned());
        for _ in 0..TRIES {
            let outcome = match self.newest(&request.caller.tenant, name).await? {
                Newest::Free(id) => self.first(Task { id, ..task.clone() }).await,
                Newest::Taken(_, there) if there.request_digest == task.request_digest => {
                    return Ok(CreateReply { task: *there, repeated: true });
                }
                Newest::Taken(..) if !request.force => {
                    return Err(taken(&request.caller.tenant, name));
                }
                Newest::Taken(revision, there) => self.replace(revision, *there, task.clone()).await,
            };
            match outcome {
                Ok(task) => {
                    self.open(&task).await;
                    return Ok(CreateReply { task, repeated: false });
                }
                // Another was faster, with a task of this name or with its end.
                Err(ApplyError::Refused(Refusal::KeyTaken | Refusal::NotFound)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::unavailable(format!("the task {name} was changed by others all the time")))
    }

    /// Names are used one after the other, so the newest is the last that there is.
    async fn newest(&self, tenant: &str, name: &str) -> Result<Newest, Error> {
        let id = |generation| identity::of_stream(tenant, name, generation);
        let mut last = None;
        for from in (0..GENERATIONS_MAX).step_by(AT_ONCE as usize) {
            let keys: Vec<TaskKey> = (from..from + AT_ONCE).map(|g| TaskKey::new(tenant, id(g))).collect();
            let mut found = self.tasks.get_many(&keys).await?;
            for (generation, key) in (from..).zip(&keys) {
                // One that several reads together have missed may be there all the same.
                let record = match found.remove(key) {
                    Some(record) => Some(record),
                    None => self.tasks.get(key).await?,
                };
                match (record, last.take()) {
                    (Some(record), _) => last = Some(record),
                    (None, Some((revision, task))) if task.state != TaskState::Deleted => {
                        return Ok(Newest::Taken(revision, Box::new(task)));
                    }
                    (None, _) => return Ok(Newest::Free(id(generation))),
                }
            }
        }
        Err(Error::new(Code::Conflict, "this name was used too often; use another"))
    }

    async fn first(&self, task: Task) -> Result<Task, ApplyError> {
        let (key, input) = (task.key(), Input::Create(Box::new(task)));
        let applied = self.tasks.apply(&key, &input, clock::now(), Known::Absent).await?;
        self.room.taken(&applied.task);
        Ok(applied.into_task())
    }

    /// What it read is forgotten where it reads another topic now.
    async fn replace(&self, revision: u64, there: Task, task: Task) -> Result<Task, ApplyError> {
        let (key, before) = (there.key(), streams::spec(&there).ok());
        let input = Input::Replace(Box::new(task));
        let known = Known::Record(revision, Arc::new(there));
        let applied = self.tasks.apply(&key, &input, clock::now(), known).await?;
        for effect in &applied.effects {
            if let Effect::TellDrop(runner, epoch) = effect {
                let told = Told::Drop { key: key.clone(), epoch: *epoch };
                self.broker.tell(subjects::runner(*runner), &told).await;
            }
        }
        let now = streams::spec(&applied.task).ok();
        if let Some(before) = before
            && now.is_none_or(|now| now.source != before.source || now.kafka != before.kafka)
        {
            let close = streams::close(key, before);
            self.broker.call(&close).await.map_err(ApplyError::Broker)?;
        }
        Ok(applied.into_task())
    }

    /// Both ends are made at once, so that nothing which is published from now on is missed. Starting it makes
    /// them too, and says why where it can't be.
    async fn open(&self, task: &Task) {
        let Ok(spec) = streams::spec(task) else { return };
        // What lies on Kafka is Kafka's, and a runner makes what is missing there.
        if spec.kafka.is_some() {
            return;
        }
        let open = TopicsRequest::Open { key: task.key(), source: spec.source, sink: spec.sink };
        if let Err(error) = self.broker.call(&open).await {
            service::log_later(&error);
        }
    }
}

/// The text is in the style of the documented ones of the one API that has stream tasks.
fn taken(tenant: &str, name: &str) -> Error {
    Error::new(Code::Conflict, format!("Customer [{tenant}] already have Task with name [{name}]"))
}

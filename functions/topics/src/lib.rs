//! `topics`: makes what lies behind the topics of stream tasks and the subjects of triggers, and keeps how far each
//! has read. Beside `provision` the only function that makes streams; it makes no others, and reads none.

mod triggers;

use std::sync::Arc;
use std::time::Duration;

use broker::topics::{Place, Topics};
use broker::{Bucket, Tasks};
use domain::stream::is_topic;
use domain::{Epoch, Task, TaskKey, TaskState};
use service::{Context, RunError, ids, serve};
use tokio::sync::Mutex;
use wire::calls::topics::{TopicsReply, TopicsRequest};
use wire::records::{App, StreamPosition};
use wire::topology::{APPS, POSITIONS, source_stream};
use wire::{Code, Error};

/// What says that a position is forgotten goes itself after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Function {
        tasks: Tasks::new(&context.broker),
        apps: Bucket::new(&context.broker, APPS),
        positions: Bucket::new(&context.broker, POSITIONS),
        topics: Topics::new(&context.broker, context.settings.sizes),
        turns: Arc::default(),
    };
    serve(&context, move |request| {
        let function = function.clone();
        async move { function.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct Function {
    tasks: Tasks,
    apps: Bucket<App>,
    positions: Bucket<StreamPosition>,
    topics: Topics,
    /// One call after the other: two that make a place for one task at once would leave two.
    turns: Arc<Mutex<()>>,
}

impl Function {
    async fn handle(&self, request: TopicsRequest) -> Result<TopicsReply, Error> {
        let _turn = self.turns.lock().await;
        match request {
            TopicsRequest::Open { key, source, sink } => {
                check(&key, &[&source, &sink])?;
                self.live(&key).await?;
                self.make(&source, &sink).await?;
                let owner = owner(&key);
                if self.topics.places(&source, &owner).await?.is_empty() {
                    self.topics.succeed(&source, &[], &place(owner, Epoch(0))?).await?;
                }
                Ok(TopicsReply::Done)
            }
            TopicsRequest::Attach { key, epoch, source, sink } => {
                check(&key, &[&source, &sink])?;
                let task = self.live(&key).await?;
                if task.epoch != epoch || !task.state.is_active() {
                    return Err(stale());
                }
                self.make(&source, &sink).await?;
                let owner = owner(&key);
                let old = self.topics.places(&source, &owner).await?;
                if old.iter().any(|place| place.epoch > epoch.0) {
                    return Err(stale());
                }
                let new = place(owner, epoch)?;
                let reader = self.topics.succeed(&source, &old, &new).await?;
                self.only(&source, &new).await?;
                Ok(TopicsReply::Reader { stream: source_stream(&source), reader })
            }
            TopicsRequest::Close { key, source } => {
                check(&key, &[&source])?;
                let places = self.topics.places(&source, &owner(&key)).await?;
                if !places.is_empty() {
                    self.topics.remove(&source, &places).await?;
                }
                Ok(TopicsReply::Done)
            }
            TopicsRequest::Forget { key } => {
                let nothing = StreamPosition::default();
                self.positions.put(&key.to_string(), &nothing, Some(FORGOTTEN_AFTER)).await?;
                Ok(TopicsReply::Done)
            }
            TopicsRequest::Trigger(of) => self.trigger(&of).await,
            TopicsRequest::Untrigger(of) => self.untrigger(&of).await,
        }
    }

    async fn make(&self, source: &str, sink: &str) -> Result<(), Error> {
        self.topics.make_sink(sink).await?;
        self.topics.make_source(source).await
    }

    /// Another replica may have made a place for the same task at the same moment. The later one by name stays,
    /// and who reads by the other is told that it is gone.
    async fn only(&self, source: &str, place: &Place) -> Result<(), Error> {
        let mut others = self.topics.places(source, &place.owner).await?;
        others.retain(|other| (other.epoch, &other.nonce) < (place.epoch, &place.nonce));
        if others.is_empty() { Ok(()) } else { self.topics.remove(source, &others).await }
    }

    /// The record decides: a task that is gone gets no place, which nobody would ever remove.
    async fn live(&self, key: &TaskKey) -> Result<Task, Error> {
        let found = self.tasks.get(key).await?.map(|(_, task)| task);
        found.filter(|task| task.state != TaskState::Deleted).ok_or_else(|| Error::task_not_found(key.id))
    }
}

/// The callers have looked already; what would lie behind a wrong topic is too much to rely on that.
fn check(key: &TaskKey, topics: &[&str]) -> Result<(), Error> {
    match topics.iter().find(|topic| !is_topic(&key.tenant, topic)) {
        Some(topic) => Err(Error::internal(format!("{topic} is no topic of {}", key.tenant))),
        None => Ok(()),
    }
}

fn owner(key: &TaskKey) -> String {
    key.id.to_string()
}

fn place(owner: String, epoch: Epoch) -> Result<Place, Error> {
    Ok(Place { owner, epoch: epoch.0, nonce: ids::random()?.simple().to_string() })
}

fn stale() -> Error {
    Error::new(Code::StaleClaim, "the task has been given to another runner")
}

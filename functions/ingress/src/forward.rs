//! Carries plans out: each is a call to one function, or a few.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use broker::body::Bodies;
use dialects::{Outcome, Plan};
use domain::list::Query;
use domain::task::state::Origin;
use domain::{Caller, Payload, TaskId};
use service::{CancellationToken, Context};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use wire::calls::admin::AdminRequest;
use wire::calls::create::Target;
use wire::calls::delete::DeleteRequest;
use wire::calls::interrupt::InterruptRequest;
use wire::calls::logs::{LogOf, LogsRequest};
use wire::calls::status::{Page, StatusReply, StatusRequest, TaskStatus};
use wire::topology::{BODIES, BUNDLES};
use wire::{Code, Error};

use crate::create::Order;
use crate::health::Checkup;
use crate::input::{Body, inlined};
use crate::output::Content;
use crate::sessions::log_from_the_start;

/// Large bodies that come in at once, and that go out at once. Each takes about a megabyte of memory.
const STREAMS_MAX: usize = 128;
/// WebSockets to pages at once.
const RELAYS_MAX: usize = 1024;
/// Logs that are followed at once.
const TAILS_MAX: usize = 1024;
/// How long a large body may wait for its place.
const PLACE_TIME: Duration = Duration::from_secs(20);
/// Calls for one page. It is in several parts only where its rows have long texts.
pub(crate) const PAGE_CALLS_MAX: usize = 64;

/// What plans are carried out with. Cheap to clone.
#[derive(Clone)]
pub struct Forward {
    pub(crate) broker: Broker,
    pub(crate) bodies: Bodies,
    pub(crate) bundles: Bodies,
    pub(crate) publishing: Arc<Mutex<()>>,
    /// Work that goes on where its client has gone.
    pub(crate) jobs: TaskTracker,
    pub(crate) checkup: Arc<Checkup>,
    uploads: Arc<Semaphore>,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) tails: Arc<Semaphore>,
    /// Connections to pages that went on as something else than HTTP.
    pub(crate) relays: Arc<Semaphore>,
    /// Streams without an end of their own end with it.
    pub(crate) stop: CancellationToken,
}

impl Forward {
    /// With the connection of this function.
    pub fn new(context: &Context) -> Self {
        let broker = &context.broker;
        Self {
            broker: broker.clone(),
            bodies: Bodies::new(broker, BODIES),
            bundles: Bodies::new(broker, BUNDLES),
            publishing: Arc::default(),
            jobs: TaskTracker::new(),
            checkup: Arc::new(Checkup::new(context)),
            uploads: Arc::new(Semaphore::new(STREAMS_MAX)),
            downloads: Arc::new(Semaphore::new(STREAMS_MAX)),
            tails: Arc::new(Semaphore::new(TAILS_MAX)),
            relays: Arc::new(Semaphore::new(RELAYS_MAX)),
            stop: context.stop.clone(),
        }
    }

    /// Carries a plan out. Plans that act for somebody need the caller of a route with a key.
    pub async fn carry_out(
        &self,
        plan: Plan,
        caller: Option<&Caller>,
        content_type: Option<String>,
        body: Body,
        asked: Option<String>,
    ) -> Result<Outcome, Error> {
        let known = || caller.ok_or_else(|| Error::internal("a route without a key acts for somebody"));
        let owned = || known().cloned();
        match plan {
            Plan::Nothing => Ok(Outcome::Done),
            Plan::Health => Ok(Outcome::Health(self.checkup.health().await)),
            Plan::Create { app, version, service, priority, timing, hooks, idempotency_key, wait_ms } => {
                let order = Order {
                    target: Target::Service,
                    origin: Origin::Tasks,
                    app,
                    version,
                    service,
                    priority,
                    timing,
                    hooks,
                    idempotency_key,
                    content_type,
                };
                self.create_and_wait(known()?, order, body, wait_ms).await
            }
            Plan::Get { id, run, wait_ms } => self.get(known()?, id, run, wait_ms).await.map(Outcome::Task),
            Plan::List(query) => self.list(known()?, &query).await.map(Outcome::Page),
            Plan::Fetch { id, run } => self.result(known()?, id, run).await.map(Outcome::Body),
            Plan::Interrupt { id, run, kind } => {
                let request = InterruptRequest { caller: owned()?, id, run, kind };
                self.broker.call(&request).await.map(Outcome::Interrupted)
            }
            Plan::Delete { id, run } => {
                let request = DeleteRequest::Task { caller: owned()?, id, run };
                self.broker.call(&request).await.map(|()| Outcome::Done)
            }
            Plan::Logs { id, run, offset, limit, wait_ms, filter } => {
                let of = LogOf::Task { id, run };
                let request =
                    LogsRequest { caller: owned()?, of, offset, limit, wait_ms, filter, count: false };
                self.broker.call(&request).await.map(Outcome::Logs)
            }
            Plan::LogText { id, run } => self.first_text(known()?, LogOf::Task { id, run }).await,
            Plan::LogTail { of, offset } => {
                let first = LogsRequest { offset, ..log_from_the_start(known()?, of) };
                self.broker.call(&first).await.map(Outcome::LogTail)
            }
            Plan::Jobs(order) => self.jobs(*order, caller, asked).await,
            Plan::Sessions => self.live_sessions(known()?).await.map(Outcome::Sessions),
            Plan::Session(order) => self.session(order, known()?).await,
            Plan::Admin(order) => {
                self.broker.call(&AdminRequest { caller: owned()?, order }).await.map(Outcome::Admin)
            }
            Plan::Stream(order) => self.stream(known()?, order).await,
            Plan::Publish { latest } => self.publish(known()?, latest, body).await.map(Outcome::Admin),
        }
    }

    async fn create_and_wait(
        &self,
        caller: &Caller,
        order: Order,
        body: Body,
        wait_ms: u64,
    ) -> Result<Outcome, Error> {
        let summary = self.create(caller, order, body).await?.task;
        if wait_ms > 0 {
            // The task is taken in: that the wait failed is no reason to say that it is not.
            match self.get(caller, summary.id, Some(summary.run), wait_ms).await {
                Ok(status) => return Ok(Outcome::Task(status)),
                Err(error) => tracing::warn!(%error, "a created task could not be waited for"),
            }
        }
        Ok(Outcome::Created(summary))
    }

    async fn result(&self, caller: &Caller, id: TaskId, run: Option<u32>) -> Result<Payload, Error> {
        let status = self.get(caller, id, run, 0).await?;
        status.result.ok_or_else(|| {
            let state = format!("{:?}", status.summary.state).to_lowercase();
            let message = format!("the response of task {id} is not available: it is {state}");
            Error::new(Code::NotFound, message)
        })
    }

    async fn get(
        &self,
        caller: &Caller,
        id: TaskId,
        run: Option<u32>,
        wait_ms: u64,
    ) -> Result<TaskStatus, Error> {
        let request = StatusRequest::Get { caller: caller.clone(), id, run, wait_ms };
        let StatusReply::Task(status) = self.broker.call(&request).await? else {
            return Err(Error::internal("status answered something else where one task was asked for"));
        };
        Ok(status)
    }

    async fn list(&self, caller: &Caller, query: &Query) -> Result<Page, Error> {
        let mut whole = self.part(caller, query.clone()).await?;
        for _ in 1..PAGE_CALLS_MAX {
            let rows = whole.tasks.len() as u64;
            if !whole.cut || rows >= query.limit {
                break;
            }
            let (offset, limit) = (query.offset.saturating_add(rows), query.limit - rows);
            let part = self.part(caller, Query { offset, limit, ..query.clone() }).await?;
            if part.tasks.is_empty() {
                break;
            }
            whole.cut = part.cut;
            whole.tasks.extend(part.tasks);
        }
        Ok(whole)
    }

    async fn part(&self, caller: &Caller, query: Query) -> Result<Page, Error> {
        let request = StatusRequest::List { caller: caller.clone(), query };
        let StatusReply::Page(page) = self.broker.call(&request).await? else {
            return Err(Error::internal("status answered something else where a page was asked for"));
        };
        Ok(page)
    }

    /// The bytes of a stored body.
    pub async fn content(&self, payload: &Payload) -> Result<Content, Error> {
        match payload.object() {
            None => inlined(payload).map(Content::Whole),
            Some(name) => {
                let place = place(&self.downloads).await?;
                Content::object(&self.bodies, name, payload.size, place).await
            }
        }
    }

    /// A place for a large body that comes in; the place is free again when it is dropped.
    pub(crate) async fn place_for_upload(&self) -> Result<OwnedSemaphorePermit, Error> {
        place(&self.uploads).await
    }
}

/// A place among those who do the same.
pub(crate) async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    match timeout(PLACE_TIME, Arc::clone(places).acquire_owned()).await {
        Ok(place) => place.map_err(Error::internal),
        Err(_) => Err(Error::unavailable("too many large bodies are under way")),
    }
}

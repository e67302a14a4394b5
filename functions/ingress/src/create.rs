//! Creating a task: its body is stored first, then `create` is asked, and what can't be used any more is
//! removed again.

use std::time::Duration;

use bytes::Bytes;
use domain::list::Summary;
use domain::payload::{INLINE_BYTES_MAX, Place};
use domain::task::hook::Hook;
use domain::task::state::Origin;
use domain::task::timing::Timing;
use domain::{Caller, Payload, TaskId};
use service::ids;
use tokio::time::{Instant, timeout};
use tokio_util::io::StreamReader;
use wire::calls::create::{CreateReply, CreateRequest, Target};
use wire::{Code, Error, Function};

use crate::forward::Forward;
use crate::input::{self, Body};
use crate::upload::Upload;

/// How long one attempt may take. There are two, so the caller has an answer after twice as long.
const ATTEMPT: Duration = Duration::from_millis(2500);
/// How long `create` may be away before a large body is not taken in any more.
const AWAY: Duration = Duration::from_secs(3);
const AWAY_PAUSE: Duration = Duration::from_millis(50);

/// What is to be created; the body comes apart.
pub struct Order {
    /// What `service` names: a procedure, or a workflow whose app is looked for.
    pub target: Target,
    /// Through which door it comes.
    pub origin: Origin,
    /// The app.
    pub app: String,
    /// Its version; `None` is the one tagged as latest.
    pub version: Option<String>,
    /// The procedure.
    pub service: String,
    /// 1 first, 10 last.
    pub priority: Option<u8>,
    /// When it may start, and how often.
    pub timing: Option<Timing>,
    /// Whom its changes are told.
    pub hooks: Vec<Hook>,
    /// The caller's key for repeating the request safely.
    pub idempotency_key: Option<String>,
    /// The media type of the body.
    pub content_type: Option<String>,
}

impl Order {
    fn request(self, caller: &Caller, id: TaskId, input: Payload, input_digest: String) -> CreateRequest {
        CreateRequest {
            caller: caller.clone(),
            id,
            app: self.app,
            version: self.version,
            service: self.service,
            priority: self.priority,
            timing: self.timing,
            hooks: self.hooks,
            origin: self.origin,
            target: self.target,
            input,
            input_digest,
            idempotency_key: self.idempotency_key,
            name: None,
            force: false,
        }
    }
}

/// A task that was created.
pub struct Created {
    /// As it was taken in.
    pub task: Summary,
    /// It was there before: the request is a repetition.
    pub repeated: bool,
}

impl From<CreateReply> for Created {
    fn from(reply: CreateReply) -> Self {
        Self { task: Summary::from(&reply.task.taken_in()), repeated: reply.repeated }
    }
}

impl Forward {
    /// Creates a task. The answer is the task as it was taken in, be it new or a repetition.
    pub async fn create(&self, caller: &Caller, mut order: Order, body: Body) -> Result<Created, Error> {
        let id = TaskId(ids::random()?);
        let head = match body {
            Body::Held(bytes) => bytes,
            Body::Arriving(mut upload, most) => {
                let most_inline = usize::try_from(most).unwrap_or(usize::MAX).min(INLINE_BYTES_MAX);
                match upload.up_to(most_inline).await? {
                    (bytes, true) => bytes,
                    (head, false) => return self.create_large(caller, id, order, head, upload, most).await,
                }
            }
        };
        let input = input::inline(&head, order.content_type.take());
        let request = order.request(caller, id, input, input::digest(&head));
        self.send(&request).await.map(Created::from)
    }

    /// The work is a task of its own: when the client goes away its body ends with an error, and what was
    /// stored until then is removed. Dropped half way, it would stay for ever.
    async fn create_large(
        &self,
        caller: &Caller,
        id: TaskId,
        order: Order,
        head: Bytes,
        upload: Upload,
        most: u64,
    ) -> Result<Created, Error> {
        self.until_create_is_up().await?;
        let place = self.place_for_upload().await?;
        let (this, caller) = (self.clone(), caller.clone());
        let work = self.jobs.spawn(async move {
            let _place = place;
            this.store_and_create(&caller, id, order, head, upload, most).await
        });
        work.await.map_err(Error::internal)?
    }

    async fn store_and_create(
        &self,
        caller: &Caller,
        id: TaskId,
        mut order: Order,
        head: Bytes,
        upload: Upload,
        most: u64,
    ) -> Result<Created, Error> {
        let name = ids::random()?.simple().to_string();
        let rest = StreamReader::new(Box::pin(upload.into_stream()));
        let stored = self.bodies.put(&name, head, rest, most).await?;
        let content_type = order.content_type.take();
        let input = Payload { content_type, size: stored.size, place: Place::Object(name.clone()) };
        let outcome = self.send(&order.request(caller, id, input, stored.digest)).await;
        let is_used = match &outcome {
            Ok(reply) => reply.task.input.object() == Some(&name),
            Err(error) => is_open(error),
        };
        if !is_used {
            self.bodies.remove(&name).await;
        }
        outcome.map(Created::from)
    }

    /// Asks `create`. Where the outcome is open the same request is sent once more, which is safe: its id or
    /// its idempotency key makes it the same task.
    pub(crate) async fn send(&self, request: &CreateRequest) -> Result<CreateReply, Error> {
        match self.attempt(request).await {
            Err(error) if is_open(&error) => {
                tracing::warn!(%error, "a create is sent once more");
                // What looks like a repetition may be our own first try.
                self.attempt(request).await.map(|reply| CreateReply { repeated: false, ..reply })
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, request: &CreateRequest) -> Result<CreateReply, Error> {
        let outcome = timeout(ATTEMPT, self.broker.call(request)).await;
        outcome.unwrap_or_else(|_| {
            let message = "it is not known whether the task was taken in; send the request again with the same \
                           Idempotency-Key, or look for it in the list";
            Err(Error::new(Code::Timeout, message))
        })
    }

    /// A large body is not stored for nobody: while `create` is away it could neither be used nor removed.
    async fn until_create_is_up(&self) -> Result<(), Error> {
        let began = Instant::now();
        while !self.broker.ping(Function::Create).await {
            if began.elapsed() >= AWAY {
                return Err(Error::unavailable("create does not answer"));
            }
            tokio::time::sleep(AWAY_PAUSE).await;
        }
        Ok(())
    }
}

/// It may have happened in spite of the error.
fn is_open(error: &Error) -> bool {
    matches!(error.code, Code::Timeout | Code::Unavailable)
}

//! Creates that nobody waits for: taken from their stream one by one, each until it is a task, or a dead letter
//! that says why it can't be one.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use broker::work::{Item, Work};
use service::{Context, clock, door};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wire::door::events::DeadLetter;
use wire::door::{names, replies, requests};
use wire::topology::{DEAD_LETTERS, SUBMISSIONS};
use wire::{Code, Error, Function};

use crate::Create;

/// Submissions that one replica works on at once.
const AT_ONCE: u32 = 64;
/// How long one rests that can't be taken in now: a lane or the store is full, or something is away.
const PAUSE: Duration = Duration::from_secs(1);
/// How long until the queue is opened again after it broke, or before it is there.
const REOPEN: Duration = Duration::from_millis(500);
/// How often one that fails by our own fault is tried.
const FAULTS_MAX: i64 = 5;
/// The most characters of a `Nats-Msg-Id`, which becomes part of an idempotency key.
const ID_CHARS_MAX: usize = 200;
/// How much of a submission is shown in its dead letter.
const SHOWN_BYTES: usize = 4096;
const LETTERS_DEFAULT: u64 = 20;
const LETTERS_MAX: u64 = 100;

/// Takes submissions until the stop, then ends those that it has.
pub async fn take(context: &Context, function: &Create) {
    let clerk = Arc::new(Clerk {
        broker: context.broker.clone(),
        operator: context.settings.operator.clone(),
        function: function.clone(),
    });
    let places = Arc::new(Semaphore::new(AT_ONCE as usize));
    while !context.stop.is_cancelled() {
        match context.broker.work(SUBMISSIONS, Function::Create.name()).await {
            Ok(work) => clerk.follow(work, &places, &context.stop).await,
            Err(error) => tracing::debug!(%error, "submissions can't be taken; trying again"),
        }
        context.stop.run_until_cancelled(tokio::time::sleep(REOPEN)).await;
    }
    let _ = places.acquire_many(AT_ONCE).await;
}

struct Clerk {
    broker: Broker,
    operator: String,
    function: Create,
}

impl Clerk {
    /// Works until the queue breaks.
    async fn follow(self: &Arc<Self>, mut work: Work, places: &Arc<Semaphore>, stop: &CancellationToken) {
        loop {
            let next = stop.run_until_cancelled(work.next()).await;
            let item = match next {
                Some(Ok(Some(item))) => item,
                Some(Ok(None)) | None => return,
                Some(Err(error)) => {
                    tracing::debug!(%error, "the queue of submissions broke; opening it again");
                    return;
                }
            };
            let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
            let clerk = Arc::clone(self);
            tokio::spawn(async move {
                clerk.settle(&item).await;
                drop(place);
            });
        }
    }

    async fn settle(&self, item: &Item) {
        let Err(error) = self.take_in(item).await else { return item.done().await };
        let waits = match error.code {
            Code::Unavailable | Code::Timeout | Code::LaneFull | Code::StorageFull => true,
            Code::Internal => item.times < FAULTS_MAX,
            Code::BadRequest
            | Code::Unauthenticated
            | Code::Forbidden
            | Code::NotFound
            | Code::AppNotFound
            | Code::LatestNotFound
            | Code::TaskNotFound
            | Code::WrongState
            | Code::Conflict
            | Code::KeyReused
            | Code::TooLarge
            | Code::StaleClaim => false,
        };
        if waits {
            tracing::debug!(%error, sequence = item.sequence, "a submission waits");
            return item.later(PAUSE).await;
        }
        match self.give_up(item, &error).await {
            Ok(_) => item.done().await,
            Err(error) => {
                tracing::warn!(%error, "a dead letter could not be written; trying again");
                item.later(PAUSE).await;
            }
        }
    }

    /// The same id gives the same task for as long as the task is kept, as an idempotency key does: it is one.
    async fn take_in(&self, item: &Item) -> Result<(), Error> {
        let caller = door::caller(item.subject(), &self.operator);
        let mut order: requests::Create = door::read(&caller, item.payload())?;
        if order.idempotency_key.is_none() {
            order.idempotency_key = Some(match item.message_id() {
                Some(id) if id.is_empty() || id.len() > ID_CHARS_MAX => {
                    let message = format!("a Nats-Msg-Id has 1 to {ID_CHARS_MAX} visible ASCII characters");
                    return Err(Error::new(Code::BadRequest, message));
                }
                Some(id) => format!("nats-msg-id:{id}"),
                // It may come twice from the broker all the same.
                None => format!("nats-sequence:{}@{}", item.sequence, item.taken_in),
            });
        }
        self.function.take_in(caller, order).await.map(|_| ())
    }

    async fn give_up(&self, item: &Item, error: &Error) -> Result<u64, Error> {
        let caller = door::caller(item.subject(), &self.operator);
        let shown = item.payload().get(..SHOWN_BYTES).unwrap_or(item.payload());
        let letter = DeadLetter {
            at: clock::now(),
            tenant: caller.tenant,
            user: caller.user,
            message_id: item.message_id().map(|id| id.chars().take(ID_CHARS_MAX).collect()),
            sequence: item.sequence,
            status: error.code.status(),
            code: error.code,
            message: error.message.clone(),
            request: String::from_utf8_lossy(shown).into_owned(),
        };
        let id = format!("{}@{}", item.sequence, item.taken_in);
        self.broker.append_once(names::dead_letter(&letter), &id, &letter).await
    }
}

impl Create {
    /// A page of dead letters, as a program asks for it.
    pub(crate) async fn dead_letters(
        &self,
        caller: domain::Caller,
        ask: requests::DeadLetters,
    ) -> Result<replies::DeadLetters, Error> {
        let limit = door::limit(ask.limit, LETTERS_DEFAULT, LETTERS_MAX)?;
        let count = usize::try_from(limit).unwrap_or(usize::MAX);
        let found: Vec<(u64, DeadLetter)> =
            self.broker.stored(DEAD_LETTERS, &names::dead(&caller), ask.cursor.max(1), count).await?;
        let cursor = found.last().map_or(ask.cursor, |(sequence, _)| sequence + 1);
        Ok(replies::DeadLetters { letters: found.into_iter().map(|(_, letter)| letter).collect(), cursor })
    }
}

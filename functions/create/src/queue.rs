//! What nobody waits for: messages that are taken from a stream one by one, each until it is a task, or a dead letter
//! that says why it can't be one.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use broker::work::{Item, Work};
use service::{clock, door};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wire::calls::topics::TriggerOf;
use wire::door::events::DeadLetter;
use wire::door::{names, replies, requests};
use wire::names::token;
use wire::topology::DEAD_LETTERS;
use wire::{Code, Error};

use crate::Create;

/// Messages that one replica works on at once, of all submissions and of all triggers.
pub const AT_ONCE: u32 = 64;
/// How long until a queue is opened again after it broke, or before it is there.
pub const REOPEN: Duration = Duration::from_millis(500);
/// The most characters of a message's id, which becomes part of an idempotency key.
pub const ID_CHARS_MAX: usize = 200;
/// How long one rests that can't be taken in now: a lane or the store is full, or something is away.
const PAUSE: Duration = Duration::from_secs(1);
/// How often one that fails by our own fault is tried.
const FAULTS_MAX: i64 = 5;
/// How much of a message is shown in its dead letter.
const SHOWN_BYTES: usize = 4096;
const LETTERS_DEFAULT: u64 = 20;
const LETTERS_MAX: u64 = 100;

/// Whose message it is.
pub struct Owner {
    /// The tenant.
    pub tenant: String,
    /// The user to whom the task belongs, and the dead letter.
    pub user: String,
    /// The trigger that took it.
    pub trigger: Option<TriggerOf>,
}

/// Gives every message to `settle`, some of them at once, until the queue breaks or the stop comes.
pub async fn follow<S, F>(mut work: Work, places: &Arc<Semaphore>, stop: &CancellationToken, settle: S)
where
    S: Fn(Item) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let next = stop.run_until_cancelled(work.next()).await;
        let item = match next {
            Some(Ok(Some(item))) => item,
            Some(Ok(None)) | None => return,
            Some(Err(error)) => {
                tracing::debug!(%error, "a queue broke; opening it again");
                return;
            }
        };
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        let settled = settle(item);
        tokio::spawn(async move {
            settled.await;
            drop(place);
        });
    }
}

/// A message is done with where it is a task or a dead letter, and comes again later where it can be neither now.
pub async fn settle(broker: &Broker, item: &Item, owner: Owner, outcome: Result<(), Error>) {
    let Err(error) = outcome else { return item.done().await };
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
        tracing::debug!(%error, sequence = item.sequence, "a message waits");
        return put_off(item).await;
    }
    match give_up(broker, item, owner, &error).await {
        Ok(_) => item.done().await,
        Err(error) => {
            tracing::warn!(%error, "a dead letter could not be written; trying again");
            put_off(item).await;
        }
    }
}

/// It comes again after a rest.
pub async fn put_off(item: &Item) {
    item.later(PAUSE).await;
}

async fn give_up(broker: &Broker, item: &Item, owner: Owner, error: &Error) -> Result<u64, Error> {
    let shown = item.payload().get(..SHOWN_BYTES).unwrap_or(item.payload());
    let place = format!("{}@{}", item.sequence, item.taken_in);
    let id = match &owner.trigger {
        Some(of) => format!("{}/{}/{place}", token(&of.app), of.name),
        None => place,
    };
    let letter = DeadLetter {
        at: clock::now(),
        tenant: owner.tenant,
        user: owner.user,
        trigger: owner.trigger,
        message_id: item.message_id().map(|id| id.chars().take(ID_CHARS_MAX).collect()),
        sequence: item.sequence,
        status: error.code.status(),
        code: error.code,
        message: error.message.clone(),
        request: String::from_utf8_lossy(shown).into_owned(),
    };
    broker.append_once(names::dead_letter(&letter), &id, &letter).await
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

//! Creates that programs hand in and wait for nothing.

use std::sync::Arc;

use broker::Broker;
use broker::work::Item;
use domain::Caller;
use service::{Context, door};
use tokio::sync::Semaphore;
use wire::door::requests;
use wire::topology::SUBMISSIONS;
use wire::{Code, Error, Function};

use crate::Create;
use crate::queue::{self, ID_CHARS_MAX, Owner, REOPEN};

/// Takes submissions until the stop.
pub async fn take(context: &Context, function: &Create, places: &Arc<Semaphore>) {
    let clerk = Arc::new(Clerk {
        broker: context.broker.clone(),
        operator: context.settings.operator.clone(),
        function: function.clone(),
    });
    while !context.stop.is_cancelled() {
        match context.broker.work(SUBMISSIONS, Function::Create.name()).await {
            Ok(work) => {
                queue::follow(work, places, &context.stop, |item| {
                    let clerk = Arc::clone(&clerk);
                    async move { clerk.settle(&item).await }
                })
                .await;
            }
            Err(error) => tracing::debug!(%error, "submissions can't be taken; trying again"),
        }
        context.stop.run_until_cancelled(tokio::time::sleep(REOPEN)).await;
    }
}

struct Clerk {
    broker: Broker,
    operator: String,
    function: Create,
}

impl Clerk {
    async fn settle(&self, item: &Item) {
        let caller = door::caller(item.subject(), &self.operator);
        let owner = Owner { tenant: caller.tenant.clone(), user: caller.user.clone(), trigger: None };
        let outcome = self.take_in(caller, item).await;
        queue::settle(&self.broker, item, owner, outcome).await;
    }

    /// The same id gives the same task for as long as the task is kept, as an idempotency key does: it is one.
    async fn take_in(&self, caller: Caller, item: &Item) -> Result<(), Error> {
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
}

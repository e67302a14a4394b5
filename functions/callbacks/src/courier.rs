//! Tells one hook of one task its changes, in their order, until it has told all that are known.

use std::sync::Arc;
use std::time::Duration;

use dialects::callbacks::{Outgoing, outgoing};
use domain::Task;
use domain::task::hook::HookKind;
use service::lease::Permit;
use service::{CancellationToken, clock, keys};
use tokio::sync::watch;
use wire::calls::callbacks::Delivery;

use crate::dial::Dialer;
use crate::ledger::Ledger;
use crate::notes::Notes;
use crate::places::Places;

/// The most that lies between two tries.
const REST_MS_MAX: u64 = 300_000;
/// Between two tries of a hook whose task has no workflow that says it.
const REST_MS_DEFAULT: u64 = 5_000;
/// While the broker does not take how far we are, we wait: telling on would tell it all again later.
const BROKER_REST: Duration = Duration::from_millis(500);

/// What all couriers share.
pub struct Office {
    /// Sends.
    pub dialer: Arc<Dialer>,
    /// Bounds.
    pub places: Places,
    /// Signs what goes to the Task Engine's endpoints.
    pub secret: Option<Vec<u8>>,
    /// Writes into the logs of jobs.
    pub notes: Notes,
}

/// One hook's courier.
pub struct Courier {
    /// Shared.
    pub office: Arc<Office>,
    /// How far the task's hooks are.
    pub ledger: Arc<Ledger>,
    /// The task as it is last known.
    pub task: watch::Receiver<Arc<Task>>,
    /// Which hook.
    pub hook: usize,
    /// Whether we may deliver.
    pub permit: Permit,
    /// Ends a rest early.
    pub stop: CancellationToken,
}

impl Courier {
    /// Tells until nothing is left to be told; gives how far it came.
    pub async fn run(mut self) -> u64 {
        let mut delivery = self.ledger.read(self.hook).await;
        while self.permit.is_valid() && !self.stop.is_cancelled() {
            let task = Arc::clone(&self.task.borrow_and_update());
            let Some(hook) = task.hooks.get(self.hook) else { break };
            let (gone, all) = (task.events.gone, ends(&task));
            if delivery.done < gone {
                delivery.failed += gone - delivery.done;
                delivery.done = gone;
            }
            if delivery.done >= all {
                break;
            }
            let Some(outgoing) = outgoing(&task, hook, delivery.done, keys::signature) else {
                delivery.done += 1;
                continue;
            };
            if let Some(rest) = rest(&delivery) {
                // Any change of the task ends the rest: it may be its deletion.
                let changed = tokio::time::timeout(rest, self.task.changed());
                let _ = self.stop.run_until_cancelled(changed).await;
                continue;
            }
            self.tell(&task, hook.kind, &outgoing, &mut delivery).await;
            while let Err(error) = self.ledger.write(self.hook, &delivery).await {
                tracing::warn!(key = %task.key(), %error, "how far a hook is told could not be kept; waiting");
                tokio::time::sleep(BROKER_REST).await;
                if !self.permit.is_valid() || self.stop.is_cancelled() {
                    break;
                }
            }
        }
        delivery.done
    }

    async fn tell(&self, task: &Task, kind: HookKind, outgoing: &Outgoing, delivery: &mut Delivery) {
        let told = self.send(task, kind, outgoing).await;
        if kind == HookKind::RestEndpoint {
            self.office.notes.delivery(task, &outgoing.url, delivery, &told);
        }
        delivery.next_at = None;
        match told {
            Ok(()) => {
                (delivery.done, delivery.attempts) = (delivery.done + 1, 0);
                delivery.delivered += 1;
            }
            Err(why) => {
                delivery.attempts += 1;
                tracing::debug!(key = %task.key(), attempts = delivery.attempts, why, "a hook was not told");
                delivery.last_error = Some(why);
                let (tries, rest_ms) = patience(task, kind);
                if delivery.attempts >= tries {
                    (delivery.done, delivery.attempts) = (delivery.done + 1, 0);
                    delivery.failed += 1;
                } else {
                    let rest_ms = backed_off(rest_ms, delivery.attempts);
                    delivery.next_at = Some(clock::now().plus_millis(i64::try_from(rest_ms).unwrap_or(0)));
                }
            }
        }
    }

    async fn send(&self, task: &Task, kind: HookKind, outgoing: &Outgoing) -> Result<(), String> {
        let host = self.office.dialer.target(&outgoing.url)?.host;
        let place = self.office.places.take(&task.tenant, &host).await.ok_or("stopping")?;
        let signature = match (kind, &self.office.secret) {
            (HookKind::RestEndpoint, Some(secret)) => Some(keys::signature(secret, &outgoing.body)),
            (HookKind::RestEndpoint, None) | (HookKind::TaskState, _) => None,
        };
        let told = self.office.dialer.deliver(outgoing, signature).await;
        drop(place);
        told
    }
}

/// The place behind the last change that is known.
pub fn ends(task: &Task) -> u64 {
    task.events.gone + u64::try_from(task.events.kept.len()).unwrap_or(0)
}

/// How long until the next try is due.
fn rest(delivery: &Delivery) -> Option<Duration> {
    let micros = delivery.next_at?.micros().saturating_sub(clock::now().micros());
    u64::try_from(micros).ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}

/// How often a change is tried, and how long the first rest is.
fn patience(task: &Task, kind: HookKind) -> (u32, u64) {
    match kind {
        HookKind::TaskState => (1, 0),
        HookKind::RestEndpoint => match &task.workflow {
            Some(workflow) => (workflow.retry_limit.saturating_add(1), workflow.retry_delay_ms),
            None => (task.retry_limit.saturating_add(1), REST_MS_DEFAULT),
        },
    }
}

/// Each rest is twice as long as the one before it.
fn backed_off(first_ms: u64, attempts: u32) -> u64 {
    let factor = 1u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
    first_ms.saturating_mul(factor).min(REST_MS_MAX)
}

//! Creates by events: what an app declares as its triggers. Every replica follows the apps and takes messages for each
//! trigger that is in force, each message by one of them; a message's task has an id that comes from the message, so one
//! that comes twice meets its own task.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use broker::work::Item;
use bytes::Bytes;
use domain::task::state::Origin;
use domain::trigger::{Dedup, Trigger, TriggerLane};
use domain::{Caller, TaskId};
use serde_json::Value;
use service::{Context, ids};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::calls::create::{CreateRequest, Target};
use wire::calls::topics::{TopicsReply, TopicsRequest, TriggerOf};
use wire::records::App;
use wire::topology::app_key;
use wire::{Code, Error};

use crate::Create;
use crate::queue::{self, ID_CHARS_MAX, Owner, REOPEN};

/// How often the apps are looked through without a change, for what could not be ended.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "Content-Type";
const CONTENT_TYPE_CHARS_MAX: usize = 256;

/// Takes messages for all triggers until the stop.
pub async fn take(context: &Context, function: &Create, places: &Arc<Semaphore>) {
    let mut desk =
        Desk { function, places, stop: &context.stop, taking: HashMap::new(), ended: HashSet::new() };
    let mut changes = function.apps.changes();
    while !context.stop.is_cancelled() {
        changes.mark_unchanged();
        match function.apps.all().await {
            Ok(apps) => desk.arrange(&apps).await,
            Err(error) => tracing::debug!(%error, "the apps can't be looked through for triggers"),
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = context.stop.cancelled() => {}
        }
    }
    for (_, (_, taking)) in desk.taking {
        let _ = taking.await;
    }
}

/// The triggers that one replica takes messages for.
struct Desk<'d> {
    function: &'d Create,
    places: &'d Arc<Semaphore>,
    stop: &'d CancellationToken,
    taking: HashMap<TriggerOf, (CancellationToken, JoinHandle<()>)>,
    /// Those whose reader is known to be gone.
    ended: HashSet<TriggerOf>,
}

impl Desk<'_> {
    /// Begins and ends what the apps say now.
    async fn arrange(&mut self, apps: &[Arc<App>]) {
        let of = |app: &App, name: &str, subject: &str| TriggerOf {
            tenant: app.tenant.clone(),
            app: app.name.clone(),
            name: name.to_owned(),
            subject: subject.to_owned(),
        };
        let in_force: HashSet<TriggerOf> = apps
            .iter()
            .flat_map(|app| app.triggers().map(|(name, trigger, _)| of(app, name, &trigger.subject)))
            .collect();
        self.taking.retain(|of, (stop, _)| {
            let stays = in_force.contains(of);
            if !stays {
                stop.cancel();
            }
            stays
        });
        self.ended.retain(|of| !in_force.contains(of));
        let past = apps.iter().flat_map(|app| {
            app.past_triggers().into_iter().map(|(name, subject)| of(app, name, subject)).collect::<Vec<_>>()
        });
        for of in past {
            if !self.ended.contains(&of) {
                match self.function.broker.call(&TopicsRequest::Untrigger(of.clone())).await {
                    Ok(_) => drop(self.ended.insert(of)),
                    Err(error) => service::log_later(&error),
                }
            }
        }
        for of in in_force {
            if !self.taking.contains_key(&of) {
                let stop = self.stop.child_token();
                let (function, places) = (self.function.clone(), Arc::clone(self.places));
                let taking = tokio::spawn(take_for(function, places, of.clone(), stop.clone()));
                self.taking.insert(of, (stop, taking));
            }
        }
    }
}

async fn take_for(function: Create, places: Arc<Semaphore>, of: TriggerOf, stop: CancellationToken) {
    let of = Arc::new(of);
    while !stop.is_cancelled() {
        match open(&function, &of).await {
            Ok(work) => {
                queue::follow(work, &places, &stop, |item| {
                    let (function, of) = (function.clone(), Arc::clone(&of));
                    async move { function.triggered(&of, &item).await }
                })
                .await;
            }
            Err(error) => tracing::debug!(%error, ?of, "a trigger can't take messages; trying again"),
        }
        stop.run_until_cancelled(tokio::time::sleep(REOPEN)).await;
    }
}

async fn open(function: &Create, of: &TriggerOf) -> Result<broker::work::Work, Error> {
    match function.broker.call(&TopicsRequest::Trigger(of.clone())).await? {
        TopicsReply::Reader { stream, reader } => function.broker.share_reader(&stream, &reader).await,
        TopicsReply::Done => Err(Error::internal("topics has made no reader")),
    }
}

impl Create {
    /// What the trigger says at this moment decides. One that is in force no more leaves the message to its end.
    async fn triggered(&self, of: &TriggerOf, item: &Item) {
        let found = match self.apps.current(&app_key(&of.tenant, &of.app)).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "an app can't be read; its message waits");
                return queue::put_off(item).await;
            }
        };
        let in_force = found.as_ref().and_then(|app| {
            app.triggers().find(|(name, trigger, _)| **name == of.name && trigger.subject == of.subject)
        });
        let Some((_, trigger, version)) = in_force else { return queue::put_off(item).await };
        let user = version.published_by.clone();
        let outcome = self.take_message(of, trigger, &user, item).await;
        let owner = Owner { tenant: of.tenant.clone(), user, trigger: Some(of.clone()) };
        queue::settle(&self.broker, item, owner, outcome).await;
    }

    /// Whoever publishes an app is an Admin, and may run what it has.
    async fn take_message(
        &self,
        of: &TriggerOf,
        trigger: &Trigger,
        user: &str,
        item: &Item,
    ) -> Result<(), Error> {
        let key = format!("{}\0{}\0{}", of.app, of.name, key(&trigger.dedup, item)?);
        let content_type = item.header(CONTENT_TYPE).filter(|text| is_plain(text)).map(str::to_owned);
        let target = match trigger.lane {
            TriggerLane::Tasks => Target::Service,
            TriggerLane::Jobs => Target::Workflow,
        };
        let id = TaskId(ids::random()?);
        let bytes = Bytes::clone(item.payload());
        let taken = self.with_body(bytes, content_type, target, |input, input_digest| CreateRequest {
            caller: Caller { tenant: of.tenant.clone(), user: user.to_owned(), admin: true },
            id,
            app: of.app.clone(),
            version: None,
            service: trigger.service.clone(),
            target,
            priority: None,
            timing: None,
            hooks: Vec::new(),
            origin: Origin::Trigger,
            input,
            input_digest,
            idempotency_key: Some(key),
            name: None,
            force: false,
        });
        match taken.await {
            Ok(_) => Ok(()),
            Err(error) if error.code == Code::KeyReused => {
                let message = "another message with this id is a task already, and its body differs";
                Err(Error::new(Code::KeyReused, message))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= CONTENT_TYPE_CHARS_MAX && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// What the task's id is made from. A message without an id of its own is known by its place and the moment in which
/// the broker took it in, since the places of a stream that was made anew begin at 1.
fn key(dedup: &Dedup, item: &Item) -> Result<String, Error> {
    let place = || Ok(format!("sequence:{}@{}", item.sequence, item.taken_in));
    let (what, id) = match dedup {
        Dedup::Sequence => return place(),
        Dedup::MessageId => match item.message_id() {
            None => return place(),
            Some(id) => ("Nats-Msg-Id".to_owned(), id.to_owned()),
        },
        Dedup::Header(name) => {
            let found = item.header(name);
            let missing = || bad(format!("the message has no header {name}, by which its trigger knows it"));
            (name.clone(), found.ok_or_else(missing)?.to_owned())
        }
        Dedup::Field(path) => (format!("field {path}"), field(path, item.payload())?),
    };
    if id.is_empty() || id.chars().count() > ID_CHARS_MAX {
        return Err(bad(format!("{what} of a message has 1 to {ID_CHARS_MAX} characters")));
    }
    Ok(format!("id:{id}"))
}

/// A text, a number or a truth value somewhere in a JSON object.
fn field(path: &str, payload: &[u8]) -> Result<String, Error> {
    let whole: Value = serde_json::from_slice(payload).map_err(|why| {
        bad(format!("the message is no JSON, and its trigger knows it by field {path}: {why}"))
    })?;
    let found = path.split('.').try_fold(&whole, |value, name| value.get(name));
    match found {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(truth)) => Ok(truth.to_string()),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => Err(bad(format!(
            "the message has no text or number in field {path}, by which its trigger knows it"
        ))),
    }
}

fn bad(message: String) -> Error {
    Error::new(Code::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_looked_for_by_its_path() {
        let message = br#"{"id":7,"order":{"id":"a-1","open":true,"rows":[1],"none":null}}"#;
        for (path, expected) in [("id", "7"), ("order.id", "a-1"), ("order.open", "true")] {
            assert_eq!(field(path, message).as_deref(), Ok(expected), "{path}");
        }
        for path in ["order", "order.rows", "order.none", "absent", "id.x", "order.rows.0"] {
            let refused = field(path, message).unwrap_err();
            assert!(
                refused.message.contains(path) && refused.code == Code::BadRequest,
                "{path}: {refused:?}"
            );
        }
        for text in ["", "{", "[1]", "1"] {
            assert!(field("id", text.as_bytes()).is_err(), "{text}");
        }
    }
}

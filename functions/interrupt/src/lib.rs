//! `interrupt`: writes the wish into the record, then tells the runner. If the message is lost, `schedule`
//! sees the wish unheard and tells the runner again.

use std::sync::Arc;

use broker::{Broker, Known, Tasks};
use domain::Right;
use domain::list::Summary;
use domain::task::input::{Effect, Input};
use service::apps::Apps;
use service::door::Endpoint;
use service::{Context, RunError, clock, serve_with_door};
use wire::calls::interrupt::InterruptRequest;
use wire::door::{replies, requests};
use wire::runner::Told;
use wire::{Error, subjects};

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Interrupt {
        tasks: Tasks::new(&context.broker),
        apps: Apps::follow(&context.broker),
        broker: context.broker.clone(),
    };
    let asked = function.clone();
    let interrupt = Endpoint::new(move |caller, requests::Interrupt { id, run, kind, .. }| {
        let (function, request) = (asked.clone(), InterruptRequest { caller, id, run, kind });
        async move { Ok(replies::Task::new(function.handle(request).await?, clock::now())) }
    });
    serve_with_door(&context, vec![interrupt], move |request| {
        let function = function.clone();
        async move { function.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct Interrupt {
    tasks: Tasks,
    apps: Apps,
    broker: Broker,
}

impl Interrupt {
    async fn handle(&self, request: InterruptRequest) -> Result<Summary, Error> {
        let InterruptRequest { caller, id, run, .. } = &request;
        let (revision, task) = service::runs::find(&self.broker, &self.tasks, caller, *id, *run).await?;
        let key = task.key();
        self.apps.check(&request.caller, &task, &[Right::Read, Right::Execute]).await?;
        let known = Known::Record(revision, Arc::new(task));
        let input = Input::Interrupt(request.kind);
        let applied = self.tasks.apply(&key, &input, clock::now(), known).await?;
        for effect in &applied.effects {
            match effect {
                Effect::TellInterrupt(runner) => {
                    let told = Told::Interrupt(Arc::clone(&applied.task));
                    self.broker.tell(subjects::runner(*runner), &told).await;
                }
                Effect::TellDrop(..) | Effect::RemoveBodies => {}
            }
        }
        Ok(Summary::from(&*applied.task))
    }
}

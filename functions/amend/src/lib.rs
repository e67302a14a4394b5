//! `amend`: writes what callers may change of a task: its order and time; pause, go on, give up; start and stop
//! of a stream. A runner whose claim is void by that is told; if the message is lost, `schedule` finds the
//! claim in the runner's heartbeat and tells it again.

mod start;

use std::sync::Arc;

use broker::{Applied, Broker, Known, Tasks};
use domain::list::Summary;
use domain::task::input::{Amendment, Effect, Input};
use domain::{Right, TaskKey};
use service::apps::Apps;
use service::outbound::Outbound;
use service::{Context, RunError, clock, serve};
use wire::calls::amend::{AmendChange, AmendRequest};
use wire::runner::Told;
use wire::{Code, Error, subjects};

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Amend {
        tasks: Tasks::new(&context.broker),
        apps: Apps::follow(&context.broker),
        broker: context.broker.clone(),
        outbound: context.settings.outbound.clone(),
    };
    serve(&context, move |request| {
        let function = function.clone();
        async move { function.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct Amend {
    tasks: Tasks,
    apps: Apps,
    broker: Broker,
    outbound: Outbound,
}

impl Amend {
    async fn handle(&self, request: AmendRequest) -> Result<Summary, Error> {
        let AmendRequest { caller, id, run, change } = request;
        if let AmendChange::Amend(Amendment { gate: Some(url), .. }) = &change {
            let refuse = |why| Error::new(Code::BadRequest, format!("the gate can't be asked: {why}"));
            self.outbound.target(url).map_err(refuse)?;
        }
        let (revision, task) = service::runs::find(&self.broker, &self.tasks, &caller, id, run).await?;
        let key = task.key();
        let input = match change {
            // Stream tasks are the tenant's: rights on their apps are for starting them.
            AmendChange::Start => return self.start(&caller, revision, task).await,
            AmendChange::Stop => Input::Stop,
            AmendChange::Amend(amendment) => Input::Amend(amendment),
            AmendChange::Supersede => Input::Supersede,
        };
        if input != Input::Stop {
            self.apps.check(&caller, &task, &[Right::Read, Right::Execute]).await?;
        }
        let known = Known::Record(revision, Arc::new(task));
        let applied = self.tasks.apply(&key, &input, clock::now(), known).await?;
        self.tell(&key, &applied).await;
        Ok(Summary::from(&*applied.task))
    }

    async fn tell(&self, key: &TaskKey, applied: &Applied) {
        for effect in &applied.effects {
            match effect {
                Effect::TellDrop(runner, epoch) => {
                    let told = Told::Drop { key: key.clone(), epoch: *epoch };
                    self.broker.tell(subjects::runner(*runner), &told).await;
                }
                Effect::TellInterrupt(_) | Effect::RemoveBodies => {}
            }
        }
    }
}

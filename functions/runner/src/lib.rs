//! `runner`: takes the claims that `schedule` gives it, hosts their processes and reports what becomes of
//! them. It may die at any moment: its processes die with it, and `schedule` takes its tasks back.

mod beat;
mod bundles;
mod command;
mod held;
mod input;
mod lines;
mod log_queue;
mod logs;
mod outbox;
mod outcome;
mod reports;
mod secrets;
mod session;
mod status;
mod stream;
mod work;
mod workflow;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker::body::Bodies;
use broker::call::Requests;
use broker::{Broker, Bucket};
use domain::task::input::Report;
use domain::task::state::Runtime;
use domain::{RunnerId, SessionId, Task};
use keeper::KeeperProgram;
use service::outbound::Outbound;
use service::{Context, RunError, clock, ids};
use wire::records::{SessionRecord, StreamPosition};
use wire::runner::{ClaimReport, Told};
use wire::subjects;
use wire::topology::{BODIES, BUNDLES, POSITIONS, SESSIONS};

use beat::Origin;
use bundles::Bundles;
use held::{Held, Holding};
use outbox::Outbox;
use reports::Reports;
use session::Pool;
use work::Work;

/// How long running tasks may take to end by themselves once the runner is to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// What every part of one runner shares.
pub(crate) struct Runner {
    pub id: RunnerId,
    pub broker: Broker,
    pub held: Held,
    pub outbox: Outbox,
    pub bodies: Bodies,
    pub bundles: Bundles,
    pub work: Work,
    pub keeper: KeeperProgram,
    pub path: String,
    /// What no task may read.
    pub hidden: Vec<PathBuf>,
    pub origin: Origin,
    pub pool: Arc<Pool>,
    pub sessions: Bucket<SessionRecord>,
    /// How far stream tasks have read on Kafka.
    pub positions: Bucket<StreamPosition>,
    pub outbound: Outbound,
}

/// Runs until it is stopped; then takes nothing more and gives its tasks a moment to end.
pub async fn run(context: Context) -> Result<(), RunError> {
    let settings = &context.settings;
    let id = RunnerId(ids::random().map_err(RunError::from_text)?);
    let program =
        settings.keeper.clone().map_or_else(std::env::current_exe, Ok).map_err(RunError::from_text)?;
    let broker = context.broker.clone();
    let work = Work::prepare(&settings.work, id).map_err(RunError::from_text)?;
    let runner = Arc::new(Runner {
        id,
        held: Held::new(settings.slots),
        outbox: Outbox::begin(&broker),
        bodies: Bodies::new(&broker, BODIES),
        bundles: Bundles::new(Bodies::new(&broker, BUNDLES), work.bundles()),
        work,
        keeper: KeeperProgram { path: program, args: vec![keeper::ARGUMENT.to_owned()] },
        path: settings.path.clone(),
        hidden: work::hidden(settings),
        origin: Origin::here(),
        pool: Pool::new(settings.slots),
        sessions: Bucket::new(&broker, SESSIONS),
        positions: Bucket::new(&broker, POSITIONS),
        outbound: settings.outbound.clone(),
        broker,
    });
    let told = runner.broker.near_requests(subjects::runner(id), false).await.map_err(RunError::from_text)?;
    let beats = tokio::spawn(beat::beat(Arc::clone(&runner)));
    let mut hearing = tokio::spawn(hear(Arc::clone(&runner), told));
    say_what_fences();
    tracing::info!(runner = %id, slots = settings.slots, "ready");
    tokio::select! {
        _ = &mut hearing => {}
        () = context.stop.cancelled() => {}
    }
    // From here on claims are given back, and the heartbeat that says so goes out at once: otherwise
    // tasks would be claimed for a runner that is about to go, and count as lost with it.
    runner.held.drain();
    runner.pool.drain();
    beat::tell(&runner).await;
    if tokio::time::timeout(DRAIN, runner.held.until_empty()).await.is_err() {
        runner.held.give_back_all();
        // What was given back is reported and its processes are ended, each within a bounded time.
        let _ = tokio::time::timeout(DRAIN, runner.held.until_empty()).await;
    }
    // Sessions without a task end within the grace of their processes; what does not is killed with us.
    let _ = tokio::time::timeout(DRAIN, runner.pool.until_empty()).await;
    hearing.abort();
    beats.abort();
    runner.work.remove();
    runner.broker.flush().await;
    Ok(())
}

/// Whoever runs tasks of others wants to know what keeps them in, and sees a missing fence without asking.
fn say_what_fences() {
    let fences = keeper::fences();
    if fences.landlock.is_none() || !fences.seccomp {
        tracing::warn!(%fences, "this kernel fences tasks less than it could (docs/operations.md, Fences)");
    } else {
        tracing::info!(%fences, "tasks are fenced");
    }
}

/// Does what the runner is told, until it is aborted or the subscription ends.
async fn hear(runner: Arc<Runner>, mut told: Requests) {
    while let Some(mut message) = told.next().await {
        match message.read::<Told>() {
            Ok(Told::Assign(task)) => runner.take(task),
            Ok(Told::Interrupt(task)) => runner.held.interrupt(&task),
            Ok(Told::Drop { key, epoch }) => runner.held.drop_claim(&key, epoch),
            Ok(Told::EndSession { session, why }) => runner.end_session(session, &why),
            Ok(Told::StartSession(start)) => session::webui::begin(&runner, start),
            Ok(Told::UseSession { session }) => runner.pool.is_used(session),
            Err(error) => tracing::error!(%error, "a message can't be read"),
        }
    }
}

impl Runner {
    /// Ends a session of any runtime; its task fails and says why.
    fn end_session(&self, session: SessionId, why: &str) {
        if !self.pool.end_session(session, why) {
            self.held.end_session(session, why);
        }
    }

    /// Takes a claim, unless there is no place. The same claim again is taken again: nothing happens twice.
    fn take(self: &Arc<Self>, task: Arc<Task>) {
        match self.held.take(&task, clock::now()) {
            Holding::Already => {}
            Holding::NoPlace => self.give_back(&task),
            Holding::New(orders) => {
                let runner = Arc::clone(self);
                let ended_by = orders.why.clone();
                tokio::spawn(async move {
                    let (key, epoch) = (task.key(), task.epoch);
                    let reports = Reports::begin(&runner, &task);
                    let ending = match task.runtime {
                        Runtime::Noop => Some(outcome::noop(&task)),
                        Runtime::Command if task.workflow.is_some() => {
                            workflow::run(&runner, &task, orders, &reports).await
                        }
                        Runtime::Command => command::run(&runner, &task, orders, &reports).await,
                        Runtime::Session => session::run(&runner, &task, orders, &reports).await,
                        Runtime::Stream => stream::run(&runner, &task, orders, &reports).await,
                        Runtime::Webui => {
                            Some(outcome::not_started("this runner has no tasks of that runtime"))
                        }
                    };
                    let ended_by = ended_by.borrow().clone().filter(|_| ending.is_some());
                    if let Some(why) = ended_by {
                        session::record_ended(&runner, &task, why).await;
                    }
                    match ending {
                        Some(ending) => reports.end(ending).await,
                        None => reports.give_up().await,
                    }
                    runner.held.remove(&key, epoch);
                });
            }
        }
    }

    /// Gives a claim back for which there is no place. A lost report is no harm: `schedule` tells the runner
    /// again, and so this is said again.
    fn give_back(&self, task: &Task) {
        let report = ClaimReport { key: task.key(), epoch: task.epoch, report: Report::GivenBack };
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            if let Err(error) = outbox.send(report).await {
                tracing::debug!(%error, "a claim could not be given back");
            }
        });
    }
}

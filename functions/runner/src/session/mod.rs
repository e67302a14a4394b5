//! The `session` runtime: a warm process per owner and app version that speaks the session protocol, one task
//! at a time (design §8). A task finds a warm session, waits a moment for a busy one, or has one started.

mod ids;
mod log;
mod pool;
mod port;
mod process;
mod record;
mod response;
mod rest;
mod talk;
pub mod webui;

use std::sync::Arc;
use std::time::Duration;

use domain::task::input::Ending;
use domain::{SessionId, SessionKind, SessionOf, SessionState, Task};
use keeper::Exit;
use session_protocol::{Fault, State};
use tokio::sync::watch;

use crate::bundles::App;
use crate::command::{self, INTERRUPT_GRACE};
use crate::held::{Order, Orders};
use crate::reports::Reports;
use crate::{Runner, outcome};

pub use pool::Pool;
use process::{NotStarted, Session, Wanted};
pub use record::record_ended;
use response::NoResult;
use rest::After;
use talk::{Done, Talk};

/// What a session answered just before its process ended may still be on its way.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// After an ended task its session is asked to forget it; one that does not answer soon is not used again.
const FORGET_TIME: Duration = Duration::from_secs(5);

/// Why a session is to be stopped, with its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The task has the order.
    Ordered(Order),
    /// Somebody ended the session; the text says who.
    Asked(String),
}

/// Waits for an order that stops the task, or for the end of its session.
async fn stopped(orders: Option<&mut Orders>, asked_to_end: &mut watch::Receiver<Option<String>>) -> Stop {
    tokio::select! {
        order = ordered(orders) => Stop::Ordered(order),
        why = asked(asked_to_end) => Stop::Asked(why),
    }
}

/// Waits for an order that stops the task; for ever where there is none to stop.
async fn ordered(orders: Option<&mut Orders>) -> Order {
    let Some(orders) = orders else { return std::future::pending().await };
    match orders.order.wait_for(|order| *order > Order::EndSolve).await {
        Ok(order) => *order,
        // Whoever gives the orders has let go of the claim.
        Err(_) => Order::Drop,
    }
}

/// Waits until somebody wants the session ended, and says who.
async fn asked(asked_to_end: &mut watch::Receiver<Option<String>>) -> String {
    match asked_to_end.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => pool::DRAINED.to_owned(),
    }
}

/// How a task went.
enum Outcome {
    Done(Done),
    Fault(Fault),
    NotStored(String),
    Exited(Exit),
    Stopped(Stop),
    /// It was interrupted and did not end.
    Deaf,
}

/// Runs a task to its end; `None` if the claim is not ours any more or goes back.
pub async fn run(runner: &Arc<Runner>, task: &Task, orders: Orders, reports: &Reports) -> Option<Ending> {
    let app = match command::fetch(runner, &task.bundle).await {
        Ok(app) => app,
        Err(error) => return Some(outcome::not_started(error)),
    };
    loop {
        let mut session = match acquire(runner, task, &app, &orders).await {
            Ok(session) => session,
            Err(NotStarted::Failed(error)) => return Some(outcome::not_started(error)),
            Err(NotStarted::Stopped(stop)) => return stopped_ending(reports, &orders, stop, None),
        };
        let is_warm = session.tasks > 0;
        let outcome = work(runner, task, &mut session, &orders, reports).await;
        // A warm session may end itself at the moment at which a task comes. It had not taken the task, or took
        // it to its grave; the task gets a fresh one.
        if is_warm && outcome.is_gone() && !has_taken(&session) {
            let why = "its process ended by itself as a task came".to_owned();
            session.end(runner, SessionState::Finished, why).await;
            continue;
        }
        return conclude(runner, session, outcome, orders, reports).await;
    }
}

impl Outcome {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Exited(_) | Self::Fault(Fault::Gone { .. }))
    }
}

/// Whether the session has answered the creation of the task that it was given last.
fn has_taken(session: &Session) -> bool {
    session.ids.given() > u64::from(session.tasks)
}

async fn acquire(
    runner: &Arc<Runner>,
    task: &Task,
    app: &App,
    orders: &Orders,
) -> Result<Session, NotStarted> {
    let of = SessionOf::task(task);
    let free = match runner.pool.take_idle(&of).await {
        Some(session) => Some(session),
        None => runner.pool.wait_for_busy(&of).await,
    };
    match free {
        Some(session) => {
            session.log.begin_task(task);
            Ok(session)
        }
        None => {
            // The claim names a session, and that is the one which is started for it.
            let id = task.session.unwrap_or(SessionId(task.id.0));
            let (kind, task, orders) = (SessionKind::Task, Some(task), Some(orders));
            process::start(runner, Wanted { id, kind, of: &of, app, task, orders }).await
        }
    }
}

async fn work(
    runner: &Arc<Runner>,
    task: &Task,
    session: &mut Session,
    orders: &Orders,
    reports: &Reports,
) -> Outcome {
    session.seat.runs(task);
    if session.max_tasks.is_some_and(|most| session.tasks + 1 >= most) {
        session.seat.takes_no_more();
    }
    let Session { id, client, kept, ids, seat, idle, .. } = session;
    let mut talk =
        Talk { runner, task, session: *id, client, ids, reports, orders: orders.clone(), max_idle: *idle };
    let mut talking = std::pin::pin!(talk.run());
    let mut orders = orders.clone();
    let mut interrupted = orders.order.clone();
    let spoken = tokio::select! {
        spoken = &mut talking => spoken,
        exit = kept.wait() => match tokio::time::timeout(LAST_WORDS, talking).await {
            Ok(Ok(done)) => return Outcome::Done(done),
            Ok(Err(_)) | Err(_) => return Outcome::Exited(exit),
        },
        stop = stopped(Some(&mut orders), &mut seat.asked_to_end) => return Outcome::Stopped(stop),
        () = grace_is_over(&mut interrupted) => return Outcome::Deaf,
    };
    match spoken {
        Ok(done) => Outcome::Done(done),
        Err(NoResult::NotStored(why)) => Outcome::NotStored(why),
        // The end of a process is seen a moment after that of its connections, and says more.
        Err(NoResult::Fault(fault @ Fault::Gone { .. })) => {
            match tokio::time::timeout(LAST_WORDS, kept.wait()).await {
                Ok(exit) => Outcome::Exited(exit),
                Err(_) => Outcome::Fault(fault),
            }
        }
        Err(NoResult::Fault(fault)) => Outcome::Fault(fault),
    }
}

async fn grace_is_over(order: &mut watch::Receiver<Order>) {
    if order.wait_for(|order| *order >= Order::EndSolve).await.is_ok() {
        tokio::time::sleep(INTERRUPT_GRACE).await;
    }
}

/// Makes an ending of an outcome, and lets the session rest or ends it.
async fn conclude(
    runner: &Arc<Runner>,
    mut session: Session,
    outcome: Outcome,
    orders: Orders,
    reports: &Reports,
) -> Option<Ending> {
    let id = session.id;
    let failed = |error: String| Some(Ending { session: Some(id), ..outcome::not_started(error) });
    match outcome {
        Outcome::Done(done) => {
            session.tasks += 1;
            session.log.end_task().await;
            let (forget, after) = (done.status.id.clone(), after(&done));
            tokio::spawn(release(Arc::clone(runner), session, forget, after));
            Some(ending(id, done))
        }
        Outcome::Fault(fault @ Fault::UnknownService { .. }) => {
            session.log.end_task().await;
            tokio::spawn(rest::rest(Arc::clone(runner), session, After::More));
            failed(fault.to_string())
        }
        Outcome::Fault(fault) => {
            let error = fault.to_string();
            session.end(runner, SessionState::Failed, error.clone()).await;
            failed(error)
        }
        Outcome::NotStored(why) => {
            session.end(runner, SessionState::Terminated, why.clone()).await;
            failed(why)
        }
        Outcome::Exited(exit) => {
            let last = session.log.end_task().await;
            let ended = outcome::ended(exit, last.as_deref());
            let error = format!("the session's process ended before the task was done: {ended}");
            session.end(runner, SessionState::Failed, error.clone()).await;
            if outcome::is_from_outside(exit) {
                reports.process_lost(error);
                return None;
            }
            failed(error)
        }
        Outcome::Stopped(stop) => {
            let why = match &stop {
                Stop::Ordered(_) => "ended with its task, which was stopped".to_owned(),
                Stop::Asked(why) => why.clone(),
            };
            session.end(runner, SessionState::Terminated, why).await;
            stopped_ending(reports, &orders, stop, Some(id))
        }
        Outcome::Deaf => {
            let seconds = INTERRUPT_GRACE.as_secs();
            let error = format!("it did not end within {seconds} s of the interrupt and was stopped");
            session.end(runner, SessionState::Terminated, error.clone()).await;
            failed(error)
        }
    }
}

fn after(done: &Done) -> After {
    if done.status.accepts_more { After::More } else { After::NoMore }
}

fn ending(session: SessionId, done: Done) -> Ending {
    let error = match done.status.state {
        State::Failed => Some(
            done.status
                .error
                .unwrap_or_else(|| "the task failed, and its session gave no errorMessage".to_owned()),
        ),
        State::Queued | State::Running(_) | State::Completed => None,
    };
    Ending {
        started_at: Some(done.started_at),
        session: Some(session),
        result: done.result,
        return_code: done.status.return_code,
        error,
    }
}

fn stopped_ending(
    reports: &Reports,
    orders: &Orders,
    stop: Stop,
    session: Option<SessionId>,
) -> Option<Ending> {
    let failed = |error: String| Some(Ending { session, ..outcome::not_started(error) });
    match stop {
        Stop::Asked(why) => failed(format!("its session was {why}")),
        Stop::Ordered(Order::Drop) => None,
        Stop::Ordered(Order::GiveBack) => {
            reports.give_back();
            None
        }
        Stop::Ordered(Order::Run | Order::EndSolve | Order::Stop) => failed(orders.why_stopped()),
    }
}

/// Asks the session to forget the task, beside the report of its end, and lets it rest.
async fn release(runner: Arc<Runner>, mut session: Session, forget: String, after: After) {
    match tokio::time::timeout(FORGET_TIME, session.client.delete(&forget)).await {
        Ok(Ok(_)) => rest::rest(runner, session, after).await,
        Ok(Err(_)) | Err(_) => match after {
            // It is ending itself already, as it said.
            After::NoMore => rest::rest(runner, session, after).await,
            After::More => {
                let why =
                    format!("it did not answer DELETE of an ended task within {} s", FORGET_TIME.as_secs());
                session.end(&runner, SessionState::Failed, why).await;
            }
        },
    }
}

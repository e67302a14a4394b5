//! Functions with a bug that we planted, to show that the run under faults can fail. Each takes the place of a
//! function of the product in processes of its own; the product holds no line of them. A fifth bug, a function
//! that does not know the conflict code of replicated streams, needs no function: the proxy hides the code.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Bucket, Feed, Known, News, Tasks, WriteError};
use domain::board::{Action, Board, Reception};
use domain::task::input::Input;
use domain::{SessionId, Task, TaskId, TaskKey};
use serde_json::json;
use service::clock::{self, Ticks};
use service::{Context, RunError, ids, serve};
use sha2::{Digest, Sha256};
use wire::calls::Answer;
use wire::calls::create::{CreateReply, CreateRequest};
use wire::calls::report::Standing;
use wire::calls::schedule::{ScheduleReply, ScheduleRequest};
use wire::records::App;
use wire::runner::{Beat, ReportRequest, Told};
use wire::topology::{APPS, LANES, TASKS, app_key, task_key, tasks_lane};
use wire::{Error, Function, names, subjects};

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// `create` answers first and writes the record then.
    AckBeforeRecord,
    /// `create` takes a write without an answer for one that failed, and makes another task.
    TimeoutIsFailure,
    /// `report` takes whatever is reported of a task that runs, by whichever claim.
    NoEpochCheck,
    /// `schedule` repairs nothing.
    NoSweeper,
}

/// The first argument of a program that is to run a planted bug; the second one is which.
pub const ARGUMENT: &str = "planted";
/// How long a record is on its way after its acknowledgement.
const WRITTEN_LATER: Duration = Duration::from_millis(100);
const MANY_RUNNERS_LOST: u32 = 100;

impl Planted {
    const ALL: [Self; 4] =
        [Self::AckBeforeRecord, Self::TimeoutIsFailure, Self::NoEpochCheck, Self::NoSweeper];

    /// The function that has the bug.
    pub fn function(self) -> Function {
        match self {
            Self::AckBeforeRecord | Self::TimeoutIsFailure => Function::Create,
            Self::NoEpochCheck => Function::Report,
            Self::NoSweeper => Function::Schedule,
        }
    }

    /// The arguments of the program under test that run it.
    pub fn arguments(self) -> [String; 2] {
        [ARGUMENT.to_owned(), format!("{self:?}")]
    }
}

/// Runs a planted bug, if the arguments of this process ask for one.
pub fn asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    arguments.next().filter(|first| first == ARGUMENT)?;
    let name = arguments.next().unwrap_or_default();
    let bug = Planted::ALL.into_iter().find(|bug| format!("{bug:?}") == name).expect("a planted bug");
    Some(match bug {
        Planted::AckBeforeRecord | Planted::TimeoutIsFailure => {
            service::main(bug.function(), move |context| create(context, bug))
        }
        Planted::NoEpochCheck => service::main(bug.function(), report),
        Planted::NoSweeper => service::main(bug.function(), schedule),
    })
}

async fn create(context: Context, bug: Planted) -> Result<(), RunError> {
    let broker = context.broker.clone();
    serve(&context, move |request: CreateRequest| {
        let broker = broker.clone();
        async move {
            let (apps, key) =
                (Bucket::<App>::new(&broker, APPS), app_key(&request.caller.tenant, &request.app));
            let (_, app) = apps.get(&key).await?.ok_or_else(|| Error::internal("no app"))?;
            let task = record(&request, &app);
            if bug == Planted::TimeoutIsFailure {
                return written_or_another(&Bucket::new(&broker, TASKS), task).await;
            }
            let (tasks, later) = (Tasks::new(&broker), task.clone());
            tokio::spawn(async move {
                tokio::time::sleep(WRITTEN_LATER).await;
                let input = Input::Create(Box::new(later.clone()));
                tasks.apply(&later.key(), &input, clock::now(), Known::Absent).await
            });
            Ok(CreateReply { task, repeated: false })
        }
    })
    .await
}

/// The record of a task, as far as the run needs one.
fn record(request: &CreateRequest, app: &App) -> Task {
    let id = request.idempotency_key.as_ref().map_or(request.id, |key| {
        let sum = Sha256::digest(key.as_bytes());
        let hex: String = sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        parts.join("-").parse().unwrap()
    });
    let version = app.latest.as_ref().unwrap();
    let published = &app.versions[version];
    serde_json::from_value(json!({
        "id": id,
        "tenant": request.caller.tenant,
        "user": request.caller.user,
        "app": app.name,
        "version": version,
        "service": request.service,
        "runtime": published.runtime,
        "bundle": published.bundle,
        "lane": tasks_lane(&request.caller.tenant),
        "priority": 5,
        "state": "queued",
        "epoch": 0,
        "retry_limit": MANY_RUNNERS_LOST,
        "created_at": clock::now(),
        "input": request.input,
        "request_digest": request.input_digest,
    }))
    .unwrap()
}

async fn written_or_another(bucket: &Bucket<Task>, mut task: Task) -> Result<CreateReply, Error> {
    for _ in 0..3 {
        let key = task_key(&task.key());
        match bucket.write(&key, 0, &task).await {
            Ok(_) => return Ok(CreateReply { task, repeated: false }),
            Err(WriteError::Conflict) => {
                let (_, task) = bucket.get(&key).await?.ok_or_else(|| Error::unavailable("gone"))?;
                return Ok(CreateReply { task, repeated: true });
            }
            Err(_) => task.id = TaskId(ids::random()?),
        }
    }
    Err(Error::unavailable("the broker is away"))
}

async fn report(context: Context) -> Result<(), RunError> {
    let tasks = Tasks::new(&context.broker);
    serve(&context, move |request: ReportRequest| {
        let tasks = tasks.clone();
        async move {
            let mut answers = Vec::new();
            for said in request.reports {
                let known = tasks.get(&said.key).await?;
                let in_force = known.filter(|(_, task)| task.state.is_active());
                let epoch = in_force.map_or(said.epoch, |(_, task)| task.epoch);
                let input = Input::Report { epoch, report: said.report };
                let applied = tasks.apply(&said.key, &input, clock::now(), Known::Nothing).await;
                answers.push(match applied {
                    Ok(applied) => Answer::Ok(Standing { holds: applied.task.state.is_active() }),
                    Err(error) => Answer::Err(error.into()),
                });
            }
            Ok(answers)
        }
    })
    .await
}

async fn schedule(context: Context) -> Result<(), RunError> {
    let board = Arc::new(Mutex::new(Board::new()));
    let driving = tokio::spawn(drive(context.clone(), Arc::clone(&board)));
    let served = serve(&context, move |request: ScheduleRequest| {
        let waiting = match request {
            ScheduleRequest::Waiting { key } => {
                ScheduleReply::Waiting(board.lock().unwrap().waiting(&key, 0))
            }
            ScheduleRequest::Lanes => ScheduleReply::Lanes(Vec::new()),
            ScheduleRequest::Announce(_) => ScheduleReply::Announced(Reception::Queue),
            ScheduleRequest::Withdraw { .. } => ScheduleReply::Withdrawn,
        };
        async move { Ok(waiting) }
    })
    .await;
    driving.abort();
    served
}

/// Claims and assigns, and never looks whether anything came of it.
async fn drive(context: Context, board: Arc<Mutex<Board>>) -> Result<(), RunError> {
    let (broker, ticks) = (&context.broker, Ticks::begin());
    let tasks = Tasks::new(broker);
    let mut records = Feed::follow(tasks.bucket());
    let mut limits = Feed::follow(&Bucket::new(broker, LANES));
    let mut beats =
        broker.requests(subjects::BEAT_ALL.to_owned(), false).await.map_err(RunError::from_text)?;
    loop {
        tokio::select! {
            Some(news) = records.next() => match news {
                News::Value { revision, value, .. } => {
                    board.lock().unwrap().learn(revision, value, ticks.millis());
                }
                News::Reset => board.lock().unwrap().forget_tasks(),
                News::CaughtUp { .. } => {}
            },
            Some(news) = limits.next() => if let News::Value { key, value, .. } = news {
                let lane = names::text(&key).unwrap_or_default();
                board.lock().unwrap().set_limits(&lane, Some(Arc::unwrap_or_clone(value)));
            },
            Some(mut beat) = beats.next() => if let Ok(beat) = beat.read::<Beat>() {
                board.lock().unwrap().hear(beat.heartbeat, ticks.millis());
            },
        }
        let actions = board.lock().unwrap().admit(ticks.millis());
        for action in actions {
            if let Action::Claim(key, runner) = action {
                let (broker, tasks, board) = (broker.clone(), tasks.clone(), Arc::clone(&board));
                let claim = Input::Claim { runner, session: SessionId(ids::random().unwrap()) };
                tokio::spawn(async move {
                    claimed(&tasks, key, &claim, &board, ticks, &broker).await;
                });
            }
        }
    }
}

async fn claimed(
    tasks: &Tasks,
    key: TaskKey,
    claim: &Input,
    board: &Mutex<Board>,
    ticks: Ticks,
    broker: &broker::Broker,
) {
    match tasks.apply(&key, claim, clock::now(), Known::Nothing).await {
        Ok(applied) => {
            board.lock().unwrap().claimed(applied.revision, applied.task.clone(), ticks.millis());
            if let Some(runner) = applied.task.runner {
                broker.tell(subjects::runner(runner), &Told::Assign(applied.task)).await;
            }
        }
        Err(_) => board.lock().unwrap().not_claimed(&key),
    }
}

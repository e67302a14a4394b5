//! `create`: takes tasks in. Once it has answered, the task is in the broker and is never lost.

mod announce;
mod door;
mod gauge;
mod identity;
mod queue;
mod room;
mod streams;
mod submissions;
mod triggers;
mod workflows;

use std::sync::Arc;

use broker::body::Bodies;
use broker::tasks::{Applied, ApplyError};
use broker::{Broker, Bucket, Known, Tasks, View};
use domain::access::rights_on;
use domain::lane::{JOBS, LaneLimits, PRIORITY_DEFAULT, PRIORITY_FIRST, PRIORITY_LAST};
use domain::payload::INLINE_BYTES_MAX;
use domain::task::hook::Events;
use domain::task::input::Refusal;
use domain::task::state::{Origin, POSITION_DEFAULT, Phase, Runtime};
use domain::task::workflow::Workflow;
use domain::{Caller, Epoch, Right, Task, TaskId, TaskKey, TaskState};
use service::door::Endpoint;
use service::outbound::Outbound;
use service::{Context, RunError, clock, serve_with_door};
use tokio::sync::Semaphore;
use wire::calls::create::{CreateReply, CreateRequest, Target};
use wire::records::{App, AppVersion};
use wire::topology::{APPS, BODIES, LANES, app_key, lane_key, tasks_lane};
use wire::{Code, Error, names};

use gauge::Gauge;
use room::Room;

/// How often a key may have been used for tasks that were deleted since, before it counts as worn out.
const GENERATIONS_MAX: u32 = 100;
/// Whom one task can tell its changes.
const HOOKS_MAX: usize = 16;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let tasks = Tasks::new(&context.broker);
    let function = Create {
        broker: context.broker.clone(),
        room: Room::watch(&tasks),
        tasks,
        apps: View::follow(Bucket::new(&context.broker, APPS)),
        lanes: View::follow(Bucket::new(&context.broker, LANES)),
        gauge: Gauge::follow(&context.broker),
        outbound: context.settings.outbound.clone(),
        bodies: Bodies::new(&context.broker, BODIES),
        waits: Arc::new(Semaphore::new(door::WAITS_AT_ONCE)),
    };
    let (asked, letters, calls) = (function.clone(), function.clone(), function.clone());
    let endpoints = vec![
        Endpoint::new(move |caller, order| {
            let function = asked.clone();
            async move { function.ask(caller, order).await }
        }),
        Endpoint::new(move |caller, ask| {
            let function = letters.clone();
            async move { function.dead_letters(caller, ask).await }
        }),
    ];
    let serving = serve_with_door(&context, endpoints, move |request| {
        let function = calls.clone();
        async move { function.handle(request).await }
    });
    let places = Arc::new(Semaphore::new(queue::AT_ONCE as usize));
    let submissions = submissions::take(&context, &function, &places);
    let triggers = triggers::take(&context, &function, &places);
    let (served, (), ()) = tokio::join!(serving, submissions, triggers);
    // What was taken is ended.
    let _ = places.acquire_many(queue::AT_ONCE).await;
    served
}

#[derive(Clone)]
struct Create {
    broker: Broker,
    tasks: Tasks,
    apps: View<App>,
    lanes: View<LaneLimits>,
    gauge: Gauge,
    room: Room,
    outbound: Outbound,
    bodies: Bodies,
    waits: Arc<Semaphore>,
}

impl Create {
    async fn handle(&self, request: CreateRequest) -> Result<CreateReply, Error> {
        check_names(&request)?;
        check_timing(&request)?;
        self.check_hooks(&request)?;
        let (found, lane) = match request.target {
            Target::Service => (self.service(&request).await?, tasks_lane(&request.caller.tenant)),
            Target::Workflow => (self.workflow(&request).await?, JOBS.to_owned()),
            Target::Stream => return self.stream(&request).await,
        };
        let limits = self.lanes.recent(&lane_key(&lane)).await?;
        let limits = limits.map_or_else(|| LaneLimits::of(&lane), |limits| (*limits).clone());
        if self.gauge.queued(&lane) >= limits.max_queued {
            let message = format!("lane {lane} is full: {} tasks wait; try again later", limits.max_queued);
            return Err(Error::new(Code::LaneFull, message));
        }
        self.room.check()?;
        let task = record(&request, found, lane, &limits);
        workflows::check_size(&task)?;
        self.write(&request, task).await
    }

    /// Addresses that are seen to lead nowhere allowed are refused at once; where a name leads is known when it is
    /// dialled.
    fn check_hooks(&self, request: &CreateRequest) -> Result<(), Error> {
        if request.hooks.len() > HOOKS_MAX {
            let message = format!("a task can tell its changes to at most {HOOKS_MAX} addresses");
            return Err(Error::new(Code::BadRequest, message));
        }
        let gate = request.timing.as_ref().and_then(|timing| timing.gate.as_deref());
        for url in request.hooks.iter().map(|hook| hook.url.as_str()).chain(gate) {
            self.outbound.target(url).map_err(|why| {
                let shown: String = url.chars().filter(|c| !c.is_control()).take(128).collect();
                Error::new(Code::BadRequest, format!("{shown} can't be called: {why}"))
            })?;
        }
        Ok(())
    }

    /// The app as it is now: what was published a moment ago must be found, and `latest` must be the one in
    /// force.
    async fn service(&self, request: &CreateRequest) -> Result<Program, Error> {
        let found = self.apps.current(&app_key(&request.caller.tenant, &request.app)).await?;
        let app = found.ok_or_else(|| no_app(request))?;
        if !may_run(&request.caller, &app) {
            return Err(not_granted(&request.caller, &app));
        }
        let (version, published) = resolve(&app, request)?;
        Ok(Program::of(&app, version, published, None))
    }

    /// Writes the record. The id of a request with an idempotency key comes from the key, so two at once
    /// meet in one compare-and-set; a key whose task was deleted gives a new task.
    async fn write(&self, request: &CreateRequest, mut task: Task) -> Result<CreateReply, Error> {
        for generation in 0..GENERATIONS_MAX {
            task.id = match &request.idempotency_key {
                Some(key) if request.origin == Origin::Trigger => {
                    identity::of_message(&request.caller.tenant, key, generation)
                }
                Some(key) => identity::from_key(&request.caller, key, generation),
                None => request.id,
            };
            let key = TaskKey::new(&request.caller.tenant, task.id);
            let announced = self.announce(task.clone()).await;
            let applied = self.tasks.apply(&key, &announced.input, clock::now(), Known::Absent).await;
            // What became of a write that the broker did not answer is not known, so its place is kept for a while.
            if matches!(&applied, Ok(Applied { written: false, .. }) | Err(ApplyError::Refused(_))) {
                self.withdraw(key, &announced).await;
            }
            match applied {
                Ok(applied) => {
                    self.room.taken(&applied.task);
                    return Ok(CreateReply { repeated: !applied.written, task: applied.into_task() });
                }
                Err(ApplyError::Refused(Refusal::NotFound)) if request.idempotency_key.is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(Code::KeyReused, "this Idempotency-Key was used too often; use a new key"))
    }
}

/// What a request is to run: an app version, and the steps of a workflow.
struct Program {
    app: String,
    version: String,
    bundle: String,
    runtime: Runtime,
    workflow: Option<Vec<String>>,
}

impl Program {
    fn of(app: &App, version: String, published: &AppVersion, workflow: Option<Vec<String>>) -> Self {
        let (bundle, runtime) = (published.bundle.clone(), published.runtime);
        Self { app: app.name.clone(), version, bundle, runtime, workflow }
    }
}

fn may_run(caller: &Caller, app: &App) -> bool {
    rights_on(caller, &app.grants).has(&[Right::Read, Right::Execute])
}

fn not_granted(caller: &Caller, app: &App) -> Error {
    let message = format!("user {} needs the rights read and execute on app {}", caller.user, app.name);
    Error::new(Code::Forbidden, message)
}

/// The runs of a series share their input, and a stored body would go with the first run that is deleted.
fn check_timing(request: &CreateRequest) -> Result<(), Error> {
    let recurs = request.timing.as_ref().is_some_and(|timing| timing.every.is_some());
    if recurs && request.input.object().is_some() {
        let message = format!("a recurring task takes a body of at most {INLINE_BYTES_MAX} bytes");
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(())
}

fn check_names(request: &CreateRequest) -> Result<(), Error> {
    let version = request.version.as_deref().unwrap_or("1");
    // The name of a workflow is only looked for, so it may be any text.
    let looked_at = request.target == Target::Service;
    for (what, name) in [("app", request.app.as_str()), ("version", version), ("service", &request.service)] {
        if looked_at && !names::is_name(name) {
            let message =
                format!("the {what} name is not usable: 1 to 128 characters, no '/' or control characters");
            return Err(Error::new(Code::BadRequest, message));
        }
    }
    let priority = request.priority.unwrap_or(PRIORITY_DEFAULT);
    if !(PRIORITY_FIRST..=PRIORITY_LAST).contains(&priority) {
        return Err(Error::new(Code::BadRequest, "priority is a whole number from 1 (first) to 10 (last)"));
    }
    Ok(())
}

fn no_app(request: &CreateRequest) -> Error {
    match &request.version {
        None => no_latest(&request.app),
        Some(version) => {
            let message = format!("App {} version {version} doesn't exist", request.app);
            Error::new(Code::AppNotFound, message)
        }
    }
}

/// The text is the documented one (seed 000).
fn no_latest(app: &str) -> Error {
    Error::new(Code::LatestNotFound, format!("App {app} with latest tag doesn't exist"))
}

/// The version is resolved here, once: moving the tag later changes nothing for this task.
fn resolve<'a>(app: &'a App, request: &CreateRequest) -> Result<(String, &'a AppVersion), Error> {
    let version = match &request.version {
        Some(version) => version,
        None => app.latest.as_ref().ok_or_else(|| no_latest(&app.name))?,
    };
    let published = app.versions.get(version).ok_or_else(|| no_app(request))?;
    if published.runtime == Runtime::Stream {
        let message = format!("app {} is for stream tasks, which are created by name and started", app.name);
        return Err(Error::new(Code::BadRequest, message));
    }
    if published.runtime == Runtime::Webui {
        let message =
            format!("app {} {version} serves a page and runs no tasks; start it as a session", app.name);
        return Err(Error::new(Code::BadRequest, message));
    }
    if !published.services.is_empty() && !published.services.contains(&request.service) {
        let known = published.services.join(", ");
        let message = format!(
            "app {} {version} has no service {}; its services are {known}",
            app.name, request.service
        );
        return Err(Error::new(Code::NotFound, message));
    }
    Ok((version.clone(), published))
}

fn record(request: &CreateRequest, program: Program, lane: String, limits: &LaneLimits) -> Task {
    let workflow = program.workflow.map(|steps| Workflow {
        steps,
        done: 0,
        failures: 0,
        output: None,
        retry_limit: limits.retry_limit,
        retry_delay_ms: limits.retry_delay_ms,
    });
    Task {
        id: TaskId(request.id.0),
        run: 0,
        number: None,
        origin: request.origin,
        name: None,
        tenant: (&request.caller.tenant).into(),
        user: request.caller.user.clone(),
        app: program.app,
        version: program.version,
        service: request.service.clone(),
        runtime: program.runtime,
        bundle: program.bundle,
        lane,
        priority: request.priority.unwrap_or(PRIORITY_DEFAULT),
        top_of_queue: false,
        position: POSITION_DEFAULT,
        state: TaskState::Queued,
        phase: Phase::Running,
        epoch: Epoch(0),
        losses: 0,
        retry_limit: limits.retry_limit,
        created_at: clock::now(),
        updated_at: clock::now(),
        timing: request.timing.clone(),
        workflow,
        hooks: request.hooks.clone(),
        events: Events::default(),
        pause: false,
        superseded: false,
        assigned_at: None,
        running_at: None,
        ended_at: None,
        runner: None,
        session: None,
        interrupt: None,
        input: request.input.clone(),
        result: None,
        return_code: None,
        error: None,
        request_digest: identity::digest(request),
    }
}

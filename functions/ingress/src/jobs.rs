//! Orders about jobs, carried out: a job is known by its number, and `status` says which task that is.

use bytes::Bytes;
use dialects::{JobsHealth, JobsOrder, JobsOutcome, Outcome, task_engine};
use domain::Caller;
use domain::jobs::{Job, Viewer};
use domain::lane::LaneLimits;
use domain::task::state::Origin;
use service::clock;
use wire::calls::admin::{AdminOrder, AdminReply, AdminRequest};
use wire::calls::amend::{AmendChange, AmendRequest};
use wire::calls::create::Target;
use wire::calls::logs::{LineFilter, LogOf, LogsRequest};
use wire::calls::status::{StatusReply, StatusRequest};
use wire::runner::{LogLine, LogSource};
use wire::{Code, Error, Function};

use crate::create::Order;
use crate::forward::Forward;
use crate::input::{Body, inlined};
use crate::notes::{key_of, will_run};

/// Lines of a job's log that one answer has at the most.
const LOG_LINES_MAX: usize = 5_000;
const LOG_LINES_PER_CALL: u64 = 1_000;

impl Forward {
    /// Carries out an order about jobs. `caller` is there for every order that needs a key.
    ///
    /// What was `asked` goes into the log of the job that it makes or changes.
    pub(crate) async fn jobs(
        &self,
        order: JobsOrder,
        caller: Option<&Caller>,
        asked: Option<String>,
    ) -> Result<Outcome, Error> {
        let known = || caller.ok_or_else(|| Error::internal("a route without a key acts for somebody"));
        let outcome = match order {
            JobsOrder::Create { workflow, priority, timing, hooks, parameters, idempotency_key } => {
                let order = Order {
                    target: Target::Workflow,
                    origin: Origin::TaskEngine,
                    app: String::new(),
                    version: None,
                    service: workflow,
                    priority,
                    timing,
                    hooks,
                    idempotency_key,
                    content_type: Some("application/json".to_owned()),
                };
                let body = Body::Held(Bytes::from(parameters.to_string()));
                let caller = known()?;
                let created = self.create(caller, order, body).await?;
                self.note_created(caller, &created, asked).await;
                JobsOutcome::Accepted { number: created.task.number }
            }
            JobsOrder::Get { viewer, number } => JobsOutcome::Job(self.job(viewer, number).await?),
            JobsOrder::List { viewer, query } => {
                let StatusReply::Jobs(jobs) =
                    self.broker.call(&StatusRequest::Jobs { viewer, query }).await?
                else {
                    return Err(strange());
                };
                JobsOutcome::Jobs(jobs)
            }
            JobsOrder::Update { number, amendment } => {
                let (caller, run_at) = (known()?, amendment.run_at);
                let job = self.amend(caller, number, AmendChange::Amend(amendment)).await?;
                let key = key_of(&job);
                self.note_asked(&key, clock::now(), asked).await;
                if let Some(at) = run_at {
                    self.note(&key, clock::now(), LogSource::Scheduler, will_run(at)).await;
                }
                JobsOutcome::Updated { number }
            }
            JobsOrder::Rerun { number } => self.rerun(known()?, number, asked).await?,
            // A place that is free is taken at once, so there is never anything left to push.
            JobsOrder::Push => return Ok(Outcome::Done),
            JobsOrder::Logs { viewer, number } => self.job_logs(viewer, number).await?,
            JobsOrder::Dashboard { client } => {
                let StatusReply::Dashboard(found) =
                    self.broker.call(&StatusRequest::Dashboard { client }).await?
                else {
                    return Err(strange());
                };
                JobsOutcome::Dashboard(found)
            }
            JobsOrder::Health => JobsOutcome::Health(self.jobs_health(known()?).await?),
            JobsOrder::Schedules => self.settings(known()?, AdminOrder::Schedules).await?,
            JobsOrder::SetScheduler { schedule, active } => {
                self.settings(known()?, AdminOrder::SchedulerSet { schedule, active }).await?
            }
            JobsOrder::Setting { name, value } => {
                self.settings(known()?, AdminOrder::SettingSet { name, value }).await?
            }
        };
        Ok(Outcome::Jobs(Box::new(outcome)))
    }

    async fn job(&self, viewer: Viewer, number: u64) -> Result<Job, Error> {
        let StatusReply::Job(found) = self.broker.call(&StatusRequest::Job { viewer, number }).await? else {
            return Err(strange());
        };
        found.ok_or_else(|| Error::task_not_found(number))
    }

    async fn amend(&self, caller: &Caller, number: u64, change: AmendChange) -> Result<Job, Error> {
        let job = self.job(Viewer::Client(caller.tenant.clone()), number).await?;
        let (id, run) = (job.task.id, Some(job.task.run));
        self.broker.call(&AmendRequest { caller: caller.clone(), id, run, change }).await?;
        Ok(job)
    }

    /// The new job comes first: should we die between the two, there is one job too many and none too few.
    async fn rerun(&self, caller: &Caller, number: u64, asked: Option<String>) -> Result<JobsOutcome, Error> {
        let job = self.job(Viewer::Client(caller.tenant.clone()), number).await?;
        let key = key_of(&job);
        let input = job.input.unwrap_or_default();
        if input.object().is_some() {
            return Err(Error::new(Code::BadRequest, "the input of the job is too large to be run anew"));
        }
        let bytes = inlined(&input)?;
        let is_workflow = job.task.steps.is_some();
        let hooks = if is_workflow { task_engine::hooks_in(&bytes)? } else { Vec::new() };
        let order = Order {
            target: if is_workflow { Target::Workflow } else { Target::Service },
            origin: Origin::TaskEngine,
            app: job.task.app.into(),
            version: Some(job.task.version.into()).filter(|_| !is_workflow),
            service: job.task.service.into(),
            priority: Some(job.task.priority),
            timing: None,
            hooks,
            idempotency_key: None,
            content_type: input.content_type,
        };
        let again = self.create(caller, order, Body::Held(bytes)).await?;
        let (id, run) = (job.task.id, Some(job.task.run));
        let change = AmendChange::Supersede;
        self.broker.call(&AmendRequest { caller: caller.clone(), id, run, change }).await?;
        self.note_asked(&key, clock::now(), asked.clone()).await;
        self.note_created(caller, &again, asked).await;
        Ok(JobsOutcome::Accepted { number: again.task.number })
    }

    /// Whoever may see the job may see its log, so it is read on behalf of its owner.
    async fn job_logs(&self, viewer: Viewer, number: u64) -> Result<JobsOutcome, Error> {
        let job = self.job(viewer, number).await?;
        let (id, run) = (job.task.id, Some(job.task.run));
        let lines = self.log_of(&job, LogOf::Task { id, run }).await?;
        let notes = self.log_of(&job, LogOf::Notes { id, run }).await?;
        Ok(JobsOutcome::Logs { job, lines, notes })
    }

    async fn log_of(&self, job: &Job, of: LogOf) -> Result<Vec<LogLine>, Error> {
        let caller = Caller { tenant: job.tenant.to_string(), user: job.task.user.to_string(), admin: true };
        let mut lines = Vec::new();
        let mut offset = 0;
        while lines.len() < LOG_LINES_MAX {
            let request = LogsRequest {
                caller: caller.clone(),
                of,
                offset,
                limit: LOG_LINES_PER_CALL,
                wait_ms: 0,
                filter: LineFilter::default(),
                count: false,
            };
            let page = self.broker.call(&request).await?;
            if page.lines.is_empty() {
                break;
            }
            offset = page.next;
            lines.extend(page.lines);
        }
        Ok(lines)
    }

    async fn settings(&self, caller: &Caller, order: AdminOrder) -> Result<JobsOutcome, Error> {
        match self.broker.call(&AdminRequest { caller: caller.clone(), order }).await? {
            AdminReply::Schedules(found) => Ok(JobsOutcome::Schedules(found)),
            AdminReply::Setting { name, created } => Ok(JobsOutcome::Setting { name, created }),
            AdminReply::Tenants(_)
            | AdminReply::KeyCreated(_)
            | AdminReply::SigningKeyCreated(_)
            | AdminReply::Keys(_)
            | AdminReply::Apps(_)
            | AdminReply::Lanes(_) => {
                Err(Error::internal("admin answered something else where a setting was meant"))
            }
        }
    }

    async fn jobs_health(&self, caller: &Caller) -> Result<JobsHealth, Error> {
        let health = self.checkup.health().await;
        let (counts, limits) = self.counts(&caller.tenant).await?;
        let up = |function: Function| u64::from(health.functions.iter().any(|name| name == function.name()));
        Ok(JobsHealth {
            broker: health.broker,
            durability: health.durability.clone(),
            schedulers: up(Function::Schedule),
            callbacks: health.functions.iter().filter(|name| name.as_str() == "callbacks").count() as u64,
            broker_version: health.broker_version.clone(),
            places: self.places(caller).await,
            counts,
            limits,
        })
    }

    /// Places for tasks on live runners. Where nobody tells, none are known.
    async fn places(&self, caller: &Caller) -> u64 {
        let live = self.live_sessions(caller).await;
        live.map_or(0, |live| live.runners.iter().map(|runner| u64::from(runner.slots)).sum())
    }

    async fn counts(&self, client: &str) -> Result<(domain::jobs::JobCounts, LaneLimits), Error> {
        let request = StatusRequest::JobCounts { client: client.to_owned() };
        let StatusReply::JobCounts(counts, limits) = self.broker.call(&request).await? else {
            return Err(strange());
        };
        Ok((counts, limits))
    }
}

fn strange() -> Error {
    Error::internal("status answered something else than what was asked for")
}

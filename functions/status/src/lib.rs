//! `status`: tells how tasks stand. One task is read from its record; lists and waiting come from a picture
//! in memory, drawn from the change feed, that is first brought up to what the broker has now.

mod door;
mod jobs;
mod picture;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use broker::body::Bodies;
use broker::{Broker, Bucket, Tasks, View};
use domain::jobs::{Dashboard, Job, JobQuery, Viewer};
use domain::lane::{JOBS, LaneLimits};
use domain::list::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Query, Summary};
use domain::{Caller, Right, Task, TaskKey, TaskState};
use service::apps::Apps;
use service::{Context, RunError, clock, serve_with_door};
use wire::Error;
use wire::calls::callbacks::Delivery;
use wire::calls::schedule::{ScheduleReply, ScheduleRequest};
use wire::calls::status::{Page, StatusReply, StatusRequest, TaskStatus};
use wire::records::SessionRecord;
use wire::topology::{BODIES, DELIVERIES, LANES, SESSIONS, lane_key, task_key};

use picture::Picture;
use sessions::Known;

/// The most that one call may wait for the end of a task.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The most bytes of rows in one reply, well below what one message takes.
const PAGE_BYTES_MAX: usize = 600 * 1024;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let tasks = Tasks::new(&context.broker);
    let function = Arc::new(Status {
        apps: Apps::follow(&context.broker),
        lanes: View::follow(Bucket::new(&context.broker, LANES)),
        sessions: View::follow(Bucket::new(&context.broker, SESSIONS)),
        picture: Picture::follow(&context.broker, &tasks).await.map_err(RunError::from_text)?,
        bodies: Bodies::new(&context.broker, BODIES),
        broker: context.broker.clone(),
        tasks,
    });
    serve_with_door(&context, door::endpoints(&function), move |request| {
        let function = Arc::clone(&function);
        async move { function.handle(request).await }
    })
    .await
}

pub(crate) struct Status {
    broker: Broker,
    tasks: Tasks,
    apps: Apps,
    lanes: View<LaneLimits>,
    sessions: View<SessionRecord>,
    picture: Picture,
    bodies: Bodies,
}

impl Status {
    async fn handle(&self, request: StatusRequest) -> Result<StatusReply, Error> {
        match request {
            StatusRequest::Get { caller, id, run, wait_ms } => {
                let key = TaskKey { tenant: (&caller.tenant).into(), id, run: run.unwrap_or(0) };
                let wait = Duration::from_millis(wait_ms);
                self.get(&caller, key, run.is_none(), wait).await.map(StatusReply::Task)
            }
            StatusRequest::Job { viewer, number } => {
                self.up_to_date().await?;
                self.job(&viewer, number).await.map(StatusReply::Job)
            }
            StatusRequest::Jobs { viewer, query } => {
                self.up_to_date().await?;
                self.jobs(&viewer, &query).await.map(StatusReply::Jobs)
            }
            StatusRequest::Dashboard { client } => {
                self.dashboard(client.as_deref()).await.map(StatusReply::Dashboard)
            }
            StatusRequest::JobCounts { client } => {
                self.up_to_date().await?;
                let counts = self.picture.jobs(|jobs, _| jobs.counts(&client))?;
                Ok(StatusReply::JobCounts(counts, self.jobs_limits().await?))
            }
            StatusRequest::Stream { caller, name } => self.stream(&caller, &name).await,
            StatusRequest::Streams { caller } => {
                self.up_to_date().await?;
                self.picture.streams(&caller.tenant).map(StatusReply::Streams)
            }
            StatusRequest::LastRun { key } => self.last_run(&key).await.map(StatusReply::LastRun),
            StatusRequest::Sessions { caller, query, live, runners } => {
                self.up_to_date().await?;
                let records = self.sessions.all_fresh().await?;
                let known = Known::new(&caller, &records, &live, &runners, clock::now());
                let page = |tasks: &mut dyn Iterator<Item = &Summary>| {
                    sessions::page(&caller, &query, &known, tasks)
                };
                self.picture.of_tenant(&caller.tenant, page).map(StatusReply::Sessions)
            }
            StatusRequest::List { caller, query } => self.list(&caller, query).await.map(StatusReply::Page),
        }
    }

    async fn get(
        &self,
        caller: &Caller,
        mut key: TaskKey,
        last: bool,
        wait: Duration,
    ) -> Result<TaskStatus, Error> {
        if !wait.is_zero()
            && let Some(ended) = self.ended(caller, &key, wait.min(WAIT_MAX)).await?
        {
            return Ok(TaskStatus {
                summary: Summary::from(&*ended),
                result: ended.result.clone(),
                progress: None,
                waiting: None,
                deliveries: Vec::new(),
            });
        }
        let mut task = self.record(&key).await?;
        if last && task.timing.as_ref().is_some_and(|timing| timing.every.is_some()) {
            let run = self.last_run(&key).await?;
            key = key.of_run(run.ok_or_else(|| Error::task_not_found(key.id))?);
            task = self.record(&key).await?;
        }
        if task.state == TaskState::Deleted {
            return Err(Error::task_not_found(key.id));
        }
        self.apps.check(caller, &task, &[Right::Read]).await?;
        if !wait.is_zero() && !task.state.is_terminal() {
            self.picture.until_ended(&key, wait.min(WAIT_MAX)).await;
            task = self.read(&key).await?;
        }
        let asked = matches!(task.state, TaskState::Queued | TaskState::Scheduled) && wait.is_zero();
        let waiting = if asked { self.waiting(&key).await } else { None };
        let progress = self.picture.progress(&key).filter(|progress| progress.epoch == task.epoch);
        let told = wait.is_zero() && !task.hooks.is_empty();
        let deliveries = if told { self.deliveries(&key).await? } else { Vec::new() };
        Ok(TaskStatus { summary: Summary::from(&task), result: task.result, progress, waiting, deliveries })
    }

    async fn deliveries(&self, key: &TaskKey) -> Result<Vec<Delivery>, Error> {
        let bucket = Bucket::<Vec<Delivery>>::new(&self.broker, DELIVERIES);
        Ok(bucket.get(&task_key(key)).await?.map(|(_, hooks)| hooks).unwrap_or_default())
    }

    /// The end of a task that the picture shows and that has not ended yet. It shows both that the task is there
    /// and how it ends, so that waiting costs the broker no reads.
    async fn ended(
        &self,
        caller: &Caller,
        key: &TaskKey,
        wait: Duration,
    ) -> Result<Option<Arc<Task>>, Error> {
        let Some(app) = self.picture.app_of(key).await else { return Ok(None) };
        self.apps.check_app(caller, &app, key.id, &[Right::Read]).await?;
        match self.picture.until_ended(key, wait).await {
            Some(task) if task.state == TaskState::Deleted => Err(Error::task_not_found(key.id)),
            ended => Ok(ended),
        }
    }

    /// The record, be it a deleted task's: the first run of a series may be gone while later ones are not.
    async fn record(&self, key: &TaskKey) -> Result<Task, Error> {
        let found = self.tasks.get(key).await?;
        found.map(|(_, task)| task).ok_or_else(|| Error::task_not_found(key.id))
    }

    async fn read(&self, key: &TaskKey) -> Result<Task, Error> {
        let live = Some(self.record(key).await?).filter(|task| task.state != TaskState::Deleted);
        live.ok_or_else(|| Error::task_not_found(key.id))
    }

    async fn up_to_date(&self) -> Result<(), Error> {
        let sequence = self.tasks.bucket().last_sequence().await?;
        self.picture.until(sequence).await
    }

    /// Stream tasks are the tenant's, so no right on an app is asked for.
    async fn stream(&self, caller: &Caller, name: &str) -> Result<StatusReply, Error> {
        self.up_to_date().await?;
        let missing = || Error::task_not_found(name);
        let key = self.picture.stream(&caller.tenant, name).ok_or_else(missing)?;
        let task = self.read(&key).await?;
        Ok(StatusReply::Stream { summary: Summary::from(&task), params: task.input })
    }

    async fn job(&self, viewer: &Viewer, number: u64) -> Result<Option<Job>, Error> {
        let Some(key) = self.picture.jobs(|jobs, _| jobs.by_number(number).cloned())? else {
            return Ok(None);
        };
        let Some((_, task)) = self.tasks.get(&key).await? else { return Ok(None) };
        let summary = Summary::from(&task);
        let visible = task.state != TaskState::Deleted && viewer.sees(&key.tenant, &summary);
        Ok(visible.then_some(Job { tenant: key.tenant, task: summary, input: Some(task.input) }))
    }

    /// The parameters lie in the records, so those of the rows of the page are read, and no others.
    async fn jobs(&self, viewer: &Viewer, query: &JobQuery) -> Result<Vec<Job>, Error> {
        let rows = self.picture.jobs(|jobs, row| jobs.list(viewer, query, row))?;
        let mut page = Vec::with_capacity(rows.len());
        let mut bytes = 0;
        for (key, task) in rows {
            let input = self.tasks.get(&key).await?.map(|(_, task)| task.input);
            bytes +=
                1024 + input.as_ref().map_or(0, |input| usize::try_from(input.size).unwrap_or(0).min(8_192));
            if bytes > PAGE_BYTES_MAX {
                break;
            }
            page.push(Job { tenant: key.tenant, task, input });
        }
        Ok(page)
    }

    async fn dashboard(&self, client: Option<&str>) -> Result<Dashboard, Error> {
        self.up_to_date().await?;
        let limits = self.jobs_limits().await?;
        self.picture.jobs(|jobs, row| {
            let lists = jobs.lists(client);
            let job = |key: TaskKey| row(&key).map(|task| Job { tenant: key.tenant, task, input: None });
            let all = |keys: Vec<TaskKey>| keys.into_iter().filter_map(job).collect();
            Dashboard {
                limits,
                started: all(lists.started),
                queued: all(lists.queued),
                scheduled: all(lists.scheduled),
            }
        })
    }

    async fn jobs_limits(&self) -> Result<LaneLimits, Error> {
        let limits = self.lanes.get(&lane_key(JOBS)).await?;
        Ok(limits.map_or_else(|| LaneLimits::of(JOBS), |limits| (*limits).clone()))
    }

    async fn last_run(&self, key: &TaskKey) -> Result<Option<u32>, Error> {
        self.up_to_date().await?;
        Ok(self.picture.last_run(key))
    }

    /// Why it waits is told where it can be: an answer without the reason beats no answer.
    async fn waiting(&self, key: &TaskKey) -> Option<domain::lane::Waiting> {
        let reply = self.broker.call(&ScheduleRequest::Waiting { key: key.clone() }).await;
        if let Ok(ScheduleReply::Waiting(waiting)) = reply { waiting } else { None }
    }

    async fn list(&self, caller: &Caller, mut query: Query) -> Result<Page, Error> {
        let readable = self.apps.readable(caller).await?;
        let sequence = self.tasks.bucket().last_sequence().await?;
        self.picture.until(sequence).await?;
        if query.limit == 0 {
            query.limit = PAGE_ROWS_DEFAULT;
        }
        query.limit = query.limit.min(PAGE_ROWS_MAX);
        let visible = |row: &Summary| {
            let whose = query.list_all || row.user == caller.user;
            whose && (caller.admin || readable.contains(&*row.app)) && query.keeps(row)
        };
        let (tasks, total) = self.picture.page(&caller.tenant, &query, visible, clock::now())?;
        Ok(cut(tasks, total))
    }
}

/// Ends a page early where its rows would not fit into one message; `ingress` asks for the rest.
fn cut(rows: Vec<Summary>, total: u64) -> Page {
    let mut bytes = 0;
    let count = rows.len();
    let fitting = rows.into_iter().take_while(|row| {
        bytes += 1024 + row.app.len() + row.version.len() + row.service.len();
        bytes += row.error.as_ref().map_or(0, String::len);
        bytes <= PAGE_BYTES_MAX
    });
    let tasks: Vec<Summary> = fitting.collect();
    Page { cut: tasks.len() < count, tasks, total }
}

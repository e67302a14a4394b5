//! `logs`: serves the log lines of a task or a session, page by page, and waits for more where the caller follows.

mod ledger;
mod place;
mod read;
mod room;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Broker, Bucket, Tasks, View};
use domain::{Caller, Right, SessionId, SessionKind, TaskKey, Timestamp};
use service::apps::Apps;
use service::door::{self, Endpoint};
use service::{Context, RunError, serve_with_door};
use tokio::time::Instant;
use wire::calls::logs::{LineFilter, LogOf, LogsReply, LogsRequest};
use wire::calls::sessions::{SessionsReply, SessionsRequest};
use wire::door::requests;
use wire::records::LogCut;
use wire::topology::LOG_CUTS;
use wire::{Code, Error, subjects};

use place::{Place, Places};

const LINES_MAX: u64 = 1000;
/// Lines of a page whose program named no limit.
const LINES_DEFAULT: u64 = 100;
const WAIT_MAX: Duration = Duration::from_secs(30);
/// While a line is waited for: how often it is looked whether more can come at all.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Logs of which it is remembered where the next page begins, so that following costs the same at any length.
const REMEMBERED_MAX: usize = 2_000;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Logs {
        tasks: Tasks::new(&context.broker),
        apps: Apps::follow(&context.broker),
        broker: context.broker.clone(),
        remembered: Arc::default(),
        cuts: View::follow(Bucket::new(&context.broker, LOG_CUTS)),
    };
    let keeping = tokio::spawn(room::keep(context.clone()));
    let asked = function.clone();
    let logs = Endpoint::new(move |caller, requests::Logs { id, run, offset, limit, wait, .. }| {
        let function = asked.clone();
        async move {
            let limit = door::limit(limit, LINES_DEFAULT, LINES_MAX)?;
            let wait = door::wait(wait, WAIT_MAX.as_secs())?;
            let (of, wait_ms) = (LogOf::Task { id, run }, wait.as_secs() * 1000);
            let (filter, count) = (LineFilter::default(), false);
            function.handle(LogsRequest { caller, of, offset, limit, wait_ms, filter, count }).await
        }
    });
    serve_with_door(&context, vec![logs], move |request| {
        let function = function.clone();
        async move { function.handle(request).await }
    })
    .await?;
    // It has ended by the same stop; a panic in it has been reported by the runtime.
    let _ = keeping.await;
    Ok(())
}

/// The log that is meant.
struct Log {
    /// Under which its lines lie.
    key: TaskKey,
    /// Whose log it is has ended, and no more can come.
    ended: bool,
    /// Since when there is whose log it is.
    since: Timestamp,
}

#[derive(Clone)]
struct Logs {
    tasks: Tasks,
    apps: Apps,
    broker: Broker,
    remembered: Arc<Mutex<HashMap<TaskKey, Places>>>,
    /// What tenants gave up.
    cuts: View<LogCut>,
}

impl Logs {
    async fn handle(&self, request: LogsRequest) -> Result<LogsReply, Error> {
        if request.limit == 0 || request.limit > LINES_MAX {
            return Err(Error::new(
                Code::BadRequest,
                format!("limit is a whole number from 1 to {LINES_MAX}"),
            ));
        }
        let log = self.look(&request).await?;
        let (tenant, since) = (log.key.tenant.clone(), log.since);
        let mut reply = self.read(log, request).await?;
        // That it is not known what was given up is no reason to withhold what is there.
        let cut = self.cuts.recent(&tenant).await.ok().flatten();
        reply.made_room = cut.map(|cut| cut.before).filter(|before| *before >= since);
        Ok(reply)
    }

    async fn read(&self, log: Log, request: LogsRequest) -> Result<LogsReply, Error> {
        let Log { key, ended, .. } = log;
        if let LogOf::Notes { .. } = request.of {
            return self.notes(&key, &request).await;
        }
        let reply = self.page(&key, &request, ended).await?;
        if !reply.lines.is_empty() || ended || request.wait_ms == 0 {
            return Ok(reply);
        }
        // Subscribed first, looked again second: a line that comes between is seen by one of the two.
        let mut lines = self.broker.requests(subjects::logs(&key), false).await?;
        let reply = self.page(&key, &request, ended).await?;
        if !reply.lines.is_empty() {
            return Ok(reply);
        }
        let until = Instant::now() + Duration::from_millis(request.wait_ms).min(WAIT_MAX);
        loop {
            let look = until.min(Instant::now() + LOOK_EVERY);
            // A time-out only means that there is still nothing to tell; the end tells nothing by itself.
            let said = tokio::time::timeout_at(look, lines.next()).await.is_ok();
            let Log { key, ended, .. } = self.look(&request).await?;
            if said || ended || Instant::now() >= until {
                return self.page(&key, &request, ended).await;
            }
        }
    }

    /// Finds the log; refuses who may not read it.
    async fn look(&self, request: &LogsRequest) -> Result<Log, Error> {
        let caller = &request.caller;
        match request.of {
            LogOf::Task { id, run } | LogOf::Notes { id, run } => {
                let (_, task) = service::runs::find(&self.broker, &self.tasks, caller, id, run).await?;
                self.apps.check(caller, &task, &[Right::Read]).await?;
                Ok(Log { key: task.key(), ended: task.state.is_terminal(), since: task.created_at })
            }
            LogOf::Session { kind, id } => self.session(caller.clone(), kind, id).await,
        }
    }

    async fn session(&self, caller: Caller, kind: Option<SessionKind>, id: SessionId) -> Result<Log, Error> {
        let request = SessionsRequest::Get { caller, kind, id };
        let SessionsReply::Session(session) = self.broker.call(&request).await? else {
            return Err(Error::internal("sessions answered something else where one was asked for"));
        };
        let ended = session.state.has_ended();
        Ok(Log { key: session.log, ended, since: session.created_at })
    }

    /// The nearest remembered place that does not lie beyond what is asked for.
    fn start(&self, key: &TaskKey, offset: u64) -> Place {
        let remembered = self.remembered.lock().ok();
        let place = remembered.as_ref().and_then(|map| map.get(key)).map(|places| places.before(offset));
        place.unwrap_or(place::BEGIN)
    }

    fn finish(&self, key: &TaskKey, mut reply: LogsReply, place: Place) -> LogsReply {
        reply.dropped = place.dropped();
        if let Ok(mut remembered) = self.remembered.lock() {
            if remembered.len() >= REMEMBERED_MAX && !remembered.contains_key(key) {
                remembered.clear();
            }
            remembered.entry(key.clone()).or_default().add(place);
        }
        reply
    }
}

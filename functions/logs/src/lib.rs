//! `logs`: serves the log lines of a task or a session, page by page, and waits for more where the caller follows.

mod place;
mod read;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Broker, Tasks};
use domain::{Caller, Right, SessionId, SessionKind, TaskKey};
use service::apps::Apps;
use service::door::{self, Endpoint};
use service::{Context, RunError, serve_with_door};
use tokio::time::Instant;
use wire::calls::logs::{LineFilter, LogOf, LogsReply, LogsRequest};
use wire::calls::sessions::{SessionsReply, SessionsRequest};
use wire::door::requests;
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
    };
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
    .await
}

#[derive(Clone)]
struct Logs {
    tasks: Tasks,
    apps: Apps,
    broker: Broker,
    remembered: Arc<Mutex<HashMap<TaskKey, Places>>>,
}

impl Logs {
    async fn handle(&self, request: LogsRequest) -> Result<LogsReply, Error> {
        if request.limit == 0 || request.limit > LINES_MAX {
            return Err(Error::new(
                Code::BadRequest,
                format!("limit is a whole number from 1 to {LINES_MAX}"),
            ));
        }
        let (key, ended) = self.look(&request).await?;
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
            let (key, ended) = self.look(&request).await?;
            if said || ended || Instant::now() >= until {
                return self.page(&key, &request, ended).await;
            }
        }
    }

    /// Under which key the lines lie, and whether no more can come; refuses who may not read them.
    async fn look(&self, request: &LogsRequest) -> Result<(TaskKey, bool), Error> {
        let caller = &request.caller;
        match request.of {
            LogOf::Task { id, run } | LogOf::Notes { id, run } => {
                let (_, task) = service::runs::find(&self.broker, &self.tasks, caller, id, run).await?;
                self.apps.check(caller, &task, &[Right::Read]).await?;
                Ok((task.key(), task.state.is_terminal()))
            }
            LogOf::Session { kind, id } => self.session(caller.clone(), kind, id).await,
        }
    }

    async fn session(
        &self,
        caller: Caller,
        kind: Option<SessionKind>,
        id: SessionId,
    ) -> Result<(TaskKey, bool), Error> {
        let request = SessionsRequest::Get { caller, kind, id };
        let SessionsReply::Session(session) = self.broker.call(&request).await? else {
            return Err(Error::internal("sessions answered something else where one was asked for"));
        };
        Ok((session.log, session.state.has_ended()))
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

//! `sessions`: tells which processes run where, from the heartbeats of the runners; lists the sessions that were
//! and are, with what `status` knows; starts those
//! that serve a page, and ends one by telling its runner.

mod page;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Broker, Bucket, View};
use domain::board::RUNNER_LEASE_MS;
use domain::session::list::{SessionQuery, SessionSummary};
use domain::{Caller, RunnerId, SessionId, SessionKind};
use service::{Context, RunError, serve};
use tokio::time::Instant;
use wire::calls::sessions::{
    LiveSessions, RunnerStatus, Session, SessionPage, SessionsReply, SessionsRequest, TERMINATE_SECONDS,
    session_not_found,
};
use wire::calls::status::{StatusReply, StatusRequest};
use wire::records::App;
use wire::runner::{Beat, Told};
use wire::topology::APPS;
use wire::{Code, Error, subjects};

/// Rows of a page whose caller named no limit, and the most that one page has.
const PAGE_ROWS_DEFAULT: u64 = 100;
const PAGE_ROWS_MAX: u64 = 1000;
/// Until a heartbeat can't be missing any more.
const LEASE: Duration = Duration::from_millis(RUNNER_LEASE_MS);
/// How often it is looked whether a session has ended; and after how many looks its runner is told again, since
/// what it is told may be lost.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_PER_TELLING: u32 = 20;

/// The latest heartbeat of each runner, and when it came.
type Beats = Arc<Mutex<HashMap<RunnerId, (Beat, Instant)>>>;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Sessions {
        broker: context.broker.clone(),
        beats: Beats::default(),
        listening_since: Instant::now(),
        apps: View::follow(Bucket::new(&context.broker, APPS)),
    };
    tokio::spawn(listen(function.broker.clone(), Arc::clone(&function.beats)));
    serve(&context, move |request| {
        let function = function.clone();
        async move { function.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct Sessions {
    broker: Broker,
    beats: Beats,
    listening_since: Instant,
    apps: View<App>,
}

async fn listen(broker: Broker, beats: Beats) {
    let Ok(mut incoming) = broker.requests(subjects::BEAT_ALL.to_owned(), false).await else { return };
    while let Some(mut message) = incoming.next().await {
        let Ok(beat) = message.read::<Beat>() else { continue };
        if let Ok(mut beats) = beats.lock() {
            beats.retain(|_, (_, at)| is_live(*at));
            beats.insert(beat.heartbeat.runner, (beat, Instant::now()));
        }
    }
}

fn is_live(at: Instant) -> bool {
    at.elapsed() <= LEASE
}

impl Sessions {
    async fn handle(&self, request: SessionsRequest) -> Result<SessionsReply, Error> {
        match request {
            SessionsRequest::Live { caller } => {
                let mut live = self.live(&caller.tenant)?;
                live.sessions.retain(|session| caller.admin || session.process.of.user == caller.user);
                Ok(SessionsReply::Live(live))
            }
            SessionsRequest::List { caller, mut query } => {
                if query.limit == 0 {
                    query.limit = PAGE_ROWS_DEFAULT;
                }
                query.limit = query.limit.min(PAGE_ROWS_MAX);
                self.page(&caller, query).await.map(SessionsReply::Page)
            }
            SessionsRequest::Get { caller, kind, id } => {
                self.one(&caller, kind, id).await.map(Box::new).map(SessionsReply::Session)
            }
            SessionsRequest::Start { caller, app, version } => {
                self.start(&caller, &app, version).await.map(Box::new).map(SessionsReply::Session)
            }
            SessionsRequest::Reach { caller, id } => {
                self.reach(&caller, id).await.map(SessionsReply::Reached)
            }
            SessionsRequest::Terminate { caller, kind, id } => {
                self.terminate(&caller, kind, id).await.map(Box::new).map(SessionsReply::Session)
            }
        }
    }

    /// What the heartbeats say of one tenant, and all runners.
    fn live(&self, tenant: &str) -> Result<LiveSessions, Error> {
        self.with_beats(|beats| {
            let mut sessions = of_tenant(beats.clone(), tenant);
            sessions.sort_by_key(|session| (session.process.created_at, session.process.session));
            let mut runners: Vec<RunnerStatus> = beats.map(runner_status).collect();
            runners.sort_by_key(|runner| (runner.started_at, runner.runner));
            LiveSessions { sessions, runners }
        })
    }

    /// Looks at the latest heartbeat of every live runner.
    fn with_beats<T>(&self, look: impl FnOnce(Live<'_>) -> T) -> Result<T, Error> {
        let beats = self.beats.lock().map_err(|_| Error::internal("a listener failed"))?;
        let live: Vec<&Beat> = beats.values().filter(|(_, at)| is_live(*at)).map(|(beat, _)| beat).collect();
        Ok(look(live.iter().copied()))
    }

    async fn page(&self, caller: &Caller, query: SessionQuery) -> Result<SessionPage, Error> {
        // Whoever has just begun to listen would take every session for lost.
        tokio::time::sleep_until(self.listening_since + LEASE).await;
        let live = self.live(&caller.tenant)?;
        let request = StatusRequest::Sessions {
            caller: caller.clone(),
            query,
            live: live.sessions,
            runners: live.runners.iter().map(|runner| runner.runner).collect(),
        };
        let StatusReply::Sessions(page) = self.broker.call(&request).await? else {
            return Err(Error::internal("status answered something else where sessions were asked for"));
        };
        Ok(page)
    }

    async fn one(
        &self,
        caller: &Caller,
        kind: Option<SessionKind>,
        id: SessionId,
    ) -> Result<SessionSummary, Error> {
        let query = SessionQuery { id: Some(id), kind, limit: 1, ..SessionQuery::default() };
        let found = self.page(caller, query).await?.sessions.pop();
        found.ok_or_else(|| session_not_found(id))
    }

    /// Tells the runner until the session has ended: what is told may be lost, and a caller who heard that it
    /// was done must find it done.
    async fn terminate(
        &self,
        caller: &Caller,
        kind: Option<SessionKind>,
        id: SessionId,
    ) -> Result<SessionSummary, Error> {
        let found = self.one(caller, kind, id).await?;
        if found.state.has_ended() {
            let message = format!("session {id} has ended already: it is {}", found.state.name());
            return Err(Error::new(Code::Conflict, message));
        }
        let why = format!("terminated by user {}", caller.user);
        let until = Instant::now() + Duration::from_secs(TERMINATE_SECONDS);
        for look in 0_u32.. {
            if look.is_multiple_of(LOOKS_PER_TELLING) {
                self.tell(&caller.tenant, id, &why).await?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.is_running(&caller.tenant, id)? {
                let now = self.one(caller, kind, id).await?;
                if now.state.has_ended() {
                    return Ok(now);
                }
            }
            if Instant::now() > until {
                break;
            }
        }
        Err(Error { code: Code::Timeout, ..Error::unavailable(format!("session {id} did not end in time")) })
    }

    fn is_running(&self, tenant: &str, id: SessionId) -> Result<bool, Error> {
        Ok(self.live(tenant)?.sessions.iter().any(|session| session.process.session == id))
    }

    async fn tell(&self, tenant: &str, id: SessionId, why: &str) -> Result<(), Error> {
        let live = self.live(tenant)?.sessions;
        if let Some(session) = live.iter().find(|session| session.process.session == id) {
            let end = Told::EndSession { session: id, why: why.to_owned() };
            self.broker.tell(subjects::runner(session.runner), &end).await;
        }
        Ok(())
    }
}

/// The latest heartbeats of live runners.
type Live<'l> = std::iter::Copied<std::slice::Iter<'l, &'l Beat>>;

fn of_tenant<'l>(beats: impl Iterator<Item = &'l Beat>, tenant: &str) -> Vec<Session> {
    let processes = beats.flat_map(|beat| beat.processes.iter().map(move |process| (beat, process)));
    let own = processes.filter(|(_, process)| process.of.tenant == tenant);
    own.map(|(beat, process)| Session {
        process: process.clone(),
        runner: beat.heartbeat.runner,
        host: beat.host.clone(),
    })
    .collect()
}

fn runner_status(beat: &Beat) -> RunnerStatus {
    RunnerStatus {
        runner: beat.heartbeat.runner,
        host: beat.host.clone(),
        started_at: beat.started_at,
        slots: beat.heartbeat.slots,
        held: u32::try_from(beat.heartbeat.held.len()).unwrap_or(u32::MAX),
        draining: beat.heartbeat.draining,
        fences: beat.fences.clone(),
    }
}

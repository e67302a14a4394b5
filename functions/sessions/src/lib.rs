//! `sessions`: tells which processes run where, from the heartbeats of the runners.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::Broker;
use domain::RunnerId;
use domain::board::RUNNER_LEASE_MS;
use service::{Context, RunError, serve};
use tokio::time::Instant;
use wire::calls::sessions::{RunnerStatus, Session, SessionsReply, SessionsRequest};
use wire::runner::Beat;
use wire::{Error, subjects};

/// The latest heartbeat of each runner, and when it came.
type Beats = Arc<Mutex<HashMap<RunnerId, (Beat, Instant)>>>;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let beats = Beats::default();
    tokio::spawn(listen(context.broker.clone(), Arc::clone(&beats)));
    serve(&context, move |request| {
        let beats = Arc::clone(&beats);
        async move { handle(&beats, &request) }
    })
    .await
}

async fn listen(broker: Broker, beats: Beats) {
    let Ok(mut incoming) = broker.requests(subjects::BEAT_ALL.to_owned(), false).await else { return };
    while let Some(message) = incoming.next().await {
        let Ok(beat) = message.read::<Beat>() else { continue };
        if let Ok(mut beats) = beats.lock() {
            beats.retain(|_, (_, at)| is_live(*at));
            beats.insert(beat.heartbeat.runner, (beat, Instant::now()));
        }
    }
}

fn is_live(at: Instant) -> bool {
    at.elapsed() <= Duration::from_millis(RUNNER_LEASE_MS)
}

fn handle(beats: &Beats, request: &SessionsRequest) -> Result<SessionsReply, Error> {
    let beats = beats.lock().map_err(|_| Error::internal("a listener failed"))?;
    let live = || beats.values().filter(|(_, at)| is_live(*at)).map(|(beat, _)| beat);
    let caller = &request.caller;
    let mut sessions: Vec<Session> = live()
        .flat_map(|beat| beat.processes.iter().map(move |process| (beat, process)))
        .filter(|(_, process)| process.of.tenant == caller.tenant)
        .filter(|(_, process)| caller.admin || process.of.user == caller.user)
        .map(|(beat, process)| Session {
            process: process.clone(),
            runner: beat.heartbeat.runner,
            host: beat.host.clone(),
        })
        .collect();
    sessions.sort_by_key(|session| (session.process.created_at, session.process.session));
    let mut runners: Vec<RunnerStatus> = live().map(runner_status).collect();
    runners.sort_by_key(|runner| (runner.started_at, runner.runner));
    Ok(SessionsReply { sessions, runners })
}

fn runner_status(beat: &Beat) -> RunnerStatus {
    RunnerStatus {
        runner: beat.heartbeat.runner,
        host: beat.host.clone(),
        started_at: beat.started_at,
        slots: beat.heartbeat.slots,
        held: u32::try_from(beat.heartbeat.held.len()).unwrap_or(u32::MAX),
        draining: beat.heartbeat.draining,
    }
}

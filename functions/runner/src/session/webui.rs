//! Sessions that serve a page: started when somebody asks for one, kept as long as somebody looks at it.

use std::sync::Arc;

use bundle::manifest::units::format_duration;
use domain::{SessionKind, SessionState};
use service::clock;
use wire::records::SessionRecord;
use wire::runner::SessionStart;

use super::process::{self, NotStarted, Session, Wanted};
use super::{record, rest};
use crate::{Runner, command};

/// Starts the session, unless that was done already, and stays with it to its end.
pub fn begin(runner: &Arc<Runner>, start: SessionStart) {
    if runner.pool.begin(start.session) {
        tokio::spawn(run(Arc::clone(runner), start));
    }
}

async fn run(runner: Arc<Runner>, start: SessionStart) {
    let app = match command::fetch(&runner, &start.bundle).await {
        Ok(app) => app,
        Err(error) => return record::failed(&runner, not_started(&runner, &start, error)).await,
    };
    let (id, kind) = (start.session, SessionKind::Webui);
    let wanted = Wanted { id, kind, of: &start.of, app: &app, task: None, orders: None };
    match process::start(&runner, wanted).await {
        Ok(session) => serve(&runner, session).await,
        Err(NotStarted::Failed(why)) => record::failed(&runner, not_started(&runner, &start, why)).await,
        Err(NotStarted::Stopped(_)) => {}
    }
}

fn not_started(runner: &Runner, start: &SessionStart, why: String) -> SessionRecord {
    let now = clock::now();
    SessionRecord {
        id: start.session,
        kind: SessionKind::Webui,
        state: SessionState::Failed,
        of: start.of.clone(),
        runner: runner.id,
        host: runner.origin.host.clone(),
        created_at: now,
        started_at: None,
        ended_at: Some(now),
        tasks: 0,
        message: Some(why),
        process_of: None,
    }
}

/// Keeps it until it ends by itself, somebody ends it, or nobody has looked at it for its idle time.
async fn serve(runner: &Runner, mut session: Session) {
    session.seat.serves();
    let (state, why) = loop {
        let Some(used_at) = session.seat.used_at() else {
            break (SessionState::Terminated, "its place was taken away".to_owned());
        };
        let until = used_at + session.idle;
        tokio::select! {
            exit = session.kept.wait() => break rest::ended(exit),
            why = super::asked(&mut session.seat.asked_to_end) => break (SessionState::Terminated, why),
            () = tokio::time::sleep_until(until) => {
                if session.seat.used_at() == Some(used_at) {
                    let idle = format_duration(session.idle);
                    break (SessionState::Finished, format!("ended after {idle} in which nobody looked at its page"));
                }
            }
        }
    };
    session.end(runner, state, why).await;
}

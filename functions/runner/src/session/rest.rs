//! A session between two tasks: it waits, warm, and ends when its time is over.

use std::sync::Arc;

use bundle::manifest::units::format_duration;
use domain::SessionState;
use keeper::Exit;
use tokio::time::Instant;

use super::pool::DRAINED;
use super::process::Session;
use crate::{Runner, outcome};

/// What a session has become free for.
pub enum After {
    /// It takes another task.
    More,
    /// It said that it takes no more.
    NoMore,
}

/// Lets a session rest until it is taken or ended.
pub async fn rest(runner: Arc<Runner>, session: Session, after: After) {
    let mut session = session;
    loop {
        if let Some(why) = reason_to_end(&runner, &session, &after) {
            return session.end(&runner, SessionState::Finished, why).await;
        }
        let Some((resting, taken)) = runner.pool.rest(session) else { return };
        session = resting;
        let (idle_until, old_at) = (Instant::now() + session.idle, session.ready_at + session.max_age);
        let (state, why) = tokio::select! {
            taker = taken => match taker {
                Ok(taker) => match taker.send(session) {
                    Ok(()) => return,
                    // Whoever wanted it is gone, and it rests on.
                    Err(back) => {
                        session = back;
                        continue;
                    }
                },
                // The pool has let go of it, and says why in a moment.
                Err(_) => (SessionState::Terminated, super::asked(&mut session.seat.asked_to_end).await),
            },
            exit = session.kept.wait() => ended(exit),
            why = super::asked(&mut session.seat.asked_to_end) => (SessionState::Terminated, why),
            () = tokio::time::sleep_until(idle_until) => {
                let idle = format_duration(session.idle);
                (SessionState::Finished, format!("ended after {idle} without a task"))
            }
            () = tokio::time::sleep_until(old_at) => (SessionState::Finished, ended_old(&session)),
        };
        runner.pool.forget_idle(&session.of, session.id);
        return session.end(&runner, state, why).await;
    }
}

/// What the end of a process means that had no task.
pub fn ended(exit: Exit) -> (SessionState, String) {
    let state = if exit.code == Some(0) { SessionState::Finished } else { SessionState::Failed };
    (state, format!("its process ended by itself: {}", outcome::ended(exit, None)))
}

fn ended_old(session: &Session) -> String {
    format!("ended at the age of {}", format_duration(session.max_age))
}

fn reason_to_end(runner: &Runner, session: &Session, after: &After) -> Option<String> {
    if runner.pool.is_draining() {
        return Some(DRAINED.to_owned());
    }
    match (after, session.max_tasks) {
        (After::NoMore, _) => Some("ended because it takes no more tasks".to_owned()),
        (After::More, Some(most)) if session.tasks >= most => {
            Some(format!("ended after {} tasks, as its app says", session.tasks))
        }
        (After::More, _) if session.ready_at.elapsed() >= session.max_age => Some(ended_old(session)),
        (After::More, _) => None,
    }
}

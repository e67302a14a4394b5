//! One task in its session, as the protocol goes: create, ask how it is until it has ended, fetch the result.

use std::time::Duration;

use broker::body::Bodies;
use bytes::Bytes;
use data_encoding::BASE64;
use domain::payload::Place;
use domain::{Payload, Phase, SessionId, Task, Timestamp};
use futures_util::stream;
use service::clock;
use session_protocol::{Client, Fault, Input, State, Status, Told};
use tokio::time::Instant;
use wire::runner::Progress;
use wire::subjects;

use super::ids::Ids;
use super::response::{self, NoResult};
use crate::Runner;
use crate::held::{Order, Orders};
use crate::lines::clean;
use crate::reports::Reports;

/// A task that ends before this costs no write for its start: its end says when it started.
const STARTED_AFTER: Duration = Duration::from_millis(15);
/// Between two questions: an eighth of the time so far, so that a task is known to have ended at most an eighth
/// late, and a long one is asked about once a second.
const ASK_FIRST: Duration = Duration::from_millis(1);
const ASK_LAST: Duration = Duration::from_secs(1);
const ASK_SHARE: u32 = 8;
/// A phase costs a durable write, so it is told on at most so often.
const PHASE_EVERY: Duration = Duration::from_millis(200);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
const MESSAGE_CHARS_MAX: usize = 512;

/// One task on its way through its session.
pub struct Talk<'t> {
    pub runner: &'t Runner,
    pub task: &'t Task,
    pub session: SessionId,
    pub client: &'t mut Client,
    /// The ids of earlier tasks of this session.
    pub ids: &'t mut Ids,
    pub reports: &'t Reports,
    pub orders: Orders,
    pub max_idle: Duration,
}

/// A task that has ended in its session.
pub struct Done {
    /// Its last status.
    pub status: Status,
    /// Since when it ran.
    pub started_at: Timestamp,
    /// What it answered.
    pub result: Option<Payload>,
}

/// What is known of the task while it runs.
struct Seen {
    created: Instant,
    started_at: Timestamp,
    start_is_told: bool,
    phase: Phase,
    phase_told: Instant,
    progress_asked: Instant,
    wants_progress: bool,
    interrupted: bool,
}

impl Talk<'_> {
    /// From the creation to the result.
    pub async fn run(&mut self) -> Result<Done, NoResult> {
        let status = self.create().await?;
        let now = Instant::now();
        let mut seen = Seen {
            created: now,
            started_at: clock::now(),
            start_is_told: false,
            phase: Phase::Running,
            phase_told: now,
            progress_asked: now,
            wants_progress: true,
            interrupted: false,
        };
        let status = self.follow(status, &mut seen).await?;
        let result = match self.client.response(&status.id).await? {
            Some(body) => Some(response::store(self.runner, body).await?),
            None => None,
        };
        Ok(Done { status, started_at: seen.started_at, result })
    }

    async fn create(&mut self) -> Result<Status, Fault> {
        let input = input(&self.runner.bodies, &self.task.input)?;
        let told = Told {
            task: self.task.id.to_string(),
            max_idle_seconds: self.max_idle.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        };
        let status = self.client.create(&self.task.service, input, &told).await?;
        if !self.ids.is_new(&status.id) {
            let asked = format!("POST …/tasks/{}", self.task.service);
            let why = format!("it gives the new task the id {}, which an earlier task of it had", status.id);
            return Err(Fault::broken(&asked, why));
        }
        Ok(status)
    }

    /// Asks until the task has ended.
    async fn follow(&mut self, mut status: Status, seen: &mut Seen) -> Result<Status, Fault> {
        let mut pause = Duration::ZERO;
        loop {
            if status.state.is_terminal() {
                return Ok(status);
            }
            self.tell(&status, seen).await;
            self.pause(&status.id, pause, seen).await?;
            status = self.client.status(&status.id).await?;
            pause = (seen.created.elapsed() / ASK_SHARE).clamp(ASK_FIRST, ASK_LAST);
        }
    }

    /// Waits, and carries out what comes meanwhile.
    async fn pause(&mut self, id: &str, pause: Duration, seen: &mut Seen) -> Result<(), Fault> {
        let until = Instant::now() + pause;
        loop {
            let order = *self.orders.order.borrow_and_update();
            if order >= Order::EndSolve && !seen.interrupted {
                seen.interrupted = true;
                let answer = self.client.interrupt(id).await?;
                tracing::debug!(task = %self.task.id, status = %answer.status, "told the session to end the solve");
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                Ok(()) = self.orders.order.changed() => {}
                Ok(()) = self.orders.doubts.changed() => self.reports.started_in(seen.started_at, self.session),
            }
        }
    }

    /// Tells on what the status says.
    async fn tell(&mut self, status: &Status, seen: &mut Seen) {
        let State::Running(phase) = status.state else { return };
        if !seen.start_is_told {
            if seen.created.elapsed() < STARTED_AFTER {
                return;
            }
            seen.start_is_told = true;
            self.reports.started_in(seen.started_at, self.session);
        }
        if phase != seen.phase
            && (seen.phase_told.elapsed() >= PHASE_EVERY || seen.phase_told == seen.created)
        {
            (seen.phase, seen.phase_told) = (phase, Instant::now());
            self.reports.phase(phase);
        }
        if seen.wants_progress && seen.progress_asked.elapsed() >= PROGRESS_EVERY {
            // An intermediate status is an extra; a session that stumbles over the question is not asked again.
            match self.client.progress(&status.id).await {
                Ok(Some(bytes)) => self.tell_progress(&bytes).await,
                Ok(None) => {}
                Err(_) => seen.wants_progress = false,
            }
            seen.progress_asked = Instant::now();
        }
    }

    async fn tell_progress(&self, bytes: &[u8]) {
        let progress = progress(bytes, self.task);
        if progress.progress.is_some() || progress.message.is_some() {
            let key = self.task.key();
            self.runner.broker.tell(subjects::progress(&key), &(&key, &progress)).await;
        }
    }
}

/// An intermediate status may be anything. JSON with our words is taken at them, and of a text the last line.
fn progress(bytes: &[u8], task: &Task) -> Progress {
    let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let field = |name: &str| value.as_ref().and_then(|value| value.get(name));
    let share = field("progress").and_then(serde_json::Value::as_f64).map(|share| share.clamp(0.0, 1.0));
    let message = match &value {
        Some(_) => field("message").and_then(serde_json::Value::as_str).map(|text| text.as_bytes().to_vec()),
        None => bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).map(<[u8]>::to_vec),
    };
    let message = message.map(|text| clean(&text).chars().take(MESSAGE_CHARS_MAX).collect());
    Progress { progress: share, message, epoch: task.epoch }
}

fn input(bodies: &Bodies, payload: &Payload) -> Result<Input, Fault> {
    let content_type = payload.content_type.clone();
    let bytes = match &payload.place {
        Place::Empty => Bytes::new(),
        Place::Text(text) => Bytes::from(text.clone()),
        Place::Base64(text) => match BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => return Err(Fault::NoInput { why: error.to_string() }),
        },
        Place::Object(name) => {
            let chunks = bodies.read(name, payload.size);
            let pieces = stream::unfold(chunks, |mut chunks| async { Some((chunks.recv().await?, chunks)) });
            return Ok(Input::stream(pieces, payload.size, content_type));
        }
    };
    Ok(Input::bytes(bytes, content_type))
}

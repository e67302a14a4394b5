//! The steps of a workflow, one process after the other within one claim. The record says after every step how
//! far they are, so whoever claims the task next goes on where this runner stopped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::body::Bodies;
use data_encoding::BASE64;
use domain::payload::{INLINE_BYTES_MAX, Place};
use domain::task::input::Ending;
use domain::task::workflow::{StepEnding, Workflow};
use domain::{Payload, SessionId, Task};
use service::clock;
use tokio::time::Instant;
use wire::Error;
use wire::runner::LogSource;

use crate::bundles::App;
use crate::command::{self, Process, Ran};
use crate::held::{Order, Orders};
use crate::logs::Sink;
use crate::outcome::{self, Run};
use crate::reports::Reports;
use crate::work::Files;
use crate::{Runner, input};

/// What one step may hand to all steps after it; what is larger belongs into a file of its own.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Runs what is left of a workflow. Steps end the task by their own reports; what is given back here is an end
/// that is not the end of a step.
pub async fn run(runner: &Arc<Runner>, task: &Task, orders: Orders, reports: &Reports) -> Option<Ending> {
    let Some(workflow) = task.workflow.clone() else {
        return Some(outcome::not_started("the task has no steps"));
    };
    let app = match command::fetch(runner, &task.bundle).await {
        Ok(app) => app,
        Err(error) => return Some(outcome::not_started(error)),
    };
    let sink = Some(Sink::new(runner, &task.key(), task.epoch));
    let mut steps = Steps { runner, task, app, orders, reports, sink, workflow, error: None };
    let ending = steps.run().await;
    steps.close().await;
    ending
}

struct Steps<'s> {
    runner: &'s Arc<Runner>,
    task: &'s Task,
    app: Arc<App>,
    orders: Orders,
    reports: &'s Reports,
    /// None once the last line is stored.
    sink: Option<Sink>,
    /// As the record has it.
    workflow: Workflow,
    /// Why the last attempt failed.
    error: Option<String>,
}

/// What comes after an attempt.
enum Next {
    /// Another one: of the next step, or after a rest of the same.
    Attempt,
    /// Nothing.
    End(Option<Ending>),
}

impl Steps<'_> {
    async fn run(&mut self) -> Option<Ending> {
        loop {
            if let Next::End(ending) = self.attempt().await {
                return ending;
            }
            if self.error.is_some()
                && let Next::End(ending) = self.rest().await
            {
                return ending;
            }
        }
    }

    /// One process of the step that is next, with a scratch folder of its own.
    async fn attempt(&mut self) -> Next {
        let session = self.task.session.unwrap_or(SessionId(self.task.id.0));
        let files = match self.runner.work.files(session) {
            Ok(files) => files,
            Err(error) => return self.give_up(format!("the runner has no room to work: {error}")).await,
        };
        let next = self.attempt_in(&files).await;
        files.remove();
        next
    }

    async fn attempt_in(&mut self, files: &Files) -> Next {
        let Some(step) = self.workflow.step().map(str::to_owned) else {
            return self.give_up("all its steps have run already").await;
        };
        let app = Arc::clone(&self.app);
        let Some(declared) = app.manifest.services.get(&step) else {
            let reason = format!("app {} {} has no service {step}", self.task.app, self.task.version);
            return self.give_up(reason).await;
        };
        let (parameters, previous) = (&self.task.input, self.workflow.output.as_ref());
        let bodies = &self.runner.bodies;
        let composed = input::patiently(|| compose(bodies, parameters, previous, &files.input)).await;
        if let Err(error) = composed {
            tracing::error!(task = %self.task.id, %error, "the input of a step could not be made");
            return self.give_up("the input of a step could not be read from the store").await;
        }
        if let Some(sink) = &mut self.sink {
            sink.begin_step(self.workflow.done);
        }
        self.say(LogSource::Worker, &format!("Task '{step}' started"));
        let process = Process {
            runner: self.runner,
            task: self.task,
            app: &app,
            service: &step,
            declared,
            files,
            orders: self.orders.clone(),
            reports: self.reports,
        };
        match process.run(&mut self.sink).await {
            Ran::Gone => Next::End(None),
            Ran::NotStarted(error) => {
                self.say(LogSource::Worker, &format!("'{step}' failed: {error}"));
                self.give_up(error).await
            }
            Ran::Ended(run) => self.ended(&step, &run, files).await,
        }
    }

    /// Reports how a step ended. Its lines are stored before that, since a task that has ended has no more.
    async fn ended(&mut self, step: &str, run: &Run, files: &Files) -> Next {
        let (output, error) = match run.error() {
            Some(error) => (None, Some(error)),
            None => match command::store_output(self.runner, files, INLINE_BYTES_MAX, OUTPUT_BYTES_MAX).await
            {
                Ok(output) => (output, None),
                Err(error) => (None, Some(error.message)),
            },
        };
        match &error {
            None => self.say(LogSource::Worker, &format!("'{step}' completed successfully")),
            Some(error) => self.say(LogSource::Worker, &format!("'{step}' failed: {error}")),
        }
        if let (Some(error), Order::Stop) = (&error, run.order) {
            // Whoever stops a step stops the workflow: it is not tried again.
            return self.give_up(error.clone()).await;
        }
        let Workflow { done, failures, retry_limit, .. } = self.workflow;
        let is_last = match &error {
            _ if run.order != Order::Run => true,
            None => done.saturating_add(1) >= self.workflow.count(),
            Some(_) => failures >= retry_limit,
        };
        if is_last {
            let how = if error.is_none() { "completed successfully" } else { "failed" };
            self.say(LogSource::Controller, &format!("job has {how}"));
            self.close().await;
        }
        let ending = StepEnding {
            step: done,
            attempt: failures.saturating_add(1),
            started_at: run.started_at,
            output: output.clone(),
            return_code: run.exit.code,
            error: error.clone(),
        };
        self.report(ending, output, error).await
    }

    /// An output lies in the store until the next one has taken its place in the record.
    async fn report(&mut self, ending: StepEnding, output: Option<Payload>, error: Option<String>) -> Next {
        let Some(standing) = self.reports.step(ending).await else {
            self.remove(output).await;
            return Next::End(None);
        };
        if error.is_some() {
            self.workflow.failures = self.workflow.failures.saturating_add(1);
        } else {
            let before = std::mem::replace(&mut self.workflow.output, output);
            (self.workflow.done, self.workflow.failures) = (self.workflow.done.saturating_add(1), 0);
            self.remove(before).await;
        }
        self.error = error;
        if standing.holds { Next::Attempt } else { Next::End(None) }
    }

    async fn remove(&self, output: Option<Payload>) {
        if let Some(name) = output.as_ref().and_then(Payload::object) {
            self.runner.bodies.remove(name).await;
        }
    }

    /// The pause before a step is tried again, in which the task can still be ended or taken away.
    async fn rest(&mut self) -> Next {
        let until = Instant::now() + Duration::from_millis(self.workflow.retry_delay_ms);
        loop {
            let order = *self.orders.order.borrow_and_update();
            match order {
                Order::Run => {}
                Order::EndSolve => {
                    let error = self.error.take().unwrap_or_else(|| "it was interrupted".to_owned());
                    return self.give_up(error).await;
                }
                Order::Stop => return self.give_up(self.orders.why_stopped()).await,
                Order::GiveBack => {
                    self.reports.give_back();
                    return Next::End(None);
                }
                Order::Drop => return Next::End(None),
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Next::Attempt,
                changed = self.orders.order.changed() => if changed.is_err() { return Next::End(None) },
                Ok(()) = self.orders.doubts.changed() => self.reports.started(clock::now()),
            }
        }
    }

    /// The workflow fails without another attempt.
    async fn give_up(&mut self, error: impl Into<String>) -> Next {
        self.say(LogSource::Controller, "job has failed");
        self.close().await;
        Next::End(Some(outcome::not_started(error)))
    }

    fn say(&mut self, source: LogSource, text: &str) {
        if let Some(sink) = &mut self.sink {
            sink.say(source, text);
        }
    }

    async fn close(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.close().await;
        }
    }
}

/// What a step reads: the parameters of the job, and the output of the step before it.
async fn compose(
    bodies: &Bodies,
    parameters: &Payload,
    previous: Option<&Payload>,
    path: &Path,
) -> Result<(), Error> {
    let parameters = match &parameters.place {
        Place::Empty => b"{}".to_vec(),
        Place::Text(_) | Place::Base64(_) | Place::Object(_) => bytes(bodies, parameters).await?,
    };
    let previous = match previous {
        Some(output) => embeddable(bytes(bodies, output).await?)?,
        None => b"null".to_vec(),
    };
    let text = [b"{\"parameters\":".as_slice(), &parameters, b",\"previous\":", &previous, b"}"].concat();
    input::put(path, &text).await
}

async fn bytes(bodies: &Bodies, payload: &Payload) -> Result<Vec<u8>, Error> {
    match &payload.place {
        Place::Empty => Ok(Vec::new()),
        Place::Text(text) => Ok(text.clone().into_bytes()),
        Place::Base64(text) => BASE64.decode(text.as_bytes()).map_err(Error::internal),
        Place::Object(name) => {
            let mut all = Vec::new();
            let mut chunks = bodies.read(name, payload.size);
            while let Some(chunk) = chunks.recv().await {
                all.extend_from_slice(&chunk?);
            }
            Ok(all)
        }
    }
}

/// JSON as it is, nothing as null, any other text as a JSON string.
fn embeddable(output: Vec<u8>) -> Result<Vec<u8>, Error> {
    if output.is_empty() {
        return Ok(b"null".to_vec());
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(&output).is_ok() {
        return Ok(output);
    }
    serde_json::to_vec(&String::from_utf8_lossy(&output)).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_can_stand_inside_json() {
        for (output, expected) in [
            ("", "null"),
            (" {\"a\": 1}\n", " {\"a\": 1}\n"),
            ("plain \"text\"", r#""plain \"text\"""#),
            ("{", "\"{\""),
        ] {
            let embedded = embeddable(output.as_bytes().to_vec()).unwrap();
            assert_eq!(String::from_utf8(embedded).unwrap(), expected);
        }
    }
}

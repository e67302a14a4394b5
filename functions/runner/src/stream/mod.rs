//! The `stream` runtime: long-lived processes between two topics (design §8). Records are read in batches and in
//! order; a record is acknowledged when its answer is stored in the other topic, or when it was set aside.

mod ends;
mod filter;
mod kafka;
mod processes;
mod pump;
mod window;

use std::sync::{Arc, Mutex};

use domain::Task;
use domain::stream::StreamSpec;
use domain::task::input::Ending;
use service::clock;
use wire::streams;

use crate::bundles::App;
use crate::held::{Order, Orders};
use crate::logs::Sink;
use crate::reports::Reports;
use crate::{Runner, command, outcome};

use pump::Pump;

/// What is known of one claim.
pub struct Claim<'c> {
    /// Where it runs.
    pub runner: &'c Arc<Runner>,
    /// The task.
    pub task: &'c Task,
    /// Its app.
    pub app: &'c App,
    /// What it reads, writes and may take.
    pub spec: &'c StreamSpec,
    /// Whom its start and its troubles are told.
    pub reports: &'c Reports,
}

/// Runs a task until it is stopped; `None` if the claim is not ours any more or goes back.
pub async fn run(runner: &Arc<Runner>, task: &Task, mut orders: Orders, reports: &Reports) -> Option<Ending> {
    let app = match command::fetch(runner, &task.bundle).await {
        Ok(app) => app,
        Err(error) => return Some(outcome::not_started(error)),
    };
    let spec = match streams::spec(task) {
        Ok(spec) => spec,
        Err(error) => return Some(outcome::not_started(error)),
    };
    let claim = Claim { runner, task, app: &app, spec: &spec, reports };
    let log = Arc::new(Mutex::new(Sink::new(runner, &task.key(), task.epoch)));
    let (mut pump, began) = (Pump::new(claim, Arc::clone(&log)), clock::now());
    let order = {
        let mut pumping = std::pin::pin!(pump.run());
        loop {
            let order = *orders.order.borrow_and_update();
            if order > Order::Run {
                break order;
            }
            tokio::select! {
                () = pumping.as_mut() => {}
                _ = orders.order.changed() => {}
                Ok(()) = orders.doubts.changed() => reports.started(began),
            }
        }
    };
    pump.end().await;
    if let Some(log) = Arc::into_inner(log) {
        log.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).close().await;
    }
    match order {
        Order::Drop | Order::Run => None,
        Order::GiveBack => {
            reports.give_back();
            None
        }
        Order::EndSolve => {
            Some(Ending { started_at: None, session: None, result: None, return_code: None, error: None })
        }
        Order::Stop => Some(outcome::not_started(orders.why_stopped())),
    }
}

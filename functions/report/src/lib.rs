//! `report`: takes what runners say about their claims. Every report is fenced by its epoch.

use broker::{Known, Tasks};
use domain::task::input::Input;
use service::{Context, RunError, clock, serve};
use wire::Error;
use wire::calls::report::Standing;
use wire::runner::ReportRequest;

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let tasks = Tasks::new(&context.broker);
    serve(&context, move |request| handle(tasks.clone(), request)).await
}

async fn handle(tasks: Tasks, request: ReportRequest) -> Result<Standing, Error> {
    let input = Input::Report { epoch: request.epoch, report: request.report };
    let applied = tasks.apply(&request.key, &input, clock::now(), Known::Nothing).await?;
    let holds = applied.task.state.is_active() && applied.task.epoch == request.epoch;
    Ok(Standing { holds })
}

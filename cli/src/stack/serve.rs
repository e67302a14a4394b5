//! `serve FUNCTION…`: named functions in one process, against a broker that runs elsewhere. The same as the
//! functions' own binaries.

use std::process::ExitCode;
use std::sync::Arc;

use service::{CancellationToken, Context, Settings};
use wire::Function;

use super::{StackError, boot};
use crate::error::CliError;

/// Runs them until a signal, or until one of them fails.
pub async fn serve(settings: Settings, functions: &[Function]) -> Result<ExitCode, CliError> {
    let settings = Arc::new(settings);
    let stop = CancellationToken::new();
    tokio::spawn(service::stop_on_signal(stop.clone()));
    let mut running = tokio::task::JoinSet::new();
    let near = broker::Near::default();
    for function in functions {
        let broker = service::connect(&settings, *function).await.map_err(StackError::text)?;
        let broker = broker.beside(near.clone());
        let context = Context { broker: broker.clone(), settings: Arc::clone(&settings), stop: stop.clone() };
        let function = boot::run(*function, context);
        running.spawn(async move {
            let ended = function.await;
            broker.close().await;
            ended
        });
    }
    let mut failed = None;
    while let Some(ended) = running.join_next().await {
        let ended = ended.map_err(StackError::text)?;
        if let Err(error) = ended {
            // One that fails takes the others down in order, so that whoever supervises us starts all anew.
            stop.cancel();
            failed.get_or_insert(error);
        }
    }
    match failed {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(StackError::text(error).into()),
    }
}

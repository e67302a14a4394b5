//! The main of every function's binary.

use std::process::ExitCode;
use std::sync::Arc;

use broker::{Broker, Credentials};
use tokio_util::sync::CancellationToken;
use wire::Function;

use crate::config::{self, Durability, Settings};
use crate::{Context, RunError, telemetry};

/// The exit status for a wrong setting, as `sysexits.h` has it.
const WRONG_USAGE: u8 = 64;

/// Runs one function until SIGINT or SIGTERM. A wrong setting ends the program before any port is bound.
pub fn main<R, F>(function: Function, run: R) -> ExitCode
where
    R: FnOnce(Context) -> F,
    F: Future<Output = Result<(), RunError>>,
{
    let settings = match config::from_environment() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("tasklane {function}: {error}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    telemetry::begin(&settings);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tasklane {function}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(start(function, settings, run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%function, %error, "stopped");
            ExitCode::FAILURE
        }
    }
}

/// A connection of its own for one function, as the settings say.
pub async fn connect(settings: &Settings, function: Function) -> Result<Broker, RunError> {
    let seed = settings.seed(function).map_err(RunError)?;
    let credentials = Credentials { function, seed };
    let broker = Broker::connect(&settings.nats_url, &credentials).await.map_err(RunError::from_text)?;
    let syncs_each = settings.durability == Durability::Strict && settings.sizes.replicas == 1;
    Ok(if syncs_each { broker.sharing_syncs() } else { broker })
}

async fn start<R, F>(function: Function, settings: Settings, run: R) -> Result<(), RunError>
where
    R: FnOnce(Context) -> F,
    F: Future<Output = Result<(), RunError>>,
{
    let broker = connect(&settings, function).await?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let ended = run(Context { broker: broker.clone(), settings: Arc::new(settings), stop }).await;
    broker.close().await;
    ended
}

/// Cancels the token at the first SIGINT or SIGTERM.
pub async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
}

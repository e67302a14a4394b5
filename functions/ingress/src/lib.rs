//! `ingress`: the HTTP door. It finds the route, checks the key, lets the dialect read the request, carries
//! the plan out by calls to the other functions, and lets the dialect write the answer. It keeps no state.

mod create;
mod forward;
mod handle;
mod head;
mod health;
mod identity;
mod input;
mod jobs;
mod notes;
mod output;
mod page;
mod publish;
mod relay;
mod server;
mod sessions;
mod signers;
mod socket;
mod streams;
mod upload;

use service::keys::Pepper;
use service::master_key::MasterKey;
use service::{Context, RunError};
use tokio::net::TcpListener;

use handle::Door;

/// Listens where the settings say, and serves until it is stopped.
///
/// # Errors
/// The address can't be listened on, or as for [`serve`].
pub async fn run(context: Context) -> Result<(), RunError> {
    let address = context.settings.http;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| {
        RunError(format!("TASKLANE_HTTP='{address}' can't be listened on: {error}; choose another address"))
    })?;
    serve(context, listener).await
}

/// Serves a listener until it is stopped, then ends the requests that it has.
///
/// # Errors
/// The pepper can't be read, or two routes contradict each other.
pub async fn serve(context: Context, listener: TcpListener) -> Result<(), RunError> {
    let pepper = Pepper::read(&context.settings.pepper).map_err(|error| {
        RunError(format!("the pepper of the API keys can't be read, TASKLANE_PEPPER names its file: {error}"))
    })?;
    let master_key = MasterKey::read(&context.settings.master_key).map_err(|error| {
        RunError(format!("the master key can't be read, TASKLANE_MASTER_KEY names its file: {error}"))
    })?;
    let door = Door::new(&context, pepper, master_key).map_err(RunError::from_text)?;
    server::serve(&context, listener, door).await;
    Ok(())
}

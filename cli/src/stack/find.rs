//! The broker's program: found, or fetched once with a word to the user.

use std::path::PathBuf;

use nats_server::{FindError, Search, find};
use service::Settings;

use super::StackError;

/// Finds the program in the order that docs/operations.md gives; notes and downloads are told on stderr.
pub fn broker_binary(settings: &Settings) -> Result<PathBuf, StackError> {
    let search = |allow_fetch| Search {
        explicit: settings.nats_server.clone(),
        path: Some(settings.path.clone().into()),
        cache: settings.cache.clone(),
        python: vec!["python3".to_owned(), "python".to_owned()],
        allow_fetch,
    };
    let found = match find(&search(false)) {
        Err(FindError::NotFound { .. }) => {
            eprintln!("fetching nats-server {} (once) …", nats_server::PINNED);
            find(&search(true))
        }
        found => found,
    };
    let found = found.map_err(StackError::text)?;
    for note in &found.notes {
        eprintln!("{note}");
    }
    Ok(found.path)
}

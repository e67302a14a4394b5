//! The request body as a file, which the process reads as its standard input, and patience with the store.

use std::path::Path;
use std::time::Duration;

use broker::body::Bodies;
use data_encoding::BASE64;
use domain::Payload;
use domain::payload::Place;
use tokio::io::AsyncWriteExt;
use wire::{Code, Error};

/// How often the store is asked again while the broker is away.
const TRIES: usize = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// Does something with the store, again while the broker is away: a task that is done, or ready to start, does not
/// fail of that.
pub async fn patiently<T, F>(mut work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 1..TRIES {
        match work().await {
            Err(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => {
                tracing::warn!(%error, "the store can't be reached; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
    work().await
}

/// Writes a body into a file, chunk by chunk where it is stored.
pub async fn write(bodies: &Bodies, payload: &Payload, path: &Path) -> Result<(), Error> {
    match &payload.place {
        Place::Empty => put(path, b"").await,
        Place::Text(text) => put(path, text.as_bytes()).await,
        Place::Base64(text) => {
            let bytes = BASE64.decode(text.as_bytes()).map_err(Error::internal)?;
            put(path, &bytes).await
        }
        Place::Object(name) => {
            let mut file = tokio::fs::File::create(path).await.map_err(Error::internal)?;
            let mut chunks = bodies.read(name, payload.size);
            while let Some(chunk) = chunks.recv().await {
                file.write_all(&chunk?).await.map_err(Error::internal)?;
            }
            file.flush().await.map_err(Error::internal)
        }
    }
}

/// Writes a small one.
pub async fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    tokio::fs::write(path, bytes).await.map_err(Error::internal)
}

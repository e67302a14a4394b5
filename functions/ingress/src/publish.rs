//! Publishing an app: its bundle goes to the disk first, because its name is its digest, which is known only
//! at its end. Memory stays flat however large it is.

use data_encoding::HEXLOWER;
use domain::Caller;
use sha2::{Digest, Sha256};
use std::io::SeekFrom;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use wire::calls::admin::{AdminOrder, AdminReply, AdminRequest};
use wire::{Code, Error};

use bytes::Bytes;

use crate::forward::Forward;
use crate::input::{self, Body};
use crate::upload::{Upload, too_large};

/// A bundle on the disk. The file has no name, so it goes with the last handle.
struct Spooled {
    file: File,
    digest: String,
    size: u64,
}

impl Forward {
    /// Publishes the bundle in the body.
    pub async fn publish(&self, caller: &Caller, latest: bool, body: Body) -> Result<AdminReply, Error> {
        let _place = self.place_for_upload().await?;
        let spooled = match body {
            Body::Held(bytes) => spool_bytes(&bytes).await?,
            Body::Arriving(upload, most) => spool(upload, most).await?,
        };
        // A task of its own: a client that goes away now must not leave half a bundle.
        let (this, caller) = (self.clone(), caller.clone());
        let work = self.jobs.spawn(async move { this.publish_spooled(&caller, latest, spooled).await });
        work.await.map_err(Error::internal)?
    }

    /// `admin` knows whether the bundle is stored, so it is asked first; publishing the same again is no
    /// change. One at a time: two that store the same bundle would mix their chunks.
    async fn publish_spooled(
        &self,
        caller: &Caller,
        latest: bool,
        spooled: Spooled,
    ) -> Result<AdminReply, Error> {
        let Spooled { file, digest, size } = spooled;
        let order = AdminOrder::AppPublish { bundle: digest.clone(), latest };
        let request = AdminRequest { caller: caller.clone(), order };
        let _one = self.publishing.lock().await;
        match self.broker.call(&request).await {
            Err(error) if error.code == Code::NotFound => {}
            outcome => return outcome,
        }
        // What a crash may have left of the same bundle would come before ours.
        self.bundles.remove(&digest).await;
        let stored = self.bundles.put(&digest, Bytes::new(), file, size).await?;
        let outcome = if stored.digest == digest {
            self.broker.call(&request).await
        } else {
            Err(Error::internal("a bundle changed on the disk while it was stored"))
        };
        let is_open = |error: &Error| matches!(error.code, Code::Timeout | Code::Unavailable);
        if outcome.as_ref().is_err_and(|error| !is_open(error)) {
            self.bundles.remove(&digest).await;
        }
        outcome
    }
}

async fn temporary() -> Result<File, Error> {
    let made = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(Error::internal)?;
    made.map(File::from_std).map_err(disk)
}

async fn spool(mut upload: Upload, most: u64) -> Result<Spooled, Error> {
    let mut file = temporary().await?;
    let (mut digest, mut size) = (Sha256::new(), 0);
    while let Some(piece) = upload.next().await? {
        size += piece.len() as u64;
        if size > most {
            return Err(too_large(most));
        }
        digest.update(&piece);
        file.write_all(&piece).await.map_err(disk)?;
    }
    rewound(file, HEXLOWER.encode(&digest.finalize()), size).await
}

async fn spool_bytes(bytes: &[u8]) -> Result<Spooled, Error> {
    let mut file = temporary().await?;
    file.write_all(bytes).await.map_err(disk)?;
    rewound(file, input::digest(bytes), bytes.len() as u64).await
}

async fn rewound(mut file: File, digest: String, size: u64) -> Result<Spooled, Error> {
    file.flush().await.map_err(disk)?;
    file.seek(SeekFrom::Start(0)).await.map_err(disk)?;
    Ok(Spooled { file, digest, size })
}

fn disk(error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error {
            detail: Some(error.to_string()),
            ..Error::new(Code::StorageFull, "the disk of the task service is full; try again later")
        };
    }
    Error::internal(format!("the temporary file of a bundle: {error}"))
}

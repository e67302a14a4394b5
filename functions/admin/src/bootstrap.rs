//! The first tenant and the first key: without them nobody could make any.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use domain::{Caller, Scope};
use service::{Settings, ids};
use wire::calls::admin::AdminReply;
use wire::{Code, Error};

use crate::Admin;

/// The file in the data folder that holds the operator's first key.
pub const OPERATOR_KEY_FILE: &str = "operator.key";

impl Admin {
    /// Makes the operator's tenant, and a key with every scope where the file with one is missing. A crash in
    /// between leaves a key that nobody knows, and the next start makes another.
    pub(crate) async fn bootstrap(&self, settings: &Settings) -> Result<(), Error> {
        let path = settings.data.join(OPERATOR_KEY_FILE);
        if path.exists() {
            return Ok(());
        }
        let name = settings.operator.clone();
        let operator = Caller { tenant: name.clone(), user: name.clone(), admin: true };
        match self.create_tenant(&operator, name.clone()).await {
            Ok(_) => {}
            Err(error) if error.code == Code::Conflict => {}
            Err(error) => return Err(error),
        }
        let reply = self.create_key(name.clone(), name, Scope::ALL.to_vec(), None).await?;
        if let AdminReply::KeyCreated(key) = reply {
            write(&path, &key.api_key).map_err(|e| Error::internal(format!("{}: {e}", path.display())))?;
            tracing::info!(key = key.key_id, file = %path.display(), "made the operator's first key");
        }
        Ok(())
    }
}

/// Whole or not at all, and for its owner alone. Two that start at once both make a key that works; the file
/// holds either.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unique = ids::random().map_err(std::io::Error::other)?;
    let partial = path.with_extension(format!("{unique}.partial"));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}

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
/// The file in the data folder that holds the operator's first signing key.
pub const OPERATOR_SECRET_FILE: &str = "operator.secret";

impl Admin {
    /// Makes the operator's tenant, a key with every scope, and a signing key, where the file with one is
    /// missing. A crash in between leaves a key that nobody knows, and the next start makes another.
    pub(crate) async fn bootstrap(&self, settings: &Settings) -> Result<(), Error> {
        let (key_file, secret_file) =
            (settings.data.join(OPERATOR_KEY_FILE), settings.data.join(OPERATOR_SECRET_FILE));
        if key_file.exists() && secret_file.exists() {
            return Ok(());
        }
        let name = settings.operator.clone();
        let operator = Caller { tenant: name.clone(), user: name.clone(), admin: true };
        match self.create_tenant(&operator, name.clone()).await {
            Ok(_) => {}
            Err(error) if error.code == Code::Conflict => {}
            Err(error) => return Err(error),
        }
        if !key_file.exists()
            && let AdminReply::KeyCreated(key) =
                self.create_key(name.clone(), name.clone(), Scope::ALL.to_vec(), None).await?
        {
            keep(&key_file, &key.api_key, &key.key_id)?;
        }
        if !secret_file.exists()
            && let AdminReply::SigningKeyCreated(key) =
                self.create_signing_key(name.clone(), name, None).await?
        {
            keep(&secret_file, &key.secret, &key.key_id)?;
        }
        Ok(())
    }
}

fn keep(path: &Path, text: &str, key_id: &str) -> Result<(), Error> {
    write(path, text).map_err(|e| Error::internal(format!("{}: {e}", path.display())))?;
    tracing::info!(key = key_id, file = %path.display(), "made a first key of the operator");
    Ok(())
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

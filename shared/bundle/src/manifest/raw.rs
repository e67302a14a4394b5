//! The shape of `app.toml` as it is written, before its values are checked. A key that is not here is refused by name.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::{Manifest, ManifestError, check};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) runtime: String,
    #[serde(default)]
    pub(super) services: BTreeMap<String, RawService>,
    #[serde(default)]
    pub(super) workflows: BTreeMap<String, RawWorkflow>,
    #[serde(default)]
    pub(super) triggers: BTreeMap<String, RawTrigger>,
    pub(super) session: Option<RawSession>,
    #[serde(default)]
    pub(super) limits: RawLimits,
}

// Durations, sizes and counts are taken as any value, so that a wrong type gets a message of ours with an example.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    pub(super) command: Option<Vec<String>>,
    pub(super) timeout: Option<Value>,
    pub(super) env: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorkflow {
    pub(super) steps: Vec<String>,
    #[serde(default)]
    pub(super) required: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrigger {
    pub(super) subject: String,
    pub(super) service: String,
    pub(super) lane: Option<String>,
    pub(super) dedup: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSession {
    pub(super) command: Vec<String>,
    pub(super) ready: Option<String>,
    pub(super) idle: Option<Value>,
    pub(super) max_tasks: Option<Value>,
    pub(super) max_age: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) memory: Option<Value>,
    pub(super) open_files: Option<Value>,
    pub(super) processes: Option<Value>,
    pub(super) file_size: Option<Value>,
}

impl TryFrom<RawManifest> for Manifest {
    type Error = ManifestError;

    fn try_from(raw: RawManifest) -> Result<Self, ManifestError> {
        check::manifest(raw)
    }
}

//! What the small buckets hold: tenants, keys, apps. Task records are `domain::Task`, limits `domain::lane`.

use std::collections::BTreeMap;

use domain::task::state::Runtime;
use domain::{Rights, Scope, Timestamp};
use serde::{Deserialize, Serialize};

/// A tenant, under its name in the bucket `tenants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// An API key, under its public id in the bucket `keys`. The secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The public id, which is also part of the key's text.
    pub id: String,
    /// HMAC-SHA256 of the secret under the pepper, in hex.
    pub hash: String,
    /// Whose it is.
    pub tenant: String,
    /// Which user of the tenant.
    pub user: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; at most one year after its creation.
    pub expires_at: Timestamp,
    /// It is revoked. A record and not a missing key, so that no revived message can bring it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// An app with all its versions, under `<tenant>.<app as a token>` in the bucket `apps`. One record per app,
/// so that moving the `latest` tag is one compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The tenant.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Its versions by name.
    pub versions: BTreeMap<String, AppVersion>,
    /// The version tagged as latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// Rights by user, over all versions, later ones too.
    #[serde(default)]
    pub grants: BTreeMap<String, Rights>,
}

/// One published version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppVersion {
    /// SHA-256 of the bundle, and its name in the object store `bundles`.
    pub bundle: String,
    /// How its tasks run.
    pub runtime: Runtime,
    /// The services it declares; empty means any name.
    pub services: Vec<String>,
    /// When it was published.
    pub published_at: Timestamp,
    /// By whom.
    pub published_by: String,
}

//! What the small buckets hold: tenants, keys, apps. Task records are `domain::Task`, limits `domain::lane`.

use std::collections::{BTreeMap, BTreeSet};

use domain::task::state::Runtime;
use domain::trigger::Trigger;
use domain::{Rights, RunnerId, Scope, SessionId, SessionKind, SessionOf, SessionState, TaskKey, Timestamp};
use serde::{Deserialize, Serialize};

/// A tenant, under its name in the bucket `tenants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// What a tenant had to give up of its logs so far, under its name in the bucket `log_cuts`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogCut {
    /// Batches of lines.
    pub batches: u64,
    /// What they took.
    pub bytes: u64,
    /// When the newest of them was stored.
    pub before: Timestamp,
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

/// The signing keys of a tenant, under its name in the bucket `signers`. One record per tenant: a signed
/// request names the tenant and not the key, and any key of it may have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The tenant.
    pub tenant: String,
    /// Its keys, oldest first. A revoked or expired one stays until its place is needed.
    pub keys: Vec<SigningKey>,
}

/// One signing key. Whoever checks a signature needs the secret itself, so it is kept, sealed under the master
/// key, which never lies in the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// The public id.
    pub id: String,
    /// The secret, sealed for this tenant and id, in base64.
    pub sealed: String,
    /// Which user of the tenant it stands for.
    pub user: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; at most one year after its creation.
    pub expires_at: Timestamp,
    /// It is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl SigningKey {
    /// Whether it signs at this moment.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
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

impl App {
    /// The triggers that are in force, with the version that they belong to.
    pub fn triggers(&self) -> impl Iterator<Item = (&String, &Trigger, &AppVersion)> {
        let latest = self.latest.as_ref().and_then(|latest| self.versions.get(latest));
        latest
            .into_iter()
            .flat_map(|version| version.triggers.iter().map(move |(name, t)| (name, t, version)))
    }

    /// Whether a trigger of this name and subject is in force.
    pub fn is_triggered(&self, name: &str, subject: &str) -> bool {
        self.triggers().any(|(found, trigger, _)| found == name && trigger.subject == subject)
    }

    /// Names and subjects of triggers that other versions had and that are in force no more.
    pub fn past_triggers(&self) -> BTreeSet<(&str, &str)> {
        let all = self.versions.values().flat_map(|version| &version.triggers);
        let all = all.map(|(name, trigger)| (name.as_str(), trigger.subject.as_str()));
        all.filter(|(name, subject)| !self.is_triggered(name, subject)).collect()
    }
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
    /// The workflows it declares, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workflows: BTreeMap<String, WorkflowDeclared>,
    /// Its triggers, by name. Those of the version that is tagged as latest are in force.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, Trigger>,
    /// When it was published.
    pub published_at: Timestamp,
    /// By whom.
    pub published_by: String,
}

/// A workflow as its app declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowDeclared {
    /// Services of the app, in their order.
    pub steps: Vec<String>,
    /// Parameters without which a job is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
}

/// The settings of the Task Engine that are not limits of its lane, under one key in the bucket `settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineSettings {
    /// Its scheduler ticks.
    pub active: bool,
    /// Seconds from one tick to the next.
    pub schedule_interval: u64,
    /// Settings whose names mean nothing here, kept as they came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { active: true, schedule_interval: 60, others: BTreeMap::new() }
    }
}

/// A session with a process that outlives one task, under `<tenant>.<session id>` in the bucket `sessions`.
/// Written twice: when the process is up, and when it has ended. The process of a `command` task is a session
/// too, and its task's own record says everything about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its id, which is also the `sessionId` of its tasks.
    pub id: SessionId,
    /// What it is for.
    pub kind: SessionKind,
    /// Where it stands. `running` under a runner whose heartbeat does not name it is a session that was lost.
    pub state: SessionState,
    /// Whose it is, and of which app version.
    #[serde(flatten)]
    pub of: SessionOf,
    /// The runner that hosts it, or did.
    pub runner: RunnerId,
    /// The machine it is on.
    pub host: String,
    /// Since when there is the session.
    pub created_at: Timestamp,
    /// When its process was ready; none if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How many tasks it had run when it ended.
    #[serde(default)]
    pub tasks: u32,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The task whose process it was, under whose key its lines lie. Such a session has a record only where
    /// somebody ended it, since its task's record can't say that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_of: Option<TaskKey>,
}

/// How far a stream task has read on Kafka, under its key in the bucket `positions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPosition {
    /// The claim that wrote it; none before may write any more.
    pub epoch: u64,
    /// The topic.
    pub topic: String,
    /// The record of each partition that is read next.
    pub next: BTreeMap<i32, i64>,
}

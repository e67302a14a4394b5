//! Calls to `admin`: tenants, keys, apps, grants and lane limits.

use domain::lane::LaneLimits;
use domain::{Caller, Rights, Scope, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;
use crate::records::{App, Tenant};

/// A call to `admin`, by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdminRequest {
    /// Who asks; the key has scope Admin.
    pub caller: Caller,
    /// What.
    pub order: AdminOrder,
}

/// What `admin` can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminOrder {
    /// Make a tenant. Only the operator's tenant may.
    TenantCreate {
        /// Its name.
        name: String,
    },
    /// List tenants. Only the operator's tenant sees others than itself.
    TenantList,
    /// Make an API key; the user comes into being with the first one.
    KeyCreate {
        /// Whose.
        tenant: String,
        /// Which user's.
        user: String,
        /// For what.
        scopes: Vec<Scope>,
        /// Until when; `None` is one year, which is also the most.
        expires_at: Option<Timestamp>,
    },
    /// Make a signing key; the tenant's others go on signing, so that clients can change over one by one.
    SigningKeyCreate {
        /// Whose.
        tenant: String,
        /// Which user's.
        user: String,
        /// Until when; `None` is one year, which is also the most.
        expires_at: Option<Timestamp>,
    },
    /// List keys without their secrets.
    KeyList {
        /// Whose.
        tenant: String,
    },
    /// Revoke a key.
    KeyRevoke {
        /// Its public id.
        key_id: String,
    },
    /// Publish an app version whose bundle is stored under `bundle`.
    AppPublish {
        /// SHA-256 of the bundle and its name in the object store.
        bundle: String,
        /// Tag it as latest.
        latest: bool,
    },
    /// List apps.
    AppList,
    /// Give a user rights on an app; they replace what the user had.
    Grant {
        /// The app.
        app: String,
        /// The user.
        user: String,
        /// What the user may do.
        rights: Rights,
    },
    /// Change limits of a lane; what is `None` stays.
    LaneSet {
        /// Its name.
        name: String,
        /// The change.
        change: LaneChange,
    },
    /// Show lanes.
    LaneList,
    /// Change one setting of the Task Engine, or make a new one. For keys with scope Jobs, not Admin.
    SettingSet {
        /// Its name.
        name: String,
        /// Its value as text.
        value: String,
    },
    /// Start or stop a schedule of the Task Engine. For keys with scope Jobs.
    SchedulerSet {
        /// Its name; there is one.
        schedule: String,
        /// Whether it is to tick.
        active: bool,
    },
    /// How the schedule of the Task Engine stands. For keys with scope Jobs.
    Schedules,
}

/// A change of limits; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct LaneChange {
    /// How many tasks may run at once.
    pub max_running: Option<u32>,
    /// How many of these places only priority tasks may take.
    pub priority_slots: Option<u32>,
    /// A task counts as a priority task up to this priority.
    pub priority_threshold: Option<u8>,
    /// How many tasks may wait.
    pub max_queued: Option<u64>,
    /// How many runners a task may lose before it fails.
    pub retry_limit: Option<u32>,
    /// How long a failed step rests before it is tried again, in milliseconds.
    pub retry_delay_ms: Option<u64>,
}

/// What `admin` replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminReply {
    /// Tenants.
    Tenants(Vec<Tenant>),
    /// A new key, shown this once.
    KeyCreated(KeyCreated),
    /// A new signing key, shown this once.
    SigningKeyCreated(SigningKeyCreated),
    /// Keys without their secrets.
    Keys(Vec<KeyShown>),
    /// Apps.
    Apps(Vec<App>),
    /// Lanes.
    Lanes(Vec<LaneShown>),
    /// A setting of the Task Engine was stored.
    Setting {
        /// Its name.
        name: String,
        /// There was none of that name before.
        created: bool,
    },
    /// How the schedule of the Task Engine stands.
    Schedules(Schedules),
}

/// The one schedule of the Task Engine: it moves scheduled jobs whose time has come into their lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedules {
    /// It ticks.
    pub active: bool,
    /// Seconds from one tick to the next.
    pub interval_seconds: u64,
}

/// The name of that schedule.
pub const QUEUE_SCHEDULED_JOBS: &str = "queue_scheduled_jobs";

/// A new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCreated {
    /// The text to send in the header `apiKey`; never shown again.
    pub api_key: String,
    /// Its public id.
    pub key_id: String,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// An API key, which is sent as it is.
    #[default]
    Api,
    /// A SymetryML secret, which signs requests.
    Symetry,
}

/// A new signing key, in the words of SymetryML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyCreated {
    /// The customer id in the path of signed requests: the tenant.
    pub cid: String,
    /// What signs them, and encrypts their bodies; never shown again.
    pub secret: String,
    /// Its public id.
    pub key_id: String,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyShown {
    /// Its public id.
    pub key_id: String,
    /// What it is.
    #[serde(default)]
    pub kind: KeyKind,
    /// Whose.
    pub tenant: String,
    /// Which user's.
    pub user: String,
    /// For what.
    pub scopes: Vec<Scope>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// Revoked, and when.
    pub revoked_at: Option<Timestamp>,
}

/// A lane for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneShown {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: LaneLimits,
    /// Tasks that wait; `None` where no `schedule` answered.
    pub queued: Option<u64>,
    /// Tasks that run.
    pub running: Option<u32>,
}

impl Call for AdminRequest {
    const FUNCTION: Function = Function::Admin;
    type Reply = AdminReply;

    fn deadline_seconds(&self) -> u64 {
        15
    }
}

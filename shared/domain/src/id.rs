//! Identities as newtypes: a task id can never be passed where a runner id is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::Name;

/// An id whose text was not a UUID in its dashed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnId(pub String);

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not an id: ids are UUIDs such as efa680a0-748e-43d0-9099-cf40937b13f4", self.0)
    }
}

impl std::error::Error for NotAnId {}

macro_rules! uuid_id {
    ($name:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Only the dashed 36-character form is taken, so one id has one spelling in keys and subjects.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let shown = || NotAnId(text.chars().take(80).collect());
                if text.len() != 36 {
                    return Err(shown());
                }
                Uuid::parse_str(text).map(Self).map_err(|_| shown())
            }
        }
    };
}

uuid_id!(TaskId, "One request to run a service. The id that REST gave, and what the task's process is told.");
uuid_id!(
    SessionId,
    "One process that runs tasks of one app version; a warm one runs many, one after the other."
);
uuid_id!(
    RunnerId,
    "One life of one runner: a restarted runner has a new id, so its old tasks are seen as lost."
);

/// Number of claims of a task so far; the fencing token that every report of a runner carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next claim.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a task's record lives: its tenant, its id and, for a recurring task, which run it is. The tenant
/// always comes from a credential.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskKey {
    /// The owner.
    pub tenant: Name,
    /// The task.
    pub id: TaskId,
    /// Which run, from 0. The runs of a recurring task share their id.
    #[serde(default, skip_serializing_if = "is_first")]
    pub run: u32,
}

/// Whether this is the first run, which is not written out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_first(run: &u32) -> bool {
    *run == 0
}

impl TaskKey {
    /// The key of a task's first run, which for most tasks is the only one.
    pub fn new(tenant: impl Into<Name>, id: TaskId) -> Self {
        Self { tenant: tenant.into(), id, run: 0 }
    }

    /// The key of another run of the same task.
    pub fn of_run(&self, run: u32) -> Self {
        Self { run, ..self.clone() }
    }
}

/// `demo.efa6…` for the first run, `demo.efa6….3` for a later one.
impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.tenant, self.id)?;
        if self.run > 0 { write!(f, ".{}", self.run) } else { Ok(()) }
    }
}

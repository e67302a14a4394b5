//! Calls to `topics`: both ends of a stream task, and how far it has read.

use domain::{Epoch, TaskKey};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::calls::Call;

/// Calls to `topics`. Each is safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicsRequest {
    /// Make both ends of a task where they are missing. What is published from then on reaches it.
    Open {
        /// The task.
        key: TaskKey,
        /// The topic that it reads.
        source: String,
        /// The topic that it writes.
        sink: String,
    },
    /// A claim begins to read, from where the claims before it have come to. They can't read on.
    Attach {
        /// The task.
        key: TaskKey,
        /// The claim.
        epoch: Epoch,
        /// The topic that it reads.
        source: String,
        /// The topic that it writes.
        sink: String,
    },
    /// The task reads this topic no more, and how far it came is forgotten.
    Close {
        /// The task.
        key: TaskKey,
        /// The topic that it read.
        source: String,
    },
    /// How far a task has read on Kafka is forgotten.
    Forget {
        /// The task.
        key: TaskKey,
    },
    /// A trigger of an app takes the messages of its subject, all that are published from the first time on. Its
    /// app's record must have it.
    Trigger(TriggerOf),
    /// A trigger that its app's record has no more takes nothing more; what it has not taken is forgotten.
    Untrigger(TriggerOf),
}

/// One trigger of an app.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TriggerOf {
    /// The tenant.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// The trigger's name.
    pub name: String,
    /// Its subject.
    pub subject: String,
}

/// What `topics` replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicsReply {
    /// It is done.
    Done,
    /// By which names the broker knows what the claim or the trigger reads from.
    Reader {
        /// The stream.
        stream: String,
        /// The reader of this claim alone, or of this trigger.
        reader: String,
    },
}

impl Call for TopicsRequest {
    const FUNCTION: Function = Function::Topics;
    type Reply = TopicsReply;

    fn deadline_seconds(&self) -> u64 {
        10
    }
}

//! The rules of Tasklane: no async, no clock, no randomness, no log, no broker names.
//! Times and ids are made by the caller and passed in, so every rule can be tested a thousand times.

pub mod access;
pub mod board;
#[cfg(test)]
mod fixtures;
pub mod id;
pub mod jobs;
pub mod kafka;
pub mod lane;
pub mod list;
pub mod name;
pub mod payload;
pub mod session;
pub mod stream;
pub mod task;
pub mod time;
pub mod trigger;

pub use access::{Caller, Right, Rights, Scope};
pub use id::{Epoch, RunnerId, SessionId, TaskId, TaskKey};
pub use name::Name;
pub use payload::Payload;
pub use session::{Activity, SessionKind, SessionOf, SessionState, Standing};
pub use task::state::{Phase, Task, TaskState};
pub use time::Timestamp;

//! The HTTP protocol that session processes speak (the one of the AIMMS Data Exchange library): its names, both
//! forms of its status, and a client that trusts nothing of what a process answers. Used by the runner, and by
//! `tasklane app check`, so that an author is told exactly what the runner would say.

mod client;
mod fault;
mod prompt;
mod status;

pub use client::{Answer, Client, Input, ResponseBody, Told};
pub use fault::Fault;
pub use status::{State, Status};

/// Where the tasks of a session are, unless its `ready` path names the older version of the protocol.
pub const BASE: &str = "/api/v2";
/// The older version.
pub const BASE_V1: &str = "/api/v1";
/// Tells a session, with each task, after how many seconds without one it ends (reference/aimms.md §5.4).
pub const MAX_IDLE_TIME: &str = "x-aimms-max-idle-time";
/// Says whether a session takes another task after this one; a field of the status, or a header beside it.
pub const ACCEPT_MORE_TASKS: &str = "Accept-More-Tasks";
/// Our own: the id that REST gave the task.
pub const TASK_ID: &str = "x-tasklane-task-id";
/// The wish to end the solve and keep its result, as the body of a PUT.
pub const INTERRUPT_SOLVE: &str = r#"{"setstatus":"interrupt-solve"}"#;

/// The base of a session whose `ready` path is this.
pub fn base_of(ready: Option<&str>) -> &'static str {
    if ready.is_some_and(|path| path.starts_with(BASE_V1)) { BASE_V1 } else { BASE }
}

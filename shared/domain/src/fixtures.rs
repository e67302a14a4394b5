//! Tasks for the tests of this crate.

use uuid::Uuid;

use crate::id::{Epoch, RunnerId, SessionId, TaskId};
use crate::payload::{Payload, Place};
use crate::task::hook::Events;
use crate::task::state::{Origin, POSITION_DEFAULT, Phase, Runtime, Task, TaskState};
use crate::time::Timestamp;

pub const EARLIER: Timestamp = Timestamp::from_micros(1_000_000);
pub const RETRY_LIMIT: u32 = 3;

pub fn runner(number: u128) -> RunnerId {
    RunnerId(Uuid::from_u128(number))
}

pub fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

pub fn body(text: &str) -> Payload {
    Payload { content_type: None, size: text.len() as u64, place: Place::Text(text.to_owned()) }
}

/// A task as a caller asks for it.
pub fn fresh() -> Task {
    Task {
        id: TaskId(Uuid::from_u128(1)),
        run: 0,
        number: None,
        origin: Origin::Tasks,
        name: None,
        tenant: "demo".into(),
        user: "ann".into(),
        app: "app".into(),
        version: "1.0".into(),
        service: "solve".into(),
        runtime: Runtime::Command,
        bundle: "bundle".into(),
        lane: "lane".into(),
        priority: 5,
        top_of_queue: false,
        position: POSITION_DEFAULT,
        state: TaskState::Queued,
        phase: Phase::Running,
        epoch: Epoch(0),
        losses: 0,
        retry_limit: RETRY_LIMIT,
        created_at: EARLIER,
        updated_at: EARLIER,
        timing: None,
        workflow: None,
        hooks: Vec::new(),
        events: Events::default(),
        pause: false,
        superseded: false,
        assigned_at: None,
        running_at: None,
        ended_at: None,
        runner: None,
        session: None,
        interrupt: None,
        input: body("question"),
        result: None,
        return_code: None,
        error: None,
        request_digest: "digest".into(),
    }
}

/// The task with this number, created in the order of the numbers.
pub fn numbered(number: u32) -> Task {
    let id = TaskId(Uuid::from_u128(u128::from(number)));
    Task { id, created_at: EARLIER.plus_millis(i64::from(number)), ..fresh() }
}

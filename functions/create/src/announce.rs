//! Before its record is written a task is announced to the `schedule` of this process. Where it may start at once it is
//! written with its claim: one write and one way less. Nothing depends on it; without an answer the task queues.

use std::time::Duration;

use domain::board::{Announcement, Reception};
use domain::lane::JOBS;
use domain::task::input::Input;
use domain::task::state::Runtime;
use domain::{SessionId, Task, TaskKey};
use service::ids;
use wire::calls::schedule::{ScheduleReply, ScheduleRequest};

use crate::Create;

/// Memory is fast; whoever takes longer is in trouble.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is to be done with a task, and whether `schedule` has been told of it.
pub struct Announced {
    /// To be applied.
    pub input: Input,
    told: bool,
}

impl Create {
    /// Announces a task that could start now. Jobs are not among them: their order is exact however many processes
    /// create them, so they are put in order from their records alone.
    pub async fn announce(&self, task: Task) -> Announced {
        let may_start = task.timing.is_none() && task.runtime != Runtime::Stream && task.lane != JOBS;
        let reception = if may_start { self.ask_for_place(&task).await } else { Reception::Known };
        let (told, task) = (reception != Reception::Known, Box::new(task));
        let input = match (reception, ids::random()) {
            (Reception::Place(runner), Ok(session)) => {
                Input::CreateClaimed { task, runner, session: SessionId(session) }
            }
            (Reception::Place(_) | Reception::Queue | Reception::Known, _) => Input::Create(task),
        };
        Announced { input, told }
    }

    async fn ask_for_place(&self, task: &Task) -> Reception {
        let announcement = ScheduleRequest::Announce(Announcement::of(task));
        match self.broker.call_near(&announcement, PATIENCE).await {
            Some(Ok(ScheduleReply::Announced(reception))) => reception,
            // One that was noted all the same is forgotten after a while.
            Some(Ok(_) | Err(_)) | None => Reception::Known,
        }
    }

    /// An announced task was there already, or was refused.
    pub async fn withdraw(&self, key: TaskKey, announced: &Announced) {
        if announced.told {
            let _ = self.broker.call_near(&ScheduleRequest::Withdraw { key }, PATIENCE).await;
        }
    }
}

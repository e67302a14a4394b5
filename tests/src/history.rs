//! What the records of tasks went through, as the change feed shows it, and what must hold of it: legal ways
//! alone, claims that only grow, and one result per task.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use broker::{Broker, Credentials, Feed, News, Tasks};
use domain::task::state::Runtime;
use domain::{Task, TaskId, TaskState};
use wire::Function;

use crate::wait::until;

type Seen = BTreeMap<TaskId, Vec<(u64, Task)>>;

/// The records of a broker, followed from the beginning.
pub struct History {
    seen: Arc<Mutex<Seen>>,
    following: tokio::task::JoinHandle<()>,
}

impl Drop for History {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl History {
    /// Begins to follow, with the key of `status`.
    pub async fn follow(url: &str, keys: &Path) -> Self {
        let seed = std::fs::read_to_string(keys.join("status.nk")).unwrap().trim().to_owned();
        let broker = Broker::connect(url, &Credentials { function: Function::Status, seed }).await.unwrap();
        let mut feed = Feed::follow(Tasks::new(&broker).bucket());
        let seen = Arc::<Mutex<Seen>>::default();
        let noted = Arc::clone(&seen);
        let following = tokio::spawn(async move {
            while let Some(news) = feed.next().await {
                if let News::Value { revision, value, .. } = news {
                    let mut seen = noted.lock().unwrap();
                    let steps = seen.entry(value.id).or_default();
                    // After a reconnection the feed may begin anew.
                    if steps.last().is_none_or(|(last, _)| *last < revision) {
                        steps.push((revision, Arc::unwrap_or_clone(value)));
                    }
                }
            }
        });
        Self { seen, following }
    }

    /// The newest record of a task.
    pub fn task(&self, id: &str) -> Option<Task> {
        let id: TaskId = id.parse().unwrap();
        self.seen.lock().unwrap().get(&id).and_then(|steps| steps.last()).map(|(_, task)| task.clone())
    }

    /// Waits until these tasks have ended.
    pub async fn until_ended(&self, ids: &[String]) {
        until("every acknowledged task ends", || async {
            let open: Vec<_> = ids
                .iter()
                .map(|id| (id, self.task(id).map(|task| (task.state, task.epoch, task.runner))))
                .filter(|(_, now)| now.is_none_or(|(state, ..)| !state.is_terminal()))
                .collect();
            if open.is_empty() { Ok(()) } else { Err(format!("{} open: {open:?}", open.len())) }
        })
        .await;
    }

    /// Panics if any task went a way that no rule allows.
    pub fn check(&self) {
        if let Err(broken) = self.verdict() {
            panic!("{broken}");
        }
    }

    /// Says if any task went a way that no rule allows. The broker keeps the newest record of each task alone, so
    /// steps may be missing between two that were seen.
    pub fn verdict(&self) -> Result<(), String> {
        for (id, steps) in self.seen.lock().unwrap().iter() {
            for pair in steps.windows(2) {
                let ((_, before), (_, after)) = (&pair[0], &pair[1]);
                if let Err(broken) = lawful(before, after) {
                    return Err(format!("task {id}: {broken}\nbefore: {before:?}\nafter: {after:?}"));
                }
            }
        }
        Ok(())
    }

    /// The newest record of every task.
    pub fn tasks(&self) -> Vec<Task> {
        let seen = self.seen.lock().unwrap();
        seen.values().filter_map(|steps| steps.last()).map(|(_, task)| task.clone()).collect()
    }
}

fn lawful(before: &Task, after: &Task) -> Result<(), &'static str> {
    let fixed = |task: &Task| {
        let Task { tenant, user, app, version, service, bundle, created_at, request_digest, .. } = task;
        let texts = [user, app, version, service, bundle, request_digest].map(Clone::clone);
        (tenant.clone(), texts, *created_at)
    };
    if fixed(before) != fixed(after) {
        return Err("what is fixed at its creation has changed");
    }
    if after.epoch < before.epoch || after.losses < before.losses {
        return Err("a claim or a loss was taken back");
    }
    if before.state.is_terminal() && after.state != TaskState::Deleted {
        return Err("it had ended, and yet it went on");
    }
    let claimed_again = after.epoch > before.epoch;
    if before.state.is_terminal() && claimed_again {
        return Err("it had ended, and yet it was claimed");
    }
    if claimed_again || after.state == TaskState::Deleted {
        return Ok(());
    }
    let rank = |state: TaskState| match state {
        TaskState::Assigned => 0,
        TaskState::Running => 1,
        // A claim that is over: given back, held back, or not yet made.
        TaskState::Queued | TaskState::Scheduled | TaskState::Paused | TaskState::Stopped => 2,
        TaskState::Completed | TaskState::Failed | TaskState::Broken => 3,
        TaskState::Deleted => 4,
    };
    let ended_unclaimed = before.state == TaskState::Queued && after.state.is_terminal();
    if ended_unclaimed || rank(after.state) < rank(before.state) {
        return Err("it went backwards under one claim");
    }
    // The claim of a task for a warm session names a new one; its runner then says which it found.
    let may_find = after.runtime == Runtime::Session && before.state == TaskState::Assigned;
    let holder = |task: &Task| (task.runner, task.session.filter(|_| !may_find));
    if after.state != TaskState::Queued && holder(before) != holder(after) {
        return Err("one claim had two holders");
    }
    Ok(())
}

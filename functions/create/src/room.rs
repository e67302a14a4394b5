//! How full the store of records is. New tasks may take only a part of it: those that were taken in need room
//! to be claimed, to get their results and to be deleted, and without it a full store could never empty itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker::{Bucket, Tasks};
use domain::Task;
use wire::{Code, Error};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What new tasks may fill.
const PERCENT_MAX: u64 = 80;
/// About what a record takes beside its input.
const RECORD_BYTES: u64 = 1024;

/// The room that is left, about a second old, with what this replica has written since.
#[derive(Clone, Default)]
pub struct Room(Arc<Filled>);

#[derive(Default)]
struct Filled {
    bytes: AtomicU64,
    /// 0 where it is not known yet, or has no bound.
    max_bytes: AtomicU64,
}

impl Room {
    /// Begins to look.
    pub fn watch(tasks: &Tasks) -> Self {
        let room = Self::default();
        let (bucket, filled) = (tasks.bucket().clone(), Arc::downgrade(&room.0));
        tokio::spawn(async move {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                looks.tick().await;
                let Some(filled) = filled.upgrade() else { return };
                look(&bucket, &filled).await;
            }
        });
        room
    }

    /// Refuses where new tasks have filled their part.
    pub fn check(&self) -> Result<(), Error> {
        let (bytes, max) = (self.0.bytes.load(Ordering::Relaxed), self.0.max_bytes.load(Ordering::Relaxed));
        if max > 0 && bytes >= max / 100 * PERCENT_MAX {
            let message =
                "the store of tasks is full; delete tasks that have ended, or ask its operator for more room";
            return Err(Error::new(Code::StorageFull, message));
        }
        Ok(())
    }

    /// A task was written.
    pub fn taken(&self, task: &Task) {
        let input = if task.input.object().is_some() { 0 } else { task.input.size };
        self.0.bytes.fetch_add(input + RECORD_BYTES, Ordering::Relaxed);
    }
}

async fn look(bucket: &Bucket<Task>, filled: &Filled) {
    match bucket.filled().await {
        Ok((bytes, max)) => {
            filled.bytes.store(bytes, Ordering::Relaxed);
            filled.max_bytes.store(max, Ordering::Relaxed);
        }
        Err(error) => tracing::debug!(%error, "how full the store is could not be asked"),
    }
}

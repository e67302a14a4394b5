//! How far the hooks of one task are told, as the bucket has it: written by compare-and-set, so that another
//! replica's word is never taken back.

use broker::{Bucket, WriteError};
use tokio::sync::Mutex;
use wire::Error;
use wire::calls::callbacks::Delivery;

/// How often a write is tried again after another was faster.
const TRIES: usize = 20;

/// The deliveries of one task.
pub struct Ledger {
    bucket: Bucket<Vec<Delivery>>,
    key: String,
    known: Mutex<(u64, Vec<Delivery>)>,
}

impl Ledger {
    /// As last heard of, at this revision; 0 is none yet.
    pub fn new(bucket: Bucket<Vec<Delivery>>, key: String, revision: u64, hooks: Vec<Delivery>) -> Self {
        Self { bucket, key, known: Mutex::new((revision, hooks)) }
    }

    /// How far one hook is.
    pub async fn read(&self, hook: usize) -> Delivery {
        self.known.lock().await.1.get(hook).cloned().unwrap_or_default()
    }

    /// Changes the word on one hook. Where another has told more meanwhile, its word stays.
    pub async fn write(&self, hook: usize, delivery: &Delivery) -> Result<(), Error> {
        let mut known = self.known.lock().await;
        for _ in 0..TRIES {
            let (revision, hooks) = &mut *known;
            if hooks.len() <= hook {
                hooks.resize(hook + 1, Delivery::default());
            }
            let Some(slot) = hooks.get_mut(hook) else { return Ok(()) };
            if slot.done > delivery.done {
                return Ok(());
            }
            slot.clone_from(delivery);
            match self.bucket.write(&self.key, *revision, hooks).await {
                Ok(written) => {
                    *revision = written;
                    return Ok(());
                }
                Err(WriteError::Conflict | WriteError::Unsettled | WriteError::Unknown(_)) => {
                    *known = self.bucket.get(&self.key).await?.unwrap_or_default();
                }
                Err(error @ (WriteError::Full | WriteError::TooLarge | WriteError::Refused(_))) => {
                    return Err(error.into());
                }
            }
        }
        Err(Error::unavailable(format!("the deliveries of {} were changed by others all the time", self.key)))
    }
}

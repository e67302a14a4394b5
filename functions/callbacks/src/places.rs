//! How many requests may be under way: in all, per tenant and per host, so that receivers that are dead or slow
//! take the places of nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const IN_ALL: usize = 1_024;
const PER_TENANT: usize = 512;
const PER_HOST: usize = 64;
/// Names that are remembered before the idle ones are forgotten.
const NAMES_MAX: usize = 4_096;

/// The places.
pub struct Places {
    all: Arc<Semaphore>,
    names: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// One place, until it is dropped.
pub struct Place {
    _permits: [OwnedSemaphorePermit; 3],
}

impl Places {
    /// All of them free.
    pub fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(IN_ALL)), names: Mutex::default() }
    }

    /// Waits for a place. The narrowest comes first: who waits for its host takes no place from others.
    pub async fn take(&self, tenant: &str, host: &str) -> Option<Place> {
        let host = self.named(format!("host {host}"), PER_HOST)?.acquire_owned().await.ok()?;
        let tenant = self.named(format!("tenant {tenant}"), PER_TENANT)?.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _permits: [host, tenant, all] })
    }

    fn named(&self, name: String, places: usize) -> Option<Arc<Semaphore>> {
        let mut names = self.names.lock().ok()?;
        if names.len() >= NAMES_MAX {
            names.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        Some(Arc::clone(names.entry(name).or_insert_with(|| Arc::new(Semaphore::new(places)))))
    }
}

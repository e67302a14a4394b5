//! Every task of every tenant in a few words, in memory. Disposable: a new replica draws it anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::time::Duration;

use broker::{Broker, Feed, News, Tasks};
use domain::list::{Query, Summary};
use domain::name::Names;
use domain::{Name, Task, TaskId, TaskKey, TaskState, Timestamp};
use tokio::sync::{oneshot, watch};
use wire::runner::Progress;
use wire::{Error, subjects};

use crate::jobs::Jobs;

/// How long a list may wait for the picture to be up to date.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a task may take to be drawn after its creator was answered.
const ARRIVAL: Duration = Duration::from_millis(100);
const NEWS_AT_ONCE: usize = 512;

/// By creation, so that the default order costs no sorting. Boxed, since a node of the tree keeps room for eleven values
/// of which about half are there.
type Rows = BTreeMap<(Timestamp, TaskId, u32), Box<Summary>>;

#[derive(Default)]
struct Inner {
    tenants: HashMap<Name, Rows>,
    names: Names,
    /// Where each task is in its tenant's rows.
    places: HashMap<TaskKey, Timestamp>,
    /// The runs of recurring tasks that are not deleted, by the first run's key.
    runs: HashMap<TaskKey, BTreeSet<u32>>,
    jobs: Jobs,
    /// The stream tasks of each tenant, by name.
    streams: HashMap<Name, BTreeMap<String, TaskKey>>,
    progress: HashMap<TaskKey, Progress>,
    waiters: HashMap<TaskKey, Vec<oneshot::Sender<Arc<Task>>>>,
    /// Who waits for a task to be drawn at all.
    expected: HashMap<TaskKey, Vec<oneshot::Sender<()>>>,
}

/// The picture, and how far it is drawn.
pub struct Picture {
    inner: Arc<RwLock<Inner>>,
    sequence: watch::Receiver<u64>,
}

impl Picture {
    /// Begins to draw.
    pub async fn follow(broker: &Broker, tasks: &Tasks) -> Result<Self, Error> {
        let inner = Arc::<RwLock<Inner>>::default();
        let (sender, sequence) = watch::channel(0);
        let mut feed = Feed::follow(tasks.bucket());
        let drawn = Arc::clone(&inner);
        tokio::spawn(async move {
            let mut news = Vec::with_capacity(NEWS_AT_ONCE);
            while feed.next_many(&mut news, NEWS_AT_ONCE).await > 0 && !sender.is_closed() {
                if let Ok(mut inner) = drawn.write() {
                    let sequence = draw(&mut inner, news.drain(..), *sender.borrow());
                    drop(inner);
                    sender.send_replace(sequence);
                }
            }
        });
        let mut messages = broker.requests(subjects::PROGRESS_ALL.to_owned(), false).await?;
        let heard = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Some(mut message) = messages.next().await {
                if let (Ok((key, progress)), Ok(mut inner)) =
                    (message.read::<(TaskKey, Progress)>(), heard.write())
                    && inner.places.contains_key(&key)
                {
                    inner.progress.insert(key, progress);
                }
            }
        });
        Ok(Self { inner, sequence })
    }

    /// Waits until everything up to a sequence is drawn.
    pub async fn until(&self, sequence: u64) -> Result<(), Error> {
        let mut drawn = self.sequence.clone();
        match tokio::time::timeout(PATIENCE, drawn.wait_for(|drawn| *drawn >= sequence)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::unavailable("the read model is behind the broker")),
        }
    }

    /// The app of a task, once the task is drawn. Whoever asks for a task has just heard of it, so one that is
    /// not there yet is waited for, a moment. `None` for a recurring one, of which any run may be meant.
    pub async fn app_of(&self, key: &TaskKey) -> Option<String> {
        let arrived = {
            let mut inner = self.inner.write().ok()?;
            if let Some(row) = inner.row(key) {
                return inner.single(key, row);
            }
            let (teller, arrived) = oneshot::channel();
            inner.expected.entry(key.clone()).or_default().push(teller);
            arrived
        };
        // A time-out is no error: the task may be too new or not exist at all, which the record tells.
        let _ = tokio::time::timeout(ARRIVAL, arrived).await;
        let mut inner = self.inner.write().ok()?;
        inner.forget_expected(key);
        inner.row(key).and_then(|row| inner.single(key, row))
    }

    /// Waits until a task has ended, or for so long. `None` where it had ended before, or has not yet.
    pub async fn until_ended(&self, key: &TaskKey, wait: Duration) -> Option<Arc<Task>> {
        let (waiter, ended) = oneshot::channel();
        {
            let mut inner = self.inner.write().ok()?;
            if inner.has_ended(key) {
                return None;
            }
            let waiters = inner.waiters.entry(key.clone()).or_default();
            waiters.retain(|waiter| !waiter.is_closed());
            waiters.push(waiter);
        }
        // A time-out is no error: the caller is told how the task stands.
        tokio::time::timeout(wait, ended).await.ok()?.ok()
    }

    /// The last run of a recurring task that is not deleted.
    pub fn last_run(&self, key: &TaskKey) -> Option<u32> {
        self.inner.read().ok()?.runs.get(&key.of_run(0))?.last().copied()
    }

    /// The key of a stream task.
    pub fn stream(&self, tenant: &str, name: &str) -> Option<TaskKey> {
        self.inner.read().ok()?.streams.get(tenant)?.get(name).cloned()
    }

    /// The names of the stream tasks of a tenant.
    pub fn streams(&self, tenant: &str) -> Result<Vec<String>, Error> {
        let inner = self.inner.read().map_err(|_| Error::internal("the read model is broken"))?;
        Ok(inner.streams.get(tenant).map(|names| names.keys().cloned().collect()).unwrap_or_default())
    }

    /// Looks at the jobs; `look` gets the index and a way to a task's row.
    pub fn jobs<T>(
        &self,
        look: impl FnOnce(&Jobs, &dyn Fn(&TaskKey) -> Option<Summary>) -> T,
    ) -> Result<T, Error> {
        let inner = self.inner.read().map_err(|_| Error::internal("the read model is broken"))?;
        Ok(look(&inner.jobs, &|key| inner.row(key).cloned()))
    }

    /// Looks at all tasks of a tenant.
    pub fn of_tenant<T>(
        &self,
        tenant: &str,
        look: impl FnOnce(&mut dyn Iterator<Item = &Summary>) -> T,
    ) -> Result<T, Error> {
        let inner = self.inner.read().map_err(|_| Error::internal("the read model is broken"))?;
        let rows = inner.tenants.get(tenant);
        Ok(look(&mut rows.into_iter().flat_map(|rows| rows.values().rev().map(Box::as_ref))))
    }

    /// How far a task is, as its process said last.
    pub fn progress(&self, key: &TaskKey) -> Option<Progress> {
        self.inner.read().ok()?.progress.get(key).cloned()
    }

    /// The rows of a page, and how many the whole list has.
    pub fn page(
        &self,
        tenant: &str,
        query: &Query,
        visible: impl Fn(&Summary) -> bool,
        now: Timestamp,
    ) -> Result<(Vec<Summary>, u64), Error> {
        let inner = self.inner.read().map_err(|_| Error::internal("the read model is broken"))?;
        let Some(rows) = inner.tenants.get(tenant) else { return Ok((Vec::new(), 0)) };
        let newest_first = rows.values().rev().map(Box::as_ref).filter(|row| visible(row));
        let (skip, take) = (to_usize(query.offset), to_usize(query.limit));
        if query.sort.is_empty() {
            let mut total = 0;
            let mut page = Vec::new();
            for row in newest_first {
                if total >= skip && page.len() < take {
                    page.push(row.clone());
                }
                total += 1;
            }
            return Ok((page, total as u64));
        }
        let mut all: Vec<&Summary> = newest_first.collect();
        all.sort_by(|a, b| query.order(a, b, now));
        let page = all.iter().skip(skip).take(take).map(|row| (*row).clone()).collect();
        Ok((page, all.len() as u64))
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Inner {
    fn has_ended(&self, key: &TaskKey) -> bool {
        self.row(key).is_some_and(|row| row.state.is_terminal())
    }

    fn row(&self, key: &TaskKey) -> Option<&Summary> {
        let at = self.places.get(key)?;
        self.tenants.get(&key.tenant)?.get(&(*at, key.id, key.run)).map(Box::as_ref)
    }

    fn single(&self, key: &TaskKey, row: &Summary) -> Option<String> {
        (!self.runs.contains_key(&key.of_run(0))).then(|| row.app.to_string())
    }

    /// Whoever waited in vain leaves nothing behind.
    fn forget_expected(&mut self, key: &TaskKey) {
        if let Some(tellers) = self.expected.get_mut(key) {
            tellers.retain(|teller| !teller.is_closed());
            if tellers.is_empty() {
                self.expected.remove(key);
            }
        }
    }

    fn put_run(&mut self, key: &TaskKey, task: &Task) {
        if task.timing.as_ref().is_none_or(|timing| timing.every.is_none()) {
            return;
        }
        let runs = self.runs.entry(key.of_run(0)).or_default();
        if task.state == TaskState::Deleted {
            runs.remove(&key.run);
        } else {
            runs.insert(key.run);
        }
    }

    /// A name that is used again is that of the newer task, in whichever order the two are drawn.
    fn put_stream(&mut self, key: &TaskKey, task: &Task) {
        let Some(name) = &task.name else { return };
        let names = self.streams.entry(key.tenant.clone()).or_default();
        if task.state != TaskState::Deleted {
            names.insert(name.clone(), key.clone());
        } else if names.get(name) == Some(key) {
            names.remove(name);
        }
    }

    fn put(&mut self, task: &Arc<Task>, revision: u64) {
        let key = TaskKey { tenant: self.names.shared(&task.tenant), ..task.key() };
        self.put_run(&key, task);
        self.put_stream(&key, task);
        let before = self.row(&key).cloned();
        let after = (task.state != TaskState::Deleted).then(|| Summary {
            number: task.number.unwrap_or(revision),
            ..Summary::of(task, |name| self.names.shared(name))
        });
        self.jobs.put(&key, before.as_ref(), after.as_ref(), task);
        if task.state == TaskState::Deleted {
            if let (Some(at), Some(rows)) = (self.places.remove(&key), self.tenants.get_mut(&key.tenant)) {
                rows.remove(&(at, key.id, key.run));
            }
        } else {
            self.places.insert(key.clone(), task.created_at);
            for teller in self.expected.remove(&key).unwrap_or_default() {
                let _ = teller.send(());
            }
            let rows = self.tenants.entry(key.tenant.clone()).or_default();
            rows.extend(after.map(|row| ((task.created_at, key.id, key.run), Box::new(row))));
        }
        if task.state.is_terminal() {
            self.progress.remove(&key);
            for waiter in self.waiters.remove(&key).unwrap_or_default() {
                // Whoever gave up waiting needs no answer.
                let _ = waiter.send(Arc::clone(task));
            }
        }
    }
}

fn draw(
    inner: &mut RwLockWriteGuard<'_, Inner>,
    news: impl Iterator<Item = News<Task>>,
    sequence: u64,
) -> u64 {
    let mut sequence = sequence;
    for piece in news {
        match piece {
            News::Reset => {
                inner.tenants.clear();
                inner.places.clear();
                inner.runs.clear();
                inner.jobs = Jobs::default();
                inner.streams.clear();
                sequence = 0;
            }
            News::Value { revision, value, .. } => {
                inner.put(&value, revision);
                sequence = revision;
            }
            News::CaughtUp { sequence: known } => sequence = sequence.max(known),
        }
    }
    sequence
}

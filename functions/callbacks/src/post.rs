//! Follows the tasks and sends a courier for every hook that has something to be told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use broker::tasks::{has_hooks, numbered};
use broker::{Bucket, Feed, News, Tasks};
use domain::{Task, TaskState};
use service::lease::Lease;
use service::{CancellationToken, Context, RunError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::calls::callbacks::Delivery;
use wire::topology::{DELIVERIES, task_key};

use crate::courier::{Courier, Office, ends};
use crate::dial::Dialer;
use crate::ledger::Ledger;
use crate::notes::Notes;
use crate::places::Places;

/// How often is looked whether the lease came or went.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the word on a deleted task's hooks is kept.
const KEEP_DELETED: Duration = Duration::from_secs(3_600);

/// A hook of a task, which is known by its key.
type Place = (String, usize);

/// Delivers while the lease is held, until it is stopped. What is under way then ends within its time-out.
pub async fn deliver(
    context: Context,
    dialer: Arc<Dialer>,
    bucket: Bucket<Vec<Delivery>>,
) -> Result<(), RunError> {
    let secret = match &context.settings.callback_secret {
        Some(path) => {
            let text = std::fs::read(path).map_err(|e| RunError(format!("{}: {e}", path.display())))?;
            Some(text.trim_ascii().to_vec())
        }
        None => None,
    };
    let lease = Lease::compete(&context.broker, context.stop.clone()).map_err(RunError::from_text)?;
    let mut post = Post {
        office: Arc::new(Office {
            dialer,
            places: Places::new(),
            secret,
            notes: Notes::start(&context.broker),
        }),
        told: HashMap::new(),
        open: HashMap::new(),
        couriers: JoinSet::new(),
        bucket,
        stop: context.stop.clone(),
        lease,
        held: false,
    };
    post.follow(&context).await;
    while let Some(ended) = post.couriers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a courier broke");
        }
    }
    post.lease.ended().await;
    Ok(())
}

/// A task that has something to be told.
struct Open {
    task: watch::Sender<Arc<Task>>,
    ledger: Arc<Ledger>,
    /// Hooks that have a courier.
    under_way: HashSet<usize>,
}

struct Post {
    office: Arc<Office>,
    bucket: Bucket<Vec<Delivery>>,
    stop: CancellationToken,
    lease: Lease,
    held: bool,
    /// How far every task's hooks are told, with the revision of that word.
    told: HashMap<String, (u64, Vec<Delivery>)>,
    open: HashMap<String, Open>,
    couriers: JoinSet<(Place, u64)>,
}

impl Post {
    async fn follow(&mut self, context: &Context) {
        let mut told = Feed::follow(&Bucket::<Vec<Delivery>>::new(&context.broker, DELIVERIES));
        // Whoever does not know yet what was told would tell it all again.
        loop {
            tokio::select! {
                news = told.next() => match news {
                    Some(News::CaughtUp { .. }) => break,
                    Some(news) => self.hear(news),
                    None => return,
                },
                () = context.stop.cancelled() => return,
            }
        }
        let mut tasks = Feed::follow_only(Tasks::new(&context.broker).bucket(), has_hooks);
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                news = tasks.next() => match news {
                    Some(News::Value { revision, value, .. }) => self.learn(numbered(Arc::unwrap_or_clone(value), revision)),
                    Some(News::Reset | News::CaughtUp { .. }) => {}
                    None => return,
                },
                Some(news) = told.next() => self.hear(news),
                Some(ended) = self.couriers.join_next() => self.settle(ended),
                _ = look.tick() => self.look(),
                () = context.stop.cancelled() => return,
            }
        }
    }

    /// How far a task's hooks are told, by us or by another replica.
    fn hear(&mut self, news: News<Vec<Delivery>>) {
        match news {
            News::Reset => self.told.clear(),
            News::CaughtUp { .. } => {}
            News::Value { key, revision, value } => {
                if let Some(open) = self.open.get_mut(&key).filter(|open| open.under_way.is_empty()) {
                    let (bucket, hooks) = (self.bucket.clone(), (*value).clone());
                    open.ledger = Arc::new(Ledger::new(bucket, key.clone(), revision, hooks));
                }
                self.told.insert(key.clone(), (revision, Arc::unwrap_or_clone(value)));
                self.close_told(&key);
            }
        }
    }

    fn learn(&mut self, task: Task) {
        let key = task_key(&task.key());
        if task.state == TaskState::Deleted {
            return self.forget(key, task);
        }
        if task.hooks.is_empty() || self.is_told(&task) {
            return;
        }
        let task = Arc::new(task);
        if let Some(open) = self.open.get(&key) {
            open.task.send_replace(task);
        } else {
            let (revision, hooks) = self.told.get(&key).cloned().unwrap_or_default();
            let ledger = Arc::new(Ledger::new(self.bucket.clone(), key.clone(), revision, hooks));
            let (task, _) = watch::channel(task);
            self.open.insert(key.clone(), Open { task, ledger, under_way: HashSet::new() });
        }
        self.send_couriers(&key);
    }

    /// A deleted task has nothing to be told any more, and the word on its hooks goes after a while.
    fn forget(&mut self, key: String, task: Task) {
        if let Some(open) = self.open.remove(&key) {
            open.task.send_replace(Arc::new(task));
        }
        let Some((_, hooks)) = self.told.remove(&key) else { return };
        let bucket = self.bucket.clone();
        tokio::spawn(async move {
            if let Err(error) = bucket.put(&key, &hooks, Some(KEEP_DELETED)).await {
                tracing::debug!(%key, %error, "the word on a deleted task's hooks stays");
            }
        });
    }

    fn is_told(&self, task: &Task) -> bool {
        let told =
            self.told.get(&task_key(&task.key())).map(|(_, hooks)| hooks.as_slice()).unwrap_or_default();
        let all = ends(task);
        (0..task.hooks.len()).all(|hook| told.get(hook).is_some_and(|delivery| delivery.done >= all))
    }

    fn close_told(&mut self, key: &String) {
        let Some(open) = self.open.get(key) else { return };
        let task = Arc::clone(&open.task.borrow());
        if open.under_way.is_empty() && self.is_told(&task) {
            self.open.remove(key);
        }
    }

    fn send_couriers(&mut self, key: &String) {
        let Some(open) = self.open.get_mut(key).filter(|_| self.lease.is_held()) else { return };
        let hooks = open.task.borrow().hooks.len();
        for hook in 0..hooks {
            if !open.under_way.insert(hook) {
                continue;
            }
            let courier = Courier {
                office: Arc::clone(&self.office),
                ledger: Arc::clone(&open.ledger),
                task: open.task.subscribe(),
                hook,
                permit: self.lease.permit(),
                stop: self.stop.clone(),
            };
            let place = (key.clone(), hook);
            self.couriers.spawn(async move { (place, courier.run().await) });
        }
    }

    /// A courier came back. What became known just then, another one tells.
    fn settle(&mut self, ended: Result<(Place, u64), tokio::task::JoinError>) {
        let Ok(((key, hook), done)) = ended else {
            tracing::error!("a courier broke");
            return;
        };
        let Some(open) = self.open.get_mut(&key) else { return };
        open.under_way.remove(&hook);
        let all = ends(&open.task.borrow());
        let (_, told) = self.told.entry(key.clone()).or_default();
        if told.len() <= hook {
            told.resize(hook + 1, Delivery::default());
        }
        if let Some(delivery) = told.get_mut(hook) {
            delivery.done = delivery.done.max(done);
        }
        if done < all {
            self.send_couriers(&key);
        } else {
            self.close_told(&key);
        }
    }

    fn look(&mut self) {
        let held = self.lease.is_held();
        if held && !self.held {
            let keys: Vec<String> = self.open.keys().cloned().collect();
            for key in keys {
                self.send_couriers(&key);
            }
        }
        self.held = held;
    }
}

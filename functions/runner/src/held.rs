//! The claims that this runner holds. A claim is held until its end was reported and the report accepted or
//! refused, and until nothing of its process is left.

use std::collections::HashMap;
use std::sync::Mutex;

use domain::board::Held as HeldClaim;
use domain::task::state::{InterruptKind, Runtime};
use domain::{Activity, Epoch, SessionId, SessionKind, SessionOf, Task, TaskKey, Timestamp};
use tokio::sync::{Notify, watch};
use wire::runner::Process;

/// What a running task is asked to do. Later orders replace earlier ones, and each is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Go on.
    Run,
    /// End the solve, keep the best result.
    EndSolve,
    /// Stop by force; the task fails.
    Stop,
    /// Stop by force and put the task back into its lane: the runner is about to end.
    GiveBack,
    /// Stop by force and say nothing: the claim is another's.
    Drop,
}

/// How a claim was taken.
pub enum Holding {
    /// It is held already.
    Already,
    /// There is no place, or an older claim of the same task is still being ended.
    NoPlace,
    /// It is held now, and takes its orders here.
    New(Orders),
}

/// What reaches a claim while it is held.
#[derive(Clone)]
pub struct Orders {
    /// The order in force.
    pub order: watch::Receiver<Order>,
    /// Who ended its session, where somebody did.
    pub why: watch::Receiver<Option<String>>,
    /// Counts the moments at which it became doubtful whether the claim still holds.
    pub doubts: watch::Receiver<u64>,
}

impl Orders {
    /// What a task that is stopped by force is told to have failed of.
    pub fn why_stopped(&self) -> String {
        let why = self.why.borrow().as_ref().map(|why| format!("its session was {why}"));
        why.unwrap_or_else(|| "it was stopped by force".to_owned())
    }
}

struct Slot {
    epoch: Epoch,
    doubts: watch::Sender<u64>,
    why: watch::Sender<Option<String>>,
    order: watch::Sender<Order>,
    interrupted: Option<InterruptKind>,
    /// The process of a command task. Sessions of other runtimes outlive their tasks and are shown by themselves.
    process: Option<Process>,
}

struct Inner {
    slots: HashMap<TaskKey, Slot>,
    draining: bool,
}

/// All claims of one runner.
pub struct Held {
    places: u32,
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
    /// Is told when a process starts or ends: who looks at a task then is not to wait for the next heartbeat.
    pub process_changed: Notify,
}

fn process(task: &Task, now: Timestamp) -> Option<Process> {
    match task.runtime {
        Runtime::Session | Runtime::Webui => None,
        Runtime::Command | Runtime::Stream | Runtime::Noop => Some(Process {
            // The claim always names its session; a record without one is shown under the task's own id.
            session: task.session.unwrap_or(SessionId(task.id.0)),
            kind: SessionKind::Task,
            activity: Activity::Starting,
            of: SessionOf::task(task),
            task: Some(task.id),
            service: Some(task.service.clone()),
            pid: None,
            port: None,
            tasks: 0,
            created_at: now,
            started_at: None,
        }),
    }
}

impl Held {
    /// Nothing held, and so many places.
    pub fn new(places: u32) -> Self {
        let inner = Inner { slots: HashMap::new(), draining: false };
        Self {
            places,
            inner: Mutex::new(inner),
            count: watch::Sender::new(0),
            process_changed: Notify::new(),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // No code under this lock panics, and if it did the map would still be whole.
        let mut inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = work(&mut inner);
        self.count.send_replace(inner.slots.len());
        result
    }

    /// Takes a claim if there is a place.
    pub fn take(&self, task: &Task, now: Timestamp) -> Holding {
        let key = task.key();
        self.with(|inner| {
            if let Some(slot) = inner.slots.get(&key) {
                if slot.epoch == task.epoch {
                    return Holding::Already;
                }
                if slot.epoch < task.epoch {
                    raise(&slot.order, Order::Drop);
                }
                return Holding::NoPlace;
            }
            if inner.draining || inner.slots.len() >= self.places as usize {
                return Holding::NoPlace;
            }
            let first = order_of(task);
            let (order, orders) = watch::channel(first);
            let (doubts, doubted) = watch::channel(0);
            let (why, reason) = watch::channel(None);
            let (epoch, interrupted, process) = (task.epoch, kind_of(task), process(task, now));
            inner.slots.insert(key, Slot { epoch, doubts, why, order, interrupted, process });
            Holding::New(Orders { order: orders, why: reason, doubts: doubted })
        })
    }

    /// The record says that the task is to end early.
    pub fn interrupt(&self, task: &Task) {
        self.with(|inner| {
            if let Some(slot) = inner.slots.get_mut(&task.key()).filter(|slot| slot.epoch == task.epoch) {
                slot.interrupted = kind_of(task).or(slot.interrupted);
                raise(&slot.order, order_of(task));
            }
        });
    }

    /// The claim is another's by now.
    pub fn drop_claim(&self, key: &TaskKey, epoch: Epoch) {
        self.with(|inner| {
            if let Some(slot) = inner.slots.get(key).filter(|slot| slot.epoch <= epoch) {
                raise(&slot.order, Order::Drop);
            }
        });
    }

    /// Ends the process of a session that runs one task.
    pub fn end_session(&self, session: SessionId, why: &str) {
        self.with(|inner| {
            let is_meant = |slot: &&Slot| slot.process.as_ref().is_some_and(|p| p.session == session);
            for slot in inner.slots.values().filter(is_meant) {
                slot.why.send_replace(Some(why.to_owned()));
                raise(&slot.order, Order::Stop);
            }
        });
    }

    /// Takes no more claims.
    pub fn drain(&self) {
        self.with(|inner| inner.draining = true);
    }

    /// Others may have taken our claims: each asks anew whether it still holds.
    pub fn doubt_all(&self) {
        self.with(|inner| {
            for slot in inner.slots.values() {
                slot.doubts.send_modify(|count| *count += 1);
            }
        });
    }

    /// Ends every process and puts the tasks back into their lanes.
    pub fn give_back_all(&self) {
        self.with(|inner| {
            for slot in inner.slots.values() {
                raise(&slot.order, Order::GiveBack);
            }
        });
    }

    /// The process of a claim has this number now.
    pub fn started(&self, key: &TaskKey, pid: u32, at: Timestamp) {
        self.with(|inner| {
            if let Some(process) = inner.slots.get_mut(key).and_then(|slot| slot.process.as_mut()) {
                (process.pid, process.started_at, process.activity) = (Some(pid), Some(at), Activity::Busy);
            }
        });
        self.process_changed.notify_one();
    }

    /// A claim has no process at this moment.
    pub fn ended(&self, key: &TaskKey) {
        self.with(|inner| {
            if let Some(process) = inner.slots.get_mut(key).and_then(|slot| slot.process.as_mut()) {
                (process.pid, process.activity) = (None, Activity::Starting);
            }
        });
        self.process_changed.notify_one();
    }

    /// Nothing of the claim is left.
    pub fn remove(&self, key: &TaskKey, epoch: Epoch) {
        self.with(|inner| {
            if inner.slots.get(key).is_some_and(|slot| slot.epoch == epoch) {
                inner.slots.remove(key);
            }
        });
    }

    /// Waits until nothing is held.
    pub async fn until_empty(&self) {
        // The sender lives as long as `self`, so the wait can't fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// What a heartbeat says: places, whether it is draining, claims and processes.
    pub fn show(&self) -> (u32, bool, Vec<HeldClaim>, Vec<Process>) {
        self.with(|inner| {
            let claim = |(key, slot): (&TaskKey, &Slot)| HeldClaim {
                key: key.clone(),
                epoch: slot.epoch,
                interrupted: slot.interrupted,
            };
            let claims = inner.slots.iter().map(claim).collect();
            let processes = inner.slots.values().filter_map(|slot| slot.process.clone()).collect();
            (self.places, inner.draining, claims, processes)
        })
    }
}

fn kind_of(task: &Task) -> Option<InterruptKind> {
    task.interrupt.map(|interrupt| interrupt.kind)
}

fn order_of(task: &Task) -> Order {
    match kind_of(task) {
        None => Order::Run,
        Some(InterruptKind::Solve) => Order::EndSolve,
        Some(InterruptKind::Execution) => Order::Stop,
    }
}

fn raise(order: &watch::Sender<Order>, to: Order) {
    order.send_if_modified(|now| {
        let stronger = to > *now;
        if stronger {
            *now = to;
        }
        stronger
    });
}

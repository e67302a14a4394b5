//! The sessions of one runner: which are warm, who waits for one, and what people are shown of them. A session
//! is owned by whoever runs a task in it, and between two tasks by its own rest (`rest.rs`), which watches over
//! it; here are only the handles by which it is had back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::board::Warm;
use domain::{Activity, SessionId, SessionKind, SessionOf, Task, Timestamp};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use wire::runner::Process;

use super::process::Session;

/// A warm session, by the way it is had.
struct Idle {
    id: SessionId,
    since: Instant,
    take: oneshot::Sender<oneshot::Sender<Session>>,
}

/// The sessions for the tasks of one owner and app version.
#[derive(Default)]
struct Group {
    idle: Vec<Idle>,
    waiting: VecDeque<oneshot::Sender<Session>>,
    /// How long the last process took until it was ready.
    start_time: Option<Duration>,
}

struct Place {
    process: Process,
    asked_to_end: watch::Sender<Option<String>>,
    /// When somebody last looked at its page.
    used_at: Instant,
    /// It takes no task after the one that it runs.
    is_last: bool,
}

impl Place {
    /// Whether it is worth waiting for.
    fn becomes_free(&self, of: &SessionOf) -> bool {
        self.process.of == *of && self.process.activity == Activity::Busy && !self.is_last
    }
}

#[derive(Default)]
struct Inner {
    groups: HashMap<SessionOf, Group>,
    places: HashMap<SessionId, Place>,
    /// The last sessions with a page that this runner was told to start: it may be told twice.
    begun: VecDeque<SessionId>,
    draining: bool,
}

/// All sessions of one runner.
pub struct Pool {
    /// More warm sessions than this are not kept.
    idle_max: usize,
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
}

/// Told starts that are remembered: a start is told again for a minute at the most.
const BEGUN_MAX: usize = 1024;

/// A session's place in the pool, which is free again when this is dropped.
pub struct Seat {
    pool: Arc<Pool>,
    id: SessionId,
    /// Who wants the session ended, once somebody does.
    pub asked_to_end: watch::Receiver<Option<String>>,
}

impl Pool {
    /// An empty pool that keeps so many warm sessions at the most.
    pub fn new(idle_max: u32) -> Arc<Self> {
        Arc::new(Self { idle_max: idle_max as usize, inner: Mutex::default(), count: watch::Sender::new(0) })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // No code under this lock panics, and if it did the maps would still be whole.
        let mut inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = work(&mut inner);
        self.count.send_replace(inner.places.len());
        result
    }

    /// A new session takes its place.
    pub fn enter(
        self: &Arc<Self>,
        id: SessionId,
        kind: SessionKind,
        of: &SessionOf,
        task: Option<&Task>,
        now: Timestamp,
    ) -> Seat {
        let process = Process {
            session: id,
            kind,
            activity: Activity::Starting,
            of: of.clone(),
            task: task.map(|task| task.id),
            service: task.map(|task| task.service.clone()),
            pid: None,
            port: None,
            tasks: 0,
            created_at: now,
            started_at: None,
        };
        let (sender, asked_to_end) = watch::channel(None);
        self.with(|inner| {
            let place = Place { process, asked_to_end: sender, used_at: Instant::now(), is_last: false };
            inner.places.insert(id, place)
        });
        Seat { pool: Arc::clone(self), id, asked_to_end }
    }

    /// The session of these that was used last, since it is the warmest.
    pub async fn take_idle(&self, of: &SessionOf) -> Option<Session> {
        loop {
            let idle = self.with(|inner| {
                let idle = inner.groups.get_mut(of)?.idle.pop()?;
                // Whoever comes before its task has begun may wait for it as for any that is busy.
                if let Some(place) = inner.places.get_mut(&idle.id) {
                    place.process.activity = Activity::Busy;
                }
                Some(idle)
            })?;
            let (sender, receiver) = oneshot::channel();
            // One that is just about to end does not answer.
            if idle.take.send(sender).is_ok()
                && let Ok(session) = receiver.await
            {
                return Some(session);
            }
        }
    }

    /// Waits for a busy session to become free, for as long as the start of a process takes: then nobody waits
    /// more than twice as long as the better choice would have taken. Gives nothing where none is busy,
    /// or none of those takes another task.
    pub async fn wait_for_busy(&self, of: &SessionOf) -> Option<Session> {
        let (mut receiver, time) = self.with(|inner| {
            if !inner.places.values().any(|place| place.becomes_free(of)) {
                return None;
            }
            let group = inner.groups.get_mut(of)?;
            let time = group.start_time?;
            let (sender, receiver) = oneshot::channel();
            group.waiting.retain(|waiting| !waiting.is_closed());
            group.waiting.push_back(sender);
            Some((receiver, time))
        })?;
        if let Ok(session) = tokio::time::timeout(time, &mut receiver).await {
            return session.ok();
        }
        // It may have been handed over at this very moment.
        receiver.close();
        receiver.try_recv().ok()
    }

    /// Gives a free session to whoever waits for one, or gives it back with the way by which its rest is told
    /// that it is taken. One too many ends the session that has rested longest.
    pub fn rest(
        &self,
        mut session: Session,
    ) -> Option<(Session, oneshot::Receiver<oneshot::Sender<Session>>)> {
        self.with(|inner| {
            let group = inner.groups.entry(session.of.clone()).or_default();
            while let Some(waiting) = group.waiting.pop_front() {
                match waiting.send(session) {
                    Ok(()) => return None,
                    Err(back) => session = back,
                }
            }
            let (take, taken) = oneshot::channel();
            group.idle.push(Idle { id: session.id, since: Instant::now(), take });
            if let Some(place) = inner.places.get_mut(&session.id) {
                place.process.activity = Activity::Idle;
                (place.process.task, place.process.service) = (None, None);
                place.process.tasks = session.tasks;
            }
            inner.evict(if inner.draining { 0 } else { self.idle_max });
            Some((session, taken))
        })
    }

    /// A resting session is about to end and can't be had any more.
    pub fn forget_idle(&self, of: &SessionOf, id: SessionId) {
        self.with(|inner| {
            if let Some(group) = inner.groups.get_mut(of) {
                group.idle.retain(|idle| idle.id != id);
            }
        });
    }

    /// How long a start took.
    pub fn note_start_time(&self, of: &SessionOf, time: Duration) {
        self.with(|inner| inner.groups.entry(of.clone()).or_default().start_time = Some(time));
    }

    /// Notes that a session with a page is to be started; false if that is known already, or all end.
    pub fn begin(&self, id: SessionId) -> bool {
        self.with(|inner| {
            if inner.draining || inner.begun.contains(&id) {
                return false;
            }
            if inner.begun.len() >= BEGUN_MAX {
                inner.begun.pop_front();
            }
            inner.begun.push_back(id);
            true
        })
    }

    /// Somebody looks at the page of a session.
    pub fn is_used(&self, id: SessionId) {
        self.with(|inner| {
            if let Some(place) = inner.places.get_mut(&id) {
                place.used_at = Instant::now();
            }
        });
    }

    /// Asks a session to end, whatever it does; false if it is not here.
    pub fn end_session(&self, id: SessionId, why: &str) -> bool {
        self.with(|inner| match inner.places.get(&id) {
            Some(place) => {
                place.asked_to_end.send_replace(Some(why.to_owned()));
                true
            }
            None => false,
        })
    }

    /// Ends every warm session, and from now on every session that becomes free.
    pub fn drain(&self) {
        self.with(|inner| {
            inner.draining = true;
            // Only those that rest: one that is being taken at this moment has a task to do first.
            let resting: Vec<Idle> =
                inner.groups.values_mut().flat_map(|group| group.idle.drain(..)).collect();
            resting.iter().for_each(|idle| inner.ask_to_end(idle.id, DRAINED));
            let has_page = |place: &&Place| place.process.kind == SessionKind::Webui;
            for place in inner.places.values().filter(has_page) {
                place.asked_to_end.send_replace(Some(DRAINED.to_owned()));
            }
        });
    }

    /// Whether sessions that become free are to end.
    pub fn is_draining(&self) -> bool {
        self.with(|inner| inner.draining)
    }

    /// Waits until there is no session any more.
    pub async fn until_empty(&self) {
        // The sender lives as long as `self`, so the wait can't fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// What a heartbeat says: the warm sessions by whose they are, and all sessions.
    pub fn show(&self) -> (Vec<Warm>, Vec<Process>) {
        self.with(|inner| {
            let warm = inner.groups.iter().filter(|(_, group)| !group.idle.is_empty());
            let warm = warm.map(|(of, group)| Warm { of: of.clone(), sessions: group.idle.len() as u32 });
            (warm.collect(), inner.places.values().map(|place| place.process.clone()).collect())
        })
    }
}

/// Why warm sessions of a runner end that is about to stop.
pub const DRAINED: &str = "ended because its runner stops";

impl Inner {
    fn evict(&mut self, idle_max: usize) {
        let idle = || self.groups.values().flat_map(|group| &group.idle);
        if idle().count() <= idle_max {
            return;
        }
        let Some(oldest) = idle().min_by_key(|idle| idle.since).map(|idle| idle.id) else { return };
        // It is taken out first, so that no task can get a session that is about to end.
        self.groups.values_mut().for_each(|group| group.idle.retain(|idle| idle.id != oldest));
        let why = format!("ended because the runner keeps no more than {idle_max} sessions without a task");
        self.ask_to_end(oldest, &why);
    }

    /// Sends away who waits for a session where none becomes free any more.
    fn send_away(&mut self, of: &SessionOf) {
        if !self.places.values().any(|place| place.becomes_free(of))
            && let Some(group) = self.groups.get_mut(of)
        {
            group.waiting.clear();
        }
    }

    fn ask_to_end(&self, id: SessionId, why: &str) {
        if let Some(place) = self.places.get(&id) {
            place.asked_to_end.send_replace(Some(why.to_owned()));
        }
    }
}

impl Seat {
    fn change(&self, change: impl FnOnce(&mut Process)) {
        self.pool.with(|inner| {
            if let Some(place) = inner.places.get_mut(&self.id) {
                change(&mut place.process);
            }
        });
    }

    /// Its process has this number and serves this port.
    pub fn has_process(&self, pid: u32, port: u16) {
        self.change(|process| (process.pid, process.port) = (Some(pid), Some(port)));
    }

    /// Its process is ready since then.
    pub fn is_ready(&self, at: Timestamp) {
        self.change(|process| process.started_at = Some(at));
    }

    /// It serves its page.
    pub fn serves(&self) {
        self.change(|process| process.activity = Activity::Busy);
    }

    /// When somebody last looked at its page.
    pub fn used_at(&self) -> Option<Instant> {
        self.pool.with(|inner| inner.places.get(&self.id).map(|place| place.used_at))
    }

    /// It takes no further task.
    pub fn takes_no_more(&self) {
        self.pool.with(|inner| {
            let Some(place) = inner.places.get_mut(&self.id).filter(|place| !place.is_last) else { return };
            place.is_last = true;
            let of = place.process.of.clone();
            inner.send_away(&of);
        });
    }

    /// It runs this task now.
    pub fn runs(&self, task: &Task) {
        self.change(|process| {
            process.activity = Activity::Busy;
            (process.task, process.service) = (Some(task.id), Some(task.service.clone()));
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.with(|inner| {
            let of = inner.places.remove(&self.id).map(|place| place.process.of);
            let Some(of) = of else { return };
            inner.send_away(&of);
            // A group that nothing is left of is forgotten; the time of its starts with it.
            if inner.places.values().any(|place| place.process.of == of) {
                return;
            }
            if inner.groups.get(&of).is_some_and(|group| group.waiting.iter().all(oneshot::Sender::is_closed))
            {
                inner.groups.remove(&of);
            }
        });
    }
}

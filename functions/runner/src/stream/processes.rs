//! The processes of a task: started, and started again with growing pauses when they end. Each has a place of its
//! own: while one waits for its pause to be over, the others work.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use futures_util::future::{join_all, select_all};
use service::clock;
use tokio::time::Instant;

use super::Claim;
use super::filter::{Exchange, Fault, Filter, locked};
use crate::logs::Sink;

/// The pause before a process is started again, from its second failure in a row on: doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LAST: Duration = Duration::from_secs(10);

/// The place of one process.
#[derive(Default)]
struct Place {
    running: Option<(Filter, Timestamp)>,
    /// How often it failed since it gave its last answer.
    failures: u32,
    not_before: Option<Instant>,
}

impl Place {
    /// When it may be started; `None` where it runs.
    fn due(&self, now: Instant) -> Option<Instant> {
        self.running.is_none().then(|| self.not_before.unwrap_or(now))
    }
}

/// All processes of one claim.
pub struct Processes {
    places: Vec<Place>,
    log: Arc<Mutex<Sink>>,
    started: bool,
}

impl Processes {
    /// So many places without a process.
    pub fn new(count: u32, log: Arc<Mutex<Sink>>) -> Self {
        Self { places: (0..count.max(1)).map(|_| Place::default()).collect(), log, started: false }
    }

    /// How many places there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Of which places the process runs.
    pub fn up_now(&self) -> Vec<bool> {
        self.places.iter().map(|place| place.running.is_some()).collect()
    }

    /// Starts every process that does not run, unless it failed a moment ago.
    pub async fn up(&mut self, claim: &Claim<'_>) {
        let now = Instant::now();
        for index in 0..self.places.len() {
            if self.places.get(index).and_then(|place| place.due(now)).is_some_and(|at| at <= now) {
                match Filter::start(claim, &self.log).await {
                    Ok(filter) => self.seat(claim, index, filter),
                    Err(error) => self.fail(claim, index, error),
                }
            }
        }
    }

    /// When the next process is to be started; `None` where all run.
    pub fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        self.places.iter().filter_map(|place| place.due(now)).min()
    }

    fn seat(&mut self, claim: &Claim<'_>, index: usize, filter: Filter) {
        let now = clock::now();
        if !self.started {
            claim.reports.started(now);
            self.started = true;
        }
        if let Some(place) = self.places.get_mut(index) {
            place.running = Some((filter, now));
        }
        self.show(claim);
    }

    /// The task counts as alive while one of its processes is.
    fn show(&self, claim: &Claim<'_>) {
        let (held, key) = (&claim.runner.held, claim.task.key());
        match self.places.iter().find_map(|place| place.running.as_ref()) {
            Some((filter, since)) => held.started(&key, filter.pid(), *since),
            None => held.ended(&key),
        }
    }

    /// A process failed, or could not be started.
    fn fail(&mut self, claim: &Claim<'_>, index: usize, error: String) {
        tracing::info!(task = %claim.task.id, index, error, "a process of a stream task failed");
        if let Some(place) = self.places.get_mut(index) {
            place.failures = place.failures.saturating_add(1);
            let doublings = place.failures.saturating_sub(2).min(16);
            let pause = if place.failures < 2 {
                Duration::ZERO
            } else {
                (PAUSE_FIRST * 2u32.saturating_pow(doublings)).min(PAUSE_LAST)
            };
            place.not_before = Some(Instant::now() + pause);
        }
        claim.reports.trouble(error);
    }

    /// Gives each process its lines, all at once, and takes what it answers. A process with a fault is gone
    /// afterwards.
    pub async fn exchange(&mut self, claim: &Claim<'_>, lines: &[Vec<Bytes>]) -> Vec<Exchange> {
        let patience = Duration::from_millis(claim.spec.answer_ms.into());
        let exchanges = self.places.iter_mut().zip(lines).map(|(place, lines)| async move {
            match place.running.as_mut() {
                Some((filter, _)) if !lines.is_empty() => filter.exchange(lines, patience).await,
                Some(_) | None => Exchange { answers: Vec::new(), fault: None },
            }
        });
        let exchanges = join_all(exchanges).await;
        for (index, exchange) in exchanges.iter().enumerate() {
            if let Some(place) = self.places.get_mut(index).filter(|_| !exchange.answers.is_empty()) {
                place.failures = 0;
            }
            if let Some(Fault { why, .. }) = &exchange.fault {
                self.put_out(claim, index, why.clone()).await;
            }
        }
        exchanges
    }

    /// Waits until a process has ended without being asked to, and notes it; for ever where none runs.
    pub async fn until_one_ends(&mut self, claim: &Claim<'_>) {
        let running = self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            let (filter, _) = place.running.as_mut()?;
            Some(Box::pin(async move { (index, filter.until_ended().await) }))
        });
        let running: Vec<_> = running.collect();
        if running.is_empty() {
            return pending().await;
        }
        let ((index, why), ..) = select_all(running).await;
        self.put_out(claim, index, why).await;
    }

    async fn put_out(&mut self, claim: &Claim<'_>, index: usize, why: String) {
        self.fail(claim, index, why);
        let running = self.places.get_mut(index).and_then(|place| place.running.take());
        self.show(claim);
        if let Some((filter, _)) = running {
            filter.end().await;
        }
    }

    /// A line of the runner's own for the log of the task.
    pub fn say(&self, text: &str) {
        locked(&self.log).say(wire::runner::LogSource::Worker, text);
    }

    /// Ends all of them.
    pub async fn end(&mut self) {
        let running = self.places.iter_mut().filter_map(|place| place.running.take());
        join_all(running.map(|(filter, _)| filter.end())).await;
    }
}

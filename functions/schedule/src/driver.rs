//! Feeds the board and has its decisions carried out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker::{Bucket, Feed, News, Tasks};
use domain::Task;
use domain::board::{Action, Heartbeat};
use domain::lane::LaneLimits;
use service::clock::Ticks;
use service::lease::Lease;
use service::{Context, RunError, clock};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::calls::schedule::LaneStatus;
use wire::runner::Beat;
use wire::topology::LANES;
use wire::{names, subjects};

use crate::act::{Actor, Outcome};
use crate::ticker::Ticker;
use crate::{Acting, SharedBoard, lanes};

const SWEEP_EVERY: Duration = Duration::from_millis(250);
const GAUGE_EVERY: Duration = Duration::from_secs(1);
/// After the broker failed a claim nothing more is claimed for this long.
const CLAIM_PAUSE_MS: u64 = 250;
/// Silence of our own longer than this says nothing about the runners.
const DEAF_MS: u64 = 1_000;
const NEWS_AT_ONCE: usize = 512;

/// Follows everything and acts while the lease is held, until it is stopped.
pub async fn drive(
    context: Context,
    board: SharedBoard,
    acting: Acting,
    ticks: Ticks,
) -> Result<(), RunError> {
    let broker = &context.broker;
    let lease = Lease::compete(broker, context.stop.clone()).map_err(RunError::from_text)?;
    let mut tasks = Feed::follow(Tasks::new(broker).bucket());
    let mut limits = Feed::follow(&Bucket::<LaneLimits>::new(broker, LANES));
    let mut beats =
        broker.requests(subjects::BEAT_ALL.to_owned(), false).await.map_err(RunError::from_text)?;
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let mut driver = Driver {
        board,
        ticks,
        acting,
        actor: Actor::new(broker.clone(), outcome),
        caught_up: false,
        held: false,
        pause_until: 0,
        swept_at: 0,
    };
    let mut ticker = Ticker::follow(broker);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut gauge = tokio::time::interval(GAUGE_EVERY);
    let mut due = Box::pin(tokio::time::sleep(Duration::ZERO));
    let mut news = Vec::with_capacity(NEWS_AT_ONCE);
    loop {
        tokio::select! {
            biased;
            () = context.stop.cancelled() => break,
            // Before the tasks: one that was created after a change of its lane is decided on with the change.
            Some(changed) = limits.next() => {
                if let Some(lane) = driver.change_limits(changed) {
                    driver.tell_gauge(broker, |told| told.name == lane).await;
                }
            }
            Some(outcome) = outcomes.recv() => driver.settle(outcome),
            Some(mut beat) = beats.next() => driver.hear(beat.read::<Beat>().ok().map(|beat| beat.heartbeat)),
            _ = sweep.tick() => driver.sweep(),
            () = ticker.tick() => driver.move_on_by_tick(),
            _ = gauge.tick() => driver.tell_gauge(broker, |_| true).await,
            count = tasks.next_many(&mut news, NEWS_AT_ONCE) => {
                if count == 0 { break }
                driver.learn(news.drain(..));
            }
            () = &mut due => {}
        }
        driver.held = lease.is_held();
        due.as_mut().reset(driver.move_on_the_due());
        driver.admit();
    }
    lease.ended().await;
    Ok(())
}

struct Driver {
    board: SharedBoard,
    ticks: Ticks,
    acting: Acting,
    actor: Actor,
    caught_up: bool,
    held: bool,
    pause_until: u64,
    swept_at: u64,
}

impl Driver {
    fn learn(&mut self, news: impl Iterator<Item = News<Task>>) {
        let now = self.ticks.millis();
        let Ok(mut board) = self.board.lock() else { return };
        for piece in news {
            match piece {
                News::Reset => {
                    board.forget_tasks();
                    self.caught_up = false;
                }
                News::Value { revision, value, .. } => board.learn(revision, value, now),
                News::CaughtUp { .. } => self.caught_up = true,
            }
        }
    }

    /// Gives the lane that changed.
    fn change_limits(&mut self, news: News<LaneLimits>) -> Option<String> {
        let News::Value { key, value, .. } = news else { return None };
        let lane = names::text(&key)?;
        self.board.lock().ok()?.set_limits(&lane, Some((*value).clone()));
        Some(lane)
    }

    fn hear(&mut self, beat: Option<Heartbeat>) {
        if let (Some(beat), Ok(mut board)) = (beat, self.board.lock()) {
            board.hear(beat, self.ticks.millis());
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let now = self.ticks.millis();
        let Ok(mut board) = self.board.lock() else { return };
        match outcome {
            Outcome::Claimed(revision, task) => board.claimed(revision, task, now),
            Outcome::NotClaimed(key) => board.not_claimed(&key),
            Outcome::GateClosed(key) => board.gate_closed(&key, now),
            Outcome::BrokerFailed(key) => {
                board.not_claimed(&key);
                self.pause_until = now + CLAIM_PAUSE_MS;
            }
        }
    }

    /// Moves on what is due now, and says when to look again. The broker's own schedules fire up to 250 ms
    /// late (reference/nats.md), so the time is kept here.
    fn move_on_the_due(&mut self) -> Instant {
        let again = Instant::now() + SWEEP_EVERY;
        if !self.held || !self.caught_up {
            return again;
        }
        let wall = clock::now();
        let Ok(mut board) = self.board.lock() else { return again };
        for action in board.due(wall, self.ticks.millis()) {
            self.actor.begin(action, None);
        }
        let left = board.next_due().map(|at| at.micros().saturating_sub(wall.micros()));
        match left.and_then(|micros| u64::try_from(micros).ok()) {
            Some(micros) => again.min(Instant::now() + Duration::from_micros(micros)),
            None => again,
        }
    }

    /// Moves on the jobs of the Task Engine whose time has come since its last tick.
    fn move_on_by_tick(&mut self) {
        if !self.held || !self.caught_up {
            return;
        }
        let Ok(mut board) = self.board.lock() else { return };
        for action in board.due_by_tick(clock::now(), self.ticks.millis()) {
            self.actor.begin(action, None);
        }
    }

    fn admit(&mut self) {
        let now = self.ticks.millis();
        let acts = self.held && self.caught_up && now >= self.pause_until;
        self.acting.store(acts, Ordering::Release);
        if !acts {
            return;
        }
        let Ok(mut board) = self.board.lock() else { return };
        for action in board.admit(now) {
            let known = if let Action::Claim(key, _) | Action::TellAssign(key, _) = &action {
                board.record(key)
            } else {
                None
            };
            let known = known.map(|(revision, task)| (revision, Arc::clone(task)));
            self.actor.begin(action, known);
        }
    }

    fn sweep(&mut self) {
        let now = self.ticks.millis();
        let Ok(mut board) = self.board.lock() else { return };
        if now.saturating_sub(self.swept_at) > DEAF_MS || !self.held {
            board.forgive_silence(now);
        }
        self.swept_at = now;
        if self.held && self.caught_up {
            for action in board.repair(now) {
                tracing::info!(?action, "repairing");
                self.actor.begin(action, None);
            }
        }
    }

    async fn tell_gauge(&self, broker: &broker::Broker, wanted: impl Fn(&LaneStatus) -> bool) {
        if !self.held {
            return;
        }
        let all = self.board.lock().map(|board| lanes(&board)).unwrap_or_default();
        for lane in all.into_iter().filter(|lane| wanted(lane)) {
            broker.tell(subjects::LANE.to_owned(), &lane).await;
        }
    }
}

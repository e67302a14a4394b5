//! The ticks of the Task Engine's scheduler: the first a moment after the start, or after a change of its
//! settings, and then one at every interval. Between two ticks no scheduled job moves on.

use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Bucket, Feed, News};
use tokio::time::Instant;
use wire::records::EngineSettings;
use wire::topology::SETTINGS;

/// The first tick comes so long after the start or a change.
const FIRST_IN: Duration = Duration::from_secs(5);

/// When the next tick is.
pub struct Ticker {
    feed: Feed<EngineSettings>,
    settings: EngineSettings,
    /// None until the settings are known, and while they say that nothing ticks.
    next: Option<Instant>,
}

impl Ticker {
    /// Begins to follow the settings; nothing ticks before they are known.
    pub fn follow(broker: &Broker) -> Self {
        let feed = Feed::follow(&Bucket::new(broker, SETTINGS));
        Self { feed, settings: EngineSettings::default(), next: None }
    }

    /// Waits for a tick. Can be cancelled and called again without losing one.
    pub async fn tick(&mut self) {
        loop {
            let far = Instant::now() + FIRST_IN;
            tokio::select! {
                news = self.feed.next() => match news {
                    Some(news) => self.learn(news),
                    None => std::future::pending().await,
                },
                () = tokio::time::sleep_until(self.next.unwrap_or(far)), if self.next.is_some() => {
                    self.next = Some(Instant::now() + self.interval());
                    return;
                }
            }
        }
    }

    fn learn(&mut self, news: News<EngineSettings>) {
        match news {
            News::Reset => {}
            News::Value { value, .. } => {
                let same = value.active == self.settings.active
                    && value.schedule_interval == self.settings.schedule_interval;
                self.settings = Arc::unwrap_or_clone(value);
                // A setting of another name leaves the ticks alone.
                if !same || self.next.is_none() {
                    self.arm();
                }
            }
            News::CaughtUp { .. } if self.next.is_none() => self.arm(),
            News::CaughtUp { .. } => {}
        }
    }

    fn arm(&mut self) {
        self.next = self.settings.active.then(|| Instant::now() + FIRST_IN);
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(self.settings.schedule_interval.max(1))
    }
}

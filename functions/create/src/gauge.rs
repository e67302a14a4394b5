//! How full the lanes are, as the active `schedule` tells once a second. It may be a second old, so a lane
//! can exceed its bound by what one second brings; what it never does is lose a task that was taken in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use broker::Broker;
use wire::calls::schedule::LaneStatus;
use wire::subjects;

/// Waiting tasks by lane.
#[derive(Clone, Default)]
pub struct Gauge(Arc<Mutex<HashMap<String, u64>>>);

impl Gauge {
    /// Begins to listen.
    pub fn follow(broker: &Broker) -> Self {
        let gauge = Self::default();
        let (broker, heard) = (broker.clone(), gauge.clone());
        tokio::spawn(async move {
            let Ok(mut incoming) = broker.requests(subjects::LANE.to_owned(), false).await else { return };
            while let Some(mut message) = incoming.next().await {
                if let (Ok(status), Ok(mut lanes)) = (message.read::<LaneStatus>(), heard.0.lock()) {
                    lanes.insert(status.name, status.queued + status.scheduled);
                }
            }
        });
        gauge
    }

    /// How many tasks waited in a lane when it was last told.
    pub fn queued(&self, lane: &str) -> u64 {
        self.0.lock().ok().and_then(|lanes| lanes.get(lane).copied()).unwrap_or(0)
    }
}

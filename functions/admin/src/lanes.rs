//! Lane limits: changed live, kept in their bucket, acted on by `schedule` at its next decision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use broker::call::Requests;
use broker::{Bucket, Feed, News};
use domain::Caller;
use domain::lane::{JOBS, LaneLimits, PRIORITY_LAST, STREAMS};
use tokio::time::timeout;
use wire::calls::admin::{AdminReply, LaneChange, LaneShown};
use wire::calls::schedule::{LaneStatus, ScheduleReply, ScheduleRequest};
use wire::topology::{LANES, lane_key, tasks_lane};
use wire::{Code, Error, names, subjects};

use crate::{Admin, shown};

/// The lanes of no single tenant.
const SHARED: [&str; 2] = [JOBS, STREAMS];
/// A change is answered when it is in force, so that what its caller does next meets it. A `schedule` that is
/// away must not hold the caller up for longer.
const IN_FORCE: Duration = Duration::from_secs(2);

impl Admin {
    pub(crate) async fn set_lane(
        &self,
        caller: &Caller,
        name: &str,
        change: &LaneChange,
    ) -> Result<AdminReply, Error> {
        self.check_lane(caller, name).await?;
        let told = self.broker.requests(subjects::LANE.to_owned(), false).await?;
        let changed = self
            .lanes
            .update(&lane_key(name), |found| {
                let limits = changed(found.unwrap_or_else(|| LaneLimits::of(name)), change);
                check(&limits)?;
                Ok(Some(limits))
            })
            .await?;
        let limits = changed.unwrap_or_else(|| LaneLimits::of(name));
        let told = timeout(IN_FORCE, until_told(told, name, &limits)).await.ok().flatten();
        if told.is_none() {
            tracing::warn!(
                lane = name,
                "no schedule has told that it acts by the new limits; it will when it is up"
            );
        }
        let (queued, running) = told.map(|status| (status.queued, status.running)).unzip();
        Ok(AdminReply::Lanes(vec![LaneShown { name: name.to_owned(), limits, queued, running }]))
    }

    /// A tenant's own lane is its own; those that all tenants share are the operator's.
    async fn check_lane(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        if SHARED.contains(&name) {
            return if self.is_operator(caller) { Ok(()) } else { Err(no_lane(name)) };
        }
        let tenant = name.strip_prefix("tasks.").ok_or_else(|| no_lane(name))?;
        self.may_act_for(caller, tenant).map_err(|_| no_lane(name))?;
        if tenant != caller.tenant && self.tenants.get(&names::token(tenant)).await?.is_none() {
            return Err(no_lane(name));
        }
        Ok(())
    }

    /// The caller's lanes, or all for the operator, with how full they are where a `schedule` answers.
    pub(crate) async fn list_lanes(&self, caller: &Caller) -> Result<AdminReply, Error> {
        // A lane that `schedule` does not name is empty; where it gives no answer, nobody knows.
        let reply = self.broker.call(&ScheduleRequest::Lanes).await;
        let told = if let Ok(ScheduleReply::Lanes(lanes)) = reply { Some(lanes) } else { None };
        let (queued, running) = (told.as_ref().map(|_| 0), told.as_ref().map(|_| 0));
        let mut shown: BTreeMap<String, LaneShown> = BTreeMap::new();
        let own = tasks_lane(&caller.tenant);
        let always = [own.as_str()].into_iter().chain(SHARED).map(|name| (name.to_owned(), None));
        for (name, limits) in self.stored_lanes().await.into_iter().chain(always) {
            let limits = limits.unwrap_or_else(|| LaneLimits::of(&name));
            let entry = LaneShown { name: name.clone(), limits, queued, running };
            shown.entry(name).or_insert(entry);
        }
        for lane in told.into_iter().flatten() {
            let (queued, running) = (Some(lane.queued), Some(lane.running));
            shown.insert(
                lane.name.clone(),
                LaneShown { name: lane.name, limits: lane.limits, queued, running },
            );
        }
        let visible = |lane: &LaneShown| self.is_operator(caller) || lane.name == own;
        Ok(AdminReply::Lanes(shown.into_values().filter(visible).collect()))
    }

    async fn stored_lanes(&self) -> Vec<(String, Option<LaneLimits>)> {
        let mut feed = Feed::follow(&Bucket::<LaneLimits>::new(&self.broker, LANES));
        let mut lanes = Vec::new();
        while let Some(news) = feed.next().await {
            match news {
                News::Reset => lanes.clear(),
                News::Value { key, value, .. } => {
                    lanes.extend(names::text(&key).map(|name| (name, Some(Arc::unwrap_or_clone(value)))))
                }
                News::CaughtUp { .. } => break,
            }
        }
        lanes
    }
}

/// Waits until the active `schedule` decides by these limits, and gives how full the lane is then.
async fn until_told(mut told: Requests, name: &str, limits: &LaneLimits) -> Option<LaneStatus> {
    while let Some(mut message) = told.next().await {
        if let Ok(status) = message.read::<LaneStatus>()
            && status.name == name
            && status.limits == *limits
        {
            return Some(status);
        }
    }
    None
}

fn no_lane(name: &str) -> Error {
    let message = format!(
        "lane {} does not exist, or is the operator's; that of a tenant's tasks is tasks.<tenant>",
        shown(name)
    );
    Error::new(Code::NotFound, message)
}

pub(crate) fn changed(limits: LaneLimits, change: &LaneChange) -> LaneLimits {
    LaneLimits {
        max_running: change.max_running.unwrap_or(limits.max_running),
        priority_slots: change.priority_slots.unwrap_or(limits.priority_slots),
        priority_threshold: change.priority_threshold.unwrap_or(limits.priority_threshold),
        max_queued: change.max_queued.unwrap_or(limits.max_queued),
        retry_limit: change.retry_limit.unwrap_or(limits.retry_limit),
        retry_delay_ms: change.retry_delay_ms.unwrap_or(limits.retry_delay_ms),
    }
}

fn check(limits: &LaneLimits) -> Result<(), Error> {
    if limits.priority_threshold > PRIORITY_LAST {
        return Err(Error::new(Code::BadRequest, "priority_threshold is a whole number from 0 to 10"));
    }
    if limits.priority_slots > limits.max_running && limits.max_running > 0 {
        return Err(Error::new(Code::BadRequest, "priority_slots can't be more than max_running"));
    }
    Ok(())
}

//! Settings of the Task Engine: what its own API may change. Its limits are those of the lane `jobs`, so this
//! door and `lane set` write one record; the rest lies in the bucket `settings`.

use domain::lane::{JOBS, LaneLimits, PRIORITY_FIRST, PRIORITY_LAST};
use wire::calls::admin::{AdminReply, LaneChange, QUEUE_SCHEDULED_JOBS, Schedules};
use wire::records::EngineSettings;
use wire::topology::{SETTINGS_KEY, lane_key};
use wire::{Code, Error, names};

use crate::{Admin, lanes, shown};

/// The longest pause between two tries of a step, and between two ticks: a year.
const SECONDS_MAX: u64 = 365 * 24 * 3600;
const VALUE_CHARS_MAX: usize = 1024;
/// Settings with names that mean nothing here lie in one record, which has a bound.
const OTHERS_BYTES_MAX: usize = 32 * 1024;

/// What a setting changes.
enum Setting {
    Limit(LaneChange),
    Interval(u64),
    Other(String),
}

impl Admin {
    pub(crate) async fn set_setting(&self, name: String, value: String) -> Result<AdminReply, Error> {
        let created = match read(&name, &value)? {
            Setting::Limit(change) => {
                self.set_limit(&change).await?;
                false
            }
            Setting::Interval(seconds) => {
                self.change(|settings| {
                    settings.schedule_interval = seconds;
                    Ok(())
                })
                .await?;
                false
            }
            Setting::Other(value) => self.set_other(&name, &value).await?,
        };
        Ok(AdminReply::Setting { name, created })
    }

    pub(crate) async fn set_scheduler(&self, schedule: &str, active: bool) -> Result<AdminReply, Error> {
        if schedule != QUEUE_SCHEDULED_JOBS {
            let message = format!("Unknown schedule: {}", shown(schedule));
            return Err(Error::new(Code::BadRequest, message));
        }
        let settings = self
            .change(|settings| {
                settings.active = active;
                Ok(())
            })
            .await?;
        Ok(AdminReply::Schedules(show(&settings)))
    }

    pub(crate) async fn schedules(&self) -> Result<AdminReply, Error> {
        let stored = self.settings.get(SETTINGS_KEY).await?;
        Ok(AdminReply::Schedules(show(&stored.map(|(_, settings)| settings).unwrap_or_default())))
    }

    async fn set_limit(&self, change: &LaneChange) -> Result<(), Error> {
        // More reserved places than places are legal here: settings come one at a time, and the order in
        // which a client sends two of them must not decide whether they are taken.
        let limits = |found: Option<LaneLimits>| {
            Ok(Some(lanes::changed(found.unwrap_or_else(|| LaneLimits::of(JOBS)), change)))
        };
        self.lanes.update(&lane_key(JOBS), limits).await?;
        Ok(())
    }

    async fn set_other(&self, name: &str, value: &str) -> Result<bool, Error> {
        let mut created = false;
        self.change(|settings| {
            created = settings.others.insert(name.to_owned(), value.to_owned()).is_none();
            let bytes: usize = settings.others.iter().map(|(name, value)| name.len() + value.len()).sum();
            if bytes > OTHERS_BYTES_MAX {
                let message =
                    format!("the settings of unknown names take more than {OTHERS_BYTES_MAX} bytes");
                return Err(Error::new(Code::BadRequest, message));
            }
            Ok(())
        })
        .await?;
        Ok(created)
    }

    async fn change(
        &self,
        mut change: impl FnMut(&mut EngineSettings) -> Result<(), Error>,
    ) -> Result<EngineSettings, Error> {
        let changed = self
            .settings
            .update(SETTINGS_KEY, |found| {
                let mut settings = found.unwrap_or_default();
                change(&mut settings)?;
                Ok(Some(settings))
            })
            .await?;
        Ok(changed.unwrap_or_default())
    }
}

fn show(settings: &EngineSettings) -> Schedules {
    Schedules { active: settings.active, interval_seconds: settings.schedule_interval }
}

/// What a name and a value mean. A known name takes only what its reference allows.
fn read(name: &str, value: &str) -> Result<Setting, Error> {
    let limit = |change| Ok(Setting::Limit(change));
    let count = || number(name, value, 0, u32::MAX);
    match name {
        "max_jobs" => limit(LaneChange { max_running: Some(count()?), ..Default::default() }),
        "priority_slots" => limit(LaneChange { priority_slots: Some(count()?), ..Default::default() }),
        "priority_threshold" => {
            let threshold = number(name, value, PRIORITY_FIRST, PRIORITY_LAST)?;
            limit(LaneChange { priority_threshold: Some(threshold), ..Default::default() })
        }
        "retry_limit" => limit(LaneChange { retry_limit: Some(count()?), ..Default::default() }),
        "retry_delay" => {
            let seconds = number(name, value, 0, SECONDS_MAX)?;
            limit(LaneChange { retry_delay_ms: Some(seconds * 1000), ..Default::default() })
        }
        "schedule_interval" => Ok(Setting::Interval(number(name, value, 1, SECONDS_MAX)?)),
        _ if !names::is_name(name) => {
            let message =
                "the setting's name is not usable: 1 to 128 characters, no '/' or control characters";
            Err(Error::new(Code::BadRequest, message))
        }
        _ if value.chars().count() > VALUE_CHARS_MAX => {
            let message = format!("the value of {name} has more than {VALUE_CHARS_MAX} characters");
            Err(Error::new(Code::BadRequest, message))
        }
        _ => Ok(Setting::Other(value.to_owned())),
    }
}

fn number<N>(name: &str, value: &str, least: N, most: N) -> Result<N, Error>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let found = value.trim().parse().ok().filter(|number| *number >= least && *number <= most);
    found.ok_or_else(|| {
        let message = format!("{name} is a whole number from {least} to {most}, not '{}'", shown(value));
        Error::new(Code::BadRequest, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_take_what_the_reference_allows_and_others_take_anything() {
        let good =
            ["max_jobs=0", "max_jobs= 7 ", "priority_slots=3", "priority_threshold=1", "retry_limit=0"];
        let more = ["retry_delay=0", "schedule_interval=1", "colour=", "colour=blau", "MAX_JOBS=x"];
        let bad = ["max_jobs=-1", "max_jobs=", "max_jobs=1.5", "max_jobs=two", "priority_threshold=0"];
        let worse = ["priority_threshold=11", "retry_delay=-1", "schedule_interval=0", "a/b=1", "=1"];
        let read = |pair: &&str| pair.split_once('=').map(|(name, value)| read(name, value).is_ok());
        for pair in good.iter().chain(&more) {
            assert_eq!(read(pair), Some(true), "{pair}");
        }
        for pair in bad.iter().chain(&worse) {
            assert_eq!(read(pair), Some(false), "{pair}");
        }
    }
}

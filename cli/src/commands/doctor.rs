//! `doctor`: is everything as it should be, from here to the runners, and if not, what to do.

use std::collections::BTreeSet;
use std::fmt;

use domain::Timestamp;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::Function;
use wire::calls::sessions::RunnerStatus;

use crate::client::{Ask, Client};
use crate::commands::{Context, list_in};
use crate::error::CliError;
use crate::table::table;
use crate::url::path;

/// Clocks further apart than this make times hard to read, in seconds.
const SKEW_SHOWN: f64 = 5.0;

/// Clocks further apart than this make keys expire at the wrong time, in seconds.
const SKEW_BAD: f64 = 300.0;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Bad,
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    level: Level,
    finding: String,
    /// What to do about it; empty where nothing is to be done.
    advice: String,
}

fn ok(check: &'static str, finding: impl Into<String>) -> Check {
    Check { check, level: Level::Ok, finding: finding.into(), advice: String::new() }
}

fn warn(check: &'static str, finding: impl Into<String>, advice: &str) -> Check {
    Check { check, level: Level::Warn, finding: finding.into(), advice: advice.to_owned() }
}

fn bad(check: &'static str, finding: impl Into<String>, advice: &str) -> Check {
    Check { check, level: Level::Bad, finding: finding.into(), advice: advice.to_owned() }
}

/// What `GET /tasklane/v1/health` says.
#[derive(Debug, Clone, Deserialize)]
struct Health {
    broker: bool,
    durability: String,
    version: String,
    broker_version: String,
    functions: Vec<String>,
    runners: u64,
}

/// Runs `doctor`.
///
/// # Errors
/// [`CliError::Unhealthy`] if anything is bad; what, has been printed.
pub async fn run(context: &Context) -> Result<(), CliError> {
    let checks = look_at_everything(&context.client).await;
    let healthy = checks.iter().all(|check| check.level != Level::Bad);
    let document = json!({ "ok": healthy, "checks": checks });
    context.console.result(&document, || report(&checks))?;
    if healthy { Ok(()) } else { Err(CliError::Unhealthy) }
}

fn report(checks: &[Check]) -> String {
    let row = |check: &Check| {
        let advice = if check.advice.is_empty() { String::new() } else { format!(" -> {}", check.advice) };
        vec![check.level.to_string(), check.check.to_owned(), format!("{}{advice}", check.finding)]
    };
    table(&["", "", ""], checks.iter().map(row).collect()).trim_start_matches(['-', ' ', '\n']).to_owned()
}

async fn look_at_everything(client: &Client) -> Vec<Check> {
    let answer = match client.send_any(Ask::new(Method::GET, path(["tasklane", "v1", "health"]))).await {
        Ok(answer) => answer,
        Err(CliError::Unreachable { url, why }) => {
            let advice = "is it running? start it with `tasklane dev`, or name another address with --url";
            return vec![bad("service", format!("no answer at {url}: {why}"), advice)];
        }
        Err(error) => return vec![bad("service", error.to_string(), "look at --url")],
    };
    let mut checks = vec![ok("service", format!("answers at {}", client.base()))];
    let clocks = clock_check(answer.date(), local_time());
    let status = answer.status();
    let health =
        answer.document().await.ok().and_then(|document| serde_json::from_value::<Health>(document).ok());
    match health {
        Some(health) => checks.extend(health_checks(&health)),
        None => checks.push(bad(
            "health",
            format!("the answer is {status} and not the health of a Tasklane service"),
            "does the address belong to Tasklane, and is nothing else in between?",
        )),
    }
    checks.push(clocks);
    checks.extend(line_check(client));
    checks.extend(key_checks(client).await);
    checks
}

fn health_checks(health: &Health) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(if health.broker {
        ok("broker", format!("answers, version {}", health.broker_version))
    } else {
        bad(
            "broker",
            "does not answer",
            "start it, or look at its log; nothing is lost, and clients may try again",
        )
    });
    checks.push(match health.durability.as_str() {
        "strict" => ok("durability", "strict: an accepted task survives power loss"),
        "interval" => ok(
            "durability",
            "interval: an accepted task survives any kill, power loss may cost the last 0.1 s",
        ),
        other => {
            warn("durability", format!("{other}, which this program does not know"), "use the same version")
        }
    });
    let own = env!("CARGO_PKG_VERSION");
    checks.push(if health.version == own {
        ok("version", format!("{own}, as this program"))
    } else {
        let versions = format!("the service has {}, this program {own}", health.version);
        warn("version", versions, "use the same version")
    });
    // Without its broker no function can answer, and to say so eleven times would help nobody.
    if health.broker {
        checks.push(function_check(&health.functions));
        checks.push(match health.runners {
            0 => bad("runners", "none is up, so tasks wait", "start one: tasklane serve runner"),
            count => ok("runners", format!("{count} up")),
        });
    }
    checks
}

/// The functions that answer calls; the others are seen in other ways, or are gone after their work.
fn callable() -> impl Iterator<Item = Function> {
    let is_callable = |function: &Function| wire::permissions::answers(*function);
    Function::ALL.into_iter().filter(is_callable)
}

fn function_check(answered: &[String]) -> Check {
    let has_answered = |function: &Function| answered.iter().any(|name| name == function.name());
    let (up, down): (Vec<Function>, Vec<Function>) = callable().partition(has_answered);
    if down.is_empty() {
        return ok("functions", format!("all {} answer", up.len()));
    }
    let names: Vec<&str> = down.iter().map(|function| function.name()).collect();
    let advice = format!("start what is missing: tasklane serve {}", names.join(" "));
    bad("functions", format!("no answer from {}", names.join(", ")), &advice)
}

/// The one place where this program reads the clock of the machine.
fn local_time() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

fn clock_check(service: Option<Timestamp>, here: Timestamp) -> Check {
    let Some(service) = service else {
        return warn(
            "clock",
            "the service does not tell its time",
            "is something else answering in its place?",
        );
    };
    let (ahead, behind) = (service.seconds_since(here), here.seconds_since(service));
    let apart = ahead.max(behind);
    let advice = "set both clocks by the network, with chrony or systemd-timesyncd";
    match apart {
        // The header that tells the time has whole seconds, so one second is nothing.
        ..=SKEW_SHOWN => ok("clock", "the same here and there, within 5 s"),
        ..=SKEW_BAD => warn("clock", format!("the clocks are {apart:.0} s apart"), advice),
        _ => bad("clock", format!("the clocks are {apart:.0} s apart"), advice),
    }
}

/// A key that travels in the clear can be read on the way.
fn line_check(client: &Client) -> Option<Check> {
    let exposed = client.has_key() && !client.base().is_secure() && !client.base().is_local();
    exposed.then(|| {
        warn("line", "the key goes over the network unencrypted", "put TLS in front and use https://")
    })
}

async fn key_checks(client: &Client) -> Vec<Check> {
    if !client.has_key() {
        return vec![warn("key", "none was given", "give one with TASKLANE_API_KEY or --api-key")];
    }
    let key = match client.get(path(["pro-api", "v2", "users", "current"])).await {
        Ok(user) => user_check(&user),
        Err(CliError::Refused(refusal)) if refusal.status == 401 => {
            let advice =
                "look for typing errors, or make another: tasklane key create --tenant T --user U --scope S";
            return vec![bad("key", refusal.message, advice)];
        }
        Err(error) => return vec![bad("key", error.to_string(), "try again in a moment")],
    };
    let mut checks = vec![key];
    checks.extend(session_checks(client).await);
    checks
}

fn user_check(user: &Value) -> Check {
    let field = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let admin =
        if user.get("isAdmin").and_then(Value::as_bool) == Some(true) { ", with scope Admin" } else { "" };
    ok("key", format!("valid, of user {} in tenant {}{admin}", field("name"), field("environment_name")))
}

async fn session_checks(client: &Client) -> Vec<Check> {
    let document = match client.get(path(["tasklane", "v1", "sessions"])).await {
        Ok(document) => document,
        Err(CliError::Refused(refusal)) if refusal.status == 403 => {
            return vec![ok("sessions", "this key may not see them; that takes scope Session")];
        }
        Err(error) => {
            return vec![bad("sessions", error.to_string(), "look at the log of function sessions")];
        }
    };
    let sessions = document.get("sessions").and_then(Value::as_array).map_or(0, Vec::len);
    match list_in::<RunnerStatus>(&document, "runners") {
        Ok(runners) => {
            [Some(place_check(sessions, &runners)), fence_check(&runners)].into_iter().flatten().collect()
        }
        Err(error) => vec![bad("sessions", error.to_string(), "use the same version")],
    }
}

/// What keeps task processes to themselves, where runners say it; each form of it once.
fn fence_check(runners: &[RunnerStatus]) -> Option<Check> {
    let told: BTreeSet<&str> = runners.iter().map(|runner| runner.fences.as_str()).collect();
    let told: Vec<&str> = told.into_iter().filter(|fences| !fences.is_empty()).collect();
    if told.is_empty() {
        return None;
    }
    let finding = told.join("; on others ");
    Some(if finding.contains("no Landlock") {
        warn(
            "fences",
            finding,
            "without Landlock the rights of the user are the fence: run runners under a user of their own",
        )
    } else {
        ok("fences", finding)
    })
}

fn place_check(sessions: usize, runners: &[RunnerStatus]) -> Check {
    let open = runners.iter().filter(|runner| !runner.draining);
    let (held, slots) = open.fold((0_u64, 0_u64), |(held, slots), runner| {
        (held + u64::from(runner.held), slots + u64::from(runner.slots))
    });
    let finding = format!("{sessions} of yours; {held} of {slots} places for tasks are taken");
    if held < slots || runners.is_empty() {
        return ok("sessions", finding);
    }
    warn("sessions", finding, "further tasks wait; start another runner if that lasts: tasklane serve runner")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        let functions = callable().map(|function| function.name().to_owned()).collect();
        let text = |text: &str| text.to_owned();
        Health {
            broker: true,
            durability: text("strict"),
            version: text(env!("CARGO_PKG_VERSION")),
            broker_version: text("2.12.1"),
            functions,
            runners: 1,
        }
    }

    fn levels(health: &Health) -> Vec<(&'static str, Level)> {
        health_checks(health).iter().map(|check| (check.check, check.level)).collect()
    }

    #[test]
    fn a_healthy_service_is_all_ok() {
        assert!(levels(&health()).iter().all(|(_, level)| *level == Level::Ok), "{:?}", levels(&health()));
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let mut sick = health();
        sick.functions.retain(|name| name != "status" && name != "logs");
        sick.runners = 0;
        let checks = health_checks(&sick);
        let functions = checks.iter().find(|check| check.check == "functions").unwrap();
        assert_eq!(functions.level, Level::Bad);
        assert_eq!(functions.advice, "start what is missing: tasklane serve status logs");
        assert!(levels(&sick).contains(&("runners", Level::Bad)));
        sick.broker = false;
        assert_eq!(levels(&sick).iter().filter(|(_, level)| *level == Level::Bad).count(), 1);
    }

    #[test]
    fn each_form_of_the_fence_is_named_once_and_one_without_landlock_is_a_warning() {
        let runner = |fences: &str| {
            let runner = json!({
                "runner": "28cddbc9-2c12-44cc-81f4-78ea1fa4882d", "host": "here", "slots": 1, "held": 0,
                "started_at": "2026-11-25T08:00:00Z", "draining": false, "fences": fences,
            });
            serde_json::from_value::<RunnerStatus>(runner).unwrap()
        };
        let [good, poor] = [
            "Landlock 6, seccomp, rlimits, memory by rlimit",
            "no Landlock, seccomp, rlimits, memory by rlimit",
        ];
        let check = fence_check(&[runner(good), runner(good)]).unwrap();
        assert_eq!((check.level, check.finding.as_str()), (Level::Ok, good));
        let check = fence_check(&[runner(good), runner(poor)]).unwrap();
        assert_eq!((check.level, check.finding), (Level::Warn, format!("{good}; on others {poor}")));
        assert!(fence_check(&[runner("")]).is_none());
    }

    #[test]
    fn clocks_are_compared_both_ways() {
        let here = Timestamp::parse("2026-11-25T08:00:00Z").unwrap();
        let cases = [(0, Level::Ok), (-4_000, Level::Ok), (20_000, Level::Warn), (-20_000, Level::Warn)];
        for (millis, level) in cases.into_iter().chain([(400_000, Level::Bad), (-400_000, Level::Bad)]) {
            assert_eq!(clock_check(Some(here.plus_millis(millis)), here).level, level, "{millis}");
        }
        assert_eq!(clock_check(None, here).level, Level::Warn);
    }

    #[test]
    fn the_report_is_a_line_per_check() {
        let text = report(&[ok("service", "answers"), bad("broker", "does not answer", "start it")]);
        assert_eq!(text, "ok   service  answers\nbad  broker   does not answer -> start it");
    }
}

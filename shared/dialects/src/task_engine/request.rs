//! What a request of the Task Engine API asks for. Names that nobody knows are left alone, as the original does;
//! values that are wrong are refused by name.

use domain::jobs::{JobField, JobQuery, JobState, Viewer};
use domain::lane::{PRIORITY_FIRST, PRIORITY_LAST};
use domain::task::hook::{Hook, HookKind};
use domain::task::input::{Amendment, Wish};
use domain::task::timing::{LAST, Timing};
use domain::{Caller, Timestamp};
use http::Uri;
use serde_json::Value;
use wire::Error;

use super::model::SCHEDULE;
use crate::query::wrong;
use crate::text::{name, shown};
use crate::{JobsOrder, Parameters, Plan, Request, bad, body, headers, moment};

/// Rows of a list whose caller named no limit, and the most.
const ROWS_DEFAULT: u64 = 10;
const ROWS_MAX: u64 = 1_000;
/// Addresses that one job may want told, and the most characters of each.
const HOOKS_MAX: usize = 10;
const URL_CHARS_MAX: usize = 2_048;
/// The spellings of the semaphore's field that clients use; the first one is right.
const SEMAPHORE: [&str; 3] = ["semaphore_url", "sempahore_url", "semphore_url"];

/// The plan of one operation.
pub(super) fn plan(operation: &str, request: &Request<'_>, caller: Option<&Caller>) -> Result<Plan, Error> {
    let viewer = caller.map_or(Viewer::Anybody, |caller| Viewer::Client(caller.tenant.clone()));
    let number = || number(request);
    let order = match operation {
        "alive" => return Ok(Plan::Nothing),
        "health" => JobsOrder::Health,
        "dashboard" => {
            let named = request.header("client").map(str::to_owned);
            JobsOrder::Dashboard { client: named }
        }
        "create_job" => create(request)?,
        "list_jobs" => JobsOrder::List { viewer, query: query(request)? },
        "get_job" => JobsOrder::Get { viewer, number: number()? },
        "update_job" | "patch_job" => {
            let number = number()?;
            JobsOrder::Update { number, amendment: amendment(&object(request)?)? }
        }
        "rerun_job" => {
            no_rubbish(request)?;
            JobsOrder::Rerun { number: number()? }
        }
        "push_jobs" => {
            no_rubbish(request)?;
            JobsOrder::Push
        }
        "get_logs" => JobsOrder::Logs { viewer, number: number()? },
        "list_schedules" => JobsOrder::Schedules,
        "set_scheduler" => scheduler(request)?,
        "set_setting" => setting(request)?,
        other => return Err(Error::internal(format!("operation {other} has no decoding"))),
    };
    Ok(Plan::Jobs(Box::new(order)))
}

/// What is no number is no job, so the answer is the same.
fn number(request: &Request<'_>) -> Result<u64, Error> {
    let text = request.parameter("id");
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| Error::task_not_found(shown(text)))
}

fn object(request: &Request<'_>) -> Result<serde_json::Map<String, Value>, Error> {
    let Value::Object(fields) = body::json(request.body)? else {
        return Err(bad("the body must be a JSON object"));
    };
    Ok(fields)
}

/// Where no body is needed any JSON is left alone, and what is no JSON is refused as everywhere.
fn no_rubbish(request: &Request<'_>) -> Result<(), Error> {
    if request.body.is_empty() { Ok(()) } else { body::json(request.body).map(drop) }
}

fn create(request: &Request<'_>) -> Result<JobsOrder, Error> {
    let fields = object(request)?;
    let job = fields
        .get("job")
        .and_then(Value::as_object)
        .ok_or_else(|| bad("'job' is missing; it must be an object with a workflow"))?;
    let workflow = job
        .get("workflow")
        .and_then(Value::as_str)
        .ok_or_else(|| bad("'job.workflow' is missing; it must be a text"))?;
    let parameters = match fields.get("parameters") {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(parameters @ Value::Object(_)) => parameters.clone(),
        Some(_) => return Err(bad("'parameters' must be an object")),
    };
    let hooks = hooks(&parameters)?;
    let run_at = job.get("run_at").filter(|value| !value.is_null()).map(run_at).transpose()?;
    let gate = semaphore(job)?;
    let timing = (run_at.is_some() || gate.is_some()).then(|| Timing {
        run_at: run_at.unwrap_or(request.now),
        gate,
        every: None,
        by_tick: true,
    });
    Ok(JobsOrder::Create {
        workflow: name("workflow", workflow)?,
        priority: job.get("priority").filter(|value| !value.is_null()).map(priority).transpose()?,
        timing,
        hooks,
        parameters,
        idempotency_key: headers::idempotency_key(request.headers)?,
    })
}

/// Whom a job wants told that has these parameters; what is no JSON wants nobody told.
///
/// # Errors
/// The `rest_endpoints` are no list of web addresses.
pub fn hooks_in(parameters: &[u8]) -> Result<Vec<Hook>, Error> {
    serde_json::from_slice(parameters).map_or_else(|_| Ok(Vec::new()), |parameters| hooks(&parameters))
}

/// Whom a job wants told: the `rest_endpoints` of its parameters.
fn hooks(parameters: &Value) -> Result<Vec<Hook>, Error> {
    let urls = match parameters.get("rest_endpoints") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(urls)) if urls.len() <= HOOKS_MAX => urls,
        Some(_) => return Err(bad(format!("'rest_endpoints' must be a list of at most {HOOKS_MAX} URLs"))),
    };
    let hook = |url: &Value| {
        let url = url.as_str().ok_or_else(|| bad("'rest_endpoints' must be a list of URLs"))?;
        web_address("rest_endpoints", url).map(|url| Hook { kind: HookKind::RestEndpoint, url })
    };
    urls.iter().map(hook).collect()
}

fn web_address(field: &str, text: &str) -> Result<String, Error> {
    let uri: Option<Uri> = text.parse().ok().filter(|_| text.len() <= URL_CHARS_MAX);
    let usable = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if usable {
        Ok(text.to_owned())
    } else {
        Err(bad(format!("'{field}' has '{}', which is no http or https URL", shown(text))))
    }
}

/// A number, or a text of one: clients send both.
fn priority(value: &Value) -> Result<u8, Error> {
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    let priority = number.and_then(|number| u8::try_from(number).ok());
    priority.filter(|priority| (PRIORITY_FIRST..=PRIORITY_LAST).contains(priority)).ok_or_else(|| {
        bad(format!(
            "'priority' is {}, but it must be a whole number from 1 to 10",
            shown(&value.to_string())
        ))
    })
}

fn run_at(value: &Value) -> Result<Timestamp, Error> {
    let parsed = value.as_str().and_then(moment::parse).filter(|at| *at <= LAST);
    parsed.ok_or_else(|| {
        let accepted = "a UTC time as yyyy-MM-ddTHH:mm:ss.fff";
        bad(format!("'run_at' is {}, but it must be {accepted}", shown(&value.to_string())))
    })
}

fn semaphore(fields: &serde_json::Map<String, Value>) -> Result<Option<String>, Error> {
    let Some(value) = SEMAPHORE.iter().find_map(|name| fields.get(*name)).filter(|value| !value.is_null())
    else {
        return Ok(None);
    };
    let url = value.as_str().ok_or_else(|| bad("'semaphore_url' must be a URL"))?;
    web_address("semaphore_url", url).map(Some)
}

fn amendment(fields: &serde_json::Map<String, Value>) -> Result<Amendment, Error> {
    let wish = match fields.get("queue_state") {
        None => None,
        Some(value) => Some(match value.as_str() {
            Some("paused") => Wish::Pause,
            Some("broken") => Wish::Break,
            Some("queued") => Wish::Resume,
            _ => {
                let message = format!(
                    "'queue_state' is {}, but it must be paused, broken or, for a paused job, queued",
                    shown(&value.to_string())
                );
                return Err(bad(message));
            }
        }),
    };
    let amendment = Amendment {
        wish,
        priority: fields.get("priority").map(priority).transpose()?,
        run_at: fields.get("run_at").map(run_at).transpose()?,
        gate: semaphore(fields)?,
        ..Amendment::default()
    };
    if amendment == Amendment::default() {
        return Err(bad("No valid updates provided; send queue_state, run_at, priority or semaphore_url"));
    }
    Ok(amendment)
}

/// The names of the fields that an update changed, in the order of the documents and as the client wrote them.
pub(super) fn updates(request: &Request<'_>) -> Result<Vec<&'static str>, Error> {
    let fields = object(request)?;
    let known = ["queue_state", "run_at", "priority"].into_iter().chain(SEMAPHORE);
    Ok(known.filter(|name| fields.get(*name).is_some_and(|value| !value.is_null())).collect())
}

fn query(request: &Request<'_>) -> Result<JobQuery, Error> {
    let parameters = Parameters::parse(request.query)?;
    let text = |name: &str| parameters.get(name).map(|value| value.filter(|text| !text.is_empty()));
    Ok(JobQuery {
        client: text("client")?.map(str::to_owned),
        state: text("state")?.map(state).transpose()?,
        failed: text("failed")?.map(|value| flag("failed", value)).transpose()?.unwrap_or(false),
        from: text("from")?.map(|value| date("from", value)).transpose()?,
        to: text("to")?.map(to).transpose()?,
        search: text("search")?.map(str::to_owned),
        numbers: numbers(&parameters)?,
        order_by: text("order_by")?.map(field).transpose()?,
        ascending: text("asc")?.map(|value| flag("asc", value)).transpose()?.unwrap_or(false),
        limit: limit(&parameters)?,
    })
}

fn limit(parameters: &Parameters) -> Result<u64, Error> {
    match parameters.get("limit")?.filter(|text| !text.is_empty()) {
        None => Ok(ROWS_DEFAULT),
        Some(text) => match parameters.unsigned("limit") {
            Ok(Some(limit)) if limit > 0 => Ok(limit.min(ROWS_MAX)),
            Ok(_) | Err(_) => Err(wrong("limit", text, "a whole number from 1 on")),
        },
    }
}

fn state(text: &str) -> Result<JobState, Error> {
    let by_number = text.parse::<usize>().ok().and_then(|number| JobState::ALL.get(number));
    by_number.copied().ok_or_else(|| {
        wrong(
            "state",
            text,
            "0 (queued), 1 (started), 2 (completed), 3 (pending), 4 (broken), 5 (scheduled) or 6 (paused)",
        )
    })
}

fn flag(name: &str, text: &str) -> Result<bool, Error> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(wrong(name, text, "1 or 0")),
    }
}

fn date(name: &str, text: &str) -> Result<Timestamp, Error> {
    moment::parse(text).ok_or_else(|| wrong(name, text, moment::ACCEPTED))
}

/// A day alone includes all of that day.
fn to(text: &str) -> Result<Timestamp, Error> {
    let at = date("to", text)?;
    Ok(if text.len() == "2020-09-24".len() { at.plus_millis(86_400_000 - 1) } else { at })
}

fn numbers(parameters: &Parameters) -> Result<Vec<u64>, Error> {
    let number = |word: &str| word.parse().map_err(|_| wrong("job_ids", word, "numbers with commas"));
    parameters.words("job_ids")?.into_iter().map(number).collect()
}

fn field(text: &str) -> Result<JobField, Error> {
    Ok(match text {
        "id" => JobField::Id,
        "client" => JobField::Client,
        "workflow" => JobField::Workflow,
        "priority" => JobField::Priority,
        "position" => JobField::Position,
        "created_at" => JobField::CreatedAt,
        "updated_at" => JobField::UpdatedAt,
        "queue_state" => JobField::QueueState,
        "failed" => JobField::Failed,
        "run_at" => JobField::RunAt,
        _ => return Err(wrong("order_by", text, "a field of a job, such as created_at or priority")),
    })
}

fn scheduler(request: &Request<'_>) -> Result<JobsOrder, Error> {
    let fields = object(request)?;
    let schedule =
        fields.get("schedule").and_then(Value::as_str).ok_or_else(|| bad("'schedule' must be a text"))?;
    if schedule != SCHEDULE {
        return Err(bad(format!(
            "there is no schedule '{}'; the one there is is {SCHEDULE}",
            shown(schedule)
        )));
    }
    let active = match fields.get("active") {
        Some(Value::Bool(active)) => *active,
        Some(Value::String(text)) => flag("active", text)?,
        Some(_) | None => return Err(bad("'active' must be true or false")),
    };
    Ok(JobsOrder::SetScheduler { schedule: schedule.to_owned(), active })
}

fn setting(request: &Request<'_>) -> Result<JobsOrder, Error> {
    let fields = object(request)?;
    let setting = fields.get("name").and_then(Value::as_str).ok_or_else(|| bad("'name' must be a text"))?;
    let value = match fields.get("setting") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(_) | None => return Err(bad("'setting' must be a text or a number")),
    };
    Ok(JobsOrder::Setting { name: name("name", setting)?, value })
}

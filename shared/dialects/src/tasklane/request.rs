//! What a request of our own API asks for.

use domain::access::{PRINCIPAL_CHARS_MAX, is_principal_name};
use domain::session::list::SessionQuery;
use domain::{Caller, Rights, Scope};
use wire::calls::admin::{AdminOrder, LaneChange};
use wire::calls::logs::LogOf;
use wire::{Code, Error};

use super::list;
use crate::body::Fields;
use crate::query::wrong;
use crate::text::{name, shown};
use crate::{Parameters, Plan, Request, SessionOrder, bad, headers, listing, log};

/// Lines of a page of a log whose caller named no limit.
const LOG_LINES_DEFAULT: u64 = 100;

/// The most lines of a page of a log.
const LOG_LINES_MAX: u64 = 1000;

/// The plan of one operation.
pub(super) fn plan(operation: &str, request: &Request<'_>, caller: Option<&Caller>) -> Result<Plan, Error> {
    let parameters = Parameters::parse(request.query)?;
    match operation {
        "health" => Ok(Plan::Health),
        "list_tasks" => list::query(&parameters).map(Plan::List),
        "get_task" => Ok(Plan::Get {
            id: request.task_id("id")?,
            run: run(&parameters)?,
            wait_ms: wait_ms(&parameters)?,
        }),
        "get_logs" => logs(request, &parameters),
        "list_sessions" if parameters.boolean("all")?.unwrap_or(false) => {
            let query = SessionQuery {
                offset: parameters.unsigned("offset")?.unwrap_or(0),
                limit: listing::limit(&parameters)?,
                ..SessionQuery::default()
            };
            Ok(Plan::Session(SessionOrder::List(query)))
        }
        "list_sessions" => Ok(Plan::Sessions),
        "start_session" => {
            let fields = Fields::parse(request.body, &["app", "version"])?;
            let version = fields.text("version").ok();
            Ok(Plan::Session(SessionOrder::Start {
                app: name("app", fields.text("app")?)?,
                version: version.map(|version| name("version", version)).transpose()?,
            }))
        }
        "get_session" => {
            let id = request.session_id("session_id")?;
            Ok(Plan::Session(SessionOrder::Get { kind: None, id }))
        }
        "terminate_session" => {
            let id = request.session_id("session_id")?;
            Ok(Plan::Session(SessionOrder::Terminate { kind: None, id }))
        }
        "tail_logs" => {
            let of = LogOf::Task { id: request.task_id("id")?, run: run(&parameters)? };
            Ok(Plan::LogTail { of, offset: log::tail_from(request, &parameters)? })
        }
        "tail_session_logs" => {
            let of = LogOf::Session { kind: None, id: request.session_id("session_id")? };
            Ok(Plan::LogTail { of, offset: log::tail_from(request, &parameters)? })
        }
        "get_session_logs" => {
            let (offset, limit) = lines(&parameters)?;
            Ok(Plan::Session(SessionOrder::Logs {
                kind: None,
                id: request.session_id("session_id")?,
                offset,
                limit,
                wait_ms: wait_ms(&parameters)?,
                filter: log::filter(&parameters)?,
                count: false,
            }))
        }
        "publish_app" => Ok(Plan::Publish { latest: parameters.boolean("latest")?.unwrap_or(false) }),
        _ => order(operation, request, &parameters, caller).map(Plan::Admin),
    }
}

fn order(
    operation: &str,
    request: &Request<'_>,
    parameters: &Parameters,
    caller: Option<&Caller>,
) -> Result<AdminOrder, Error> {
    match operation {
        "create_tenant" => {
            let fields = Fields::parse(request.body, &["name"])?;
            Ok(AdminOrder::TenantCreate { name: principal("name", fields.text("name")?)? })
        }
        "list_tenants" => Ok(AdminOrder::TenantList),
        "create_key" => create_key(request.body),
        "list_keys" => {
            let own = caller.map_or("", |caller| caller.tenant.as_str());
            let tenant = principal("tenant", parameters.get("tenant")?.unwrap_or(own))?;
            Ok(AdminOrder::KeyList { tenant })
        }
        "revoke_key" => revoke_key(request.parameter("key_id")),
        "list_apps" => Ok(AdminOrder::AppList),
        "grant" => grant(request),
        "list_lanes" => Ok(AdminOrder::LaneList),
        "set_lane" => set_lane(request),
        other => Err(Error::internal(format!("operation {other} has no decoding"))),
    }
}

/// Which lines of a log a page has.
fn lines(parameters: &Parameters) -> Result<(u64, u64), Error> {
    let limit = parameters.unsigned("limit")?.unwrap_or(LOG_LINES_DEFAULT);
    if !(1..=LOG_LINES_MAX).contains(&limit) {
        let accepted = format!("a whole number from 1 to {LOG_LINES_MAX}");
        return Err(wrong("limit", &limit.to_string(), &accepted));
    }
    Ok((parameters.unsigned("offset")?.unwrap_or(0), limit))
}

fn logs(request: &Request<'_>, parameters: &Parameters) -> Result<Plan, Error> {
    let (offset, limit) = lines(parameters)?;
    Ok(Plan::Logs {
        id: request.task_id("id")?,
        run: run(parameters)?,
        offset,
        limit,
        wait_ms: wait_ms(parameters)?,
        filter: log::filter(parameters)?,
    })
}

fn wait_ms(parameters: &Parameters) -> Result<u64, Error> {
    Ok(headers::wait_ms(parameters.unsigned("wait")?.unwrap_or(0)))
}

fn create_key(body: &[u8]) -> Result<AdminOrder, Error> {
    let fields = Fields::parse(body, &["kind", "tenant", "user", "scopes", "expires_at"])?;
    match fields.text("kind") {
        Ok("symetry") => return create_signing_key(&fields),
        Ok("api") | Err(_) => {}
        Ok(other) => {
            return Err(bad(format!("field 'kind' is '{}', but it must be api or symetry", shown(other))));
        }
    }
    let mut scopes = Vec::new();
    for text in fields.texts("scopes")? {
        let scope: Scope = text.parse().map_err(|_| unknown_scope(text))?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(AdminOrder::KeyCreate {
        tenant: principal("tenant", fields.text("tenant")?)?,
        user: principal("user", fields.text("user")?)?,
        scopes,
        expires_at: fields.moment("expires_at")?,
    })
}

/// A signing key is for stream tasks and nothing else, so it has no scopes to choose from.
fn create_signing_key(fields: &Fields) -> Result<AdminOrder, Error> {
    if fields.texts("scopes").is_ok_and(|scopes| scopes != ["Streams"]) {
        return Err(bad("a key of kind symetry has the scope Streams and no other"));
    }
    Ok(AdminOrder::SigningKeyCreate {
        tenant: principal("tenant", fields.text("tenant")?)?,
        user: principal("user", fields.text("user")?)?,
        expires_at: fields.moment("expires_at")?,
    })
}

fn unknown_scope(text: &str) -> Error {
    let accepted = Scope::ALL.map(|scope| scope.to_string()).join(", ");
    bad(format!("field 'scopes' has '{}'; the scopes are {accepted}", shown(text)))
}

/// What can't be the id of a key is the id of no key.
fn revoke_key(key_id: &str) -> Result<AdminOrder, Error> {
    if !is_principal_name(key_id) {
        return Err(Error::new(Code::NotFound, format!("key '{}' does not exist", shown(key_id))));
    }
    Ok(AdminOrder::KeyRevoke { key_id: key_id.to_owned() })
}

fn grant(request: &Request<'_>) -> Result<AdminOrder, Error> {
    let app = name("app", request.parameter("app"))?;
    let user = principal("user", request.parameter("user"))?;
    let fields = Fields::parse(request.body, &["rights"])?;
    let rights = fields.text("rights")?;
    let rights = Rights::parse(rights).map_err(|_| {
        let accepted = "any of read, write, execute with commas between, or an empty text to take all away";
        bad(format!("field 'rights' is '{}', but it must be {accepted}", shown(rights)))
    })?;
    Ok(AdminOrder::Grant { app, user, rights })
}

fn set_lane(request: &Request<'_>) -> Result<AdminOrder, Error> {
    let lane = name("lane", request.parameter("name"))?;
    let known = [
        "max_running",
        "priority_slots",
        "priority_threshold",
        "max_queued",
        "retry_limit",
        "retry_delay_ms",
    ];
    let fields = Fields::parse(request.body, &known)?;
    let small = |name: &str| -> Result<Option<u32>, Error> {
        let number = fields.number(name, u64::from(u32::MAX))?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    };
    let threshold = fields.number("priority_threshold", u64::from(domain::lane::PRIORITY_LAST))?;
    let change = LaneChange {
        max_running: small("max_running")?,
        priority_slots: small("priority_slots")?,
        priority_threshold: threshold.and_then(|number| u8::try_from(number).ok()),
        max_queued: fields.number("max_queued", u64::MAX)?,
        retry_limit: small("retry_limit")?,
        retry_delay_ms: fields.number("retry_delay_ms", u64::MAX)?,
    };
    if change == LaneChange::default() {
        return Err(bad(format!("the body changes nothing; name at least one of {}", known.join(", "))));
    }
    Ok(AdminOrder::LaneSet { name: lane, change })
}

/// The text as a name of a tenant or a user.
fn principal(part: &str, text: &str) -> Result<String, Error> {
    if is_principal_name(text) {
        return Ok(text.to_owned());
    }
    Err(bad(format!(
        "{part} '{}' is not a name: it must have 1 to {PRINCIPAL_CHARS_MAX} ASCII letters, digits, '-' or '_'",
        shown(text)
    )))
}

/// Which run of a recurring task is meant.
fn run(parameters: &Parameters) -> Result<Option<u32>, Error> {
    let Some(run) = parameters.unsigned("run")? else { return Ok(None) };
    u32::try_from(run).map(Some).map_err(|_| wrong("run", &run.to_string(), "a smaller number"))
}

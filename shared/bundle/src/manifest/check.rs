//! The rules of `app.toml` that its shape cannot say: what a name, a command, a duration may be, and what belongs
//! to which runtime.

use std::{collections::BTreeMap, time::Duration};

use toml::Value;

use super::{
    Limits, Manifest, ManifestError, Runtime, Service, Session, Workflow,
    raw::{RawLimits, RawManifest, RawService, RawSession, RawWorkflow},
    triggers,
    units::{parse_duration, parse_size},
};

const NAME_CHARACTERS: usize = 128;
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const SMALLEST_MEMORY_BYTES: u64 = 16 << 20;
const NAME_ACCEPTED: &str = "1 to 128 characters without \"/\", \"\\\", control characters or whitespace at either end, \
     and not \".\" or \"..\"";

/// Variables of this prefix are set by the runner, so an app that set them would be overruled without a word.
const OWN_ENV_PREFIX: &str = "TASKLANE_";

pub(super) fn manifest(raw: RawManifest) -> Result<Manifest, ManifestError> {
    name("name", &raw.name)?;
    name("version", &raw.version)?;
    if raw.version == "latest" {
        let accepted = "any other name; \"latest\" is the tag that points to one of the versions";
        return Err(ManifestError::value("version", "\"latest\"", accepted));
    }
    let runtime = runtime(&raw.runtime)?;
    let services = services(runtime, raw.services)?;
    let workflows = workflows(runtime, raw.workflows, &services)?;
    let triggers = triggers::check(runtime, raw.triggers, &services, &workflows)?;
    let session = session(runtime, raw.session)?;
    let limits = limits(runtime, raw.limits)?;
    let RawManifest { name, version, .. } = raw;
    Ok(Manifest { name, version, runtime, services, workflows, triggers, session, limits })
}

fn runtime(text: &str) -> Result<Runtime, ManifestError> {
    Runtime::ALL.into_iter().find(|runtime| runtime.as_str() == text).ok_or_else(|| {
        let accepted = Runtime::ALL.map(|runtime| format!("\"{}\"", runtime.as_str())).join(", ");
        ManifestError::value("runtime", format!("{text:?}"), format!("one of {accepted}"))
    })
}

fn services(
    runtime: Runtime,
    raw: BTreeMap<String, RawService>,
) -> Result<BTreeMap<String, Service>, ManifestError> {
    if runtime.has_session() && !raw.is_empty() {
        let why = format!("the one process of a {} app, in [session], takes every service", runtime.as_str());
        return Err(ManifestError::unwanted("[services]", why));
    }
    if runtime == Runtime::Command && raw.is_empty() {
        let why =
            "a command app has at least one service; write [services.run] and below it command = [\"…\"]";
        return Err(ManifestError::missing("[services]", why));
    }
    raw.into_iter()
        .map(|(service_name, raw)| {
            let field = join("services", &service_name);
            name(&field, &service_name)?;
            let service = if runtime == Runtime::Noop {
                noop_service(&field, &raw)?
            } else {
                command_service(&field, raw)?
            };
            Ok((service_name, service))
        })
        .collect()
}

fn noop_service(field: &str, raw: &RawService) -> Result<Service, ManifestError> {
    let found =
        [("command", raw.command.is_some()), ("timeout", raw.timeout.is_some()), ("env", raw.env.is_some())];
    match found.iter().find(|(_, present)| *present) {
        Some((key, _)) => {
            Err(ManifestError::unwanted(format!("{field}.{key}"), "a noop app starts no process"))
        }
        None => Ok(Service::default()),
    }
}

fn command_service(field: &str, raw: RawService) -> Result<Service, ManifestError> {
    let command_field = format!("{field}.command");
    let Some(command_line) = raw.command else {
        return Err(ManifestError::missing(command_field, "write command = [\"program\", \"argument\"]"));
    };
    command(&command_field, &command_line)?;
    let timeout = duration(&format!("{field}.timeout"), raw.timeout)?;
    let env = raw.env.unwrap_or_default();
    for (key, value) in &env {
        variable(&format!("{field}.env"), key, value)?;
    }
    Ok(Service { command: command_line, timeout, env })
}

fn variable(field: &str, key: &str, value: &str) -> Result<(), ManifestError> {
    if key.is_empty() || key.contains(['=', '\0']) {
        let accepted = "a variable name without \"=\" and NUL";
        return Err(ManifestError::value(format!("{field} name"), format!("{key:?}"), accepted));
    }
    let field = join(field, key);
    if key.starts_with(OWN_ENV_PREFIX) {
        return Err(ManifestError::unwanted(
            field,
            "variables that begin with TASKLANE_ are set by Tasklane",
        ));
    }
    if value.contains('\0') {
        return Err(ManifestError::value(field, format!("{value:?}"), "text without NUL"));
    }
    Ok(())
}

fn workflows(
    runtime: Runtime,
    raw: BTreeMap<String, RawWorkflow>,
    services: &BTreeMap<String, Service>,
) -> Result<BTreeMap<String, Workflow>, ManifestError> {
    if runtime.has_session() && !raw.is_empty() {
        let why = format!("its steps are services of the app, and a {} app has none", runtime.as_str());
        return Err(ManifestError::unwanted("[workflows]", why));
    }
    raw.into_iter()
        .map(|(workflow_name, raw)| {
            let field = join("workflows", &workflow_name);
            name(&field, &workflow_name)?;
            let RawWorkflow { steps, required } = raw;
            let known = || services.keys().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
            if steps.is_empty() {
                let accepted = format!("a list of one or more services of this app: {}", known());
                return Err(ManifestError::value(format!("{field}.steps"), "[]", accepted));
            }
            if let Some(step) = steps.iter().find(|step| !services.contains_key(*step)) {
                let accepted = format!("a service of this app: {}", known());
                return Err(ManifestError::value(format!("{field}.steps"), format!("{step:?}"), accepted));
            }
            if required.iter().any(String::is_empty) {
                let accepted = "names of parameters";
                return Err(ManifestError::value(format!("{field}.required"), "\"\"", accepted));
            }
            Ok((workflow_name, Workflow { steps, required }))
        })
        .collect()
}

fn session(runtime: Runtime, raw: Option<RawSession>) -> Result<Option<Session>, ManifestError> {
    let raw = match (runtime.has_session(), raw) {
        (false, None) => return Ok(None),
        (false, Some(_)) => {
            let why = format!("a {} app has no long-lived process", runtime.as_str());
            return Err(ManifestError::unwanted("[session]", why));
        }
        (true, None) => {
            let why = format!("a {} app is one process; write its command below [session]", runtime.as_str());
            return Err(ManifestError::missing("[session]", why));
        }
        (true, Some(raw)) => raw,
    };
    command("session.command", &raw.command)?;
    if let Some(ready) = &raw.ready
        && (!ready.starts_with('/') || ready.chars().any(|c| c.is_whitespace() || c.is_control()))
    {
        let accepted = "a path that begins with \"/\" and has no spaces";
        return Err(ManifestError::value("session.ready", format!("{ready:?}"), accepted));
    }
    let idle = duration("session.idle", raw.idle)?;
    let max_tasks = count("session.max_tasks", raw.max_tasks)?;
    let max_age = duration("session.max_age", raw.max_age)?;
    Ok(Some(Session { command: raw.command, ready: raw.ready, idle, max_tasks, max_age }))
}

fn limits(runtime: Runtime, raw: RawLimits) -> Result<Limits, ManifestError> {
    let limits = Limits {
        memory: size("limits.memory", raw.memory, SMALLEST_MEMORY_BYTES)?,
        open_files: count("limits.open_files", raw.open_files)?.map(u64::from),
        processes: count("limits.processes", raw.processes)?.map(u64::from),
        file_size: size("limits.file_size", raw.file_size, 1)?,
    };
    if runtime == Runtime::Noop && !limits.is_empty() {
        return Err(ManifestError::unwanted("[limits]", "a noop app starts no process"));
    }
    Ok(limits)
}

/// Names become parts of keys, URLs and file names, so what has a meaning there is refused.
pub(super) fn name(field: &str, text: &str) -> Result<(), ManifestError> {
    let length = text.chars().count();
    let good = (1..=NAME_CHARACTERS).contains(&length)
        && !text.chars().any(|c| c.is_control() || c == '/' || c == '\\')
        && text != "."
        && text != ".."
        && text.trim() == text;
    if good { Ok(()) } else { Err(ManifestError::value(field, format!("{text:?}"), NAME_ACCEPTED)) }
}

fn command(field: &str, parts: &[String]) -> Result<(), ManifestError> {
    let program_is_there = parts.first().is_some_and(|program| !program.is_empty());
    if program_is_there && !parts.iter().any(|part| part.contains('\0')) {
        return Ok(());
    }
    let accepted = "a list of a program and its arguments, such as [\"python3\", \"solve.py\"]";
    Err(ManifestError::value(field, format!("{parts:?}"), accepted))
}

fn duration(field: &str, value: Option<Value>) -> Result<Option<Duration>, ManifestError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let parsed = value.as_str().and_then(parse_duration);
    match parsed.filter(|duration| !duration.is_zero() && *duration <= LONGEST) {
        Some(duration) => Ok(Some(duration)),
        None => {
            let accepted =
                "a duration above 0 and up to \"30d\", such as \"500ms\", \"30s\", \"10m\" or \"1h30m\"";
            Err(ManifestError::value(field, value, accepted))
        }
    }
}

fn size(field: &str, value: Option<Value>, smallest: u64) -> Result<Option<u64>, ManifestError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let parsed = match value.as_str() {
        Some(text) => parse_size(text),
        None => value.as_integer().and_then(|bytes| u64::try_from(bytes).ok()),
    };
    // Above this the number would not fit where the system and JSON readers take a signed one.
    match parsed.filter(|bytes| *bytes >= smallest && i64::try_from(*bytes).is_ok()) {
        Some(bytes) => Ok(Some(bytes)),
        None => {
            let from = if smallest > 1 { format!(" from \"{}m\"", smallest >> 20) } else { " from 1".into() };
            let accepted = format!("a size{from}, such as \"512m\", \"2g\", \"16384k\" or a number of bytes");
            Err(ManifestError::value(field, value, accepted))
        }
    }
}

fn count(field: &str, value: Option<Value>) -> Result<Option<u32>, ManifestError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    match number.filter(|number| *number > 0) {
        Some(number) => Ok(Some(number)),
        None => Err(ManifestError::value(field, value, format!("a whole number from 1 to {}", u32::MAX))),
    }
}

/// `services.solve`, or `services."my service"` where TOML needs the quotes too.
pub(super) fn join(table: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { format!("{table}.{key}") } else { format!("{table}.{key:?}") }
}

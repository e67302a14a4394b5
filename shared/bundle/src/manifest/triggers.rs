//! `[triggers.NAME]` of an `app.toml`: each message on a subject creates a task of the app. Whose the subject is, and
//! so whether the app may be triggered by it, is known where the app is published.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::check::{join, name};
use super::raw::RawTrigger;
use super::{ManifestError, Runtime, Service, Workflow};

/// The most characters of a trigger's name, of a subject, and of what a message is known by.
const NAME_CHARACTERS: usize = 64;
const SUBJECT_CHARACTERS: usize = 200;
const DEDUP_CHARACTERS: usize = 128;
/// The most triggers of one app, each of which is a reader of its own at the broker.
const TRIGGERS: usize = 32;

const SUBJECT_ACCEPTED: &str = "a subject that begins with the tenant's name, such as \"demo.orders\", of at most 200 \
     characters, without wildcards and spaces";
const DEDUP_ACCEPTED: &str = "\"sequence\", \"header:NAME\", such as \"header:Order-Id\", or \"field:PATH\", such as \
     \"field:order.id\"";

/// What creates tasks of an app by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// The subject whose messages each become a task.
    pub subject: String,
    /// The service that the task runs, or with [`TriggerLane::Jobs`] the workflow.
    pub service: String,
    /// Where the task waits.
    pub lane: TriggerLane,
    /// What makes two messages the same.
    #[serde(skip_serializing_if = "Dedup::is_default")]
    pub dedup: Dedup,
}

/// Where the tasks of a trigger wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerLane {
    /// The tenant's lane of tasks.
    #[default]
    Tasks,
    /// The lane of jobs, for workflows.
    Jobs,
}

/// What makes two messages the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dedup {
    /// Their `Nats-Msg-Id`; a message without one is like no other.
    #[default]
    MessageId,
    /// A header that each must have.
    Header(String),
    /// A field of the JSON object that each must be: names with dots between them.
    Field(String),
    /// Nothing but their place in the stream.
    Sequence,
}

impl Dedup {
    fn is_default(&self) -> bool {
        *self == Self::MessageId
    }
}

impl Serialize for Dedup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::MessageId => serializer.serialize_str("header:Nats-Msg-Id"),
            Self::Header(name) => serializer.serialize_str(&format!("header:{name}")),
            Self::Field(path) => serializer.serialize_str(&format!("field:{path}")),
            Self::Sequence => serializer.serialize_str("sequence"),
        }
    }
}

pub(super) fn check(
    runtime: Runtime,
    raw: BTreeMap<String, RawTrigger>,
    services: &BTreeMap<String, Service>,
    workflows: &BTreeMap<String, Workflow>,
) -> Result<BTreeMap<String, Trigger>, ManifestError> {
    match runtime {
        Runtime::Command | Runtime::Session | Runtime::Noop => {}
        Runtime::Stream | Runtime::Webui if raw.is_empty() => {}
        Runtime::Stream | Runtime::Webui => {
            let why = format!("a {} app runs no tasks that a message could create", runtime.as_str());
            return Err(ManifestError::unwanted("[triggers]", why));
        }
    }
    if raw.len() > TRIGGERS {
        let accepted = format!("at most {TRIGGERS} triggers");
        return Err(ManifestError::value("[triggers]", raw.len(), accepted));
    }
    raw.into_iter()
        .map(|(key, raw)| {
            let field = join("triggers", &key);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if key.is_empty() || key.len() > NAME_CHARACTERS || !key.chars().all(plain) {
                let accepted = format!("1 to {NAME_CHARACTERS} letters, digits, \"-\" and \"_\"");
                return Err(ManifestError::value(format!("{field} name"), format!("{key:?}"), accepted));
            }
            Ok((key, trigger(&field, raw, services, workflows)?))
        })
        .collect()
}

fn trigger(
    field: &str,
    raw: RawTrigger,
    services: &BTreeMap<String, Service>,
    workflows: &BTreeMap<String, Workflow>,
) -> Result<Trigger, ManifestError> {
    if !is_subject(&raw.subject) {
        let found = format!("{:?}", raw.subject);
        return Err(ManifestError::value(format!("{field}.subject"), found, SUBJECT_ACCEPTED));
    }
    let lane = match raw.lane.as_deref() {
        None | Some("tasks") => TriggerLane::Tasks,
        Some("jobs") => TriggerLane::Jobs,
        Some(other) => {
            let accepted = "\"tasks\", for a service, or \"jobs\", for a workflow";
            return Err(ManifestError::value(format!("{field}.lane"), format!("{other:?}"), accepted));
        }
    };
    let service_field = format!("{field}.service");
    name(&service_field, &raw.service)?;
    let (what, known): (&str, Vec<&String>) = match lane {
        TriggerLane::Tasks => ("service", services.keys().collect()),
        TriggerLane::Jobs => ("workflow", workflows.keys().collect()),
    };
    // Where no services are declared any name may be one; a workflow is always declared.
    let is_open = lane == TriggerLane::Tasks && known.is_empty();
    if !is_open && !known.contains(&&raw.service) {
        let names: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
        let names = if names.is_empty() { "none is there".to_owned() } else { names.join(", ") };
        let accepted = format!("a {what} of this app: {names}");
        return Err(ManifestError::value(service_field, format!("{:?}", raw.service), accepted));
    }
    let dedup = match raw.dedup {
        None => Dedup::default(),
        Some(text) => dedup(&text).ok_or_else(|| {
            ManifestError::value(format!("{field}.dedup"), format!("{text:?}"), DEDUP_ACCEPTED)
        })?,
    };
    Ok(Trigger { subject: raw.subject, service: raw.service, lane, dedup })
}

/// One subject of at least two parts, as the broker splits it.
fn is_subject(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '*' && c != '>';
    let mut parts = text.split('.');
    text.len() <= SUBJECT_CHARACTERS
        && text.contains('.')
        && text.chars().all(plain)
        && parts.all(|part| !part.is_empty())
}

fn dedup(text: &str) -> Option<Dedup> {
    if text == "sequence" {
        return Some(Dedup::Sequence);
    }
    if let Some(name) = text.strip_prefix("header:") {
        let is_name = (1..=DEDUP_CHARACTERS).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        return is_name.then(|| Dedup::Header(name.to_owned()));
    }
    let path = text.strip_prefix("field:")?;
    let is_path = path.len() <= DEDUP_CHARACTERS && path.split('.').all(|name| !name.is_empty());
    is_path.then(|| Dedup::Field(path.to_owned()))
}

//! Workflows by name: which app runs one, and whether the job has the parameters that it needs.

use data_encoding::BASE64;
use domain::payload::Place;
use domain::{Payload, Task};
use serde_json::Value;
use wire::calls::create::CreateRequest;
use wire::records::{App, AppVersion, WorkflowDeclared};
use wire::{Code, Error};

use crate::{Create, Program, may_run, not_granted};

/// A job's record with its parameters, which lie in it as long as it lives: the rest of what one record may
/// take is for the output of a step, an error and the changes that hooks are told.
const RECORD_BYTES_MAX: usize = 48 * 1024;
/// Of an unknown name as much is shown.
const SHOWN_CHARS: usize = 128;

impl Create {
    /// The app whose latest version has the workflow; the first by name that the caller may run, where there
    /// are several and the request names none.
    pub(crate) async fn workflow(&self, request: &CreateRequest) -> Result<Program, Error> {
        let (caller, name) = (&request.caller, &request.service);
        let apps = self.apps.all_fresh().await?;
        let mut having: Vec<(&App, &String, &AppVersion, &WorkflowDeclared)> = apps
            .iter()
            .filter(|app| app.tenant == caller.tenant)
            .filter(|app| request.app.is_empty() || request.app == app.name)
            .filter_map(|app| {
                let latest = app.latest.as_ref()?;
                let published = app.versions.get(latest)?;
                Some((&**app, latest, published, published.workflows.get(name)?))
            })
            .collect();
        having.sort_by_key(|(app, ..)| &app.name);
        let first = having.first().ok_or_else(|| unknown(name))?;
        let allowed = having.iter().find(|(app, ..)| may_run(caller, app));
        let (app, version, published, declared) = allowed.ok_or_else(|| not_granted(caller, first.0))?;
        check_parameters(&request.input, &declared.required)?;
        Ok(Program::of(app, (*version).clone(), published, Some(declared.steps.clone())))
    }
}

fn unknown(name: &str) -> Error {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
    Error::new(Code::NotFound, format!("Unknown workflow: {shown}"))
}

fn too_large() -> Error {
    let message = format!("a job with its parameters may take at most {RECORD_BYTES_MAX} bytes");
    Error::new(Code::TooLarge, message)
}

/// Parameters are given to every step, so they lie in the record of the job and not in the store of bodies.
pub fn check_size(task: &Task) -> Result<(), Error> {
    if task.workflow.is_none() {
        return Ok(());
    }
    let record = serde_json::to_vec(task).map_err(Error::internal)?;
    if task.input.object().is_some() || record.len() > RECORD_BYTES_MAX { Err(too_large()) } else { Ok(()) }
}

/// The required ones are looked for at the top level; one that is null is missing.
fn check_parameters(input: &Payload, required: &[String]) -> Result<(), Error> {
    let bytes = match &input.place {
        Place::Text(text) => text.clone().into_bytes(),
        Place::Base64(text) => BASE64.decode(text.as_bytes()).map_err(Error::internal)?,
        Place::Empty => b"{}".to_vec(),
        Place::Object(_) => return Err(too_large()),
    };
    let Ok(Value::Object(parameters)) = serde_json::from_slice(&bytes) else {
        return Err(Error::new(Code::BadRequest, "the parameters of a workflow are a JSON object"));
    };
    let is_missing = |name: &&String| parameters.get(*name).is_none_or(Value::is_null);
    match required.iter().find(is_missing) {
        Some(name) => Err(Error::new(Code::BadRequest, format!("Missing required parameter: {name}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, required: &[&str]) -> Result<(), String> {
        let place = Place::Text(text.to_owned());
        let input = Payload { content_type: None, size: text.len() as u64, place };
        let required: Vec<String> = required.iter().map(|name| (*name).to_owned()).collect();
        check_parameters(&input, &required).map_err(|error| error.message)
    }

    #[test]
    fn required_parameters_are_looked_for_at_the_top_level() {
        assert_eq!(check(r#"{"a":1,"b":false}"#, &["a", "b"]), Ok(()));
        assert_eq!(check("{}", &[]), Ok(()));
        let missing = |name: &str| Err(format!("Missing required parameter: {name}"));
        assert_eq!(check(r#"{"a":1,"c":{"b":1}}"#, &["a", "b"]), missing("b"));
        assert_eq!(check(r#"{"a":null}"#, &["a"]), missing("a"));
        for text in ["[]", "1", "\"a\"", "{", ""] {
            assert!(check(text, &[]).is_err(), "{text}");
        }
    }
}

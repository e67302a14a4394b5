//! The description of a task, once it is decrypted: `{"type":…,"name":…,"params":{…}}`.

use std::collections::BTreeMap;

use domain::stream::Heap;
use serde_json::Value;
use wire::Error;

use crate::text::shown;
use crate::{StreamOrder, bad, body, text};

/// The most parameters of one task, and the most characters of one; together they fit a record.
const PARAMS_MAX: usize = 100;
const PARAM_CHARS_MAX: usize = 2000;
const PARAMS_CHARS_MAX: usize = 16 * 1024;

/// Reads the order for a new task. What it is to read and write is looked at when it is started, as this API
/// says nothing of it here; what can never be right is refused at once.
pub(super) fn create(sent: &[u8], force: bool) -> Result<StreamOrder, Error> {
    let Value::Object(fields) = body::json(sent)? else {
        return Err(bad("the body must be a JSON object with type, name and params"));
    };
    let text = |field: &str| match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(bad(format!("field '{field}' must be a text"))),
    };
    let name = name(text("name")?.ok_or_else(|| bad("field 'name' is missing; a task has a name"))?)?;
    let app = match text("type")? {
        None | Some("") => String::new(),
        Some(app) => crate::text::name("type", app)?,
    };
    let params = params(fields.get("params").unwrap_or(&Value::Null))?;
    Heap::read(&params).map_err(bad)?;
    Ok(StreamOrder::Create { name, app, params, force })
}

/// The name of a task, from a body or a path.
pub(super) fn name(text: &str) -> Result<String, Error> {
    text::name("task name", text)
}

fn params(value: &Value) -> Result<BTreeMap<String, String>, Error> {
    if value.is_null() {
        return Ok(BTreeMap::new());
    }
    let fields = value.as_object().ok_or_else(|| bad("field 'params' must be an object of texts"))?;
    let mut params = BTreeMap::new();
    for (name, value) in fields {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(bad(format!("parameter '{}' must be a text", shown(name))));
            }
        };
        if text.chars().count() > PARAM_CHARS_MAX || name.chars().count() > PARAM_CHARS_MAX {
            return Err(bad(format!(
                "parameter '{}' has more than {PARAM_CHARS_MAX} characters",
                shown(name)
            )));
        }
        params.insert(name.clone(), text);
    }
    let size: usize = params.iter().map(|(name, text)| name.len() + text.len()).sum();
    if params.len() > PARAMS_MAX || size > PARAMS_CHARS_MAX {
        let message = format!("params has more than {PARAMS_MAX} entries or {PARAMS_CHARS_MAX} characters");
        return Err(bad(message));
    }
    Ok(params)
}

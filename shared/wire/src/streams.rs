//! The parameters of a stream task lie in its record as the JSON text of its input.

use domain::payload::Place;
use domain::stream::{Params, StreamSpec};
use domain::{Payload, Task, TaskKey};

use crate::Error;
use crate::calls::topics::TopicsRequest;

/// Parameters as an input.
pub fn input(params: &Params) -> Result<Payload, Error> {
    let text = serde_json::to_string(params).map_err(Error::internal)?;
    let content_type = Some("application/json".to_owned());
    Ok(Payload { content_type, size: text.len() as u64, place: Place::Text(text) })
}

/// The parameters in an input; one that is none of ours has none.
pub fn params(input: &Payload) -> Params {
    match &input.place {
        Place::Text(text) => serde_json::from_str(text).unwrap_or_default(),
        Place::Base64(_) | Place::Object(_) | Place::Empty => Params::default(),
    }
}

/// What a task reads and writes, or why that can't be.
pub fn spec(task: &Task) -> Result<StreamSpec, String> {
    StreamSpec::read(&task.tenant, &params(&task.input))
}

/// What makes forgotten how far a task has read, wherever its topics lie.
pub fn close(key: TaskKey, spec: StreamSpec) -> TopicsRequest {
    match spec.kafka {
        Some(_) => TopicsRequest::Forget { key },
        None => TopicsRequest::Close { key, source: spec.source },
    }
}

//! What documents say alike: the operation that gives the document itself, and lists of words.

use http::Response;
use serde_json::json;
use wire::Error;

use super::{Document, Operation, Parameter};
use crate::query::wrong;
use crate::{Parameters, Request, answer};

/// How a document is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Yaml,
    Json,
}

impl Form {
    /// The form that a request names; YAML unasked.
    pub(crate) fn asked(parameters: &Parameters) -> Result<Self, Error> {
        match parameters.get("format")? {
            None | Some("yaml") => Ok(Self::Yaml),
            Some("json") => Ok(Self::Json),
            Some(other) => Err(wrong("format", other, "yaml or json")),
        }
    }
}

impl Document {
    /// The answer to a request for it.
    pub(crate) fn answer(&self, request: &Request<'_>) -> Response<Vec<u8>> {
        match Parameters::parse(request.query).and_then(|parameters| Form::asked(&parameters)) {
            Ok(Form::Yaml) => answer::plain_text(self.yaml.clone().into_bytes()),
            Ok(Form::Json) => answer::json_text(http::StatusCode::OK, self.json.clone().into_bytes()),
            Err(error) => answer::error(&error),
        }
    }
}

/// The operation that gives the document.
pub(crate) fn specification() -> Operation {
    let format = json!({ "type": "string", "enum": ["yaml", "json"], "default": "yaml" });
    let forms =
        vec![("text/plain", json!({ "type": "string" })), ("application/json", json!({ "type": "object" }))];
    Operation {
        summary: "This document.",
        parameters: vec![Parameter { place: "query", name: "format", about: "Its form.", schema: format }],
        body: None,
        answer: ("The document; YAML comes as text/plain.", forms),
        links: &[],
        refusals: &[],
    }
}

/// Any text that a query can carry: all but the character 0.
pub(crate) fn text() -> serde_json::Value {
    json!({ "type": "string", "pattern": r"^[^\u0000]*$" })
}

/// A name has 1 to 128 characters, none of them a control character or a slash, and no space at either end.
const NAME: &str = r"^(?!\.{1,2}$)[^\s/\\\u0000-\u001f\u007f-\u009f]([^/\\\u0000-\u001f\u007f-\u009f]*[^\s/\\\u0000-\u001f\u007f-\u009f])?$";

/// A name of something of a tenant.
pub(crate) fn name() -> serde_json::Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": NAME })
}

/// A comma-separated list of words, each perhaps with a sign.
pub(crate) fn words(sign: &str, words: &[&str]) -> serde_json::Value {
    let word = format!("{sign}({})", words.join("|"));
    json!({ "type": "string", "pattern": format!("^({word}(,{word})*)?$") })
}

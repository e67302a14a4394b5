//! The APIs as data: requests, what is asked for by them, and the answers. The files lie beside the dialects;
//! this crate's tests run all of them purely, and the live tests replay those marked `live` over HTTP.

use std::collections::BTreeMap;

use domain::{Caller, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use wire::{Code, Error};

use crate::{Outcome, Plan, symetry};

/// What stands in a header for the API key of the stack under test.
pub const API_KEY: &str = "{{api_key}}";

/// The files, with the names that messages show.
const FILES: &[(&str, &str)] = &[
    ("aimms_tasks/cases/create.json", include_str!("aimms_tasks/cases/create.json")),
    ("aimms_tasks/cases/one.json", include_str!("aimms_tasks/cases/one.json")),
    ("aimms_tasks/cases/list.json", include_str!("aimms_tasks/cases/list.json")),
    ("aimms_tasks/cases/refused.json", include_str!("aimms_tasks/cases/refused.json")),
    ("aimms_tasks/cases/logs.json", include_str!("aimms_tasks/cases/logs.json")),
    ("aimms_tasks/cases/v1.json", include_str!("aimms_tasks/cases/v1.json")),
    ("aimms_sessions/cases/sessions.json", include_str!("aimms_sessions/cases/sessions.json")),
    ("aimms_sessions/cases/logs.json", include_str!("aimms_sessions/cases/logs.json")),
    ("aimms_sessions/cases/refused.json", include_str!("aimms_sessions/cases/refused.json")),
    ("task_engine/cases/jobs.json", include_str!("task_engine/cases/jobs.json")),
    ("task_engine/cases/refused.json", include_str!("task_engine/cases/refused.json")),
    ("symetry/cases/tasks.json", include_str!("symetry/cases/tasks.json")),
    ("symetry/cases/refused.json", include_str!("symetry/cases/refused.json")),
    ("tasklane/cases/tasks.json", include_str!("tasklane/cases/tasks.json")),
    ("tasklane/cases/admin.json", include_str!("tasklane/cases/admin.json")),
];

/// One request and its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The file and the name, for messages.
    pub name: String,
    /// It holds on any fresh stack, without preparation.
    #[serde(default)]
    pub live: bool,
    /// What is sent.
    pub request: CaseRequest,
    /// Whose key it is; not given means the user `ann` of the tenant `demo`, without Admin.
    pub caller: Option<Caller>,
    /// When it is.
    pub now: Option<Timestamp>,
    /// What the request asks for.
    pub plan: Option<Plan>,
    /// Or why it is refused before anything is done.
    pub error: Option<Code>,
    /// What came of the plan.
    pub outcome: Option<Outcome>,
    /// Or why nothing came of it.
    pub failure: Option<Error>,
    /// What is answered.
    pub response: Option<CaseResponse>,
}

/// What is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseRequest {
    /// The method.
    pub method: String,
    /// The path, as it is sent.
    pub path: String,
    /// The query, as it is sent.
    #[serde(default)]
    pub query: String,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body: a text is sent as it is, anything else as JSON.
    pub body: Option<Value>,
    /// The customer who signs it, in an API whose requests are signed. JSON is then encrypted too.
    pub signer: Option<String>,
}

/// What is answered; only what is named is compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseResponse {
    /// The status.
    pub status: u16,
    /// Headers that must be there with these values.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON: of objects the named fields, of everything else all.
    pub body: Option<Value>,
    /// The exact text of the body.
    pub body_text: Option<String>,
}

/// Every case of every dialect.
///
/// # Errors
/// A file that is no list of cases, by name.
pub fn all() -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for (file, text) in FILES.iter().copied() {
        let cases: Vec<Case> = serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))?;
        all.extend(cases.into_iter().map(|case| Case { name: format!("{file}: {}", case.name), ..case }));
    }
    Ok(all)
}

impl CaseRequest {
    /// The request as its signer sends it; a request without one stays as it is.
    ///
    /// # Errors
    /// The method or the secret is none.
    pub fn signed(&self, secret: &str, now: Timestamp) -> Result<Self, String> {
        let Some(cid) = &self.signer else { return Ok(self.clone()) };
        let mut request = self.clone();
        if let Some(value) = self.body.as_ref().filter(|value| !value.is_string()) {
            let sent = symetry::encrypt(secret, &value.to_string()).ok_or("the secret is none")?;
            request.body = Some(Value::String(sent));
        }
        let dated = || now.format("%Y-%m-%d %H:%M:%S;0");
        let date = request.headers.entry("sym-date".to_owned()).or_insert_with(dated).clone();
        let method = self.method.parse().map_err(|_| "no such method")?;
        let body = request.body_bytes();
        let signed = symetry::Signed {
            method: &method,
            date: &date,
            cid,
            body: &body,
            path: &self.path,
            query: &self.query,
        };
        let signature = signed.signature(secret).ok_or("the secret is none")?;
        request.headers.entry("authorization".to_owned()).or_insert(signature);
        Ok(request)
    }

    /// The bytes of the body.
    pub fn body_bytes(&self) -> Vec<u8> {
        match &self.body {
            None => Vec::new(),
            Some(Value::String(text)) => text.clone().into_bytes(),
            Some(value) => value.to_string().into_bytes(),
        }
    }
}

impl CaseResponse {
    /// Compares an answer with what is expected; `header` looks a header up by name.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn compare<'h>(
        &self,
        status: u16,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
    ) -> Result<(), String> {
        let text = String::from_utf8_lossy(body);
        if status != self.status {
            return Err(format!("status {status} instead of {}, body {text}", self.status));
        }
        for (name, expected) in &self.headers {
            let got = header(name);
            if got != Some(expected.as_str()) {
                return Err(format!("header {name} is {got:?} instead of {expected:?}"));
            }
        }
        if let Some(expected) = &self.body_text
            && *expected != text
        {
            return Err(format!("the body is {text:?} instead of {expected:?}"));
        }
        let Some(expected) = &self.body else { return Ok(()) };
        let got: Value =
            serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}: {text}"))?;
        difference("body", &got, expected).map_or(Ok(()), Err)
    }
}

/// The first place where the value is not what is expected.
fn difference(at: &str, got: &Value, expected: &Value) -> Option<String> {
    if let (Value::Object(got), Value::Object(expected)) = (got, expected) {
        return expected.iter().find_map(|(name, expected)| match got.get(name) {
            Some(got) => difference(&format!("{at}.{name}"), got, expected),
            None => Some(format!("{at}.{name} is missing")),
        });
    }
    if let (Value::Array(got), Value::Array(expected)) = (got, expected)
        && got.len() == expected.len()
    {
        let mut pairs = got.iter().zip(expected).enumerate();
        return pairs
            .find_map(|(index, (got, expected))| difference(&format!("{at}[{index}]"), got, expected));
    }
    (got != expected).then(|| format!("{at} is {got} instead of {expected}"))
}

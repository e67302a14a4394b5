//! The OpenAPI document of a dialect: its route table, the types that it serializes, and one description per
//! operation, put together. What every route has in common (its path, its key, the errors that can always
//! come) is taken from the table, so that a document can't forget it.

mod common;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use wire::{Code, Error};

pub(crate) use self::common::{Form, name, specification, text, words};
use crate::answer::id_of;
use crate::{Access, Dialect, Route};

/// What a document says beside the route table.
pub(crate) struct Api {
    /// Its title.
    pub title: &'static str,
    /// What it is, in a few sentences.
    pub about: &'static str,
    /// The parameters of paths by name: what each is, and its schema.
    pub path_parameters: fn() -> Vec<(&'static str, &'static str, Value)>,
    /// One operation by its id.
    pub operation: fn(&str, &mut Schemas) -> Option<Operation>,
    /// The schema of an error's body.
    pub error: fn(&mut Schemas) -> Value,
}

/// What is said of one operation.
pub(crate) struct Operation {
    /// One line.
    pub summary: &'static str,
    /// What it takes beside its path.
    pub parameters: Vec<Parameter>,
    /// The body it takes.
    pub body: Option<Body>,
    /// What its answer is, for each media type the schema; none for an empty answer.
    pub answer: (&'static str, Vec<(&'static str, Value)>),
    /// The operations that take the `id` of the answer as theirs.
    pub links: &'static [&'static str],
    /// Why it may be refused, beside what holds for every route.
    pub refusals: &'static [Code],
}

/// A parameter of the query or a header; none of them is needed.
pub(crate) struct Parameter {
    /// `query` or `header`.
    pub place: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Its schema.
    pub schema: Value,
}

/// The body of a request. None has to be there.
pub(crate) struct Body {
    /// What it is.
    pub about: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its schema.
    pub schema: Value,
}

/// The schemas of serialized types, each said once under its name.
pub(crate) struct Schemas(SchemaGenerator);

impl Schemas {
    /// The schema of a type, as a reference where it has a name.
    pub(crate) fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }
}

/// A document in both of its forms.
pub(crate) struct Document {
    /// As JSON.
    pub json: String,
    /// As YAML.
    pub yaml: String,
}

impl Document {
    /// The document of a dialect.
    pub(crate) fn new(dialect: &dyn Dialect, api: &Api) -> Self {
        let document = document(dialect, api);
        Self { json: format!("{document:#}\n"), yaml: yaml::write(&document) }
    }
}

/// The name of the security scheme, which is AIMMS' own.
const KEY: &str = "apiKey";

fn document(dialect: &dyn Dialect, api: &Api) -> Value {
    let mut schemas = Schemas(SchemaSettings::openapi3().for_serialize().into_generator());
    let error = (api.error)(&mut schemas);
    let mut paths: Map<String, Value> = Map::new();
    for route in dialect.routes() {
        let below = route.path.strip_prefix(dialect.mount()).unwrap_or(route.path);
        let path = if below.is_empty() { "/" } else { below };
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(said) = (api.operation)(route.operation, &mut schemas) {
            let method = route.method.as_str().to_ascii_lowercase();
            set(item, &method, operation(dialect, api, route, said, &error));
        }
    }
    json!({
        "openapi": "3.0.3",
        "info": { "title": api.title, "description": api.about, "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": dialect.mount() }],
        "paths": paths,
        "components": {
            "schemas": schemas.0.take_definitions(true),
            "securitySchemes": { KEY: { "type": "apiKey", "in": "header", "name": KEY } },
        },
    })
}

fn operation(dialect: &dyn Dialect, api: &Api, route: &Route, said: Operation, error: &Value) -> Value {
    let mut parameters = path_parameters(route, &(api.path_parameters)());
    parameters.extend(said.parameters.into_iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": parameter.place,
            "description": parameter.about,
            "required": false,
            "schema": parameter.schema,
        })
    }));
    let (about, content) = said.answer;
    let mut responses = refusals(dialect, route, said.refusals, error);
    let mut answer = json!({ "description": about });
    if !content.is_empty() {
        set(&mut answer, "content", content.into_iter().map(media).collect());
    }
    if !said.links.is_empty() {
        let link = |id: &&str| {
            let parameters = json!({ "id": "$response.body#/id" });
            ((*id).to_owned(), json!({ "operationId": id, "parameters": parameters }))
        };
        set(&mut answer, "links", said.links.iter().map(link).collect());
    }
    responses.insert(StatusCode::OK.as_str().to_owned(), answer);
    let mut written = json!({
        "operationId": route.operation,
        "summary": said.summary,
        "parameters": parameters,
        "responses": responses,
        "security": if route.access == Access::Open { json!([]) } else { json!([{ KEY: [] }]) },
    });
    if let Some(body) = said.body {
        let content: Map<String, Value> = [media((body.media_type, body.schema))].into_iter().collect();
        set(
            &mut written,
            "requestBody",
            json!({ "description": body.about, "required": false, "content": content }),
        );
    }
    written
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn media((media_type, schema): (&str, Value)) -> (String, Value) {
    (media_type.to_owned(), json!({ "schema": schema }))
}

fn path_parameters(route: &Route, known: &[(&str, &str, Value)]) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let (_, about, schema) = known.iter().find(|(known, ..)| *known == name)?;
        Some(json!({ "name": name, "in": "path", "description": about, "required": true, "schema": schema }))
    };
    names.filter_map(parameter).collect()
}

/// Every refusal by its status, as the dialect itself answers it.
fn refusals(dialect: &dyn Dialect, route: &Route, own: &[Code], error: &Value) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, (StatusCode, Vec<String>, bool)> = BTreeMap::new();
    for code in Code::ALL.into_iter().filter(|code| own.contains(code) || is_common(*code, route.access)) {
        let answer = dialect.error(&Error::new(code, ""));
        let status = answer.status();
        let retry = answer.headers().contains_key(http::header::RETRY_AFTER);
        let (_, reasons, has_retry) =
            by_status.entry(status.as_u16()).or_insert_with(|| (status, Vec::new(), false));
        reasons.push(format!("`{}`: {}", id_of(code), meaning(code)));
        *has_retry |= retry;
    }
    let response = |(status, reasons, has_retry): (StatusCode, Vec<String>, bool)| {
        let content: Map<String, Value> = [media(("application/json", error.clone()))].into_iter().collect();
        let mut response = json!({ "description": reasons.join("; "), "content": content });
        if has_retry {
            let about = "Seconds after which to try again.";
            let header = json!({ "description": about, "schema": { "type": "integer" } });
            set(&mut response, "headers", json!({ "Retry-After": header }));
        }
        (status.as_str().to_owned(), response)
    };
    by_status.into_values().map(response).collect()
}

/// Whether a code may come from any route with this access: from the key, from a body that is too long, and
/// from what is down or wrong on our side.
fn is_common(code: Code, access: Access) -> bool {
    match code {
        Code::BadRequest | Code::TooLarge | Code::Internal | Code::Unavailable | Code::Timeout => true,
        Code::Unauthenticated => access != Access::Open,
        Code::Forbidden => matches!(access, Access::Scope(_)),
        Code::NotFound
        | Code::AppNotFound
        | Code::LatestNotFound
        | Code::TaskNotFound
        | Code::WrongState
        | Code::Conflict
        | Code::KeyReused
        | Code::LaneFull
        | Code::StorageFull
        | Code::StaleClaim => false,
    }
}

fn meaning(code: Code) -> &'static str {
    match code {
        Code::BadRequest => "a parameter, header, name, date or body is wrong",
        Code::Unauthenticated => "there is no API key, or it is unknown, expired or revoked",
        Code::Forbidden => "the key lacks the scope, or the user a right on the app",
        Code::NotFound => "there is no such thing",
        Code::AppNotFound => "there is no such app or version",
        Code::LatestNotFound => "the app has no version tagged as latest",
        Code::TaskNotFound => "there is no such task",
        Code::WrongState => "the state of the task does not allow it",
        Code::Conflict => "it exists or has ended already, or was changed by another at the same moment",
        Code::KeyReused => "the idempotency key was used for another request",
        Code::TooLarge => "the body is larger than allowed",
        Code::LaneFull => "too many tasks wait",
        Code::StorageFull => "the storage of the task service is full",
        Code::Unavailable => "a part of the task service is away",
        Code::Timeout => "no answer came in time",
        Code::StaleClaim => "the claim was given to another runner",
        Code::Internal => "our own fault",
    }
}

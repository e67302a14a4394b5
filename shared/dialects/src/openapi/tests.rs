//! That a document says all there is: every route, every parameter that is read, every status that is answered.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use crate::cases;
use crate::query::asked;
use crate::{ALL, Dialect, Found, Outcome, Request, Route, Router, normal_path};

/// The documents by the name of their dialect, as their own routes serve them.
fn documents() -> Vec<(&'static dyn Dialect, Value)> {
    let document = |dialect: &&'static dyn Dialect| {
        let is_document = |route: &&Route| route.operation == "get_openapi_specification";
        let route = dialect.routes().iter().find(is_document)?;
        let headers = http::HeaderMap::new();
        let request = Request {
            raw_path: "",
            method: &Method::GET,
            path: route.path,
            parameters: &[],
            query: "format=json",
            headers: &headers,
            body: &[],
            now: domain::Timestamp::default(),
        };
        let answer = dialect.encode(route, &request, None, Outcome::Done);
        Some((*dialect, serde_json::from_slice(answer.body()).unwrap()))
    };
    ALL.iter().filter_map(document).collect()
}

/// What a document says of a route.
fn said<'d>(document: &'d Value, dialect: &dyn Dialect, route: &Route) -> &'d Value {
    let below = route.path.strip_prefix(dialect.mount()).unwrap();
    let path = if below.is_empty() { "/" } else { below };
    &document["paths"][path][route.method.as_str().to_ascii_lowercase()]
}

fn parameters<'d>(operation: &'d Value, place: &str) -> BTreeSet<&'d str> {
    let all = operation["parameters"].as_array().unwrap();
    all.iter().filter(|one| one["in"] == place).map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn every_route_is_there_with_its_id_its_path_and_its_key() {
    let documents = documents();
    assert!(!documents.is_empty());
    for (dialect, document) in documents {
        assert!(document.to_string().is_ascii(), "it is served without a charset");
        let mut operations = 0;
        for item in document["paths"].as_object().unwrap().values() {
            operations += item.as_object().unwrap().len();
        }
        assert_eq!(operations, dialect.routes().len(), "{}", dialect.name());
        for route in dialect.routes() {
            let operation = said(&document, dialect, route);
            assert_eq!(operation["operationId"], route.operation);
            let names: BTreeSet<&str> =
                route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(parameters(operation, "path"), names, "{}", route.operation);
            let is_open = route.access == crate::Access::Open;
            assert_eq!(operation["security"].as_array().unwrap().is_empty(), is_open, "{}", route.operation);
            assert!(operation["responses"]["400"].is_object() && operation["responses"]["500"].is_object());
        }
    }
}

/// Decoding tells which names it looks for. What is documented and not looked for would be promised in vain;
/// what is looked for and not documented could not be found by anybody.
#[test]
fn the_parameters_are_those_that_decoding_looks_for() {
    let (router, cases) = (Router::new(ALL).unwrap(), cases::all().unwrap());
    for (dialect, document) in documents() {
        for route in dialect.routes() {
            let mut looked_for = BTreeSet::new();
            for case in &cases {
                let method: Method = case.request.method.parse().unwrap();
                let path = normal_path(&case.request.path);
                let Found::Route { dialect: of, route: found, parameters } = router.find(&method, &path)
                else {
                    continue;
                };
                if of.name() != dialect.name() || found.operation != route.operation {
                    continue;
                }
                let headers = http::HeaderMap::new();
                let body = case.request.body_bytes();
                let request = Request {
                    raw_path: "",
                    method: &method,
                    path: &path,
                    parameters: &parameters,
                    query: "",
                    headers: &headers,
                    body: &body,
                    now: domain::Timestamp::default(),
                };
                asked::forget();
                let _ = dialect.decode(route, &request, None);
                looked_for.extend(asked::names());
            }
            let operation = said(&document, dialect, route);
            let documented: BTreeSet<String> =
                parameters(operation, "query").into_iter().map(str::to_owned).collect();
            assert_eq!(documented, looked_for, "{}", route.operation);
        }
    }
}

#[test]
fn every_status_and_media_type_of_the_cases_is_documented() {
    let (router, cases) = (Router::new(ALL).unwrap(), cases::all().unwrap());
    let mut checked = 0;
    for (dialect, document) in documents() {
        for case in &cases {
            let method: Method = case.request.method.parse().unwrap();
            let found = router.find(&method, &normal_path(&case.request.path));
            let Found::Route { dialect: of, route, .. } = found else { continue };
            let Some(response) = case.response.as_ref().filter(|_| of.name() == dialect.name()) else {
                continue;
            };
            let answer = &said(&document, dialect, route)["responses"][response.status.to_string()];
            assert!(answer.is_object(), "{}: {} is not documented", case.name, response.status);
            if let Some(media_type) = response.headers.get("content-type") {
                let plain = media_type.split(';').next().unwrap();
                let known = answer["content"].as_object().unwrap();
                let is_known = known.contains_key(plain) || known.contains_key("*/*");
                assert!(is_known, "{}: {media_type} is not documented", case.name);
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} answers were looked at");
}

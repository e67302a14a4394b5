//! Runs every case purely, and checks what holds for all routes.

use std::collections::HashSet;

use domain::Caller;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use wire::{Code, Error};

use crate::cases::{self, Case};
use crate::{ALL, Access, Found, Outcome, Request, Route, Router, Signing, normal_path};

/// The customers of the signed cases, and the secret of each.
const CUSTOMERS: [&str; 2] = ["c1", "demo"];
const SECRET: &str = "VLmAm+WkpnA5zp2wXiSYkw==";

/// Carries a case out as far as it says, as `ingress` would; `None` if it ends with the plan.
fn answer(router: &Router, case: &Case) -> Result<Option<Response<Vec<u8>>>, String> {
    let method: Method = case.request.method.parse().map_err(|_| "no such method")?;
    let path = normal_path(&case.request.path);
    let found = router.find(&method, &path);
    if let Some(refusal) = found.refusal(&method, &path) {
        return Ok(Some(refusal));
    }
    let Found::Route { dialect, route, parameters } = found else {
        return Err("no route and no refusal".into());
    };
    let now = case.now.unwrap_or_default();
    let sent = case.request.signed(SECRET, now)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("{name} is no header"))?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?);
    }
    let body = sent.body_bytes();
    let mut request = Request {
        method: &method,
        raw_path: &case.request.path,
        path: &path,
        parameters: &parameters,
        query: &case.request.query,
        headers: &headers,
        body: &body,
        now,
    };
    let opened;
    let mut has_key = dialect.credential(&request).is_some();
    if let Some(signing) = dialect.signing() {
        opened = match open(signing, route, &request) {
            Ok(opened) => opened,
            Err(Refusal::Error(error)) => return Ok(Some(dialect.refuse(route, &request, &error))),
            Err(Refusal::Answer(answer)) => return Ok(Some(*answer)),
        };
        request.body = &opened;
        has_key = true;
    }
    let needs_key = !matches!(route.access, Access::Open | Access::Optional(_));
    if needs_key && !has_key {
        return Ok(Some(dialect.refuse(
            route,
            &request,
            &Error::new(Code::Unauthenticated, "the API key is missing"),
        )));
    }
    let ann = Caller { tenant: "demo".into(), user: "ann".into(), admin: false };
    let caller = has_key.then(|| case.caller.clone().unwrap_or(ann));
    match dialect.decode(route, &request, caller.as_ref()) {
        Err(error) if case.error == Some(error.code) => Ok(Some(dialect.refuse(route, &request, &error))),
        Err(error) => Err(format!("decoding gave {error}")),
        Ok(plan) if case.plan.as_ref() != Some(&plan) => {
            Err(format!("the plan is {}", serde_json::to_string(&plan).unwrap()))
        }
        Ok(_) => Ok(match (&case.outcome, &case.failure) {
            (Some(outcome), _) => Some(dialect.encode(route, &request, caller.as_ref(), outcome.clone())),
            (None, Some(failure)) => Some(dialect.refuse(route, &request, failure)),
            (None, None) => None,
        }),
    }
}

enum Refusal {
    Error(Error),
    Answer(Box<Response<Vec<u8>>>),
}

/// The body of a signed request, if its signature holds.
fn open(signing: &dyn Signing, route: &Route, request: &Request<'_>) -> Result<Vec<u8>, Refusal> {
    let signer = signing.signer(request).map_err(Refusal::Error)?;
    if !CUSTOMERS.contains(&signer.as_str()) {
        return Err(Refusal::Error(signing.unknown()));
    }
    if !signing.verify(request, SECRET).map_err(Refusal::Error)? {
        return Err(Refusal::Answer(Box::new(signing.refused(request))));
    }
    signing.open(route, request, SECRET).map_err(Refusal::Error)
}

fn run(router: &Router, case: &Case) -> Result<(), String> {
    match (answer(router, case)?, &case.response) {
        (Some(answer), Some(expected)) => {
            let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
            expected.compare(answer.status().as_u16(), header, answer.body())
        }
        (None, None) => Ok(()),
        (Some(_), None) => Err("the case does not say what is answered".into()),
        (None, Some(_)) => Err("the case does not say what came of the plan".into()),
    }
}

#[test]
fn every_case_holds() {
    let router = Router::new(ALL).unwrap();
    let cases = cases::all().unwrap();
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, run(&router, case).err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn names_of_cases_are_unique_and_live_ones_say_what_is_answered() {
    let mut names = HashSet::new();
    for case in cases::all().unwrap() {
        assert!(!case.live || case.response.is_some(), "{}", case.name);
        assert!(names.insert(case.name.clone()), "{} is there twice", case.name);
    }
}

#[test]
fn every_route_has_a_case_that_succeeds_and_refuses_callers_without_a_key() {
    let router = Router::new(ALL).unwrap();
    let mut covered = HashSet::new();
    for case in cases::all().unwrap().iter().filter(|case| case.outcome.is_some()) {
        let method: Method = case.request.method.parse().unwrap();
        if let Found::Route { dialect, route, .. } = router.find(&method, &normal_path(&case.request.path)) {
            covered.insert((dialect.name(), route.operation));
        }
    }
    let mut operations = HashSet::new();
    for dialect in ALL {
        for route in dialect.routes() {
            let operation = (dialect.name(), route.operation);
            assert!(operations.insert(operation), "{operation:?} is there twice");
            assert!(route.path.starts_with(dialect.mount()), "{operation:?} is outside of its mount");
            assert!(covered.contains(&operation), "{operation:?} has no case with an outcome");
            let is_open = [("tasklane", "health"), ("task_engine", "alive")].contains(&operation);
            assert_eq!(route.access == Access::Open, is_open, "{operation:?}");
        }
    }
}

#[test]
fn every_code_has_the_same_status_in_the_dialects_that_share_the_error_object() {
    for code in Code::ALL {
        // An API with signed requests is SymetryML's, which has fewer codes and an envelope of its own.
        for dialect in
            ALL.iter().filter(|dialect| dialect.signing().is_none() && dialect.name() != "task_engine")
        {
            let response = dialect.error(&Error::new(code, "why"));
            assert_eq!(response.status(), crate::status_of(code));
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body["errorCode"], response.status().as_u16());
            assert_eq!(body["message"], "why");
            let retry = response.headers().get("retry-after").is_some();
            assert_eq!(retry, matches!(code, Code::LaneFull | Code::Unavailable), "{code:?}");
        }
    }
}

#[test]
fn unknown_paths_are_answered_by_the_dialect_above_them() {
    let router = Router::new(ALL).unwrap();
    for (path, expected) in [
        ("/pro-api/v1", "aimms_tasks_v1"),
        ("/pro-api/v2/nothing", "aimms_tasks_v2"),
        ("/pro-api/v2x", "tasklane"),
        ("/tasklane/v1/x", "tasklane"),
        ("/nothing", "tasklane"),
        ("/symetry/rest/c1/projects", "symetry"),
    ] {
        let Found::Nothing { dialect } = router.find(&Method::GET, path) else { panic!("{path} is there") };
        assert_eq!(dialect.name(), expected, "{path}");
    }
}

#[test]
fn a_method_that_a_path_lacks_is_405_with_those_that_it_has_and_head_is_get_where_that_is_safe() {
    let router = Router::new(ALL).unwrap();
    for (method, path, allow) in [
        ("OPTIONS", "/health", "GET, HEAD"),
        ("OPTIONS", "/job", "POST"),
        ("HEAD", "/job", "POST"),
        ("DELETE", "/jobs/1", "GET, HEAD, PUT, PATCH"),
        ("POST", "/symetry/rest/c1/tasks/t1/start", "GET"),
        ("HEAD", "/symetry/rest/c1/tasks/t1/start", "GET"),
        ("HEAD", "/pro-api/v2/version", "GET"),
    ] {
        let method: Method = method.parse().unwrap();
        let refused = router.find(&method, path).refusal(&method, path).expect(path);
        let mut told: Vec<&str> = refused.headers()["allow"].to_str().unwrap().split(", ").collect();
        let mut expected: Vec<&str> = allow.split(", ").collect();
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!((refused.status().as_u16(), told), (405, expected), "{method} {path}");
    }
    for path in ["/", "/health", "/jobs/1", "/tasklane/v1/health"] {
        let Found::Route { route, .. } = router.find(&Method::HEAD, path) else { panic!("HEAD {path}") };
        assert_eq!(route.method, Method::GET);
    }
}

#[test]
fn the_version_is_the_one_that_was_built() {
    let all = cases::all().unwrap();
    let case = all.into_iter().find(|case| case.name.ends_with(": the version")).unwrap();
    let response = answer(&Router::new(ALL).unwrap(), &case).unwrap().unwrap();
    let expected = format!("{{\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(response.body()), expected);
}

/// The documented object of reference/aimms.md §1.3, byte for byte. It has no fields later than 2.52.
#[test]
fn the_documented_task_comes_out_as_documented() {
    let documented = concat!(
        r#"{"id": "efa680a0-748e-43d0-9099-cf40937b13f4","appName": "Test","appVersion": "1.0","#,
        r#""serviceName": "JobSchedule","state": "completed","createdAt": "2023-11-23 15:16:38.000000","#,
        r#""assignedAt": "2023-11-23 15:16:57.000000","runningAt": "2023-11-23 15:16:57.000000","#,
        r#""endedAt": "2023-11-23 15:17:01.000000","queueTime": 19.000000,"runTime": 4.000000,"#,
        r#""returnCode": 1,"errorMessage": null}"#
    );
    let all = cases::all().unwrap();
    let mut case = all.into_iter().find(|case| case.name.ends_with(": the documented task")).unwrap();
    case.request.query = "prettyFormat=true".into();
    assert!(matches!(case.outcome, Some(Outcome::Task(_))));
    let response = answer(&Router::new(ALL).unwrap(), &case).unwrap().unwrap();
    let text = String::from_utf8(response.into_body()).unwrap();
    // The indented text has one field per line, so the documented fields are the first lines.
    let fields: Vec<&str> =
        text.lines().skip(1).take(13).map(|line| line.trim().trim_end_matches(',')).collect();
    assert_eq!(format!("{{{}}}", fields.join(",")), documented);
}

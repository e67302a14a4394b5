//! What the OpenAPI document of the session-manager says of each operation.

use domain::SessionKind;
use serde_json::{Value, json};
use wire::Code;

use super::list::{sort_fields, states};
use super::model::{Logs, Session, Sessions};
use crate::answer::ErrorObject;
use crate::openapi::{Api, Operation, Parameter, Schemas, name, specification, text, words};

/// The document of version 1.
pub(super) const V1: Api = Api {
    title: "AIMMS session-manager",
    about: "Sessions of apps: those that run tasks and those that serve a page. List them, read their logs, and \
            terminate them. A key sees its user's sessions, a key with the scope Admin all of its environment. \
            Served by Tasklane.",
    path_parameters: || {
        vec![("session_id", "Id of the session.", json!({ "type": "string", "format": "uuid" }))]
    },
    operation,
    error: |schemas| schemas.of::<ErrorObject<'static>>(),
};

fn query(name: &'static str, about: &'static str, schema: Value) -> Parameter {
    Parameter { place: "query", name, about, schema }
}

fn whole_number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date" })
}

fn list_parameters(kind: SessionKind) -> Vec<Parameter> {
    vec![
        query("app_name", "Only sessions of this app.", name()),
        query("app_version", "Only sessions of this version.", name()),
        query("user_name", "Only sessions of this user.", name()),
        query("state", "Only these states: state1[,state2,...].", words("", &states(kind))),
        query("created_before", "Created before this date; a date with a time is taken too.", moment()),
        query("created_after", "Created on and after this date; a date with a time is taken too.", moment()),
        query("offset", "Index of the first session.", whole_number()),
        query(
            "limit",
            "Maximum number of sessions: 100 if it is 0 or not given, and never over 1000.",
            whole_number(),
        ),
        query(
            "sort",
            "Fields to sort by: field1[,-field2,...]; a '-' sorts in descending order.",
            words("-?", &sort_fields()),
        ),
    ]
}

fn log_parameters() -> Vec<Parameter> {
    vec![
        query("begin", "Only lines from this date on; a date with a time is taken too.", moment()),
        query("end", "Only lines up to this date; a date with a time is taken too.", moment()),
        query("contains", "Only lines with this text in them.", text()),
        query("offset", "Index of the first line, of those that pass the filter.", whole_number()),
        query(
            "limit",
            "Maximum number of lines: 100 if it is 0 or not given, and never over 1000.",
            whole_number(),
        ),
    ]
}

fn operation(id: &str, schemas: &mut Schemas) -> Option<Operation> {
    let json = |schema: Value| vec![("application/json", schema)];
    let plain = |summary, answer| Operation {
        summary,
        parameters: vec![],
        body: None,
        answer,
        links: &[],
        refusals: &[Code::NotFound],
    };
    Some(match id {
        "get_webui_sessions" | "get_task_sessions" => {
            let is_task = id == "get_task_sessions";
            let kind = if is_task { SessionKind::Task } else { SessionKind::Webui };
            let answer = ("A page of sessions.", json(schemas.of::<Sessions<'static>>()));
            let parameters = list_parameters(kind);
            Operation { parameters, refusals: &[], ..plain("Lists sessions.", answer) }
        }
        "get_webui_session" | "get_task_session" => {
            plain("Tells how a session stands.", ("The session.", json(schemas.of::<Session<'static>>())))
        }
        "terminate_webui_session"
        | "terminate_task_session"
        | "webui_session_terminate"
        | "task_session_terminate" => Operation {
            refusals: &[Code::NotFound, Code::Conflict],
            ..plain(
                "Ends a session with all its processes; a task that it runs fails.",
                ("The session, which has ended.", json(schemas.of::<Session<'static>>())),
            )
        },
        "get_webui_session_logs" | "get_task_session_logs" | "webui_session_logs" | "task_session_logs" => {
            let answer = ("A page of the log.", json(schemas.of::<Logs<'static>>()));
            Operation {
                parameters: log_parameters(),
                ..plain("Gives a page of the log of a session.", answer)
            }
        }
        "download_webui_session_logs" | "download_task_session_logs" => {
            let text = vec![("text/plain", json!({ "type": "string" }))];
            let answer = ("The log as far as it goes, one line of text for each with its time.", text);
            plain("Gives the log of a session as text.", answer)
        }
        "get_openapi_specification" => specification(),
        _ => return None,
    })
}

//! What the OpenAPI document of v2 says of each operation. Its names are AIMMS' own (reference/aimms.md §1.1,
//! §1.3), so that clients generated from it look like those generated from the real one.

use serde_json::{Value, json};
use wire::Code;

use super::list::sort_fields;
use super::model::{CurrentUser, STATES, Task, TaskLogs, Tasks, Version};
use crate::answer::ErrorObject;
use crate::openapi::{Api, Body, Operation, Parameter, Schemas, name, specification, text, words};

/// The document of v2.
pub(super) const V2: Api = Api {
    title: "AIMMS Tasks",
    about: "Runs procedures of published apps as tasks: create them, look at them, interrupt and delete them, \
            and fetch their responses and logs. Served by Tasklane.",
    path_parameters,
    operation,
    error: |schemas| schemas.of::<ErrorObject<'static>>(),
};

fn path_parameters() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("appName", "Name of the app.", name()),
        ("appVersion", "Version of the app; `latest` is the one tagged so.", name()),
        ("serviceName", "Name of the service that the task runs.", name()),
        ("id", "Id of the task.", json!({ "type": "string", "format": "uuid" })),
    ]
}

fn query(name: &'static str, about: &'static str, schema: Value) -> Parameter {
    Parameter { place: "query", name, about, schema }
}

fn header(name: &'static str, about: &'static str, schema: Value) -> Parameter {
    Parameter { place: "header", name, about, schema }
}

fn pretty() -> Parameter {
    query(
        "prettyFormat",
        "Indent the JSON, and write time spans with six decimals.",
        json!({ "type": "boolean" }),
    )
}

fn whole_number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

fn group_index() -> Parameter {
    let about = "Index of the run within its group; the last one if it is not given.";
    query("groupIndex", about, whole_number())
}

fn wait() -> Parameter {
    let about = "`wait=SECONDS` answers after the end of the task or after that time, at most 60 seconds. Any \
                 other preference is ignored.";
    header("Prefer", about, json!({ "type": "string" }))
}

const LOG_WAIT: &str =
    "`wait=SECONDS` waits at most so long, and at most 30 seconds, for a first line of the page.";

fn list_parameters() -> Vec<Parameter> {
    let whole = whole_number();
    let date = json!({ "type": "string", "format": "date" });
    vec![
        query("appName", "Only tasks of this app.", name()),
        query("appVersion", "Only tasks of this version.", name()),
        query("before", "Tasks created before this date; a date with a time is taken too.", date.clone()),
        query("after", "Tasks created on and after this date; a date with a time is taken too.", date),
        query("offset", "Index of the first task.", whole.clone()),
        query("limit", "Maximum number of tasks: 100 if it is 0 or not given, and never over 1000.", whole),
        pretty(),
        query(
            "listAll",
            "All tasks that the user has access to, not only the own.",
            json!({ "type": "boolean" }),
        ),
        query("states", "Only these states: state1[,state2,...].", words("", &STATES)),
        query(
            "sort",
            "Fields to sort by: field1[,-field2,...]; a '-' sorts in descending order.",
            words("-?", &sort_fields()),
        ),
    ]
}

/// Moments and spans as patterns. They name the documented forms; what is no day, or too long to be counted, is
/// refused all the same.
const MOMENT: &str = concat!(
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?",
    r"( ?(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9]))?)?$",
);
const SPAN: &str = concat!(
    r"^(P(?=[0-9T])([0-9]{1,3}Y)?([0-9]{1,3}M)?([0-9]{1,3}W)?([0-9]{1,3}D)?",
    r"(T(?=[0-9])([0-9]{1,3}H)?([0-9]{1,3}M)?([0-9]{1,3}(\.[0-9]{1,6})?S)?)?",
    r"|[0-9]{1,3} (seconds?|minutes?|hours?|days?|weeks?|months?|years?)",
    r"( [0-9]{1,3} (seconds?|minutes?|hours?|days?|weeks?|months?|years?))*)$",
);

fn create_parameters() -> Vec<Parameter> {
    let key =
        "The same key with the same request gives the same task, so that a request can be repeated safely.";
    let hook = "A URL that gets a PUT for each state of the task, with `task_uuid`, `task_state`, `at` and, if the \
                URL has a parameter `key`, an `hmac` under it.";
    let span = || json!({ "type": "string", "pattern": SPAN });
    vec![
        query(
            "scheduleFor",
            "Run it at this moment, in UTC unless it has an offset; not together with scheduleIn.",
            json!({ "type": "string", "pattern": MOMENT }),
        ),
        query("scheduleIn", "Run it after this time, as `PT5M` or `1 day`.", span()),
        query("scheduleInterval", "Run it again and again, this far apart; one second at least.", span()),
        header("taskStateHook", hook, json!({ "type": "string", "format": "uri", "maxLength": 2048 })),
        pretty(),
        wait(),
        header("Idempotency-Key", key, json!({ "type": "string", "pattern": "^[!-~]{1,255}$" })),
    ]
}

/// An operation without a body of its own, which needs an existing task.
fn on_task(summary: &'static str, parameters: Vec<Parameter>, answer: Answer) -> Operation {
    Operation { summary, parameters, body: None, answer, links: &[], refusals: &[Code::TaskNotFound] }
}

type Answer = (&'static str, Vec<(&'static str, Value)>);

fn as_json(about: &'static str, schema: Value) -> Answer {
    (about, vec![("application/json", schema)])
}

fn bytes() -> Value {
    json!({ "type": "string", "format": "binary" })
}

const CREATE_REFUSALS: &[Code] =
    &[Code::AppNotFound, Code::LatestNotFound, Code::KeyReused, Code::LaneFull, Code::StorageFull];

fn create(summary: &'static str, schemas: &mut Schemas) -> Operation {
    let about = "The input of the task, in any form and with any content type, up to 256 MiB.";
    Operation {
        summary,
        parameters: create_parameters(),
        body: Some(Body { about, media_type: "application/octet-stream", schema: bytes() }),
        answer: as_json("The task.", schemas.of::<Task<'static>>()),
        links: &[
            "get_task",
            "interrupt_task",
            "delete_task",
            "get_task_response",
            "get_task_logs",
            "download_task_logs",
        ],
        refusals: CREATE_REFUSALS,
    }
}

fn interrupt() -> Operation {
    let schema = json!({
        "type": "object",
        "title": "InterruptTask",
        "properties": { "setstatus": { "type": "string", "enum": ["interrupt-solve"] } },
        "required": ["setstatus"],
    });
    let about = "`interrupt-solve` ends the running solve and keeps its result so far; the task completes. A \
                 request without a body asks for the same.";
    Operation {
        body: Some(Body { about, media_type: "application/json", schema }),
        refusals: &[Code::TaskNotFound, Code::WrongState, Code::StorageFull],
        ..on_task("Interrupts a task.", vec![group_index()], ("It was asked to end.", vec![]))
    }
}

fn operation(id: &str, schemas: &mut Schemas) -> Option<Operation> {
    let plain = |summary, answer| Operation {
        summary,
        parameters: vec![],
        body: None,
        answer,
        links: &[],
        refusals: &[],
    };
    Some(match id {
        "create_task" => create("Creates a task of a named version of an app.", schemas),
        "create_task_latest_version" => create("Creates a task of the latest version of an app.", schemas),
        "get_tasks" => {
            let answer = as_json("A page of tasks.", schemas.of::<Tasks<'static>>());
            Operation { parameters: list_parameters(), ..plain("Lists tasks.", answer) }
        }
        "get_task" => {
            let answer = as_json("The task.", schemas.of::<Task<'static>>());
            on_task("Tells how a task stands.", vec![group_index(), pretty(), wait()], answer)
        }
        "delete_task" => Operation {
            refusals: &[Code::TaskNotFound, Code::WrongState, Code::StorageFull],
            ..on_task("Deletes a task that does not run.", vec![group_index()], ("It is deleted.", vec![]))
        },
        "interrupt_task" => interrupt(),
        "get_task_response" => Operation {
            refusals: &[Code::TaskNotFound, Code::NotFound],
            ..on_task(
                "Gives the response of a task.",
                vec![group_index()],
                ("Its bytes, with the content type that the app gave them.", vec![("*/*", bytes())]),
            )
        },
        "get_task_logs" => {
            let answer = as_json("A page of the log.", schemas.of::<TaskLogs<'static>>());
            let moment = || json!({ "type": "string", "format": "date" });
            let parameters = vec![
                group_index(),
                query("begin", "Only lines from this date on; a date with a time is taken too.", moment()),
                query("end", "Only lines up to this date; a date with a time is taken too.", moment()),
                query("contains", "Only lines with this text in them.", text()),
                query("offset", "Index of the first line, of those that pass the filter.", whole_number()),
                query(
                    "limit",
                    "Maximum number of lines: 100 if it is 0 or not given, and never over 1000.",
                    whole_number(),
                ),
                pretty(),
                header("Prefer", LOG_WAIT, json!({ "type": "string" })),
            ];
            on_task("Gives a page of the log of a task.", parameters, answer)
        }
        "download_task_logs" => {
            let text = vec![("text/plain", json!({ "type": "string" }))];
            let answer = ("The log as far as it goes, one line of text for each with its time.", text);
            on_task("Gives the log of a task as text.", vec![group_index()], answer)
        }
        "get_openapi_specification" => specification(),
        "get_version" => {
            plain("Tells the version of the service.", as_json("The version.", schemas.of::<Version>()))
        }
        "get_current_user" => {
            plain("Tells whose key it is.", as_json("The user.", schemas.of::<CurrentUser<'static>>()))
        }
        _ => return None,
    })
}

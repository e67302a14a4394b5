//! The JSON Schemas that the micro services show, in the draft of 2020-12. Written by hand beside the types: a test of
//! the door holds real requests and replies against them.

use domain::list::PAGE_ROWS_MAX;
use serde_json::{Value, json};

fn object(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// Replies may grow, so what is not named here is allowed.
fn open_object(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn moment(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn number(least: u64, most: u64, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

fn tenant() -> Value {
    text("The program's own tenant; it need not be said")
}

fn id() -> Value {
    json!({ "type": "string", "format": "uuid", "description": "Id of the task" })
}

fn run() -> Value {
    number(0, u32::MAX.into(), "Which run of a recurring task; without it, the last")
}

fn wait(for_what: &str) -> Value {
    number(0, 60, &format!("Seconds to wait for {for_what}"))
}

pub(super) fn create() -> Value {
    object(
        &["app", "service"],
        &json!({
            "tenant": tenant(),
            "app": text("The app"),
            "version": text("Its version; without one, that which is tagged as latest"),
            "service": text("The procedure"),
            "input": { "description": "The request body as JSON; at most one of input, text, base64" },
            "text": text("The request body as text, exactly as it is"),
            "base64": { "type": "string", "contentEncoding": "base64", "description": "The request body as any bytes" },
            "content_type": text("The media type of the body; of input it is application/json unless said otherwise"),
            "priority": number(1, 10, "1 first, 10 last"),
            "run_at": moment("Not before this moment"),
            "idempotency_key": text("The same key and the same request give the same task"),
            "wait": wait("the end of the task"),
        }),
    )
}

pub(super) fn status() -> Value {
    object(
        &["id"],
        &json!({ "tenant": tenant(), "id": id(), "run": run(), "wait": wait("the end of the task") }),
    )
}

pub(super) fn one_task() -> Value {
    object(&["id"], &json!({ "tenant": tenant(), "id": id(), "run": run() }))
}

pub(super) fn list() -> Value {
    let states = [&STATES[..], &["solving"]].concat();
    object(
        &[],
        &json!({
            "tenant": tenant(),
            "app": text("Only this app"),
            "version": text("Only this version"),
            "states": { "type": "array", "items": { "enum": states }, "description": "Only these states" },
            "before": moment("Only tasks created before this moment"),
            "after": moment("Only tasks created at or after this moment"),
            "all": { "type": "boolean", "description": "Everything that the user may see, not only the user's own" },
            "offset": number(0, u64::MAX, "Rows to leave out at the start"),
            "limit": number(1, PAGE_ROWS_MAX, "Rows of the page; without it, 100"),
        }),
    )
}

pub(super) fn page() -> Value {
    open_object(
        &["tasks", "total"],
        &json!({
            "tasks": { "type": "array", "items": task() },
            "total": { "type": "integer", "description": "How many rows the whole list has" },
            "next": { "type": "integer", "description": "The offset of the next page; absent in the last" },
        }),
    )
}

pub(super) fn interrupt() -> Value {
    object(
        &["id"],
        &json!({
            "tenant": tenant(),
            "id": id(),
            "run": run(),
            "kind": {
                "enum": ["solve", "execution"],
                "description": "solve (the default): it ends itself and its result counts; execution: it fails",
            },
        }),
    )
}

pub(super) fn dead_letters() -> Value {
    object(
        &[],
        &json!({
            "tenant": tenant(),
            "cursor": number(0, u64::MAX, "Where the page before ended, as its reply said"),
            "limit": number(1, 100, "Letters of the page; without it, 20"),
        }),
    )
}

pub(super) fn dead_letter_page() -> Value {
    let letter = open_object(
        &["at", "tenant", "user", "sequence", "status", "code", "message", "request"],
        &json!({
            "at": moment("When it was given up"),
            "tenant": text("The tenant"),
            "user": text("The user of the program that submitted it, or whose app has the trigger"),
            "trigger": {
                "type": "object",
                "description": "The trigger that took it; a submission has none",
                "properties": {
                    "tenant": text("The tenant"),
                    "app": text("The app"),
                    "name": text("Its name"),
                    "subject": text("Its subject"),
                },
            },
            "message_id": text("Its Nats-Msg-Id"),
            "sequence": { "type": "integer", "description": "Its sequence, as the broker acknowledged it" },
            "status": { "type": "integer", "description": "The number of the error" },
            "code": text("The word of the error"),
            "message": text("What is wrong with it"),
            "request": text("Its beginning"),
        }),
    );
    open_object(
        &["letters", "cursor"],
        &json!({
            "letters": { "type": "array", "items": letter },
            "cursor": { "type": "integer", "description": "What to send for the next page" },
        }),
    )
}

pub(super) fn done() -> Value {
    open_object(&[], &json!({}))
}

pub(super) fn logs() -> Value {
    object(
        &["id"],
        &json!({
            "tenant": tenant(),
            "id": id(),
            "run": run(),
            "offset": number(0, u64::MAX, "Lines to leave out at the start"),
            "limit": number(1, 1000, "Lines of the page; without it, 100"),
            "wait": number(0, 30, "Seconds to wait for a line, if there is none at the offset yet"),
        }),
    )
}

pub(super) fn log_page() -> Value {
    let line =
        open_object(&["at", "text"], &json!({ "at": moment("When it was read"), "text": text("The line") }));
    open_object(
        &["lines", "next", "dropped", "end"],
        &json!({
            "lines": { "type": "array", "items": line },
            "next": { "type": "integer", "description": "The offset of the next page" },
            "dropped": { "type": "integer", "description": "Lines that are missing: they came too fast, or made room for newer ones" },
            "made_room": moment("Up to then lines may have made room for newer ones of the tenant"),
            "end": { "type": "boolean", "description": "The task has ended, and nothing comes after this page" },
        }),
    )
}

pub(super) fn response() -> Value {
    object(
        &["id"],
        &json!({
            "tenant": tenant(),
            "id": id(),
            "run": run(),
            "cursor": text("Where the part before ended, as its reply said"),
        }),
    )
}

pub(super) fn part() -> Value {
    open_object(
        &["size", "base64"],
        &json!({
            "content_type": { "type": ["string", "null"], "description": "The media type" },
            "size": { "type": "integer", "description": "Length of the whole in bytes" },
            "base64": { "type": "string", "contentEncoding": "base64", "description": "The bytes of this part" },
            "cursor": text("What to send for the next part; absent in the last"),
        }),
    )
}

/// The states that a task is shown in.
const STATES: [&str; 9] =
    ["scheduled", "queued", "assigned", "running", "paused", "stopped", "completed", "failed", "broken"];

pub(super) fn task() -> Value {
    open_object(
        &["id", "app", "version", "service", "user", "state", "created_at", "queue_time", "run_time"],
        &json!({
            "id": id(),
            "run": run(),
            "app": text("The app"),
            "version": text("Its version"),
            "service": text("The procedure"),
            "user": text("Who created it"),
            "lane": text("The lane that it waits or waited in"),
            "priority": number(1, 10, "1 first, 10 last"),
            "state": { "enum": STATES },
            "created_at": moment("When it was taken in"),
            "running_at": moment("When its process last started"),
            "ended_at": moment("When it ended"),
            "return_code": { "type": "integer", "description": "What it returned" },
            "error": text("Why it failed"),
            "queue_time": { "type": "number", "description": "Seconds that it waited" },
            "run_time": { "type": "number", "description": "Seconds that it ran" },
            "repeated": { "type": "boolean", "description": "This create repeats an earlier one" },
            "progress": { "type": "number", "minimum": 0, "maximum": 1, "description": "How far it is" },
            "message": text("What its process says"),
            "waiting": { "type": "object", "description": "Why it waits" },
            "result": body(),
        }),
    )
}

fn body() -> Value {
    open_object(
        &["size"],
        &json!({
            "content_type": { "type": ["string", "null"], "description": "The media type" },
            "size": { "type": "integer", "description": "Length in bytes" },
            "text": text("The bytes, where they are a readable text"),
            "base64": text("Any other bytes"),
        }),
    )
}

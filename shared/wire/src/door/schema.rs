//! The JSON Schemas that the micro services show, in the draft of 2020-12. Written by hand beside the types: a test of
//! the door holds real requests and replies against them.

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
        }),
    )
}

pub(super) fn status() -> Value {
    object(
        &["id"],
        &json!({ "tenant": tenant(), "id": id(), "run": run(), "wait": wait("the end of the task") }),
    )
}

pub(super) fn task() -> Value {
    let states =
        ["scheduled", "queued", "assigned", "running", "paused", "stopped", "completed", "failed", "broken"];
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
            "state": { "enum": states },
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

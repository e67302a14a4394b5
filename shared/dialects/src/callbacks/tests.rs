//! The requests, field by field.

use domain::Timestamp;
use domain::task::hook::{Events, What};
use domain::task::state::Phase;
use serde_json::{Value, json};

use super::*;

const ID: &str = "efa680a0-748e-43d0-9099-cf40937b13f4";

fn sign(key: &[u8], message: &[u8]) -> String {
    format!("{}+{}", String::from_utf8_lossy(key), String::from_utf8_lossy(message))
}

fn task(whats: Vec<What>) -> Task {
    let at = Timestamp::parse("2026-11-25T08:00:00.000001Z").unwrap();
    let mut task: Task = serde_json::from_value(json!({
        "id": ID, "number": 123, "tenant": "demo", "user": "u", "app": "media", "version": "1",
        "service": "drmswitch", "runtime": "command", "bundle": "", "lane": "jobs", "priority": 5,
        "state": "completed", "epoch": 1, "retry_limit": 3, "created_at": at, "request_digest": "",
        "input": { "size": 0, "text": r#"{"content_id":"abc","custom_data":{"x":1},"folder":"f"}"# },
        "result": { "size": 0, "text": r#"{"files":"a.mp4","message":"done","metadata":{"duration":7},"z":1}"# },
        "workflow": { "steps": ["get_filenames", "rename"], "done": 2, "retry_limit": 3, "retry_delay_ms": 5000 },
    }))
    .unwrap();
    task.events = Events { gone: 2, kept: whats.into_iter().map(|what| Event { at, what }).collect() };
    task
}

fn state(state: domain::TaskState, phase: Phase) -> What {
    What::State { state, phase }
}

fn body(what: What) -> Option<Value> {
    let hook = Hook { kind: HookKind::RestEndpoint, url: "http://a/b?c".to_owned() };
    let outgoing = outgoing(&task(vec![what]), &hook, 2, sign)?;
    assert_eq!((outgoing.method, outgoing.url.as_str()), (Method::POST, "http://a/b?c"));
    Some(serde_json::from_slice(&outgoing.body).unwrap())
}

#[test]
fn a_step_and_the_whole_are_told_as_the_task_engine_tells_them() {
    let step = |task_id: u64, name: &str, event: &str, message: &str| {
        json!({
            "job_id": 123, "task_id": task_id, "task_name": name, "workflow": "drmswitch", "event": event,
            "content_id": "abc", "message": message, "time": "2026-11-25T08:00:00Z", "client": "demo",
        })
    };
    let started = step(123_001, "get_filenames", "start", "Task 'get_filenames' started");
    assert_eq!(body(What::StepStarted { step: 0 }), Some(started));
    let completed = step(123_002, "rename", "complete", "'rename' completed successfully");
    assert_eq!(body(What::StepCompleted { step: 1 }), Some(completed));
    assert_eq!(body(What::StepFailed { step: 1 }), Some(step(123_002, "rename", "fail", "'rename' failed")));
    let job = json!({
        "job_id": 123, "status": "completed", "workflow": "drmswitch", "content_id": "abc", "message": "done",
        "files": ["a.mp4"], "metadata": { "duration": 7 }, "custom_data": { "x": 1 },
        "time": "2026-11-25T08:00:00Z", "client": "demo",
    });
    assert_eq!(body(state(domain::TaskState::Completed, Phase::Running)), Some(job));
    assert_eq!(body(state(domain::TaskState::Running, Phase::Running)), None);
}

#[test]
fn a_word_is_told_once_and_the_key_signs_and_is_not_sent() {
    use domain::TaskState::{Completed, Queued, Running, Scheduled};
    let whats = vec![
        state(Scheduled, Phase::Running),
        state(Queued, Phase::Running),
        What::StepStarted { step: 0 },
        state(Running, Phase::Solving),
        state(Completed, Phase::Running),
    ];
    let task = task(whats);
    let told = |url: &str, place| {
        let hook = Hook { kind: HookKind::TaskState, url: url.to_owned() };
        outgoing(&task, &hook, place, sign).map(|outgoing| {
            assert_eq!((outgoing.method, outgoing.body.len()), (Method::PUT, 0));
            outgoing.url
        })
    };
    let query = |word: &str| format!("task_uuid={ID}&task_state={word}&at=2026-11-25T08:00:00.000001Z");
    assert_eq!(told("http://a", 2), Some(format!("http://a?{}", query("queued"))));
    assert_eq!(told("http://a", 3), None);
    assert_eq!(told("http://a", 4), None);
    let signed = format!("http://a/?b=%20&c&{}&hmac=k y+{ID}", query("solving"));
    assert_eq!(told("http://a/?b=%20&key=k%20y&c#d", 5), Some(signed));
    assert_eq!(told("http://a/?x", 6), Some(format!("http://a/?x&{}", query("completed"))));
    assert_eq!(told("http://a", 1), None);
    assert_eq!(told("http://a", 7), None);
}

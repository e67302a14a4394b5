//! Every subject: builder, wildcard and a literal example side by side. Nothing outside writes one by hand.

use domain::{RunnerId, TaskKey};

use crate::Function;

/// Every subject of ours begins so. Tenants have `<tenant>.>` for themselves, hence no tenant has this name.
pub const ROOT: &str = "tasklane";

/// `tasklane.fn.create`: calls to a function, taken by one of its replicas.
pub fn function(function: Function) -> String {
    format!("{ROOT}.fn.{function}")
}

/// `tasklane.runner.6f9f…`: what one runner is told.
pub fn runner(id: RunnerId) -> String {
    format!("{ROOT}.runner.{id}")
}

/// `tasklane.runner.*`: whatever any runner is told.
pub const RUNNER_ALL: &str = "tasklane.runner.*";

/// `tasklane.beat.6f9f…`: heartbeats of one runner. Not stored: only the latest counts.
pub fn beat(id: RunnerId) -> String {
    format!("{ROOT}.beat.{id}")
}

/// `tasklane.beat.*`: the heartbeats of all runners.
pub const BEAT_ALL: &str = "tasklane.beat.*";

/// `tasklane.progress.demo.efa6…`: how far a running task is. Not stored: only the latest counts.
pub fn progress(key: &TaskKey) -> String {
    format!("{ROOT}.progress.{key}")
}

/// `tasklane.progress.>`: the progress of all tasks.
pub const PROGRESS_ALL: &str = "tasklane.progress.>";

/// `tasklane.lane`: how full each lane is, told by the active `schedule` once a second. Not stored.
pub const LANE: &str = "tasklane.lane";

/// `tasklane.logs.demo.efa6…`: the log lines of one task.
pub fn logs(key: &TaskKey) -> String {
    format!("{ROOT}.logs.{key}")
}

/// `tasklane.logs.>`: all log lines.
pub const LOGS_ALL: &str = "tasklane.logs.>";

/// `tasklane.notes.demo.efa6…`: what others than its runner say about one task.
pub fn notes(key: &TaskKey) -> String {
    format!("{ROOT}.notes.{key}")
}

/// `tasklane.notes.>`: the notes on all tasks.
pub const NOTES_ALL: &str = "tasklane.notes.>";

/// `tasklane.*.demo.>`: lines and notes of all tasks of a tenant, within the stream that has nothing else.
pub fn lines_of(tenant: &str) -> String {
    format!("{ROOT}.*.{tenant}.>")
}

/// Whose a line or a note is, by its subject.
pub fn tenant_of_line(subject: &str) -> Option<&str> {
    subject.split('.').nth(2)
}

/// `tasklane.topic.demo.in`: what a program with an account of its own publishes on the topic `demo.in`. The broker
/// puts `tasklane.topic.` before it, so that accounts are given no more than topics.
pub fn topic(topic: &str) -> String {
    format!("{ROOT}.topic.{topic}")
}

/// `tasklane.topic.>`: whatever such programs publish.
pub const TOPIC_ALL: &str = "tasklane.topic.>";

/// `tasklane.topic.demo.>`: whatever such programs of one tenant publish.
pub fn topics_of(tenant: &str) -> String {
    format!("{ROOT}.topic.{tenant}.>")
}

/// `tasklane.sink.demo.out`: what a stream task hands on for the topic `demo.out`. Where that topic has a stream the
/// broker stores it there and tells it on the topic itself; a runner could not be allowed every topic.
pub fn sink(topic: &str) -> String {
    format!("{ROOT}.sink.{topic}")
}

/// `tasklane.sink.>`: whatever any stream task hands on.
pub const SINK_ALL: &str = "tasklane.sink.>";

/// `tasklane.aside.demo.efa6…`: records that a stream task could not be given.
pub fn aside(key: &TaskKey) -> String {
    format!("{ROOT}.aside.{key}")
}

/// `tasklane.aside.>`: all records that were set aside.
pub const ASIDE_ALL: &str = "tasklane.aside.>";

/// `$JS.API.CONSUMER.MSG.NEXT.SOURCE_demo=2Ein.efa6…_3_5c1e`: asks for the next records of a reader.
pub fn next_records(stream: &str, reader: &str) -> String {
    format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{reader}")
}

/// `$JS.API.CONSUMER.INFO.SOURCE_demo=2Ein.trigger_5f2c…`: whether a reader is there.
pub fn reader_info(stream: &str, reader: &str) -> String {
    format!("$JS.API.CONSUMER.INFO.{stream}.{reader}")
}

/// `_INBOX_create`: where the answers to one function's requests go; no other function can read them.
pub fn inbox(function: Function) -> String {
    format!("_INBOX_{function}")
}

/// `$KV.tasks.demo.efa6…`: one key of a bucket.
pub fn bucket_key(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// `KV_tasks`: the stream behind a bucket.
pub fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// `$JS.API.DIRECT.GET.KV_tasks`: reads from a stream by what the request's body says.
pub fn direct_get(stream: &str) -> String {
    format!("$JS.API.DIRECT.GET.{stream}")
}

/// `$JS.API.STREAM.INFO.KV_tasks`: how a stream stands.
pub fn stream_info(stream: &str) -> String {
    format!("$JS.API.STREAM.INFO.{stream}")
}

/// `$JS.API.DIRECT.GET.KV_tasks.$KV.tasks.demo.efa6…`: reads the newest message of one subject.
pub fn direct_get_last(stream: &str, subject: &str) -> String {
    format!("{}.{subject}", direct_get(stream))
}

/// `$JS.API.STREAM.MSG.GET.KV_tasks`: reads from the leader of a stream with copies.
pub fn leader_get(stream: &str) -> String {
    format!("$JS.API.STREAM.MSG.GET.{stream}")
}

/// `$JS.API.CONSUMER.CREATE.SUBMISSIONS.create`: taking the messages of a work queue, as the consumer that has
/// the function's name: making it, whether it is still there after the broker was away, asking for messages, and
/// saying what became of them.
pub fn work_queue(stream: &str, function: Function) -> [String; 4] {
    [
        format!("$JS.API.CONSUMER.CREATE.{stream}.{function}"),
        format!("$JS.API.CONSUMER.INFO.{stream}.{function}"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{function}"),
        format!("$JS.ACK.{stream}.{function}.>"),
    ]
}

/// `OBJ_bodies`: the stream behind an object store.
pub fn object_stream(store: &str) -> String {
    format!("OBJ_{store}")
}

/// `$O.bodies.C.K3…`: the chunks of one object.
pub fn object_chunks(store: &str, object: &str) -> String {
    format!("$O.{store}.C.{object}")
}

/// `$O.bodies.M.ZGVt…`: what is known of one object.
pub fn object_meta(store: &str, name_in_base64: &str) -> String {
    format!("$O.{store}.M.{name_in_base64}")
}

/// `tasklane.ping.create`: asks whether a function is up; one of its replicas answers with nothing.
pub fn ping(function: Function) -> String {
    format!("{ROOT}.ping.{function}")
}

/// `tasklane.ping.*`: whether any function is up.
pub const PING_ALL: &str = "tasklane.ping.*";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_give_what_their_wildcards_match() {
        let id = "efa680a0-748e-43d0-9099-cf40937b13f4";
        let key = TaskKey::new("demo", id.parse().unwrap());
        assert_eq!(logs(&key), format!("tasklane.logs.demo.{id}"));
        assert_eq!(notes(&key), format!("tasklane.notes.demo.{id}"));
        assert_eq!(tenant_of_line(&notes(&key)), Some("demo"));
        assert_eq!(lines_of("demo"), "tasklane.*.demo.>");
        assert_eq!(progress(&key), format!("tasklane.progress.demo.{id}"));
        let runner_id = RunnerId(key.id.0);
        assert_eq!(runner(runner_id), RUNNER_ALL.replace('*', id));
        assert_eq!(beat(runner_id), BEAT_ALL.replace('*', id));
        assert_eq!(function(Function::Create), "tasklane.fn.create");
        assert_eq!(inbox(Function::Create), "_INBOX_create");
    }
}

//! Every stream and bucket: what it holds, its limits, who writes it. `provision` makes the broker equal
//! this; broker-config/topology.json is this, printed, and a test refuses a difference.

use domain::{SessionId, TaskKey};
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::door::names;
use crate::names::token;
use crate::subjects;

/// Task records; key `<tenant>.<task id>`.
pub const TASKS: &str = "tasks";
/// Apps; key `<tenant>.<app as a token>`.
pub const APPS: &str = "apps";
/// API keys; key `<public id>`.
pub const KEYS: &str = "keys";
/// Signing keys; key `<tenant>`.
pub const SIGNERS: &str = "signers";
/// Tenants; key `<tenant>`.
pub const TENANTS: &str = "tenants";
/// Limits of lanes; key `<lane as a token>`.
pub const LANES: &str = "lanes";
/// Settings of the Task Engine beside the limits of its lane; one key.
pub const SETTINGS: &str = "settings";
/// Sessions; key `<tenant>.<session id>`.
pub const SESSIONS: &str = "sessions";
/// How far the hooks of tasks are told; key like that of the task.
pub const DELIVERIES: &str = "deliveries";
/// How much of their logs tenants had to give up; key `<tenant>`.
pub const LOG_CUTS: &str = "log_cuts";
/// How far stream tasks have read on Kafka.
pub const POSITIONS: &str = "positions";
/// Which replica of a function is the active one; key `<function>`.
pub const LEASES: &str = "leases";
/// Request and response bodies that are too large for a record.
pub const BODIES: &str = "bodies";
/// App bundles, named by their SHA-256.
pub const BUNDLES: &str = "bundles";
/// The stream of log lines.
pub const LOGS: &str = "LOGS";
/// The work queue of creates that nobody waits for.
pub const SUBMISSIONS: &str = "SUBMISSIONS";
/// Submissions that can never become tasks.
pub const DEAD_LETTERS: &str = "DEAD_LETTERS";
/// The stream of records that stream tasks could not be given.
pub const ASIDE: &str = "ASIDE";

/// Storage that all streams together may take unless a setting says otherwise: 16 GiB.
pub const STORAGE_BYTES_DEFAULT: u64 = 16 * 1024 * 1024 * 1024;

/// `demo.efa6…`; a later run of a recurring task is `demo.efa6….3`.
pub fn task_key(key: &TaskKey) -> String {
    key.to_string()
}

/// `demo.6f9f…`
pub fn session_key(tenant: &str, session: SessionId) -> String {
    format!("{tenant}.{session}")
}

/// `demo.My=20App`
pub fn app_key(tenant: &str, app: &str) -> String {
    format!("{tenant}.{}", token(app))
}

/// `tasks=2Edemo`: lane names hold dots, and a lane is one key.
pub fn lane_key(lane: &str) -> String {
    token(lane)
}

/// The one key of the bucket `settings`.
pub const SETTINGS_KEY: &str = "task_engine";

/// The lane of a tenant's AIMMS tasks: `tasks.demo`.
pub fn tasks_lane(tenant: &str) -> String {
    format!("tasks.{tenant}")
}

/// What kind of thing a stream is to its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A key-value bucket.
    Bucket,
    /// An object store.
    Objects,
    /// A plain stream.
    Stream,
}

/// One stream of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The bucket's, store's or stream's name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it holds.
    pub holds: String,
    /// Its subjects.
    pub subjects: Vec<String>,
    /// The broker may acknowledge before it has synced, even in the strict class.
    pub unsynced: bool,
    /// Full means refused (`false`), or the oldest goes (`true`).
    pub discard_old: bool,
    /// Messages kept per subject; -1 is no limit.
    pub max_per_subject: i64,
    /// The most bytes it may take.
    pub max_bytes: u64,
    /// The most bytes of one message.
    pub max_message_bytes: i32,
    /// Seconds after which a message goes; 0 keeps it. Nothing live ever expires.
    pub max_age_seconds: u64,
    /// A message may carry its own end of life, as what has ended does.
    pub expiring: bool,
    /// Writes may come in atomic batches, which are synced as one.
    pub batches: bool,
    /// Each message is given to one replica of its reader, and goes when it is done.
    pub work_queue: bool,
    /// Copies in a cluster.
    pub replicas: usize,
    /// The only functions that write it.
    pub written_by: Vec<Function>,
    /// The only functions that read it.
    pub read_by: Vec<Function>,
}

impl Stream {
    /// The name of the broker's stream behind it.
    pub fn stream_name(&self) -> String {
        match self.kind {
            Kind::Bucket => subjects::bucket_stream(&self.name),
            Kind::Objects => subjects::object_stream(&self.name),
            Kind::Stream => self.name.clone(),
        }
    }
}

/// The sizes that a deployment may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// What all streams together may take.
    pub storage_bytes: u64,
    /// Copies in a cluster: 1 or 3.
    pub replicas: usize,
    /// What share of the store of logs one tenant may take.
    pub log_tenant_percent: u64,
    /// How long log lines are kept.
    pub log_age_seconds: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            storage_bytes: STORAGE_BYTES_DEFAULT,
            replicas: 1,
            log_tenant_percent: LOG_TENANT_PERCENT_DEFAULT,
            log_age_seconds: LOG_AGE_SECONDS_DEFAULT,
        }
    }
}

const RECORD_BYTES_MAX: i32 = 64 * 1024;
const CHUNK_MESSAGE_BYTES_MAX: i32 = 256 * 1024;
/// How long log lines are kept unless a setting says otherwise: 30 days.
pub const LOG_AGE_SECONDS_DEFAULT: u64 = 30 * 24 * 3600;
/// What share of the store of logs one tenant may take unless a setting says otherwise.
pub const LOG_TENANT_PERCENT_DEFAULT: u64 = 25;
const LOGS_PERCENT: u64 = 10;
const ASIDE_AGE_SECONDS: u64 = 30 * 24 * 3600;
const LOG_BATCHES_PER_TASK: i64 = 25_000;
const DEAD_LETTER_AGE_SECONDS: u64 = 30 * 24 * 3600;
const DEAD_LETTERS_PER_USER: i64 = 10_000;
/// As much as the broker takes, and what it adds: that one is too large is said in a dead letter.
const SUBMISSION_BYTES_MAX: i32 = 1024 * 1024 + 64 * 1024;
const ASIDE_PER_TASK: i64 = 1_000;
/// A record that was set aside, in base64, with what is said of it.
const ASIDE_MESSAGE_BYTES_MAX: i32 = 768 * 1024;
/// The most bytes of one record of a topic; what surrounds it must still fit one message of the broker.
pub const TOPIC_RECORD_BYTES_MAX: i32 = 512 * 1024;
/// The streams behind topics are made when they are needed, each with so many thousandths of the storage.
const TOPIC_PER_MILLE: u64 = 5;

/// What all logs together may take.
pub fn log_bytes(sizes: Sizes) -> u64 {
    sizes.storage_bytes / 100 * LOGS_PERCENT
}

/// The most bytes of one stream behind a topic.
pub fn topic_bytes(sizes: Sizes) -> u64 {
    sizes.storage_bytes / 1000 * TOPIC_PER_MILLE
}

/// The stream behind a topic that is read: what was published and not yet read by every task that reads it.
pub fn source_stream(topic: &str) -> String {
    format!("SOURCE_{}", token(topic))
}

/// The stream behind a topic that is written: the newest of what was written.
pub fn sink_stream(topic: &str) -> String {
    format!("SINK_{}", token(topic))
}

/// What has ended may carry its own end of life.
fn expiring(stream: Stream) -> Stream {
    Stream { expiring: true, ..stream }
}

/// A bucket that takes some hundredths of the storage. The two lists are its writers and its readers.
fn bucket(
    sizes: Sizes,
    name: &str,
    holds: &str,
    percent: u64,
    (written_by, read_by): (&[Function], &[Function]),
) -> Stream {
    Stream {
        name: name.to_owned(),
        kind: Kind::Bucket,
        holds: holds.to_owned(),
        subjects: vec![subjects::bucket_key(name, ">")],
        unsynced: false,
        discard_old: false,
        max_per_subject: 1,
        max_bytes: sizes.storage_bytes / 100 * percent,
        max_message_bytes: RECORD_BYTES_MAX,
        max_age_seconds: 0,
        expiring: false,
        batches: name == TASKS,
        work_queue: false,
        replicas: sizes.replicas,
        written_by: written_by.to_vec(),
        read_by: read_by.to_vec(),
    }
}

/// Every stream for the given sizes.
pub fn streams(sizes: Sizes) -> Vec<Stream> {
    use Function::{
        Admin, Amend, Callbacks, Create, Delete, Ingress, Interrupt, Logs, Report, Runner, Schedule,
        Sessions, Status, Topics,
    };
    let bucket = |name: &str, holds: &str, percent, written_by: &[Function], read_by: &[Function]| {
        bucket(sizes, name, holds, percent, (written_by, read_by))
    };
    let objects = |name: &str, holds: &str, percent, written_by: &[Function], read_by: &[Function]| Stream {
        kind: Kind::Objects,
        subjects: vec![subjects::object_chunks(name, ">"), subjects::object_meta(name, ">")],
        max_per_subject: -1,
        max_message_bytes: CHUNK_MESSAGE_BYTES_MAX,
        expiring: true,
        ..bucket(name, holds, percent, written_by, read_by)
    };
    // The broker knows this for streams without copies alone; with copies it shares the syncs anyway.
    let alone = sizes.replicas == 1;
    let task_writers = [Create, Amend, Schedule, Report, Interrupt, Delete];
    let task_readers = [Create, Amend, Schedule, Report, Interrupt, Delete, Callbacks, Status, Logs, Topics];
    let active = [Schedule, Callbacks];
    let app_readers = [Create, Amend, Status, Interrupt, Delete, Logs, Sessions, Admin, Topics];
    let mut all = vec![
        bucket(TASKS, "task records, key <tenant>.<task id>", 25, &task_writers, &task_readers),
        bucket(APPS, "apps, key <tenant>.<app>", 1, &[Admin], &app_readers),
        bucket(KEYS, "API keys, key <public id>", 1, &[Admin], &[Admin, Ingress]),
        bucket(SIGNERS, "sealed signing keys, key <tenant>", 1, &[Admin], &[Admin, Ingress]),
        bucket(TENANTS, "tenants, key <tenant>", 1, &[Admin], &[Admin, Create]),
        bucket(LANES, "limits of lanes, key <lane>", 1, &[Admin], &[Admin, Create, Schedule, Status]),
        Stream {
            max_bytes: 1024 * 1024,
            ..bucket(SETTINGS, "settings of the Task Engine", 0, &[Admin], &[Admin, Schedule])
        },
        expiring(bucket(SESSIONS, "sessions, key <tenant>.<session id>", 1, &[Runner], &[Status])),
        Stream {
            max_bytes: 1024 * 1024,
            ..bucket(LOG_CUTS, "how much of their logs tenants gave up, key <tenant>", 0, &[Logs], &[Logs])
        },
        positions(sizes),
        // What is lost of it with the power is told once more.
        expiring(Stream {
            unsynced: alone,
            ..bucket(
                DELIVERIES,
                "how far hooks are told, key as in tasks",
                2,
                &[Callbacks],
                &[Callbacks, Status],
            )
        }),
        // In a file though it is worth nothing after a restart: a stream in memory is itself gone with the
        // broker, and then nobody could be the active replica until `provision` runs again.
        Stream {
            unsynced: alone,
            max_bytes: 1024 * 1024,
            ..bucket(LEASES, "which replica is active, key <function>", 0, &active, &active)
        },
        objects(
            BODIES,
            "request and response bodies over the inline size",
            26,
            &[Ingress, Create, Runner, Delete],
            &[Ingress, Runner, Status],
        ),
        objects(BUNDLES, "app bundles by SHA-256", 10, &[Ingress], &[Admin, Runner]),
    ];
    all.extend(words(sizes));
    all.extend(of_the_door(sizes));
    all
}

/// Some hundred bytes per stream task on Kafka.
fn positions(sizes: Sizes) -> Stream {
    use Function::{Runner, Topics};
    let holds = "how far stream tasks have read on Kafka, key as in tasks";
    let bucket = bucket(sizes, POSITIONS, holds, 0, (&[Runner, Topics], &[Runner]));
    expiring(Stream { max_bytes: 8 * 1024 * 1024, ..bucket })
}

/// Plain streams: what is said of tasks beside their records.
fn words(sizes: Sizes) -> [Stream; 2] {
    use Function::{Callbacks, Ingress, Logs, Runner, Schedule};
    [
        Stream {
            kind: Kind::Stream,
            subjects: vec![subjects::LOGS_ALL.to_owned(), subjects::NOTES_ALL.to_owned()],
            unsynced: sizes.replicas == 1,
            discard_old: true,
            max_per_subject: LOG_BATCHES_PER_TASK,
            max_message_bytes: CHUNK_MESSAGE_BYTES_MAX,
            max_age_seconds: sizes.log_age_seconds,
            ..bucket(
                sizes,
                LOGS,
                "log lines in batches, and notes of others, by task",
                LOGS_PERCENT,
                (&[Runner, Ingress, Schedule, Callbacks], &[Logs]),
            )
        },
        Stream {
            kind: Kind::Stream,
            subjects: vec![subjects::ASIDE_ALL.to_owned()],
            discard_old: true,
            max_per_subject: ASIDE_PER_TASK,
            max_message_bytes: ASIDE_MESSAGE_BYTES_MAX,
            max_age_seconds: ASIDE_AGE_SECONDS,
            ..bucket(sizes, ASIDE, "records that stream tasks could not be given", 1, (&[Runner], &[Logs]))
        },
    ]
}

/// What programs hand in at the NATS door and wait for nothing.
fn of_the_door(sizes: Sizes) -> [Stream; 2] {
    let own = [Function::Create];
    [
        Stream {
            kind: Kind::Stream,
            subjects: vec![names::door(names::SUBMIT), names::public(names::SUBMIT)],
            max_per_subject: -1,
            max_message_bytes: SUBMISSION_BYTES_MAX,
            work_queue: true,
            ..bucket(sizes, SUBMISSIONS, "creates that nobody waits for, from programs", 3, (&[], &own))
        },
        Stream {
            kind: Kind::Stream,
            subjects: vec![names::DEAD_ALL.to_owned()],
            discard_old: true,
            max_per_subject: DEAD_LETTERS_PER_USER,
            max_age_seconds: DEAD_LETTER_AGE_SECONDS,
            ..bucket(sizes, DEAD_LETTERS, "submissions that can never become tasks", 1, (&own, &own))
        },
    ]
}

/// The file for reviewers and operators.
pub fn print() -> String {
    let text = serde_json::to_string_pretty(&streams(Sizes::default())).unwrap_or_default();
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_fit_and_leave_room_for_topics_and_nothing_live_expires() {
        const TOPICS_PERCENT: u64 = 14;
        let sizes = Sizes { storage_bytes: 1_000_000_000, ..Sizes::default() };
        let all = streams(sizes);
        let stored: u64 = all.iter().map(|s| s.max_bytes).sum();
        assert!(stored <= sizes.storage_bytes / 100 * (100 - TOPICS_PERCENT));
        for stream in &all {
            if stream.kind != Kind::Stream {
                assert!(
                    !stream.discard_old && stream.max_age_seconds == 0,
                    "{} holds live state",
                    stream.name
                );
            }
        }
    }
}

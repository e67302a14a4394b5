//! Stream tasks: what their parameters say of their memory, their two ends and their batches. The names are
//! SymetryML's; pure, so that a wrong one is found before anything is started.

use std::collections::BTreeMap;

use crate::kafka::{self, Kafka};

/// The parameters of a stream task by name.
pub type Params = BTreeMap<String, String>;

/// The name of the topic that is read.
pub const SOURCE: &str = "sml.kstream.source.topic";
/// The name of the topic that is written.
pub const SINK: &str = "sml.kstream.sink.topic";
const POLL_MAX: &str = "sml.kstream.record.poll.max";
const SCHEDULE_MS: &str = "sml.kstream.schedule.ms";
const INSTANCES: &str = "sml.task.instances";
const KEY_FIELD: &str = "sml.task.key.field";
const ANSWER_MS: &str = "sml.task.answer.ms";
const HEAP_MIN: &str = "sml.task.heap.min";
const HEAP_MAX: &str = "sml.task.heap.max";

const MEBIBYTE: u64 = 1024 * 1024;
const HEAP_MIN_DEFAULT: u64 = 1024 * MEBIBYTE;
const HEAP_MAX_DEFAULT: u64 = 2048 * MEBIBYTE;
const POLL_MAX_DEFAULT: u32 = 500;
/// The most records of one batch, and the longest pause between two.
const POLL_MAX_MOST: u32 = 5000;
const SCHEDULE_MS_MOST: u32 = 3_600_000;
/// The most processes of one task.
const INSTANCES_MOST: u32 = 16;
/// How long a process may be silent while it owes answers, in milliseconds.
const ANSWER_MS_DEFAULT: u32 = 30_000;
const ANSWER_MS_LEAST: u32 = 100;
const ANSWER_MS_MOST: u32 = 600_000;
/// The most characters of a topic.
pub const TOPIC_CHARS_MAX: usize = 200;

/// How much memory the process of a task may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    /// What it is expected to take at least.
    pub min_bytes: u64,
    /// The memory limit of its process.
    pub max_bytes: u64,
}

impl Heap {
    /// Reads both sizes. A least size that was not given bends to the most, never the other way round.
    pub fn read(params: &Params) -> Result<Self, String> {
        let (min, max) = (size(params, HEAP_MIN)?, size(params, HEAP_MAX)?);
        let max_bytes = max.unwrap_or(HEAP_MAX_DEFAULT);
        let min_bytes = min.unwrap_or(HEAP_MIN_DEFAULT.min(max_bytes));
        if min_bytes > max_bytes {
            return Err(format!("parameter '{HEAP_MIN}' is above '{HEAP_MAX}'"));
        }
        Ok(Self { min_bytes, max_bytes })
    }
}

/// What a stream task reads, writes and takes, once all of it is known to be possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// The topic whose records are its input: a subject, or a topic of Kafka.
    pub source: String,
    /// The topic that its output goes to.
    pub sink: String,
    /// The cluster that both topics lie on; without one they are subjects of the broker.
    pub kafka: Option<Kafka>,
    /// The most records of one batch.
    pub poll_max: u32,
    /// The pause between two batches, in milliseconds; 0 takes records as they come.
    pub schedule_ms: u32,
    /// How many processes share the records. Those of one key go to one process, in their order.
    pub instances: u32,
    /// The field of a record, a JSON object, whose text is its key, where its message has no header for that.
    pub key_field: Option<String>,
    /// How long a process may be silent while it owes answers, in milliseconds.
    pub answer_ms: u32,
    /// Its memory.
    pub heap: Heap,
}

impl StreamSpec {
    /// Reads the parameters of a tenant's task.
    pub fn read(tenant: &str, params: &Params) -> Result<Self, String> {
        let kafka = Kafka::read(params)?;
        let end = |name| match kafka {
            Some(_) => kafka::topic(params, name),
            None => topic(tenant, params, name),
        };
        let (source, sink) = (end(SOURCE)?, end(SINK)?);
        if source == sink {
            return Err(format!(
                "parameters '{SOURCE}' and '{SINK}' are the same topic, so it would read what it writes"
            ));
        }
        Ok(Self {
            source,
            sink,
            kafka,
            poll_max: number(params, POLL_MAX, 1, POLL_MAX_MOST)?.unwrap_or(POLL_MAX_DEFAULT),
            schedule_ms: number(params, SCHEDULE_MS, 0, SCHEDULE_MS_MOST)?.unwrap_or(0),
            instances: number(params, INSTANCES, 1, INSTANCES_MOST)?.unwrap_or(1),
            key_field: params.get(KEY_FIELD).filter(|name| !name.is_empty()).cloned(),
            answer_ms: number(params, ANSWER_MS, ANSWER_MS_LEAST, ANSWER_MS_MOST)?
                .unwrap_or(ANSWER_MS_DEFAULT),
            heap: Heap::read(params)?,
        })
    }
}

/// Whether a text is one subject, without wildcards, of this tenant.
pub fn is_topic(tenant: &str, text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '*' && c != '>';
    let mut tokens = text.split('.');
    text.len() <= TOPIC_CHARS_MAX
        && text.chars().all(plain)
        && tokens.next() == Some(tenant)
        && text.len() > tenant.len()
        && tokens.all(|token| !token.is_empty())
}

fn topic(tenant: &str, params: &Params, name: &str) -> Result<String, String> {
    let text = params.get(name).ok_or_else(|| format!("parameter '{name}' is missing"))?;
    if is_topic(tenant, text) {
        return Ok(text.clone());
    }
    Err(format!(
        "parameter '{name}' is no topic of yours: it must be a subject that begins with '{tenant}.', without \
         wildcards and spaces, of {TOPIC_CHARS_MAX} characters at the most"
    ))
}

fn number(params: &Params, name: &str, least: u32, most: u32) -> Result<Option<u32>, String> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (least..=most).contains(number));
    number
        .map(Some)
        .ok_or_else(|| format!("parameter '{name}' must be a whole number from {least} to {most}"))
}

/// `512m`, `2g`, `65536k`.
fn size(params: &Params, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let wrong = || format!("parameter '{name}' must be digits with k, m or g behind them, such as 1024m");
    let unit = match text.chars().next_back() {
        Some('k' | 'K') => 1024,
        Some('m' | 'M') => MEBIBYTE,
        Some('g' | 'G') => 1024 * MEBIBYTE,
        Some(_) | None => return Err(wrong()),
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.len() + 1 != text.len() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes > 0).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_heap_is_read_with_its_defaults_or_refused_by_name() {
        let read =
            |pairs: &[(&str, &str)]| Heap::read(&params(pairs)).map(|heap| (heap.min_bytes, heap.max_bytes));
        assert_eq!(read(&[]), Ok((1024 * MEBIBYTE, 2048 * MEBIBYTE)));
        assert_eq!(read(&[(HEAP_MAX, "512m")]), Ok((512 * MEBIBYTE, 512 * MEBIBYTE)));
        assert_eq!(read(&[(HEAP_MIN, "64K"), (HEAP_MAX, "1G")]), Ok((65536, 1024 * MEBIBYTE)));
        assert!(read(&[(HEAP_MIN, "4g")]).unwrap_err().contains(HEAP_MIN), "above the default");
        assert!(read(&[(HEAP_MIN, "2m"), (HEAP_MAX, "1m")]).unwrap_err().contains("above"));
        for text in ["", "m", "10", "-1m", "1.5m", "1mb", " 1m", "0m", "1t", "99999999999999999999g", "1m "] {
            assert!(read(&[(HEAP_MAX, text)]).unwrap_err().contains(HEAP_MAX), "{text:?}");
        }
    }

    #[test]
    fn the_ends_of_a_task_are_subjects_of_its_tenant() {
        for good in ["demo.in", "demo.a.b-c_d.0", "demo.ü"] {
            assert!(is_topic("demo", good), "{good}");
        }
        for bad in [
            "",
            "demo",
            "demo.",
            ".demo",
            "demo..a",
            "demo.a.",
            "demo.*",
            "demo.>",
            "demo.a b",
            "demox.a",
            "other.a",
            "demo.a\r\n",
        ] {
            assert!(!is_topic("demo", bad), "{bad:?}");
        }
        assert!(!is_topic("demo", &format!("demo.{}", "x".repeat(200))));
    }

    #[test]
    fn a_task_knows_its_ends_and_its_batches() {
        let ends = [(SOURCE, "demo.in"), (SINK, "demo.out")];
        let spec = StreamSpec::read("demo", &params(&ends)).unwrap();
        assert_eq!((spec.poll_max, spec.schedule_ms), (500, 0));
        let with = |name, text| {
            let mut all = params(&ends);
            all.insert(String::from(name), String::from(text));
            StreamSpec::read("demo", &all)
        };
        assert_eq!(with(POLL_MAX, "7").map(|spec| spec.poll_max), Ok(7));
        assert_eq!(with(SCHEDULE_MS, "5000").map(|spec| spec.schedule_ms), Ok(5000));
        assert_eq!((spec.instances, spec.key_field, spec.answer_ms), (1, None, 30_000));
        assert_eq!(with(INSTANCES, "4").map(|spec| spec.instances), Ok(4));
        for (name, text) in [
            (POLL_MAX, "0"),
            (POLL_MAX, "+5"),
            (SCHEDULE_MS, "x"),
            (SOURCE, "other.in"),
            (HEAP_MAX, "1"),
            (INSTANCES, "17"),
            (ANSWER_MS, "99"),
        ] {
            assert!(with(name, text).unwrap_err().contains(name), "{name}={text}");
        }
        assert!(with(SINK, "demo.in").is_err(), "a loop");
        assert!(StreamSpec::read("demo", &params(&ends[..1])).unwrap_err().contains(SINK));
    }
}

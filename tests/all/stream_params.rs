//! What the parameters of a stream task do to its records and its processes, and what it tells of its troubles.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use async_nats::ConnectOptions;
use async_nats::jetstream;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::symetry::Customer;
use tests::topics::Topics;
use tests::wait::{PATIENCE, until};
use tokio::io::{AsyncBufReadExt, BufReader};
use wire::permissions::{ExtraUser, Permissions};
use wire::runner::Aside;
use wire::topology::{ASIDE, source_stream};
use wire::{Function, subjects};

const SOURCE: &str = "demo.s.in";
const SINK: &str = "demo.s.out";

/// Publishes a stream app whose process is this Python program, and describes the task `s` of it.
async fn described(kit: &Kit, program: &str, params: &[(&str, &str)]) -> Customer {
    let manifest = "name = \"app\"\nversion = \"1.0\"\nruntime = \"stream\"\n[session]\n\
                    command = [\"python3\", \"filter.py\"]\n";
    App { manifest, files: &[("filter.py", program)] }.publish(&kit.http).await.expect(200);
    let mut all = json!({ "sml.kstream.source.topic": SOURCE, "sml.kstream.sink.topic": SINK });
    for (param, text) in params {
        all[*param] = json!(text);
    }
    let customer = Customer::new(&kit.http, "demo", &kit.stack.signing_secret().unwrap());
    customer.create(&json!({ "type": "app", "name": "s", "params": all }), true).await.expect(202);
    customer
}

async fn start(customer: &Customer) {
    customer.get("/tasks/s/start").await.expect(200);
}

async fn status(customer: &Customer) -> Value {
    let answer = customer.get("/tasks/s").await.expect(200).json();
    answer["values"]["KSVSMap"]["values"][0].clone()
}

#[tokio::test]
async fn what_was_set_aside_says_why_and_after_how_many_tries() {
    const MOODY: &str = "import sys, time\nfor line in sys.stdin:\n    if 'poison' in line:\n        \
                         sys.exit(\"can't stomach \" + line.strip())\n    if 'sleepy' in line:\n        \
                         time.sleep(60)\n    print(line.strip())\n";
    let kit = Kit::start().await;
    let customer = described(&kit, MOODY, &[("sml.task.answer.ms", "300")]).await;
    start(&customer).await;
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen(SINK).await;
    topics.publish(SOURCE, ["1", "poison 2", "a\nb", "sleepy 4", "5"].map(str::to_owned)).await;
    assert_eq!(out.take(2).await, ["1", "5"]);
    let logs = kit.stack.connect(Function::Logs).await.unwrap();
    let aside: Vec<Aside> = until("three are set aside", || async {
        let found = logs.stored::<Aside>(ASIDE, subjects::ASIDE_ALL, 1, 10).await.unwrap();
        if found.len() == 3 { Ok(found) } else { Err(found) }
    })
    .await
    .into_iter()
    .map(|(_, aside)| aside)
    .collect();
    let mut told: Vec<(u64, u32, String)> = Vec::new();
    for record in &aside {
        assert_eq!(record.source, SOURCE);
        told.push((record.sequence, record.tries, String::from_utf8_lossy(&inlined(record)).into_owned()));
    }
    told.sort();
    assert_eq!(told, [(2, 3, "poison 2".into()), (3, 0, "a\nb".into()), (4, 3, "sleepy 4".into())]);
    let why = |sequence: u64| &aside.iter().find(|record| record.sequence == sequence).unwrap().reason;
    assert!(why(2).contains("can't stomach poison 2"), "{}", why(2));
    assert!(why(3).contains("several lines"), "{}", why(3));
    assert!(why(4).contains("no answer"), "{}", why(4));
    kit.stop().await;
}

fn inlined(record: &Aside) -> bytes::Bytes {
    service::body::inlined(&record.record).unwrap()
}

/// Notes when it begins, and gives up at once until the file `mended` is there beside its notes.
const FRAIL: &str = r#"
import json, os, sys, time
folder = json.loads(os.environ["TASKLANE_PARAMS"])["folder"]
with open(folder + "/began", "a") as began:
    began.write(f"{time.time()}\n")
if not os.path.exists(folder + "/mended"):
    sys.exit("no licence")
for line in sys.stdin:
    if "die" in line and not os.path.exists(folder + "/died"):
        open(folder + "/died", "w").close()
        sys.exit("a bad day")
    print(line.strip())
"#;

#[tokio::test]
async fn a_process_that_fails_is_started_again_with_growing_pauses_and_its_last_words_are_told() {
    let kit = Kit::start().await;
    let notes = tempfile::tempdir().unwrap();
    let folder = notes.path().to_str().unwrap();
    let customer = described(&kit, FRAIL, &[("folder", folder)]).await;
    start(&customer).await;
    let began = || -> Vec<f64> {
        let text = std::fs::read_to_string(notes.path().join("began")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    until("it was started five times", || async { if began().len() >= 5 { Ok(()) } else { Err(began()) } })
        .await;
    let times = began();
    for (place, least) in [(1, 0.2), (2, 0.4), (3, 0.8)] {
        let pause = times[place + 1] - times[place];
        assert!(pause >= least, "{pause} s before start {}: {times:?}", place + 1);
    }
    until("it is told to be down", || async {
        let told = status(&customer).await;
        let is_down = told["processIsAlive"] == "false" && told["status"] == "running";
        if is_down && told["lastError"].as_str().unwrap().contains("no licence") { Ok(()) } else { Err(told) }
    })
    .await;

    std::fs::write(notes.path().join("mended"), "").unwrap();
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen(SINK).await;
    topics.publish(SOURCE, ["1".to_owned()]).await;
    assert_eq!(out.next().await, "1");
    let alive = || async {
        until("it is told to be alive", || async {
            let told = status(&customer).await;
            if told["processIsAlive"] == "true" { Ok(told) } else { Err(told) }
        })
        .await
    };
    let before = alive().await;
    // A crash at a record is tried again, so nothing is lost; the task goes on as the one that was started.
    topics.publish(SOURCE, ["die", "3"].map(str::to_owned)).await;
    assert_eq!(out.take(2).await, ["die", "3"]);
    let after = alive().await;
    assert_eq!(after["startDateTime"], before["startDateTime"], "{after}");
    assert!(after["startDateTime"].as_str().unwrap().starts_with("20"), "{after}");
    assert!(after["lastError"].as_str().unwrap().contains("a bad day"), "{after}");
    customer.get("/tasks/s/stop").await.expect(200);
    let stopped = status(&customer).await;
    assert_eq!((&stopped["status"], &stopped["startDateTime"]), (&json!("stopped"), &json!("")), "{stopped}");
    kit.stop().await;
}

#[tokio::test]
async fn batches_come_as_far_apart_as_the_schedule_says() {
    const PERIOD: f64 = 0.7;
    let program = "import sys, time\nfor line in sys.stdin:\n    print(time.time())\n";
    let kit = Kit::start().await;
    let params = [("sml.kstream.record.poll.max", "10"), ("sml.kstream.schedule.ms", "700")];
    let customer = described(&kit, program, &params).await;
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen(SINK).await;
    topics.publish(SOURCE, (0..30).map(|i| i.to_string())).await;
    let began = service::clock::now();
    start(&customer).await;
    let times: Vec<f64> = out.take(30).await.iter().map(|text| text.parse().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    for (record, periods) in [(10, 1.0), (20, 2.0)] {
        let after = times[record] - began.micros() as f64 / 1e6;
        assert!(after >= periods * PERIOD, "record {record} came {after} s after the start: {times:?}");
    }
    kit.stop().await;
}

/// Answers nothing until the file `go` is there.
const WAITING: &str = r#"
import json, os, sys, time
folder = json.loads(os.environ["TASKLANE_PARAMS"])["folder"]
for line in sys.stdin:
    open(folder + "/came", "w").close()
    while not os.path.exists(folder + "/go"):
        time.sleep(0.01)
    print(line.strip())
"#;

#[tokio::test]
async fn a_process_that_is_slow_is_given_no_more_and_the_records_wait_in_their_stream() {
    const WATCHER: &str = "watcher";
    let everything = Permissions { publish: vec![">".to_owned()], subscribe: vec![">".to_owned()] };
    let kit = Kit::start_with(|options| {
        let (name, password) = (WATCHER.to_owned(), WATCHER.to_owned());
        options.users.push(ExtraUser { name, password, permissions: everything });
    })
    .await;
    let notes = tempfile::tempdir().unwrap();
    let params = [("folder", notes.path().to_str().unwrap()), ("sml.kstream.record.poll.max", "100")];
    let customer = described(&kit, WAITING, &params).await;
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen(SINK).await;
    start(&customer).await;
    topics.publish(SOURCE, (0..5_000).map(|i| i.to_string())).await;
    until("the process has a record", || async {
        if notes.path().join("came").exists() { Ok(()) } else { Err("none yet") }
    })
    .await;
    let client = ConnectOptions::with_user_and_password(WATCHER.into(), WATCHER.into());
    let context = jetstream::new(client.connect(&kit.stack.settings.nats_url).await.unwrap());
    let (source, reader) = until("all are stored and its share is given out", || async {
        let source = context.get_stream(source_stream(SOURCE)).await.unwrap();
        let readers: Vec<_> = source.consumers().try_collect().await.unwrap();
        let (stored, given) = (source.cached_info().state.messages, readers[0].delivered.stream_sequence);
        if readers.len() == 1 && stored == 5_000 && given > 0 {
            Ok((source, given))
        } else {
            Err((stored, given))
        }
    })
    .await;
    assert!(reader <= 200, "{reader} records were given out: a batch, and one ahead");
    assert_eq!(source.cached_info().state.messages, 5_000, "nothing is acknowledged");
    std::fs::write(notes.path().join("go"), "").unwrap();
    let expected: Vec<String> = (0..5_000).map(|i| i.to_string()).collect();
    assert_eq!(out.take(5_000).await, expected);
    kit.stop().await;
}

#[tokio::test]
async fn the_most_heap_is_the_memory_of_the_process() {
    let program = "import sys\nfor line in sys.stdin:\n    try:\n        bytearray(400 * 1024 * 1024)\n        \
                   print('given')\n    except MemoryError:\n        print('refused')\n";
    let kit = Kit::start().await;
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen(SINK).await;
    for (most, expected) in [("256m", "refused"), ("1g", "given")] {
        let customer = described(&kit, program, &[("sml.task.heap.max", most)]).await;
        start(&customer).await;
        topics.publish(SOURCE, ["x".to_owned()]).await;
        assert_eq!(out.next().await, expected, "{most}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn the_field_of_a_record_that_is_its_key_says_which_process_gets_it() {
    let program = "import json, os, sys\nfor line in sys.stdin:\n    \
                   print(json.dumps([os.getpid(), json.loads(line)]))\n";
    let kit = Kit::start().await;
    let params = [("sml.task.instances", "3"), ("sml.task.key.field", "customer")];
    let customer = described(&kit, program, &params).await;
    start(&customer).await;
    let topics = Topics::of(&kit).await;
    let mut out = topics.listen(SINK).await;
    let records = (0..300).map(|i| json!({ "number": i, "customer": format!("c{}", i % 10) }).to_string());
    topics.publish(SOURCE, records).await;
    let (mut of_key, mut pids): (BTreeMap<String, (i64, i64)>, BTreeSet<i64>) = Default::default();
    for record in out.take(300).await {
        let record: Value = serde_json::from_str(&record).unwrap();
        let (pid, number) = (record[0].as_i64().unwrap(), record[1]["number"].as_i64().unwrap());
        let (of, last) = of_key.entry(record[1]["customer"].to_string()).or_insert((pid, -1));
        assert_eq!(*of, pid, "one process for one key");
        assert!(number > *last, "{record} after {last}");
        *last = number;
        pids.insert(pid);
    }
    assert_eq!((of_key.len(), pids.len()), (10, 3), "the load is shared");
    kit.stop().await;
}

#[tokio::test]
async fn the_tail_of_topics_is_json_where_that_is_asked_for() {
    let kit = Kit::start().await;
    let password = kit.stack.files.demo_user().unwrap().password;
    let nats = kit.stack.settings.nats_url.replacen("nats://", &format!("nats://demo:{password}@"), 1);
    let mut tail = tokio::process::Command::new(tests::program());
    tail.args(["stream", "tail", "--json", "--nats", &nats, "demo.a", "demo.b"]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let topics = Topics::of(&kit).await;
    let (line, mut shown) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(text)) = lines.next_line().await {
            let _ = line.send(serde_json::from_str::<Value>(&text).expect("a line is JSON"));
        }
    });
    // It says nothing beside the records, so the first that it shows tells that it listens.
    let shown = tokio::sync::Mutex::new(&mut shown);
    until("it listens", || async {
        topics.publish("demo.a", ["early".to_owned()]).await;
        shown.lock().await.try_recv()
    })
    .await;
    for (topic, record, shown_as) in [
        ("demo.a", r#"{"id": 1}"#, json!({ "id": 1 })),
        ("demo.a", "two\nlines", json!("two\nlines")),
        ("demo.b", "3", json!(3)),
    ] {
        topics.publish(topic, [record.to_owned()]).await;
        let mut next = json!({ "topic": "demo.a", "record": "early" });
        while next["record"] == "early" {
            let waited = tokio::time::timeout(PATIENCE, async { shown.lock().await.recv().await }).await;
            next = waited.expect("a line comes").unwrap();
        }
        assert_eq!(next, json!({ "topic": topic, "record": shown_as }));
    }
    kit.stop().await;
}

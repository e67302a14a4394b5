//! Stream tasks whose topics lie on a real Kafka: records keep their keys and their order, the position survives, a
//! cluster that is away is waited for, and what can't be reached says so.

use nix::sys::signal::Signal;
use rskafka::client::partition::Compression;
use serde_json::{Value, json};
use tests::Kit;
use tests::apps::App;
use tests::kafka::Kafka;
use tests::process::{Program, serve_command};
use tests::stored::Stored;
use tests::symetry::Customer;
use tests::wait::until;
use wire::Function;

const MANIFEST: &str = "name = \"upper\"\nversion = \"1.0\"\nruntime = \"stream\"\n[session]\ncommand = [\"python3\", \"filter.py\"]\n";
/// Answers each line with itself in other words, and dies of poison.
const UPPER: &str = "import sys\nfor line in sys.stdin:\n    if 'poison' in line:\n        sys.exit(3)\n    print(line.rstrip('\\n').upper())\n";
const BATCH: usize = 50;

async fn customer(kit: &Kit) -> Customer {
    App { manifest: MANIFEST, files: &[("filter.py", UPPER)] }.publish(&kit.http).await.expect(200);
    Customer::new(&kit.http, "demo", &kit.stack.signing_secret().unwrap())
}

async fn create_and_start(customer: &Customer, servers: &str) {
    create_instances_and_start(customer, servers, 1).await;
}

async fn create_instances_and_start(customer: &Customer, servers: &str, instances: u32) {
    let params = json!({
        "bootstrap.servers": servers, "sml.kstream.source.topic": "orders", "sml.kstream.sink.topic": "scores",
        "sml.kstream.record.poll.max": BATCH.to_string(), "sml.task.heap.max": "512m", "group.id": "taken",
        "sml.task.instances": instances.to_string(),
    });
    let described = json!({ "type": "upper", "name": "k", "params": params });
    customer.create(&described, false).await.expect(202);
    customer.get("/tasks/k/start").await.expect(200);
}

async fn status(customer: &Customer) -> Value {
    let answer = customer.get("/tasks/k").await.expect(200).json();
    answer["values"]["KSVSMap"]["values"][0].clone()
}

async fn until_error(customer: &Customer, said: &str) {
    until(said, || async {
        let told = status(customer).await;
        if told["lastError"].as_str().unwrap().contains(said) { Ok(()) } else { Err(told) }
    })
    .await;
}

fn numbers(range: std::ops::Range<usize>, partition: i32) -> Vec<(String, String)> {
    range.map(|i| (format!("key {partition} {}", i % 5), format!("p{partition} {i}"))).collect()
}

/// Waits for as many records in the sink, and gives those of each partition.
async fn sink(kafka: &Kafka, partitions: i32, count: usize) -> Vec<Vec<(String, String)>> {
    until("the sink is made", || async {
        let there = kafka.partitions("scores").await;
        if there > 0 { Ok(()) } else { Err(there) }
    })
    .await;
    until("the records come out", || async {
        let mut all = Vec::new();
        for partition in 0..partitions {
            all.push(kafka.records("scores", partition).await);
        }
        let come = all.iter().map(Vec::len).sum::<usize>();
        if come >= count { Ok(all) } else { Err(come) }
    })
    .await
}

/// Of each of three partitions so many records went in; all of a key are in one place, in order, once.
fn assert_keys_in_order(all: &[Vec<(String, String)>], each: usize) {
    for partition in 0..3 {
        for key in 0..5 {
            let key = format!("key {partition} {key}");
            let of_key = |(this, value): (String, String)| (this == key).then_some(value);
            let expected = numbers(0..each, partition).into_iter().filter_map(of_key);
            let expected: Vec<String> = expected.map(|value| value.to_uppercase()).collect();
            let places = all.iter().map(|records| records.iter().cloned().filter_map(of_key).collect());
            let places: Vec<Vec<String>> = places.filter(|values: &Vec<String>| !values.is_empty()).collect();
            assert_eq!(places, [expected], "all of {key} in one partition, in order, once");
        }
    }
}

#[tokio::test]
async fn several_instances_share_the_partitions_in_every_compression_that_kafka_has() {
    let Some(kafka) = Kafka::start().await else { return };
    let kit = Kit::start().await;
    let customer = customer(&kit).await;
    kafka.make("orders", 3).await;
    create_instances_and_start(&customer, &kafka.servers(), 3).await;
    let compressions = [Compression::Gzip, Compression::Lz4, Compression::Snappy, Compression::Zstd];
    for (part, compression) in compressions.into_iter().enumerate() {
        for partition in 0..3 {
            let records = numbers(part * 100..part * 100 + 100, partition);
            kafka.publish_in(compression, "orders", partition, records).await;
        }
    }
    assert_keys_in_order(&sink(&kafka, 3, 1_200).await, 400);
    let told = status(&customer).await;
    assert_eq!((&told["lastError"], &told["processIsAlive"]), (&json!(""), &json!("true")), "{told}");
    kit.stop().await;
}

#[tokio::test]
async fn records_keep_their_keys_and_their_order_and_poison_is_set_aside() {
    let Some(kafka) = Kafka::start().await else { return };
    let kit = Kit::start().await;
    let customer = customer(&kit).await;
    kafka.make("orders", 3).await;
    for partition in 0..3 {
        kafka.publish("orders", partition, numbers(0..200, partition)).await;
    }
    create_and_start(&customer, &kafka.servers()).await;
    let all = sink(&kafka, 3, 600).await;
    assert_eq!(kafka.partitions("scores").await, 3, "the sink is made as wide as the source");
    assert_keys_in_order(&all, 200);
    let poison = [("k", "before"), ("k", "poison"), ("k", "after")];
    kafka.publish("orders", 0, poison.map(|(key, value)| (key.to_owned(), value.to_owned()))).await;
    sink(&kafka, 3, 602).await;
    until_error(&customer, "record 201 of orders/0 was set aside").await;
    assert_eq!(Stored::of(&kit).await.messages(wire::topology::ASIDE).await, 1);
    kit.stop().await;
}

#[tokio::test]
async fn the_position_survives_a_stop_a_killed_runner_and_a_cluster_that_is_away() {
    let Some(mut kafka) = Kafka::start().await else { return };
    let mut kit = Kit::start().await;
    kit.without(Function::Runner).await;
    let mut runners = ["first", "second"].map(|name| {
        let work = kit.folder.path().join(name);
        Program::start(
            serve_command(&kit, &[Function::Runner])
                .env("TASKLANE_WORK", work)
                .env("TASKLANE_OUTBOUND_ALLOW", "127.0.0.1"),
        )
    });
    let customer = customer(&kit).await;
    kafka.make("orders", 1).await;
    create_and_start(&customer, &kafka.servers()).await;
    kafka.publish("orders", 0, numbers(0..100, 0)).await;
    sink(&kafka, 1, 100).await;

    customer.get("/tasks/k/stop").await.expect(200);
    kafka.publish("orders", 0, numbers(100..200, 0)).await;
    customer.get("/tasks/k/start").await.expect(200);
    let all = sink(&kafka, 1, 200).await;
    assert_eq!(all[0].len(), 200, "nothing comes twice where nobody is killed");

    let holder = runners.iter().position(|runner| !keeper::live_descendants(runner.pid()).is_empty());
    let holder = holder.expect("one of the runners has the process");
    kafka.publish("orders", 0, numbers(200..1_000, 0)).await;
    runners[holder].signal(Signal::SIGKILL);
    runners[holder].until_ended().await;
    whole(&kafka, 1_000).await;

    kafka.kill().await;
    until_error(&customer, "Kafka can't be used").await;
    kafka.up().await;
    kafka.publish("orders", 0, numbers(1_000..1_100, 0)).await;
    let twice = whole(&kafka, 1_100).await;
    assert!(twice <= 2 * BATCH, "{twice} came twice in two kills, of batches of {BATCH}");
    kit.stop().await;
}

/// Waits until every number has come out, in order of their first coming, and says how many came more than once.
async fn whole(kafka: &Kafka, count: usize) -> usize {
    let expected: Vec<String> = (0..count).map(|i| format!("P0 {i}")).collect();
    until("all have come out", || async {
        let records = kafka.records("scores", 0).await;
        let mut seen = std::collections::BTreeSet::new();
        let firsts: Vec<&String> =
            records.iter().map(|(_, value)| value).filter(|value| seen.insert(*value)).collect();
        if firsts.len() < count {
            return Err((firsts.len(), records.len()));
        }
        assert!(firsts.iter().copied().eq(&expected), "the order is kept");
        Ok(records.len() - count)
    })
    .await
}

#[tokio::test]
async fn a_cluster_leads_nowhere_that_the_operator_has_not_allowed() {
    let Some(mut kafka) = Kafka::start().await else { return };
    kafka.make("orders", 1).await;
    kafka.advertise("10.255.0.1").await;
    let kit = Kit::start().await;
    let customer = customer(&kit).await;
    create_and_start(&customer, &kafka.servers()).await;
    until_error(&customer, "10.255.0.1 is not a public address").await;
    kit.stop().await;
}

#[tokio::test]
async fn what_is_no_kafka_or_not_there_says_so_and_the_task_can_be_stopped() {
    let kit = Kit::start().await;
    let customer = customer(&kit).await;
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent = format!("127.0.0.1:{}", silent.local_addr().unwrap().port());
    let web = kit.stack.url.trim_start_matches("http://").to_owned();
    for (servers, said) in [
        ("nowhere.invalid:9092", "nowhere.invalid:9092: it can't be resolved"),
        (silent.as_str(), "Kafka can't be used"),
        (web.as_str(), "Kafka can't be used"),
    ] {
        create_and_start(&customer, servers).await;
        until_error(&customer, said).await;
        customer.delete("/tasks/k").await.expect(200);
    }
    kit.stop().await;
}

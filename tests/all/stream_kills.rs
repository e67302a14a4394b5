//! A stream task whose filter, runner and broker are killed in turn while records flow: what was acknowledged comes
//! out, what comes twice was under way, and it goes on within five seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::Kit;
use tests::apps::App;
use tests::process::{Program, serve_command};
use tests::symetry::Customer;
use tests::topics::Topics;
use tests::wait::{until, within};
use tokio::task::JoinHandle;
use wire::Function;
use wire::permissions::{ExtraUser, Permissions};
use wire::topology::sink_stream;

const MANIFEST: &str = "name = \"tell\"\nversion = \"1.0\"\nruntime = \"stream\"\n[session]\n\
                        command = [\"python3\", \"filter.py\"]\n";
/// Answers each record with itself and says who did it.
const FILTER: &str = "import os, sys\nfor line in sys.stdin:\n    print(os.getpid(), line.rstrip())\n";

const BATCH: usize = 20;
/// From a kill to the next record, as promised.
const RESUMED: Duration = Duration::from_secs(5);
const WATCHER: &str = "watcher";

/// Everything that the sink has kept.
struct Sink {
    context: Context,
    name: String,
}

impl Sink {
    async fn of(kit: &Kit, topic: &str) -> Self {
        let options = async_nats::ConnectOptions::with_user_and_password(WATCHER.into(), WATCHER.into());
        let client = options.connect(&kit.stack.settings.nats_url).await.unwrap();
        let mut context = jetstream::new(client);
        // A question that meets the broker away is asked anew soon.
        context.set_timeout(Duration::from_millis(500));
        Self { context, name: sink_stream(topic) }
    }

    /// How many records it has; an error while the broker is away.
    async fn count(&self) -> Result<u64, String> {
        let stream = self.context.get_stream(&self.name).await.map_err(|error| error.to_string())?;
        Ok(stream.cached_info().state.messages)
    }

    /// Waits until it has more records than at the first look, by more than what was under way.
    async fn grows(&self, what: &str) {
        let first = std::cell::Cell::new(None);
        within(RESUMED, what, || async {
            let count = self.count().await?;
            if first.get().is_none() {
                first.set(Some(count));
            }
            let grown = count - first.get().unwrap_or(count);
            if grown > 2 * BATCH as u64 { Ok(()) } else { Err(format!("{grown} more records")) }
        })
        .await;
    }

    /// Process and number of every record, in the order of the sink.
    async fn records(&self) -> Vec<(i32, usize)> {
        let count = self.count().await.unwrap();
        let stream = self.context.get_stream(&self.name).await.unwrap();
        let consumer = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
        let messages = consumer.messages().await.unwrap().take(usize::try_from(count).unwrap());
        messages.map(|message| process_and_number(&message.unwrap().payload)).collect().await
    }

    /// Process and number of the newest record.
    async fn newest(&self) -> Result<(i32, usize), String> {
        let mut stream = self.context.get_stream(&self.name).await.map_err(|error| error.to_string())?;
        let last = stream.info().await.map_err(|error| error.to_string())?.state.last_sequence;
        let message = stream.get_raw_message(last).await.map_err(|error| error.to_string())?;
        Ok(process_and_number(&message.payload))
    }
}

fn process_and_number(record: &[u8]) -> (i32, usize) {
    let (pid, number) = std::str::from_utf8(record).unwrap().split_once(' ').unwrap();
    (pid.parse().unwrap(), number.parse().unwrap())
}

/// What became of each number that was published.
struct Published {
    acknowledged: Vec<usize>,
    open: Vec<usize>,
}

/// Publishes numbers, each acknowledged before the next one, until it is over.
fn publish(topics: Topics, over: Arc<AtomicBool>) -> JoinHandle<Published> {
    tokio::spawn(async move {
        let mut published = Published { acknowledged: Vec::new(), open: Vec::new() };
        for number in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            match topics.store("demo.kill.in", number.to_string()).await {
                Ok(()) => published.acknowledged.push(number),
                Err(_) => published.open.push(number),
            }
        }
        published
    })
}

/// A kit without runners of its own, and two runners as programs.
async fn kit_with_runners() -> (Kit, Vec<Program>) {
    let everything = Permissions { publish: vec![">".to_owned()], subscribe: vec![">".to_owned()] };
    let mut kit = Kit::start_with(|options| {
        let (name, password) = (WATCHER.to_owned(), WATCHER.to_owned());
        options.users.push(ExtraUser { name, password, permissions: everything });
    })
    .await;
    kit.without(Function::Runner).await;
    let runner = |name: &str| {
        let work = kit.folder.path().join(name);
        Program::start(serve_command(&kit, &[Function::Runner]).env("TASKLANE_WORK", work))
    };
    let runners = ["first", "second"].map(runner).into();
    App { manifest: MANIFEST, files: &[("filter.py", FILTER)] }.publish(&kit.http).await.expect(200);
    (kit, runners)
}

#[tokio::test]
async fn kills_of_filter_runner_and_broker_lose_no_record_and_are_over_within_five_seconds() {
    let (mut kit, mut runners) = kit_with_runners().await;
    let customer = Customer::new(&kit.http, "demo", &kit.stack.signing_secret().unwrap());
    let params = json!({
        "sml.kstream.source.topic": "demo.kill.in", "sml.kstream.sink.topic": "demo.kill.out",
        "sml.kstream.record.poll.max": BATCH.to_string(),
    });
    let task = json!({ "type": "tell", "name": "kill", "params": params });
    customer.create(&task, false).await.expect(202);
    customer.get("/tasks/kill/start").await.expect(200);
    let over = Arc::new(AtomicBool::new(false));
    let publishing = publish(Topics::of(&kit).await, Arc::clone(&over));
    let sink = Sink::of(&kit, "demo.kill.out").await;
    sink.grows("records flow").await;

    let filter = sink.newest().await.unwrap().0;
    kill(Pid::from_raw(filter), Signal::SIGKILL).unwrap();
    sink.grows("it goes on without its first process").await;

    let filter = sink.newest().await.unwrap().0.cast_unsigned();
    let holds = |runner: &Program| keeper::live_descendants(runner.pid()).contains(&filter);
    let place = runners.iter().position(holds).expect("one of the runners has the process");
    runners.remove(place).kill().await;
    sink.grows("the other runner goes on").await;

    let server = kit.stack.server.as_mut().unwrap();
    server.kill();
    server.restart().unwrap();
    sink.grows("it goes on with the broker").await;

    over.store(true, Ordering::Relaxed);
    let published = publishing.await.unwrap();
    let last = *published.acknowledged.last().unwrap();
    until("the last record has come out", || async {
        let (_, newest) = sink.newest().await?;
        if newest >= last { Ok(()) } else { Err(format!("{newest} of {last}")) }
    })
    .await;
    let records = sink.records().await;
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    let mut firsts = Vec::new();
    for (_, number) in &records {
        let count = times.entry(*number).or_default();
        *count += 1;
        if *count == 1 {
            firsts.push(*number);
        }
    }
    let lost: Vec<&usize> =
        published.acknowledged.iter().filter(|number| !times.contains_key(number)).collect();
    assert!(lost.is_empty(), "{lost:?} of {} were acknowledged and are lost", published.acknowledged.len());
    assert!(firsts.is_sorted(), "the order is kept");
    let twice = published.acknowledged.iter().filter(|number| times[number] > 1).count();
    assert!(twice <= 3 * BATCH, "{twice} came twice in three kills, of batches of {BATCH}");
    eprintln!(
        "{} acknowledged, {} open, {} came out, {twice} twice, {} processes",
        published.acknowledged.len(),
        published.open.len(),
        records.len(),
        records.iter().map(|(pid, _)| pid).collect::<std::collections::BTreeSet<_>>().len(),
    );
    kit.stop().await;
}

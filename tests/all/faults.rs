//! The whole product in real processes, two of each function and three runners, behind a proxy that makes trouble,
//! while processes are killed and frozen at seeded moments: nothing acknowledged is lost, nothing has two results,
//! every way was legal, and no process is left. The same run with a planted bug must fail.
//!
//! `FAULTS_SEED=7 cargo test -p tests faults` makes the same trouble again.

mod clients;
mod posts;
mod trouble;
mod verdict;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::Kit;
use tests::accounts::lane;
use tests::apps::{noop_app, shell_app};
use tests::history::History;
use tests::planted::Planted;
use tests::process::Beside;
use tests::proxy::{Conflicts, Counts, Proxy};

use clients::{Clients, Taken};
use posts::Posts;
use trouble::{Deck, Random, Trouble};

/// What is run, and for how long.
struct Plan {
    seed: u64,
    deck: Deck,
    time: Duration,
    clients: usize,
    /// How many of a hundred tasks are at work for seconds.
    slow: u64,
    /// How long everything may take to end once nothing is in its way.
    drain: Duration,
    planted: Option<Planted>,
    conflicts: Conflicts,
}

/// What really happened.
struct Happened {
    seed: u64,
    trouble: Trouble,
    proxy: Counts,
    taken: Taken,
    /// How often a task lost its runner.
    losses: u32,
    drained: Duration,
    /// Every rule that did not hold.
    broken: Vec<String>,
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, trouble, proxy, taken, losses, drained, .. } = self;
        let Trouble { kills, runner_kills, freezes, runner_freezes, broker_kills, broker_freezes } = trouble;
        let Counts { resets, stalls, cuts, replicated_conflicts } = proxy;
        write!(
            f,
            "faults, seed {seed}: {} creates acknowledged, {} of them after a repetition, {} of unknown outcome; \
             killed: {kills} functions, {runner_kills} runners, the broker {broker_kills} times; \
             frozen: {freezes} functions, {runner_freezes} runners, the broker {broker_freezes} times; \
             connections: {resets} reset, {stalls} times held back, {cuts} cut after a write; \
             {replicated_conflicts} conflicts by the code of a replicated stream; {losses} times a task lost its \
             runner; all had ended {drained:.1?} after the last fault",
            taken.acknowledged.len(),
            taken.repeated,
            taken.unknown
        )
    }
}

/// Past the capture of the test harness, so that a green run tells it too.
fn tell(what: &impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Reads what it is told, is at work for a while, and says at which attempt. A further attempt takes longer, so that
/// what the one before has to say comes in the middle of it.
const WORK: &str = "read -r name pause; [ $TASKLANE_ATTEMPT = 1 ] || sleep 2; sleep $pause
echo \"$name $TASKLANE_ATTEMPT\"";
/// The same with a result that is too large for its record.
const LARGE: &str = "read -r name; echo \"$name $TASKLANE_ATTEMPT\"; head -c 200000 /dev/zero";
const LARGE_BYTES: usize = 200_000;
/// More than the run can cost any task.
const LOSSES: u32 = 100;

async fn run(plan: Plan) -> Happened {
    let mut random = Random::new(plan.seed);
    let mut kit = Kit::start_with(|options| options.replicas = 1).await;
    noop_app(&kit.http, "noop").await;
    shell_app(&kit.http, "shell", &[("run", WORK), ("large", LARGE)]).await;
    lane(&kit.http, "tasks.demo", json!({ "max_running": 32, "retry_limit": LOSSES })).await;
    let history = History::follow(&kit.stack.settings.nats_url, &kit.stack.settings.keys).await;
    let proxy = Proxy::start(&kit.stack.settings.nats_url, plan.conflicts).await;
    let beside = Beside::of(&kit).through(proxy.url());
    let posts = Arc::new(Posts::man(&mut kit, &beside, plan.planted).await);

    let clients = Clients::begin(plan.clients, plan.slow, posts.doors(), &mut random);
    let (trouble, mut broken) = trouble::make(&plan.deck, plan.time, &mut random, &posts, &proxy).await;
    proxy.heal();
    let healed = Instant::now();
    let taken = clients.end(plan.drain).await;
    broken.extend(taken.broken.iter().cloned());
    broken.extend(verdict::drained(&history, &taken, plan.drain).await.err());
    let drained = healed.elapsed();
    broken.extend(verdict::of(&history, &taken));
    let losses = history.tasks().iter().map(|task| task.losses).sum();
    let counts = proxy.counts();
    broken.extend(posts.leave(&mut kit, broken.is_empty()).await);
    kit.stop().await;
    Happened { seed: plan.seed, trouble, proxy: counts, taken, losses, drained, broken }
}

/// The seed that was given, or a fresh one.
fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a person who repeats a run gives its seed")]
    let given = std::env::var("FAULTS_SEED").ok();
    given.map_or_else(
        || service::ids::random().unwrap().as_u64_pair().0 % 1_000_000,
        |text| text.parse().expect("FAULTS_SEED is a whole number"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_breaks_a_promise() {
    let seed = seed();
    tell(&format!("faults, seed {seed}: beginning"));
    let deck = Deck {
        kills: 30,
        runner_kills: 10,
        freezes: 14,
        runner_freezes: 6,
        broker_kills: 2,
        broker_freezes: 1,
        resets: 80,
        stalls: 30,
        cuts: 30,
    };
    let plan = Plan {
        seed,
        deck,
        time: Duration::from_secs(45),
        clients: 12,
        slow: 10,
        drain: Duration::from_secs(30),
        planted: None,
        conflicts: Conflicts::Mixed,
    };
    let happened = run(plan).await;
    tell(&happened);
    assert!(happened.broken.is_empty(), "seed {seed} broke rules:\n{}", happened.broken.join("\n"));
    let Happened { trouble, proxy, taken, losses, .. } = &happened;
    let enough = [
        ("creates", taken.acknowledged.len() as u32, 500),
        ("creates of open outcome", taken.repeated + taken.unknown, 5),
        ("kills", trouble.kills + trouble.runner_kills, 40),
        ("freezes", trouble.freezes + trouble.runner_freezes, 20),
        ("kills of the broker", trouble.broker_kills, 2),
        ("resets", proxy.resets, 60),
        ("stalls", proxy.stalls, 15),
        ("cuts after a write", proxy.cuts, 15),
        ("conflicts of a replicated stream", proxy.replicated_conflicts, 1),
        ("lost runners", *losses, 1),
    ];
    for (what, happened, least) in enough {
        assert!(happened >= least, "the run shows nothing: {happened} {what}, at least {least} wanted");
    }
}

/// A planted bug has to be found within so many runs.
const RUNS_FOR_A_PLANT: usize = 3;

/// Runs with a planted bug until one breaks a rule, which must be the one that the bug breaks.
async fn is_found(planted: Option<Planted>, conflicts: Conflicts, slow: u64, deck: Deck, by: &str) {
    let (time, drain) = (Duration::from_secs(10), Duration::from_secs(8));
    let mut missed = Vec::new();
    for seed in (seed()..).take(RUNS_FOR_A_PLANT) {
        let plan = Plan { seed, deck, time, clients: 6, slow, drain, planted, conflicts };
        let happened = run(plan).await;
        if happened.broken.iter().any(|broken| broken.contains(by)) {
            return;
        }
        missed.push(format!("{happened}; found by {:#?}", happened.broken));
    }
    panic!("{planted:?} with conflicts {conflicts:?} was never found by {by:?}:\n{}", missed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_before_the_record_is_found() {
    let deck = Deck { kills: 20, cuts: 6, ..Deck::default() };
    let by = "acknowledged and has no record";
    is_found(Some(Planted::AckBeforeRecord), Conflicts::Mixed, 0, deck, by).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timed_out_create_that_is_taken_for_a_failure_is_found() {
    let deck = Deck { cuts: 20, ..Deck::default() };
    is_found(Some(Planted::TimeoutIsFailure), Conflicts::Mixed, 0, deck, "has 2 tasks").await;
}

/// A runner that slept through its lease reports the end of a task that by then runs elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_without_epoch_check_is_found() {
    let deck = Deck { runner_freezes: 5, ..Deck::default() };
    let by = "is not the result of its last claim";
    is_found(Some(Planted::NoEpochCheck), Conflicts::Mixed, 20, deck, by).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_sweeper_is_found() {
    let deck = Deck { runner_kills: 4, ..Deck::default() };
    is_found(Some(Planted::NoSweeper), Conflicts::Mixed, 20, deck, "did not end").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_code_that_is_taken_for_fatal_is_found() {
    let deck = Deck { kills: 6, resets: 20, cuts: 20, ..Deck::default() };
    is_found(None, Conflicts::Misread, 0, deck, "was answered 500").await;
}

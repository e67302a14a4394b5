//! Which trouble is made and when, all of it from one seed.

use std::sync::Arc;
use std::time::Duration;

use tests::proxy::Proxy;
use tokio::task::JoinSet;

use super::posts::Posts;

/// The generator splitmix64: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// A time between two, in milliseconds.
    pub fn time(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }
}

/// How often each fault is to happen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deck {
    pub kills: usize,
    pub runner_kills: usize,
    pub freezes: usize,
    pub runner_freezes: usize,
    pub broker_kills: usize,
    pub broker_freezes: usize,
    pub resets: usize,
    pub stalls: usize,
    pub cuts: usize,
}

/// How often a process was killed or frozen; what happened to connections the proxy counts.
#[derive(Debug, Default)]
pub struct Trouble {
    pub kills: u32,
    pub runner_kills: u32,
    pub freezes: u32,
    pub runner_freezes: u32,
    pub broker_kills: u32,
    pub broker_freezes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    KillRunner,
    Freeze,
    FreezeRunner,
    KillBroker,
    FreezeBroker,
    Reset,
    Stall,
    Cut,
}

impl Deck {
    /// All faults in the order of the seed.
    fn shuffled(&self, random: &mut Random) -> Vec<Fault> {
        let kinds = [
            (self.kills, Fault::Kill),
            (self.runner_kills, Fault::KillRunner),
            (self.freezes, Fault::Freeze),
            (self.runner_freezes, Fault::FreezeRunner),
            (self.broker_kills, Fault::KillBroker),
            (self.broker_freezes, Fault::FreezeBroker),
            (self.resets, Fault::Reset),
            (self.stalls, Fault::Stall),
            (self.cuts, Fault::Cut),
        ];
        let mut faults: Vec<Fault> =
            kinds.into_iter().flat_map(|(count, fault)| std::iter::repeat_n(fault, count)).collect();
        for last in (1..faults.len()).rev() {
            faults.swap(last, random.below(last as u64 + 1) as usize);
        }
        faults
    }
}

/// Makes the trouble of a deck within a time, and waits until all is up again. Gives what happened, and which rules
/// were broken by it.
pub async fn make(
    deck: &Deck,
    time: Duration,
    random: &mut Random,
    posts: &Arc<Posts>,
    proxy: &Proxy,
) -> (Trouble, Vec<String>) {
    let faults = deck.shuffled(random);
    let pace = time / (faults.len() as u32).max(1);
    let mut happened = Trouble::default();
    let mut under_way = JoinSet::<Result<(), String>>::new();
    let began = tokio::time::Instant::now();
    for (turn, fault) in (0..).zip(faults) {
        let jitter = pace.mul_f64(random.below(1000) as f64 / 1000.0);
        tokio::time::sleep_until(began + pace * turn + jitter).await;
        let (which, posts) = (random.number(), Arc::clone(posts));
        let (short, long) = (random.time(50, 1500), random.time(300, 4000));
        match fault {
            Fault::Reset => proxy.reset(which),
            Fault::Stall => proxy.stall(which, long),
            Fault::Cut => proxy.cut(which),
            Fault::Kill => {
                happened.kills += 1;
                under_way.spawn(async move { posts.function(which).kill(short).await });
            }
            Fault::KillRunner => {
                happened.runner_kills += 1;
                under_way.spawn(async move { posts.runner(which).kill(short).await });
            }
            Fault::Freeze => {
                happened.freezes += 1;
                under_way.spawn(async move { posts.function(which).freeze(long).await });
            }
            Fault::FreezeRunner => {
                happened.runner_freezes += 1;
                // Longer than its lease.
                let time = random.time(3200, 4500);
                under_way.spawn(async move { posts.runner(which).freeze(time).await });
            }
            Fault::KillBroker => {
                happened.broker_kills += 1;
                under_way.spawn(async move { posts.kill_broker(short).await });
            }
            Fault::FreezeBroker => {
                happened.broker_freezes += 1;
                under_way.spawn(async move { posts.freeze_broker(long).await });
            }
        }
    }
    tokio::time::sleep_until(began + time).await;
    let ended = under_way.join_all().await;
    (happened, ended.into_iter().filter_map(Result::err).collect())
}

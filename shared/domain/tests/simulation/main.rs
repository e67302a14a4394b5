//! Thousands of small worlds with every fault we know of, each from a seed. The rules of the design are
//! checked at every step, and after the faults everything has to come to its end.
//!
//! A failure names its seed. To see that world alone, with what happened in it, set `REPLAY` to the seed.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "this is a test from its first line to its last"
)]

mod check;
mod faults;
mod functions;
mod process;
mod runner;
mod scheduler;
mod store;
mod trouble;
mod users;
mod world;

use std::collections::BTreeMap;

use check::SOMETIMES;
use faults::Plant;
use world::World;

/// A seed to look at alone.
const REPLAY: Option<u64> = None;
const SEEDS: u64 = 2_000;
/// A planted bug has to be found within this many worlds.
const SEEDS_FOR_A_PLANT: u64 = 400;
/// The last lines of what happened are shown of a world that broke a rule.
const LINES_SHOWN: usize = 120;

fn run(seed: u64, plant: Plant, trace: bool) -> World {
    let mut world = World::new(seed, plant, trace);
    world.run();
    world
}

/// What happened in the world of a seed, up to the rule that it broke.
fn story(seed: u64) -> String {
    let world = run(seed, Plant::None, true);
    let lines = world.trace.unwrap_or_default();
    let shown = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default();
    let verdict = world.check.violation.unwrap_or_else(|| "no rule was broken".to_owned());
    format!("seed {seed}: {verdict}\n{}", shown.join("\n"))
}

/// Runs the worlds of some seeds and adds up what was seen in them; the first that breaks a rule ends it.
fn run_all(seeds: impl Iterator<Item = u64>) -> Result<BTreeMap<&'static str, u64>, u64> {
    let mut seen = BTreeMap::new();
    for seed in seeds {
        let world = run(seed, Plant::None, false);
        if world.check.violation.is_some() {
            return Err(seed);
        }
        for (what, times) in world.check.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    Ok(seen)
}

#[test]
fn no_fault_breaks_a_rule_and_everything_ends() {
    if let Some(seed) = REPLAY {
        panic!("REPLAY is set; {}", story(seed));
    }
    let halves = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| scope.spawn(move || run_all((half..SEEDS).step_by(2))));
        halves.map(|half| half.join().expect("a world panicked"))
    });
    let mut seen = BTreeMap::new();
    for half in halves {
        for (what, times) in half.unwrap_or_else(|seed| panic!("{}", story(seed))) {
            *seen.entry(what).or_insert(0) += times;
        }
    }
    let missing: Vec<_> = SOMETIMES.iter().filter(|what| !seen.contains_key(*what)).collect();
    assert!(missing.is_empty(), "in no world it happened that {missing:?}; it did happen that {seen:#?}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..20 {
        let [first, second] = [(); 2].map(|()| run(seed, Plant::None, true));
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

/// Runs worlds with a bug until one breaks a rule, and returns which.
fn found(plant: Plant) -> String {
    let broken = (0..SEEDS_FOR_A_PLANT).find_map(|seed| run(seed, plant, false).check.violation);
    broken.unwrap_or_else(|| panic!("{plant:?} broke no rule in {SEEDS_FOR_A_PLANT} worlds"))
}

#[test]
fn a_bug_is_found() {
    for (plant, expected) in [
        (Plant::NoEpochCheck, "not in force"),
        (Plant::NoRepair, "it never ends"),
        // Two tasks for a request, or none under the id that was acknowledged: whichever is seen first.
        (Plant::CreateAgain, ""),
        (Plant::BlindWrites, ""),
        (Plant::NoClaimCheck, "a runner still holds"),
    ] {
        let broken = found(plant);
        assert!(broken.contains(expected), "{plant:?} broke another rule than expected: {broken}");
    }
}

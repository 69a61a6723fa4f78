//! The council under random walks, judged with true time; and without each of its rules.
//!
//! `COUNCIL_SEEDS` sets how many walks, `COUNCIL_FIRST_SEED` where they begin.

mod judge;
mod node;
mod script;
mod walk;

use midge::council::{Rule, Rules};

use judge::{Coverage, Violation};
use walk::Walk;

const STEPS: u32 = 4_000;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn run(seed: u64, rules: Rules) -> Result<Coverage, Violation> {
    let mut walk = Walk::new(seed, rules);
    walk.walk(STEPS)?;
    Ok(walk.judge.coverage)
}

#[test]
fn nothing_that_must_not_be() {
    let first = from_environment("COUNCIL_FIRST_SEED", 1);
    let seeds = from_environment("COUNCIL_SEEDS", 2_000);
    let mut sum = Coverage::default();
    for seed in first..first + seeds {
        match run(seed, Rules::ALL) {
            Ok(coverage) => sum.add(&coverage),
            Err(Violation(what)) => panic!(
                "{what}\nreplay: COUNCIL_FIRST_SEED={seed} COUNCIL_SEEDS=1 cargo test --profile \
                 sim --features mutants --test council nothing_that_must_not_be"
            ),
        }
    }
    println!("{seeds} walks: {sum:#?}");
    assert!(sum.is_whole() || seeds < 2_000, "something was never provoked");
}

/// The rules that a walk finds broken; `script.rs` has the others.
const FOUND_BY_WALKS: [Rule; 9] = [
    Rule::VoteOnce,
    Rule::VoteForCurrent,
    Rule::BothMajorities,
    Rule::JointFirst,
    Rule::CarryPromise,
    Rule::WaitForPromises,
    Rule::ReleaseEnds,
    Rule::WaitForTold,
    Rule::DurableFirst,
];

#[test]
fn every_rule_is_needed() {
    let limit = from_environment("COUNCIL_MUTANT_SEEDS", 3_000);
    let mut missed = Vec::new();
    for rule in FOUND_BY_WALKS {
        match (1..=limit).find_map(|seed| run(seed, Rules::without(rule)).err().map(|v| (seed, v)))
        {
            Some((seed, Violation(what))) => println!("{rule:?}: {what} (seed {seed})"),
            None => missed.push(rule),
        }
    }
    assert!(missed.is_empty(), "not found in {limit} walks: {missed:?}");
}

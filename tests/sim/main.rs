//! The deterministic simulator and its scenarios: whole nodes in virtual time, under every fault
//! of the network, of processes and of membership, with the invariants checked at every step.
//!
//! `cargo test --profile sim --test sim -- --nocapture` runs all and prints the figures.

#[allow(dead_code, reason = "the example `fleet` uses other parts of it than the scenarios do")]
mod harness;
mod runner;
mod scenarios;

use std::io::Write;

use runner::{Scenario, check, replay, say};
use scenarios::{churn, faulty, hostile, network, numbers, tables, upgrade};

/// Runs at N = 50 without a violation that CI owes.
const SEEDS_AT_50: u64 = 300;

/// Scenarios whose checks are more than [`check`]: below, by name.
const OTHERS: &[Scenario] = &[
    network::SLOW_AT_100,
    network::SLOW_WITHOUT_LIFEGUARD,
    numbers::IDLE,
    numbers::BURST,
    numbers::CRASH,
    numbers::PARTITION,
    numbers::SURVIVORS,
];

/// Same seed, same trace, byte for byte; and the entry for replaying a failure.
#[test]
fn replay_gives_the_same_trace() {
    replay(&[CHECKED, OTHERS].concat());
}

/// Other seeds give other traces: the hash is not blind.
#[test]
fn another_seed_gives_another_trace() {
    let run = |seed| {
        let params = runner::Params { seed, nodes: 5 };
        runner::run_one(&churn::JOIN, params).map_or_else(|v| panic!("{v}"), |report| report.hash)
    };
    assert_ne!(run(1), run(2));
}

/// The checks can fail.
#[test]
fn faulty_nodes_are_found() {
    faulty::all_are_found();
}

/// So can those of the protocol.
#[test]
fn impatient_nodes_are_found() {
    upgrade::the_later_protocol_is_undone();
    upgrade::impatience_is_found();
}

/// CI runs as many seeds at N = 50 as it owes; says how many, past the harness that keeps the
/// output of a test that passes.
#[test]
fn seeds_at_50_are_enough() {
    let sum: u64 = CHECKED.iter().filter(|s| s.nodes == 50).map(|s| s.seeds).sum();
    writeln!(std::io::stderr(), "seeds at N = 50: {sum}, at least {SEEDS_AT_50}").expect("stderr");
    assert!(sum >= SEEDS_AT_50, "{sum}");
}

macro_rules! scenario_tests {
    ($($test:ident: $scenario:expr;)*) => {
        /// Every scenario that a test below runs with all its seeds.
        const CHECKED: &[Scenario] = &[$($scenario),*];

        $(
            #[test]
            fn $test() {
                scenario(stringify!($test), &$scenario);
            }
        )*
    };
}

/// Runs a scenario, and says how long everything took.
fn scenario(test: &str, scenario: &Scenario) {
    let results = check(scenario);
    say(&format!("scenario/{test}"), &results.times());
}

scenario_tests! {
    join: churn::JOIN;
    crash: churn::CRASH;
    restart: churn::RESTART;
    clock_backwards: churn::CLOCK_BACKWARDS;
    epoch_zero: churn::EPOCH_ZERO;
    clock_drift: churn::CLOCK_DRIFT;
    leave: churn::LEAVE;
    pause: churn::PAUSE;
    sawtooth: churn::SAWTOOTH;
    address_reuse: churn::ADDRESS_REUSE;
    tags: churn::TAGS;
    lossy_5: network::LOSSY_5;
    lossy_20: network::LOSSY_20;
    damaged: network::DAMAGED;
    partition: network::PARTITION;
    partition_tenth: network::PARTITION_TENTH;
    partition_thirds: network::PARTITION_THIRDS;
    one_way: network::ONE_WAY;
    bridge: network::BRIDGE;
    flapping: network::FLAPPING;
    half_connected: network::HALF_CONNECTED;
    slow: network::SLOW;
    full_table: tables::FULL;
    small_table_churn: tables::CHURN;
    mixed_tables: tables::MIXED;
    foreign_cluster: hostile::FOREIGN;
    two_at_one_address: hostile::TWO_AT_ONE;
    recorded_datagrams: hostile::REPLAY;
    forged_introductions: hostile::FORGED;
    upgrade_node_by_node: upgrade::NODE_BY_NODE;
}

#[test]
fn slow_without_lifeguard_fails_healthy_nodes() {
    network::without_lifeguard();
}

#[test]
fn numbers_idle() {
    numbers::idle();
}

#[test]
fn numbers_burst() {
    numbers::burst();
}

#[test]
fn numbers_partition_at_100() {
    numbers::partition_at_100();
}

#[test]
fn numbers_survivors() {
    numbers::survivors();
}

#[test]
fn numbers_slow_at_100() {
    numbers::slow_at_100();
}

#[test]
fn numbers_crash_at_100() {
    numbers::crash_at_100();
}

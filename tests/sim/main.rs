//! The deterministic simulator and its scenarios: whole nodes in virtual time, under every fault
//! of the network, of processes and of membership, with the invariants checked at every step.
//!
//! `cargo test --profile sim --test sim -- --nocapture` runs all and prints the figures.

#[allow(dead_code, reason = "the example `fleet` uses other parts of it than the scenarios do")]
mod harness;
mod runner;
mod scenarios;

use runner::{Scenario, check, replay};
use scenarios::{churn, faulty, hostile, network, numbers, tables};

/// All scenarios, most of them at N = 50; CI runs some 300 seeds in total.
const SCENARIOS: &[Scenario] = &[
    churn::JOIN,
    churn::CRASH,
    churn::RESTART,
    churn::CLOCK_BACKWARDS,
    churn::EPOCH_ZERO,
    churn::LEAVE,
    churn::PAUSE,
    churn::SAWTOOTH,
    churn::ADDRESS_REUSE,
    churn::TAGS,
    network::LOSSY_5,
    network::LOSSY_20,
    network::DAMAGED,
    network::PARTITION,
    network::PARTITION_TENTH,
    network::ONE_WAY,
    network::BRIDGE,
    network::FLAPPING,
    network::HALF_CONNECTED,
    network::SLOW,
    network::SLOW_WITHOUT_LIFEGUARD,
    network::SLOW_AT_100,
    tables::FULL,
    tables::CHURN,
    tables::MIXED,
    hostile::FOREIGN,
    hostile::TWO_AT_ONE,
    hostile::REPLAY,
    hostile::FORGED,
    numbers::IDLE,
    numbers::BURST,
    numbers::CRASH,
    numbers::PARTITION,
];

/// Same seed, same trace, byte for byte; and the entry for replaying a failure.
#[test]
fn replay_gives_the_same_trace() {
    replay(SCENARIOS);
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

macro_rules! scenario_tests {
    ($($test:ident: $scenario:expr;)*) => {
        $(
            #[test]
            fn $test() {
                check(&$scenario);
            }
        )*
    };
}

scenario_tests! {
    join: churn::JOIN;
    crash: churn::CRASH;
    restart: churn::RESTART;
    clock_backwards: churn::CLOCK_BACKWARDS;
    epoch_zero: churn::EPOCH_ZERO;
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
    one_way: network::ONE_WAY;
    bridge: network::BRIDGE;
    flapping: network::FLAPPING;
    half_connected: network::HALF_CONNECTED;
    slow: network::SLOW;
    slow_at_100: network::SLOW_AT_100;
    numbers_partition_at_100: numbers::PARTITION;
    full_table: tables::FULL;
    small_table_churn: tables::CHURN;
    mixed_tables: tables::MIXED;
    foreign_cluster: hostile::FOREIGN;
    two_at_one_address: hostile::TWO_AT_ONE;
    recorded_datagrams: hostile::REPLAY;
    forged_introductions: hostile::FORGED;
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
fn numbers_crash_at_100() {
    numbers::crash_at_100();
}

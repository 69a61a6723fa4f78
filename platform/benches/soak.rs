//! Thirty agents that are asked everything for ten minutes: whether they use the heap, and whether
//! they grow.
//!
//! ```text
//! SOAK_SECONDS=600 cargo bench --package midge-agent --bench soak
//! ```
//!
//! `MIDGE_BIN` names the binary, as for the process tests.

#[allow(dead_code, reason = "the process tests use other parts of it")]
#[path = "../tests/process/harness.rs"]
mod harness;
#[allow(dead_code, reason = "the test in it is run by the process tests")]
#[path = "../tests/process/steady.rs"]
mod steady;
#[allow(dead_code, unreachable_pub, reason = "other tests use other parts of it")]
#[path = "../tests/clockbound/writer.rs"]
mod writer;

use std::time::Duration;

use harness::{Directory, Options, cluster_with};

const NODES: usize = 30;
const DEFAULT_SECS: u64 = 600;

/// The most that an agent may grow in resident memory, KiB: pages of its fixed memory that are
/// used for the first time, and none after all have been.
const GROWTH_KIB: u64 = 256;

fn main() {
    // `cargo test --all-targets` only wants to know that it builds and starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let given = std::env::var("SOAK_SECONDS").ok();
    let secs = given.map_or(DEFAULT_SECS, |secs| secs.parse().expect("a number of seconds"));
    println!("soak: N = {NODES}, {secs} s");
    allocations_of_thirty(Duration::from_secs(secs));
}

fn allocations_of_thirty(time: Duration) {
    let directory = Directory::new();
    let clock = steady::clock_option(&directory);
    let agents = cluster_with(NODES, |at| Options {
        period_ms: 1_000,
        more: vec![format!("--name=node-{at}"), clock.clone()],
        ..Options::default()
    });
    let report = steady::poll_everything(&agents, time);
    println!(
        "soak: {} requests, {} streams, {} events, {} allocations, grown by at most {} KiB, \
         longest round {} us",
        report.requests,
        report.streams,
        report.events,
        report.allocations,
        report.grown_kib,
        report.longest_us,
    );
    println!(
        "numbers: {}::allocations_of_thirty {}, {} KiB",
        file!(),
        report.allocations,
        report.grown_kib,
    );
    assert_eq!(report.allocations, 0, "the steady state uses no heap");
    assert!(report.grown_kib <= GROWTH_KIB, "more than {GROWTH_KIB} KiB");
}

//! How long real agents take, over loopback and with the default period: until five that start at
//! once through one seed agree, and until a crash among five is known to all.
//!
//! ```text
//! cargo bench --package midge-agent --bench processes
//! ```
//!
//! `MIDGE_BIN` names the binary, as for the process tests.

#[allow(dead_code, reason = "the process tests use other parts of it")]
#[path = "../tests/process/harness.rs"]
mod harness;

use std::thread;
use std::time::{Duration, Instant};

use harness::{Options, cluster_with};

const NODES: usize = 5;
const RUNS: u32 = 10;
/// The default.
const PERIOD: Duration = Duration::from_secs(1);

fn options() -> Options {
    Options { period_ms: PERIOD.as_millis() as u32, ..Options::default() }
}

fn main() {
    // `cargo test --all-targets` only wants to know that it builds and starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    report("five_agree", "from the first start until one view", five_agree);
    report(
        "crash_known_to_all",
        "from the crash until everyone else sees `failed`",
        crash_known_to_all,
    );
}

fn report(name: &str, what: &str, measure: fn(u32) -> Duration) {
    println!("{name}: {what}, N = {NODES}, {RUNS} runs, ms");
    let mut all: Vec<u128> = (0..RUNS).map(|run| measure(run).as_millis()).collect();
    all.sort_unstable();
    let median = (all[all.len() / 2] + all[(all.len() - 1) / 2]) / 2;
    let most = all[all.len() - 1];
    println!("{name}: min {} median {median} max {most}\n", all[0]);
    let seconds = |ms: u128| ms as f64 / 1_000.0;
    println!(
        "numbers: {}::{name} {:.2} s, at most {:.2} s, of {RUNS}",
        file!(),
        seconds(median),
        seconds(most)
    );
}

/// The seed first, since the kernel chooses its port; the others at once when that is known.
fn five_agree(_run: u32) -> Duration {
    let start = Instant::now();
    let agents = cluster_with(NODES, |_| options());
    let taken = start.elapsed();
    drop(agents);
    taken
}

/// Each run crashes its victim in another tenth of the period.
fn crash_known_to_all(run: u32) -> Duration {
    let mut agents = cluster_with(NODES, |_| options());
    let mut victim = agents.pop().expect("there are five");
    thread::sleep(PERIOD / RUNS * run);
    let start = Instant::now();
    victim.crash();
    for agent in &agents {
        agent.sees(victim.addr(), "failed");
    }
    start.elapsed()
}

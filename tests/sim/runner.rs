//! Runs scenarios over seeds on all cores, shows how far that is, and says how to replay what
//! failed.
//!
//! Environment: `SIM_SEEDS` runs so many seeds of each scenario instead of its own number,
//! `SIM_FIRST_SEED` begins elsewhere than at 1: `make sim` runs thousands. For one run:
//! `SIM_SCENARIO`, `SIM_SEED`, `SIM_NODES`, and `SIM_TRACE=1` for the end of the trace,
//! `SIM_TRACE=all` for all of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::view::Totals;
use crate::harness::{Violation, World};

/// What decides a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
}

/// What a run yields: figures by name (the unit is in the name), sums, and the hash of its trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) figures: Vec<(&'static str, u64)>,
    pub(crate) totals: Totals,
    pub(crate) hash: u64,
}

impl Report {
    /// Notes a figure.
    pub(crate) fn figure(&mut self, name: &'static str, value: u64) {
        self.figures.push((name, value));
    }

    /// Closes the world's books.
    pub(crate) fn close(mut self, mut world: World) -> Outcome {
        self.totals = world.finish()?;
        self.hash = world.trace.hash();
        Ok(self)
    }
}

/// A report, or the rule that was broken.
pub(crate) type Outcome = Result<Report, Violation>;

/// A scenario: what happens to a fleet of some size.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Seeds that CI runs.
    pub(crate) seeds: u64,
    pub(crate) nodes: usize,
    pub(crate) run: fn(Params) -> Outcome,
}

/// All figures of a scenario, sorted, by name.
pub(crate) struct Results {
    pub(crate) figures: BTreeMap<&'static str, Vec<u64>>,
    pub(crate) reports: Vec<Report>,
}

impl Results {
    /// The value that a share of the runs does not exceed (0.5: the median).
    pub(crate) fn quantile(&self, name: &str, share: f64) -> u64 {
        let values = &self.figures[name];
        let at = (values.len() as f64 * share).ceil() as usize;
        values[at.clamp(1, values.len()) - 1]
    }

    /// How long each thing took: the median, and the most of so many measurements.
    pub(crate) fn times(&self) -> String {
        let mut out = String::new();
        for name in self.figures.keys() {
            let Some(what) = name.strip_suffix("_ms") else { continue };
            let what = what.strip_suffix("_one_view").unwrap_or(what).replace('_', " ");
            let second = |share| self.quantile(name, share) as f64 / 1e3;
            let comma = if out.is_empty() { "" } else { "; " };
            let (median, worst) = (second(0.5), second(1.0));
            out += &format!("{comma}{what} {median:.1} s, worst {worst:.1} s");
        }
        let runs = self.reports.len();
        if out.is_empty() { format!("{runs} runs") } else { format!("{out}; {runs} runs") }
    }

    /// A sum over all runs.
    pub(crate) fn sum(&self, of: impl Fn(&Totals) -> u64) -> u64 {
        self.reports.iter().map(|report| of(&report.totals)).sum()
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Runs one seed; a panic inside counts as a violation.
pub(crate) fn run_one(scenario: &Scenario, params: Params) -> Outcome {
    let run = AssertUnwindSafe(|| (scenario.run)(params));
    catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("of unknown kind");
        Err(Violation(format!("a panic: {text}")))
    })
}

/// Runs all seeds of a scenario, prints its figures, and panics at a violation with the command
/// that replays it.
pub(crate) fn check(scenario: &Scenario) -> Results {
    let started = Instant::now();
    let first = number("SIM_FIRST_SEED").unwrap_or(1);
    let seeds = number("SIM_SEEDS").unwrap_or(scenario.seeds);
    let nodes = number("SIM_NODES").map_or(scenario.nodes, |nodes| nodes as usize);
    let next = AtomicU64::new(first);
    let reports = Mutex::new(BTreeMap::new());
    let failure = Mutex::new(None);
    let progress = Mutex::new(Instant::now());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || failure.lock().expect("no worker panics").is_some() {
                break;
            }
            match run_one(scenario, Params { seed, nodes }) {
                Ok(report) => {
                    let mut reports = reports.lock().expect("no worker panics");
                    reports.insert(seed, report);
                    RUNS.fetch_add(1, Ordering::Relaxed);
                    show(scenario, reports.len(), seeds, &progress);
                }
                Err(violation) => {
                    let mut failure = failure.lock().expect("no worker panics");
                    failure.get_or_insert((seed, violation));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds as usize);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
    if let Some((seed, violation)) = failure.into_inner().expect("no worker panics") {
        panic!("{}", explain(scenario, Params { seed, nodes }, &violation));
    }
    let reports: Vec<Report> =
        reports.into_inner().expect("no worker panics").into_values().collect();
    let results = gather(reports);
    print_results(scenario.name, nodes, &results, started.elapsed().as_secs_f64());
    results
}

/// Says what docs/numbers.md has of a test of `main.rs`, past the harness that keeps the output of
/// a test that passes.
pub(crate) fn say(test: &str, value: &str) {
    let line = format!("numbers: tests/sim/main.rs::{test} {value}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr");
}

fn gather(reports: Vec<Report>) -> Results {
    let mut figures: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for &(name, value) in reports.iter().flat_map(|report| &report.figures) {
        figures.entry(name).or_default().push(value);
    }
    figures.values_mut().for_each(|values| values.sort_unstable());
    Results { figures, reports }
}

/// Runs without a violation, of all scenarios.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Now and then a line past the harness that keeps the output of tests.
fn show(scenario: &Scenario, done: usize, seeds: u64, last: &Mutex<Instant>) {
    const PAUSE: Duration = Duration::from_secs(10);
    let mut last = last.lock().expect("no worker panics");
    if last.elapsed() < PAUSE {
        return;
    }
    *last = Instant::now();
    let (name, runs) = (scenario.name, RUNS.load(Ordering::Relaxed));
    // A line that cannot be written is not missed.
    let _ = writeln!(std::io::stderr(), "{name}: {done} of {seeds} seeds; {runs} runs in all");
}

/// The violation, how to replay it, and the smallest fleet that shows one with the same seed.
fn explain(scenario: &Scenario, params: Params, violation: &Violation) -> String {
    let Params { seed, nodes } = params;
    let name = scenario.name;
    let mut text = format!(
        "{name}, seed {seed}: {violation}\nreplay: SIM_SCENARIO={name} SIM_SEED={seed} \
         SIM_NODES={nodes} SIM_TRACE=1 cargo test --profile sim --test sim replay -- --nocapture"
    );
    let smaller = [5, 8, 13, 20, 30].into_iter().filter(|&fewer| fewer < nodes);
    for fewer in smaller {
        if let Err(small) = run_one(scenario, Params { seed, nodes: fewer }) {
            let small = small.0.lines().next().unwrap_or_default();
            text += &format!("\nwith SIM_NODES={fewer} instead: {small}");
            break;
        }
    }
    text
}

fn print_results(name: &str, nodes: usize, results: &Results, real_s: f64) {
    let seeds = results.reports.len();
    let runs = RUNS.load(Ordering::Relaxed);
    println!("{name}: N = {nodes}, {seeds} seeds, no violation, {real_s:.1} s; {runs} runs in all");
    for (figure, values) in &results.figures {
        let (median, p95) = (results.quantile(figure, 0.5), results.quantile(figure, 0.95));
        let worst = values.last().copied().unwrap_or(0);
        println!("  {figure:<28} median {median:>8}  p95 {p95:>8}  worst {worst:>8}");
    }
    let sum = |of: fn(&Totals) -> u64| results.sum(of);
    println!(
        "  suspicions {}, refutations {}, false failures {}, by nodes with a fault {}, of nodes \
         with a fault {}, of leavers {}; datagrams {}, rejected {}, longest {} B; most of one node in 10 periods {}",
        sum(|t| t.suspicions),
        sum(|t| t.refutations),
        sum(|t| t.false_failures),
        sum(|t| t.failed_by_exempt),
        sum(|t| t.failed_exempt),
        sum(|t| t.failed_leavers),
        sum(|t| t.datagrams),
        sum(|t| t.rejected),
        results.reports.iter().map(|r| r.totals.longest).max().unwrap_or(0),
        results.reports.iter().map(|r| r.totals.datagrams_in_window).max().unwrap_or(0),
    );
}

/// Runs one seed twice, and wants the same trace; the seed and scenario come from the environment.
pub(crate) fn replay(scenarios: &[Scenario]) {
    let name = std::env::var("SIM_SCENARIO").unwrap_or_else(|_| "restart".into());
    let scenario = scenarios
        .iter()
        .find(|scenario| scenario.name == name)
        .unwrap_or_else(|| panic!("SIM_SCENARIO={name} is none of {}", names(scenarios)));
    let seed = number("SIM_SEED").unwrap_or(1);
    let nodes = number("SIM_NODES").map_or(scenario.nodes, |nodes| nodes as usize);
    let params = Params { seed, nodes };
    let run = || match run_one(scenario, params) {
        Ok(report) => report,
        Err(violation) => panic!("{name}, seed {seed}: {violation}"),
    };
    let (first, second) = (run(), run());
    assert_eq!(first.hash, second.hash, "{name}, seed {seed}: two runs differ");
    println!("{name}, seed {seed}: trace {:016x}, twice; {:?}", first.hash, first.figures);
}

fn names(scenarios: &[Scenario]) -> String {
    scenarios.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ")
}

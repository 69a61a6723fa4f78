//! A fleet of simulated nodes, the real code in virtual time: how long until everyone agrees, and
//! what it costs.
//!
//! ```text
//! cargo run --release --example fleet -- --nodes 200 --scenario sawtooth --seed 1
//! ```

#[allow(dead_code, unused_imports, reason = "the scenarios of the tests use other parts of it")]
#[path = "../../tests/sim/harness/mod.rs"]
mod harness;

mod chart;
mod scenarios;

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use chart::Chart;
use harness::{Rules, SECOND, World};
use scenarios::{Fleet, Table};

const HELP: &str = "\
fleet: simulate a fleet of midge nodes in virtual time

usage: fleet [--nodes N] [--scenario NAME] [--period MS] [--seed S] [--hours H] [--svg FILE]

  --nodes N        2 to 4000 nodes (default 50)
  --scenario NAME  idle       start, then do nothing for max(120 s, N periods)
                   burst      all start at once through one seed
                   crash      20 crashes, one after the other
                   partition  split into halves for 10 minutes, then heal
                   partition-tenth   a tenth is split off, likewise
                   partition-thirds  three parts that do not hear each other, likewise
                   sawtooth   2 -> N -> 2, 20 times, by leaving and by crashing in turn
                   loss       one datagram in twenty is lost, for --hours of virtual time
                   lossy      one in five is lost, and a node crashes meanwhile
                   slow       one node reads its packets 5 to 20 s late, half of the time
                   half-connected  one node and half of the others do not hear each other
                   (default idle)
  --period MS      protocol period, 50 to 60000 (default 1000)
  --seed S         same seed, same run (default 1)
  --hours H        how long `loss` lasts, 1 to 1000 (default 1)
  --svg FILE       draw how many members each node sees, over time

example: fleet --nodes 200 --scenario sawtooth --seed 7
exit status: 0 one view at every point, 1 a rule was broken, 2 usage
";

/// Nodes that fit into a few gigabytes.
const NODES_MAX: usize = 4_000;

/// From here on whole tables are compared once a second instead of after every change, and of
/// larger fleets less often: a row costs the same at any size.
const LARGE: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Idle,
    Burst,
    Crash,
    Partition(&'static [usize]),
    Sawtooth,
    Loss,
    Lossy,
    Slow,
    HalfConnected,
}

const KINDS: [(&str, Kind); 11] = [
    ("idle", Kind::Idle),
    ("burst", Kind::Burst),
    ("crash", Kind::Crash),
    ("partition", Kind::Partition(&[5])),
    ("partition-tenth", Kind::Partition(&[1])),
    ("partition-thirds", Kind::Partition(&[3, 3])),
    ("sawtooth", Kind::Sawtooth),
    ("loss", Kind::Loss),
    ("lossy", Kind::Lossy),
    ("slow", Kind::Slow),
    ("half-connected", Kind::HalfConnected),
];

struct Options {
    nodes: usize,
    kind: Kind,
    period_ms: u32,
    seed: u64,
    hours: u64,
    svg: Option<PathBuf>,
}

enum Request {
    Run(Options),
    Help,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut options =
        Options { nodes: 50, kind: Kind::Idle, period_ms: 1_000, seed: 1, hours: 1, svg: None };
    while let Some(arg) = args.next() {
        if arg == "--help" || arg == "-h" {
            return Ok(Request::Help);
        }
        let (name, given) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let names = ["--nodes", "--scenario", "--period", "--seed", "--hours", "--svg"];
        if !names.contains(&name.as_str()) {
            return Err(format!("unknown argument {name}"));
        }
        let value = given.or_else(|| args.next()).ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--nodes" => {
                let nodes = value.parse().ok().filter(|n| (2..=NODES_MAX).contains(n));
                options.nodes = nodes.ok_or(format!("--nodes {value}: 2 to {NODES_MAX}"))?;
            }
            "--scenario" => {
                let kind = KINDS.iter().find(|(name, _)| *name == value);
                let names = KINDS.map(|(name, _)| name).join(", ");
                options.kind = kind.ok_or(format!("--scenario {value}: one of {names}"))?.1;
            }
            "--hours" => {
                let hours = value.parse().ok().filter(|hours| (1..=1_000).contains(hours));
                options.hours = hours.ok_or(format!("--hours {value}: 1 to 1000"))?;
            }
            "--period" => {
                let period = value.parse().ok().filter(|period| (50..=60_000).contains(period));
                options.period_ms = period.ok_or(format!("--period {value}: 50 to 60000"))?;
            }
            "--svg" => options.svg = Some(value.into()),
            _ => {
                let seed = value.parse().ok();
                options.seed = seed.ok_or(format!("--seed {value}: a number below 2^64"))?;
            }
        }
    }
    Ok(Request::Run(options))
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Request::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Request::Run(options)) => run(&options),
        Err(error) => {
            eprintln!("fleet: {error}. See: fleet --help");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let started = Instant::now();
    let rules = Rules {
        scan_changes: options.nodes < LARGE,
        scan_every: SECOND * (options.nodes / LARGE).max(1) as u64,
        // Where nodes are parted, or lose much, failures are what is looked at.
        no_false_failures: !matches!(options.kind, Kind::Partition(_) | Kind::Lossy),
        period_ms: options.period_ms,
        ..Rules::default()
    };
    let mut world = World::new(options.seed, rules);
    let chart = Rc::new(RefCell::new(Chart::default()));
    world.watcher = Some(watcher(started, options.svg.is_some().then(|| Rc::clone(&chart))));
    world.add_hosts(options.nodes);
    let mut fleet = Fleet { world, nodes: options.nodes, table: Table::default() };
    let outcome = match options.kind {
        Kind::Idle => fleet.idle(),
        Kind::Burst => fleet.burst(),
        Kind::Crash => fleet.crash(),
        Kind::Partition(tenths) => fleet.partition(tenths),
        Kind::Sawtooth => fleet.sawtooth(),
        Kind::Loss => fleet.loss(options.hours),
        Kind::Lossy => fleet.lossy(),
        Kind::Slow => fleet.slow(),
        Kind::HalfConnected => fleet.half_connected(),
    };
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let outcome = outcome.and_then(|()| fleet.world.finish());
    print!("{}", fleet.table.render());
    println!("{}", summary(&fleet.world, started.elapsed()));
    if let Some(path) = &options.svg {
        let svg = chart.borrow().svg(&title(options));
        if let Err(error) = std::fs::write(path, svg) {
            eprintln!("fleet: {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(violation) => {
            eprintln!("fleet: a rule was broken: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn title(options: &Options) -> String {
    let Options { nodes, kind, period_ms, seed, .. } = options;
    let name = KINDS.iter().find(|(_, known)| known == kind).map_or("", |(name, _)| name);
    format!("{name}: {nodes} nodes, period {period_ms} ms, seed {seed}")
}

/// What was counted in all.
fn summary(world: &World, real: Duration) -> String {
    let totals = &world.totals;
    let node_s = (totals.node_us / SECOND).max(1);
    format!(
        "\n{} false failures, {} suspicions, {} refutations, {} probes ({} unanswered)\n\
         a node with a fault was taken for dead {} times, and took others for dead {} times\n\
         {} datagrams, {} B, the longest {} B; {} wake-ups, at most {} of a node in a second\n\
         {:.0} s simulated in {:.1} s, {:.1} us of processor time for a second of a node; \
         trace {:016x}",
        totals.false_failures,
        totals.suspicions,
        totals.refutations,
        totals.probes,
        totals.probes_failed,
        totals.failed_exempt,
        totals.failed_by_exempt,
        totals.datagrams,
        totals.bytes,
        totals.longest,
        totals.wakes,
        totals.wakes_in_second,
        world.now as f64 / SECOND as f64,
        real.as_secs_f64(),
        processor_time().unwrap_or(real).as_secs_f64() * 1e6 / node_s as f64,
        world.trace.hash(),
    )
}

/// What this program has used so far, where the system tells.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Draws, if there is a chart; and shows a line on the terminal, at most ten times a second,
/// elsewhere one every ten seconds.
fn watcher(started: Instant, chart: Option<Rc<RefCell<Chart>>>) -> Box<dyn FnMut(&World)> {
    let tty = std::io::stderr().is_terminal();
    let pause = if tty { Duration::from_millis(100) } else { Duration::from_secs(10) };
    let mut last = Instant::now();
    Box::new(move |world| {
        if let Some(chart) = &chart {
            chart.borrow_mut().sample(world);
        }
        if last.elapsed() < pause {
            return;
        }
        last = Instant::now();
        let (start, end) = if tty { ("\r", "\x1b[K") } else { ("", "\n") };
        let nodes = world.well().count();
        let (simulated, real) = (world.now / SECOND, started.elapsed().as_secs());
        let datagrams = world.totals.datagrams;
        let mut stderr = std::io::stderr();
        // A progress line that cannot be written is not missed.
        let _ = write!(
            stderr,
            "{start}{simulated} s simulated, {nodes} nodes, {datagrams} datagrams, {real} s{end}"
        );
        let _ = stderr.flush();
    })
}

//! A fleet of simulated nodes, the real code in virtual time: how long until everyone agrees, and
//! what it costs.
//!
//! ```text
//! cargo run --release --example fleet -- --nodes 200 --scenario sawtooth --seed 1
//! ```

#[allow(dead_code, unused_imports, reason = "the scenarios of the tests use other parts of it")]
#[path = "../tests/sim/harness/mod.rs"]
mod harness;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::{HostId, MS, Micros, Rules, SECOND, Scope, Start, Violation, World};

const HELP: &str = "\
fleet: simulate a fleet of midge nodes in virtual time

usage: fleet [--nodes N] [--scenario NAME] [--seed S] [--hours H]

  --nodes N        2 to 4000 nodes (default 50)
  --scenario NAME  idle       start, then do nothing for max(120 s, N periods)
                   burst      all start at once through one seed
                   crash      20 crashes, one after the other
                   partition  split into halves for 10 minutes, then heal
                   sawtooth   2 -> N -> 2, 20 times, by leaving and by crashing in turn
                   loss       one datagram in twenty is lost, for --hours of virtual time
                   (default idle)
  --seed S         same seed, same run (default 1)
  --hours H        how long `loss` lasts, 1 to 1000 (default 1)

example: fleet --nodes 200 --scenario sawtooth --seed 7
exit status: 0 one view at every point, 1 a rule was broken, 2 usage
";

/// Nodes that fit into a few gigabytes.
const NODES_MAX: usize = 4_000;

/// From here on whole tables are compared once a second instead of after every change.
const LARGE: usize = 200;

/// How long one view may take after nodes came, at any size.
const UP_WITHIN: Micros = 60 * SECOND;

/// How long it may take until a partition is healed.
const HEAL_WITHIN: Micros = 60 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Idle,
    Burst,
    Crash,
    Partition,
    Sawtooth,
    Loss,
}

const KINDS: [(&str, Kind); 6] = [
    ("idle", Kind::Idle),
    ("burst", Kind::Burst),
    ("crash", Kind::Crash),
    ("partition", Kind::Partition),
    ("sawtooth", Kind::Sawtooth),
    ("loss", Kind::Loss),
];

struct Options {
    nodes: usize,
    kind: Kind,
    seed: u64,
    hours: u64,
}

enum Request {
    Run(Options),
    Help,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut options = Options { nodes: 50, kind: Kind::Idle, seed: 1, hours: 1 };
    while let Some(arg) = args.next() {
        if arg == "--help" || arg == "-h" {
            return Ok(Request::Help);
        }
        let (name, given) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        if !["--nodes", "--scenario", "--seed", "--hours"].contains(&name.as_str()) {
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
    let scan_changes = options.nodes < LARGE;
    let rules = Rules {
        scan_changes,
        no_false_failures: options.kind != Kind::Partition,
        ..Rules::default()
    };
    let mut world = World::new(options.seed, rules);
    world.watcher = Some(progress(started));
    world.add_hosts(options.nodes);
    let mut fleet = Fleet { world, nodes: options.nodes, table: Table::default() };
    let outcome = match options.kind {
        Kind::Idle => fleet.idle(),
        Kind::Burst => fleet.burst(),
        Kind::Crash => fleet.crash(),
        Kind::Partition => fleet.partition(),
        Kind::Sawtooth => fleet.sawtooth(),
        Kind::Loss => fleet.loss(options.hours),
    };
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let simulated = fleet.world.now;
    let outcome = outcome.and_then(|()| fleet.world.finish());
    print!("{}", fleet.table.render());
    let totals = match &outcome {
        Ok(totals) => *totals,
        Err(_) => fleet.world.totals,
    };
    println!(
        "\n{} false failures, {} suspicions, {} refutations, {} probes ({} unanswered)\n\
         {} datagrams, {} B, the longest {} B; {} wake-ups, at most {} of a node in a second\n\
         {:.0} s simulated in {:.1} s; trace {:016x}",
        totals.false_failures,
        totals.suspicions,
        totals.refutations,
        totals.probes,
        totals.probes_failed,
        totals.datagrams,
        totals.bytes,
        totals.longest,
        totals.wakes,
        totals.wakes_in_second,
        simulated as f64 / SECOND as f64,
        started.elapsed().as_secs_f64(),
        fleet.world.trace.hash(),
    );
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(violation) => {
            eprintln!("fleet: a rule was broken: {violation}");
            ExitCode::FAILURE
        }
    }
}

/// A line on the terminal, at most ten times a second; elsewhere a line every ten seconds.
fn progress(started: Instant) -> Box<dyn FnMut(&World)> {
    let tty = std::io::stderr().is_terminal();
    let pause = if tty { Duration::from_millis(100) } else { Duration::from_secs(10) };
    let mut last = Instant::now();
    Box::new(move |world| {
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

/// What happened in the phases of a run.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
}

struct Row {
    phase: String,
    nodes: usize,
    one_view: Option<Micros>,
    traffic: Option<(u64, u64)>,
}

impl Table {
    fn view(&mut self, phase: impl Into<String>, nodes: usize, one_view: Micros) {
        let (phase, one_view) = (phase.into(), Some(one_view));
        self.rows.push(Row { phase, nodes, one_view, traffic: None });
    }

    fn render(&self) -> String {
        let mut out = String::new();
        let (phase, nodes, view) = ("phase", "nodes", "one view after");
        let _ = writeln!(out, "{phase:<24}{nodes:>7}{view:>17}   worst B/s   mean B/s");
        for row in &self.rows {
            let view = row
                .one_view
                .map_or_else(String::new, |us| format!("{:.2} s", us as f64 / SECOND as f64));
            let (worst, mean) = row.traffic.map_or_else(Default::default, |(worst, mean)| {
                (worst.to_string(), mean.to_string())
            });
            let line = format!("{:<24}{:>7}{view:>17}{worst:>12}{mean:>11}", row.phase, row.nodes);
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out
    }
}

struct Fleet {
    world: World,
    nodes: usize,
    table: Table,
}

impl Fleet {
    /// Starts nodes within a span of time, all through host 0 and, if it runs, host 1.
    fn start(&mut self, hosts: std::ops::Range<HostId>, within: Micros) -> Result<(), Violation> {
        let seeds: &[HostId] = if hosts.start >= 2 { &[0, 1] } else { &[0] };
        let mut times: Vec<_> =
            hosts.map(|host| (self.world.now + self.world.between(0, within), host)).collect();
        times.sort_unstable();
        for (at, host) in times {
            self.world.run_until(at, |_| false)?;
            self.world.start(host, &Start::with_seeds(seeds));
        }
        Ok(())
    }

    fn settle(&mut self, phase: &str, from: Micros, within: Micros) -> Result<(), Violation> {
        self.world.settle(phase, Scope::Cluster, within)?;
        let nodes = self.world.well().count();
        self.table.view(phase, nodes, self.world.now - from);
        Ok(())
    }

    fn traffic(&mut self, phase: &str) -> Result<(), Violation> {
        let span = (120 * SECOND).max(self.nodes as u64 * SECOND);
        let traffic = self.world.measure_traffic(span)?;
        let traffic = Some((traffic.worst_bytes_per_s, traffic.mean_bytes_per_s));
        self.table.rows.push(Row {
            phase: phase.into(),
            nodes: self.nodes,
            one_view: None,
            traffic,
        });
        Ok(())
    }

    fn form(&mut self) -> Result<(), Violation> {
        let from = self.world.now;
        self.start(0..self.nodes, 100 * MS)?;
        self.settle("start", from, UP_WITHIN)?;
        self.world.run_for(30 * SECOND)
    }

    fn idle(&mut self) -> Result<(), Violation> {
        self.form()?;
        self.traffic("idle")
    }

    fn burst(&mut self) -> Result<(), Violation> {
        let from = self.world.now;
        self.start(0..self.nodes, 10 * MS)?;
        self.settle("burst", from, UP_WITHIN)?;
        self.world.stay("after the burst", Scope::Cluster, 30 * SECOND)
    }

    fn crash(&mut self) -> Result<(), Violation> {
        self.form()?;
        let mut times = Vec::new();
        for _ in 0..20 {
            let host = self.world.between(1, self.nodes as u64 - 1) as usize;
            let process = self.world.hosts[host].running[0];
            self.world.stop(process);
            times.push(self.world.settle("crash", Scope::Cluster, 60 * SECOND)?);
            self.world.start(host, &Start::with_seeds(&[0]));
            self.world.settle("back", Scope::Cluster, UP_WITHIN)?;
            let pause = self.world.between(10 * SECOND, 12 * SECOND);
            self.world.run_for(pause)?;
        }
        times.sort_unstable();
        for (name, at) in [("median", 9), ("p95", 18), ("worst", 19)] {
            self.table.view(format!("crash known, {name}"), self.nodes, times[at]);
        }
        Ok(())
    }

    fn partition(&mut self) -> Result<(), Violation> {
        self.form()?;
        for host in self.nodes.div_ceil(2)..self.nodes {
            self.world.net.set_group(host, 1);
        }
        self.world.net.split(0, 1);
        let from = self.world.now;
        self.world.settle("two sides", Scope::Group, 600 * SECOND)?;
        self.table.view("split: each side agrees", self.nodes, self.world.now - from);
        self.world.run_until(from + 600 * SECOND, |_| false)?;
        self.world.net.heal();
        let from = self.world.now;
        self.settle("healed", from, HEAL_WITHIN)?;
        self.world.settle_quiet("calm again", Scope::Cluster, HEAL_WITHIN)?;
        self.table.view("no suspect left", self.nodes, self.world.now - from);
        self.world.stay("after the partition", Scope::Cluster, 30 * SECOND)
    }

    fn loss(&mut self, hours: u64) -> Result<(), Violation> {
        self.form()?;
        self.world.net.loss_ppm = 50_000;
        let span = hours * 3_600 * SECOND;
        let traffic = self.world.measure_traffic(span)?;
        let traffic = Some((traffic.worst_bytes_per_s, traffic.mean_bytes_per_s));
        let phase = format!("{hours} h, 5% lost");
        self.table.rows.push(Row { phase, nodes: self.nodes, one_view: None, traffic });
        self.world.net.loss_ppm = 0;
        let from = self.world.now;
        self.world.settle_quiet("nothing is lost", Scope::Cluster, UP_WITHIN)?;
        self.table.view("no suspect left", self.nodes, self.world.now - from);
        Ok(())
    }

    fn sawtooth(&mut self) -> Result<(), Violation> {
        self.start(0..2, 10 * MS)?;
        self.world.settle("two", Scope::Cluster, UP_WITHIN)?;
        for cycle in 1..=20 {
            self.world.run_for(5 * SECOND)?;
            let from = self.world.now;
            self.start(2..self.nodes, SECOND)?;
            self.settle(&format!("up {cycle}"), from, UP_WITHIN)?;
            self.world.run_for(5 * SECOND)?;
            let from = self.world.now;
            let leave = cycle % 2 == 1;
            for host in 2..self.nodes {
                let process = self.world.hosts[host].running[0];
                if leave {
                    self.world.leave(process);
                } else {
                    self.world.stop(process);
                }
            }
            let how = if leave { "left" } else { "crashed" };
            let within = if leave { UP_WITHIN } else { 1_200 * SECOND };
            self.settle(&format!("down {cycle}, {how}"), from, within)?;
        }
        Ok(())
    }
}

//! midge beside serf and foca's example agent: the same network, the same sizes, one run.
//!
//! ```text
//! make bench-peers                the whole, about 13 minutes; writes docs/ and README.md
//! make bench-peers QUICK=1        a smoke test of about a minute; writes nothing
//! ```
//!
//! Whether agents agree is judged by the own list of each. Nobody is asked anything while traffic
//! and processor time are counted.

mod chart;
mod report;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use netlab::{Agent, Kind, Network, Node, Usage, View, Work, until};
use nix::sys::signal::Signal;

/// How long anything may take that the agents are waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// How much is measured.
struct Plan {
    sizes: &'static [usize],
    /// How often each fleet is started.
    rounds: usize,
    /// From a fleet's agreement until its traffic is counted: news are still told.
    settle: Duration,
    idle: Duration,
    /// From a fleet's agreement until something crashes, in the rounds that only measure that.
    pause: Duration,
}

const FULL: Plan = Plan {
    sizes: &[3, 10, 30],
    rounds: 3,
    settle: Duration::from_secs(20),
    idle: Duration::from_secs(120),
    pause: Duration::from_secs(5),
};

const QUICK: Plan = Plan {
    sizes: &[3, 5],
    rounds: 1,
    settle: Duration::from_secs(2),
    idle: Duration::from_secs(5),
    pause: Duration::from_secs(2),
};

/// One kind of agent at one size.
struct Figures {
    kind: &'static str,
    nodes: usize,
    /// Of each round, sorted; [`DEADLINE`] stands for longer.
    agree: Vec<Duration>,
    /// Of each crash, sorted.
    crash: Vec<Duration>,
    idle: Idle,
}

/// What an idle agent uses.
#[derive(Default)]
struct Idle {
    /// Sent a second, mean of all nodes.
    bytes: f64,
    /// The same, of the node that sends most.
    bytes_worst: f64,
    packets: f64,
    /// Processor time a minute, ms, mean of all nodes.
    cpu_ms: f64,
    /// KiB, medians of all nodes.
    resident: u64,
    proportional: u64,
    anonymous: u64,
}

struct Fleet {
    agents: Vec<Agent>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = env::args().any(|argument| argument == "--quick");
    let plan = if quick { QUICK } else { FULL };
    let kinds = [
        Kind::Midge(program("MIDGE_BIN")?),
        Kind::Foca(program("FOCA_BIN")?),
        Kind::Serf(program("SERF_BIN")?),
    ];
    let work = Work::enter("peers")?;
    let hosts = plan.sizes.iter().sum::<usize>() as u8;
    let network = Network::new(hosts).inspect_err(|_| work.remove())?;
    let mut all = Vec::new();
    for kind in &kinds {
        all.extend(measure(kind, &network, &plan, &work)?);
    }
    all.sort_by_key(|figures| figures.nodes);
    work.remove();
    println!("{}", report::table(&all));
    if !quick {
        print!("{}", report::numbers(&all));
        report::write(&all, &kinds)?;
    }
    Ok(())
}

fn program(variable: &str) -> Result<PathBuf, Box<dyn Error>> {
    let path =
        env::var_os(variable).ok_or(format!("{variable} is not set: use make bench-peers"))?;
    Ok(PathBuf::from(path).canonicalize().map_err(|error| format!("{variable}: {error}"))?)
}

/// Everything about one kind. Fleets of all sizes are idle side by side, each on hosts of its own;
/// what is timed happens in one fleet after the other.
fn measure(
    kind: &Kind,
    network: &Network,
    plan: &Plan,
    work: &Work,
) -> Result<Vec<Figures>, Box<dyn Error>> {
    let mut all: Vec<(Figures, &[Node])> = Vec::new();
    let mut hosts = network.nodes();
    for size in plan.sizes {
        let (own, rest) = hosts.split_at(*size);
        hosts = rest;
        let idle = Idle::default();
        let figures =
            Figures { kind: kind.name(), nodes: *size, agree: Vec::new(), crash: Vec::new(), idle };
        all.push((figures, own));
    }
    for round in 0..plan.rounds {
        let mut fleets = Vec::new();
        for (figures, hosts) in &mut all {
            let (fleet, taken) = started_at_once(kind, hosts, work)?;
            figures.agree.push(taken);
            note(figures, "agree", taken);
            fleets.push(fleet);
        }
        if round == 0 {
            idle(&mut fleets, &mut all, plan)?;
        } else {
            thread::sleep(plan.pause);
        }
        for (fleet, (figures, _)) in fleets.iter_mut().zip(&mut all) {
            for _ in 0..fleet.agents.len().div_ceil(10) {
                let taken = crash_known_to_all(fleet);
                figures.crash.push(taken);
                note(figures, "know of a crash", taken);
            }
        }
    }
    let mut all: Vec<Figures> = all.into_iter().map(|(figures, _)| figures).collect();
    for figures in &mut all {
        figures.agree.sort_unstable();
        figures.crash.sort_unstable();
    }
    Ok(all)
}

fn note(figures: &Figures, what: &str, taken: Duration) {
    eprintln!("{} N={}: all {what} after {} ms", figures.kind, figures.nodes, taken.as_millis());
}

/// Starts one agent, and when that is up all others at once, which join through it. How long it
/// takes from then until every agent's own list has them all.
fn started_at_once(
    kind: &Kind,
    hosts: &[Node],
    work: &Work,
) -> Result<(Fleet, Duration), Box<dyn Error>> {
    let start = |host: &Node| Agent::start(kind, host, hosts[0].address(), work.path());
    let mut agents = vec![start(&hosts[0])?];
    until(DEADLINE, || agents[0].view() == [hosts[0].address()])
        .ok_or("the first agent does not answer")?;
    let begun = std::time::Instant::now();
    for host in &hosts[1..] {
        agents.push(start(host)?);
    }
    let all: View = hosts.iter().map(Node::address).collect();
    let mut fleet = Fleet { agents };
    fleet.agree(&all);
    Ok((fleet, begun.elapsed().min(DEADLINE)))
}

/// Kills the youngest agent at once, and waits until no other has it in its list.
fn crash_known_to_all(fleet: &mut Fleet) -> Duration {
    let crashed = fleet.agents.pop().expect("fleets are larger than what crashes in them");
    crashed.signal(Signal::SIGKILL);
    let rest: View = fleet.agents.iter().map(Agent::address).collect();
    let taken = fleet.agree(&rest);
    drop(crashed);
    taken
}

impl Fleet {
    /// How long it takes until every agent's own list is this one.
    fn agree(&mut self, expected: &View) -> Duration {
        let agreed = || self.agents.iter_mut().all(|agent| agent.view() == *expected);
        until(DEADLINE, agreed).unwrap_or(DEADLINE)
    }

    fn usage(&self) -> std::io::Result<Vec<Usage>> {
        self.agents.iter().map(Agent::usage).collect()
    }
}

/// Counts what all fleets use while nothing happens.
fn idle(fleets: &mut [Fleet], all: &mut [(Figures, &[Node])], plan: &Plan) -> std::io::Result<()> {
    fleets.iter_mut().flat_map(|fleet| &mut fleet.agents).for_each(Agent::hang_up);
    thread::sleep(plan.settle);
    let before: Vec<_> = fleets.iter().map(Fleet::usage).collect::<Result<_, _>>()?;
    thread::sleep(plan.idle);
    for ((fleet, before), (figures, _)) in fleets.iter().zip(before).zip(all) {
        figures.idle = used(fleet, &before, plan.idle)?;
    }
    Ok(())
}

fn used(fleet: &Fleet, before: &[Usage], time: Duration) -> std::io::Result<Idle> {
    let (count, seconds) = (fleet.agents.len() as f64, time.as_secs_f64());
    let mut idle = Idle::default();
    let mut memory = Vec::new();
    for ((agent, before), after) in fleet.agents.iter().zip(before).zip(fleet.usage()?) {
        let bytes = (after.bytes - before.bytes) as f64 / seconds;
        idle.bytes += bytes / count;
        idle.bytes_worst = idle.bytes_worst.max(bytes);
        idle.packets += (after.packets - before.packets) as f64 / seconds / count;
        idle.cpu_ms += (after.cpu_ns - before.cpu_ns) as f64 / 1e6 / seconds * 60.0 / count;
        memory.push(agent.memory()?);
    }
    let median = |field: fn(&netlab::Memory) -> u64| {
        let mut values: Vec<u64> = memory.iter().map(field).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    idle.resident = median(|memory| memory.resident);
    idle.proportional = median(|memory| memory.proportional);
    idle.anonymous = median(|memory| memory.anonymous);
    Ok(idle)
}

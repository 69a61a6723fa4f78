//! The scenarios. Each gives a fleet something to live through, waits for one view within a bound
//! that follows from the design, and notes how long it took.

pub(crate) mod churn;
pub(crate) mod faulty;
pub(crate) mod hostile;
pub(crate) mod network;
pub(crate) mod numbers;
pub(crate) mod tables;
pub(crate) mod upgrade;

use crate::harness::{
    HostId, MS, Micros, ProcessId, Rules, SECOND, Scope, Start, Violation, World,
};
use crate::runner::Params;

/// How long a join of 50 at once may take.
pub(crate) const JOIN_WITHIN: Micros = 3 * SECOND;

/// How long it may take until a crash is known to all, at N = 50: twice the p95 of the design's
/// table at N = 100.
pub(crate) const CRASH_WITHIN: Micros = 18 * SECOND;

/// How long it may take until there is one view after a partition.
pub(crate) const HEAL_WITHIN: Micros = 10 * SECOND;

/// The number of runs of a scenario must be the same at every size, so a fleet has at least 5.
pub(crate) fn fleet_size(params: Params) -> usize {
    params.nodes.max(5)
}

/// A world with hosts and no nodes yet.
pub(crate) fn empty(params: Params, rules: Rules) -> World {
    let mut world = World::new(params.seed, rules);
    world.add_hosts(fleet_size(params));
    world
}

/// Starts nodes on hosts `from..to`, within a span of time, all through the same seeds.
pub(crate) fn start_all(
    world: &mut World,
    hosts: impl IntoIterator<Item = HostId>,
    seeds: &[HostId],
    within: Micros,
) -> Result<Vec<ProcessId>, Violation> {
    let mut times: Vec<(Micros, HostId)> =
        hosts.into_iter().map(|host| (world.now + world.between(0, within), host)).collect();
    times.sort_unstable();
    let mut processes = Vec::new();
    for (at, host) in times {
        world.run_until(at, |_| false)?;
        processes.push(world.start(host, &Start::with_seeds(seeds)));
    }
    Ok(processes)
}

/// A fleet that has one view and has come to rest: host 0 is everyone's seed.
pub(crate) fn formed(params: Params, rules: Rules) -> Result<World, Violation> {
    let mut world = empty(params, rules);
    let count = fleet_size(params);
    start_all(&mut world, 0..count, &[0], 50 * MS)?;
    world.settle("forming", Scope::Cluster, JOIN_WITHIN)?;
    world.stay("at rest", Scope::Cluster, 5 * SECOND)?;
    Ok(world)
}

/// Some different hosts of `0..count`, never host 0: it is the seed.
pub(crate) fn pick(world: &mut World, count: usize, some: usize) -> Vec<HostId> {
    let mut hosts: Vec<HostId> = (1..count).collect();
    let some = some.min(hosts.len());
    for k in 0..some {
        let other = world.between(k as u64, hosts.len() as u64 - 1) as usize;
        hosts.swap(k, other);
    }
    hosts.truncate(some);
    hosts
}

/// The process that runs on a host.
pub(crate) fn on(world: &World, host: HostId) -> ProcessId {
    world.hosts[host].running[0]
}

/// Milliseconds, for figures.
pub(crate) fn ms(span: Micros) -> u64 {
    span / MS
}

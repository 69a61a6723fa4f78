//! Tables that are too small: "full" is an everyday path.

use super::{HEAL_WITHIN, JOIN_WITHIN, fleet_size, ms, on, start_all};
use crate::harness::{Capacity, MS, Rules, SECOND, Scope, Start, Violation, World};
use crate::runner::{Outcome, Params, Report, Scenario};

/// Seven nodes with room for three: the first ones agree, the others are refused, clearly; when
/// there is room they get in.
pub(crate) const FULL: Scenario = Scenario { name: "full_table", seeds: 16, nodes: 7, run: full };

fn full(params: Params) -> Outcome {
    let mut world =
        World::new(params.seed, Rules { capacity: Capacity::Three, ..Rules::default() });
    let mut report = Report::default();
    let count = params.nodes.max(5);
    world.add_hosts(count);
    start_all(&mut world, 0..3, &[0], 10 * MS)?;
    world.settle("three", Scope::Cluster, JOIN_WITHIN)?;
    start_all(&mut world, 3..count, &[0, 1, 2], SECOND)?;
    world.run_for(30 * SECOND)?;
    for event in ["refused", "table_full"] {
        if world.events.get(event).copied().unwrap_or(0) == 0 {
            return Err(Violation(format!("no event said {event}")));
        }
    }
    // Room for all that are left, step by step.
    for host in (3..count).rev().chain([1]) {
        let process = on(&world, host);
        if world.rng.below(2) == 0 {
            world.leave(process);
        } else {
            world.stop(process);
        }
        world.run_for(20 * SECOND)?;
    }
    world.start(3, &Start::with_seeds(&[0, 2]));
    let within = 30 * SECOND;
    report.figure("room_one_view_ms", ms(world.settle("there is room", Scope::Cluster, within)?));
    world.stay("three again", Scope::Cluster, 20 * SECOND)?;
    report.close(world)
}

/// Sixteen rows, at most sixteen nodes, but many more hosts over time: rows of the dead make way.
pub(crate) const CHURN: Scenario =
    Scenario { name: "small_table_churn", seeds: 16, nodes: 16, run: churn };

fn churn(params: Params) -> Outcome {
    let rules = Rules { capacity: Capacity::Sixteen, ..Rules::default() };
    let mut world = World::new(params.seed, rules);
    let mut report = Report::default();
    let count = params.nodes.clamp(5, 16);
    world.add_hosts(count);
    start_all(&mut world, 0..count, &[0], 50 * MS)?;
    world.settle("forming", Scope::Cluster, JOIN_WITHIN)?;
    for _ in 0..12 {
        let running: Vec<_> = world.well().filter(|&p| world.processes[p].host != 0).collect();
        let gone = world.between(1, running.len() as u64 / 2) as usize;
        for &process in &running[..gone] {
            if world.rng.below(2) == 0 {
                world.leave(process);
            } else {
                world.stop(process);
            }
        }
        let span = world.between(SECOND, 20 * SECOND);
        world.run_for(span)?;
        world.settle("they are gone", Scope::Cluster, 60 * SECOND)?;
        let first = world.add_hosts(gone);
        start_all(&mut world, first..first + gone, &[0], SECOND)?;
        let within = HEAL_WITHIN;
        report.figure("new_one_view_ms", ms(world.settle("new ones", Scope::Cluster, within)?));
    }
    world.settle_quiet("in the end", Scope::Cluster, HEAL_WITHIN)?;
    report.close(world)
}

/// Large tables, and a few with 16 rows in a fleet of 50: these are partial, say so, and hold up
/// nobody.
pub(crate) const MIXED: Scenario =
    Scenario { name: "mixed_tables", seeds: 10, nodes: 50, run: mixed };

fn mixed(params: Params) -> Outcome {
    let mut world = World::new(params.seed, Rules::default());
    let mut report = Report::default();
    let count = fleet_size(params).max(20);
    world.add_hosts(count);
    let small = count - 3;
    start_all(&mut world, 0..small, &[0], 50 * MS)?;
    let start = Start { capacity: Some(Capacity::Sixteen), ..Start::with_seeds(&[0, 1]) };
    for host in small..count {
        let process = world.start(host, &start);
        // It cannot know all: it does not count as an observer.
        world.processes[process].partial = true;
    }
    let all = world.settle("the large ones know all", Scope::Cluster, 2 * JOIN_WITHIN)?;
    report.figure("large_one_view_ms", ms(all));
    if world.events.get("partial").copied().unwrap_or(0) == 0 {
        return Err(Violation("a table smaller than the fleet was not called partial".into()));
    }
    world.stay("with partial tables", Scope::Cluster, 30 * SECOND)?;
    let reconciled = world.reconciliations();
    world.stay("no reconciliation for ever", Scope::Cluster, 60 * SECOND)?;
    report.figure("reconciled_per_minute", world.reconciliations() - reconciled);
    report.close(world)
}

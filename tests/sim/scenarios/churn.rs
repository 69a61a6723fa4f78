//! Nodes come, go, come back.

use super::{CRASH_WITHIN, JOIN_WITHIN, empty, fleet_size, formed, ms, on, pick, start_all};
use crate::harness::{Epoch, MS, Rules, SECOND, Scope, Start, Violation, World};
use crate::runner::{Outcome, Params, Report, Scenario};

/// All at once through one seed, and a late one.
pub(crate) const JOIN: Scenario = Scenario { name: "join", seeds: 16, nodes: 50, run: join };

fn join(params: Params) -> Outcome {
    let ipv6 = params.seed.is_multiple_of(4);
    let mut world = empty(params, Rules { ipv6, ..Rules::default() });
    let mut report = Report::default();
    let count = fleet_size(params);
    start_all(&mut world, 0..count - 1, &[0], 100 * MS)?;
    let burst = world.settle("burst", Scope::Cluster, JOIN_WITHIN)?;
    report.figure("burst_one_view_ms", ms(burst));
    world.stay("after the burst", Scope::Cluster, 10 * SECOND)?;
    world.start(count - 1, &Start::with_seeds(&[0, 1, 2]));
    let late = world.settle("a late one", Scope::Cluster, 2 * SECOND)?;
    report.figure("late_one_view_ms", ms(late));
    world.stay("after the late one", Scope::Cluster, 10 * SECOND)?;
    report.close(world)
}

/// One crash, then a tenth of the fleet at once.
pub(crate) const CRASH: Scenario = Scenario { name: "crash", seeds: 16, nodes: 50, run: crash };

fn crash(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let mut victims = pick(&mut world, count, 1 + count / 10);
    let one = victims.pop().unwrap_or(1);
    world.run_for(SECOND)?;
    stop(&mut world, one);
    report.figure("known_to_all_ms", ms(world.settle("one crash", Scope::Cluster, CRASH_WITHIN)?));
    world.run_for(10 * SECOND)?;
    for host in victims {
        stop(&mut world, host);
    }
    let tenth = world.settle("a tenth crashes", Scope::Cluster, CRASH_WITHIN * 3 / 2)?;
    report.figure("tenth_known_to_all_ms", ms(tenth));
    world.settle_quiet("after crashes", Scope::Cluster, 10 * SECOND)?;
    report.close(world)
}

fn stop(world: &mut World, host: usize) {
    let process = on(world, host);
    world.stop(process);
}

/// Crash and return after 0.1 to 60 s, with the seed or with another member to join through.
pub(crate) const RESTART: Scenario =
    Scenario { name: "restart", seeds: 16, nodes: 50, run: restart };

fn restart(params: Params) -> Outcome {
    restarts(params, Epoch::Clock)
}

/// The same with a wall clock that is an hour behind: a lower epoch than the fleet knows.
pub(crate) const CLOCK_BACKWARDS: Scenario =
    Scenario { name: "clock_backwards", seeds: 12, nodes: 50, run: clock_backwards };

fn clock_backwards(params: Params) -> Outcome {
    restarts(params, Epoch::Behind(3_600_000))
}

/// The same without a wall clock.
pub(crate) const EPOCH_ZERO: Scenario =
    Scenario { name: "epoch_zero", seeds: 14, nodes: 50, run: epoch_zero };

fn epoch_zero(params: Params) -> Outcome {
    restarts(params, Epoch::Zero)
}

fn restarts(params: Params, epoch: Epoch) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    for host in pick(&mut world, count, 6) {
        stop(&mut world, host);
        // Half of them are back before anyone has noticed.
        let longest = if world.rng.below(2) == 0 { SECOND } else { 60 * SECOND };
        let away = world.between(100 * MS, longest);
        world.run_for(away)?;
        let other = if host == 1 { 2 } else { 1 };
        let start = Start { epoch, ..Start::with_seeds(&[0, other]) };
        world.start(host, &start);
        let back = world.settle_quiet("back", Scope::Cluster, 5 * SECOND)?;
        report.figure("back_one_view_ms", ms(back));
    }
    world.stay("after restarts", Scope::Cluster, 20 * SECOND)?;
    report.close(world)
}

/// Monotonic clocks that run up to 2% too fast or too slow: nobody is suspected for that, and all
/// is found out as ever.
pub(crate) const CLOCK_DRIFT: Scenario =
    Scenario { name: "clock_drift", seeds: 12, nodes: 50, run: clock_drift };

fn clock_drift(params: Params) -> Outcome {
    let mut world = formed(params, Rules { drift_ppm: 20_000, ..Rules::default() })?;
    let mut report = Report::default();
    let count = fleet_size(params);
    world.stay("clocks drift", Scope::Cluster, 120 * SECOND)?;
    if world.totals.suspicions > 0 {
        return Err(Violation("a node was suspected because its clock drifts".into()));
    }
    for host in pick(&mut world, count, 3) {
        stop(&mut world, host);
        let known = world.settle("crash", Scope::Cluster, CRASH_WITHIN)?;
        report.figure("known_to_all_ms", ms(known));
        world.start(host, &Start::with_seeds(&[0]));
        report.figure("back_one_view_ms", ms(world.settle("back", Scope::Cluster, JOIN_WITHIN)?));
    }
    world.stay("after all", Scope::Cluster, 30 * SECOND)?;
    report.close(world)
}

/// Ten leave at once; none of them is ever taken for failed; they come back later.
pub(crate) const LEAVE: Scenario = Scenario { name: "leave", seeds: 14, nodes: 50, run: leave };

fn leave(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let leavers = pick(&mut world, count, count / 5);
    for &host in &leavers {
        let process = on(&world, host);
        world.leave(process);
    }
    report.figure("left_one_view_ms", ms(world.settle("leave", Scope::Cluster, 3 * SECOND)?));
    world.stay("after leaving", Scope::Cluster, 30 * SECOND)?;
    if world.totals.failed_leavers > 0 || world.totals.suspicions > 0 {
        return Err(Violation("a leaver was suspected or taken for failed".into()));
    }
    if leavers.iter().any(|&host| !world.hosts[host].running.is_empty()) {
        return Err(Violation("a leaver never ended".into()));
    }
    start_all(&mut world, leavers, &[0], SECOND)?;
    report.figure("back_one_view_ms", ms(world.settle("back", Scope::Cluster, 3 * SECOND)?));
    world.stay("all are back", Scope::Cluster, 10 * SECOND)?;
    report.close(world)
}

/// A tenth of the processes is stopped for 1 to 90 s, then gets everything at once.
pub(crate) const PAUSE: Scenario = Scenario { name: "pause", seeds: 12, nodes: 50, run: pause };

fn pause(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    for _ in 0..3 {
        let hosts = pick(&mut world, count, count / 10);
        let processes: Vec<_> = hosts.iter().map(|&host| on(&world, host)).collect();
        let mut ends = Vec::new();
        for &process in &processes {
            world.pause(process);
            ends.push((world.now + world.between(SECOND, 90 * SECOND), process));
        }
        ends.sort_unstable();
        for (end, process) in ends {
            world.run_until(end, |_| false)?;
            world.resume(process);
        }
        let healed = world.settle_quiet("resumed", Scope::Cluster, 15 * SECOND)?;
        report.figure("resumed_one_view_ms", ms(healed));
    }
    world.stay("after pauses", Scope::Cluster, 20 * SECOND)?;
    report.close(world)
}

/// 2 -> 50 -> 2, three times; the many go by leaving, by crashing, or half and half.
pub(crate) const SAWTOOTH: Scenario =
    Scenario { name: "sawtooth", seeds: 9, nodes: 50, run: sawtooth };

/// How long two nodes may take to see that 48 others are gone: see
/// [`SURVIVORS_WITHIN`](super::numbers::SURVIVORS_WITHIN).
const ALONE_WITHIN: u64 = super::numbers::SURVIVORS_WITHIN;

fn sawtooth(params: Params) -> Outcome {
    let mut world = empty(params, Rules::default());
    let mut report = Report::default();
    let count = fleet_size(params);
    start_all(&mut world, 0..2, &[0, 1], 10 * MS)?;
    world.settle("two", Scope::Cluster, JOIN_WITHIN)?;
    for cycle in 0..3 {
        world.run_for(5 * SECOND)?;
        start_all(&mut world, 2..count, &[0, 1], SECOND)?;
        let up = world.settle("up", Scope::Cluster, JOIN_WITHIN)?;
        report.figure("up_one_view_ms", ms(up));
        world.run_for(5 * SECOND)?;
        let leaving = (params.seed + cycle) % 3;
        for host in 2..count {
            let process = on(&world, host);
            if leaving == 0 || (leaving == 1 && host % 2 == 0) {
                world.leave(process);
            } else {
                world.stop(process);
            }
        }
        if leaving == 0 {
            report
                .figure("left_one_view_ms", ms(world.settle("down", Scope::Cluster, 5 * SECOND)?));
        } else {
            let down = world.settle("down", Scope::Cluster, ALONE_WITHIN)?;
            report.figure("crashed_one_view_ms", ms(down));
        }
    }
    world.settle_quiet("after the sawtooth", Scope::Cluster, 15 * SECOND)?;
    report.close(world)
}

/// Half of the fleet is replaced by new machines at the same addresses, some of them before
/// anyone noticed.
pub(crate) const ADDRESS_REUSE: Scenario =
    Scenario { name: "address_reuse", seeds: 10, nodes: 50, run: address_reuse };

fn address_reuse(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    for _ in 0..2 {
        let hosts = pick(&mut world, count, count / 2);
        for &host in &hosts {
            stop(&mut world, host);
        }
        let gap = world.between(10 * MS, 20 * SECOND);
        world.run_for(gap)?;
        start_all(&mut world, hosts, &[0], SECOND)?;
        let replaced = world.settle_quiet("replaced", Scope::Cluster, 10 * SECOND)?;
        report.figure("replaced_one_view_ms", ms(replaced));
        world.run_for(10 * SECOND)?;
    }
    world.stay("after replacing", Scope::Cluster, 20 * SECOND)?;
    report.close(world)
}

/// Tags change while nodes crash: details reach everybody.
pub(crate) const TAGS: Scenario = Scenario { name: "tags", seeds: 12, nodes: 50, run: tags };

fn tags(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let hosts = pick(&mut world, count, 8.min(count - 2));
    for (k, &host) in hosts.iter().enumerate() {
        let process = on(&world, host);
        world.set_tags(process, &format!("zone=z{k},round={}", params.seed));
    }
    let crashed = (1..count).find(|host| !hosts.contains(host));
    if let Some(host) = crashed {
        stop(&mut world, host);
    }
    let from = world.now;
    let known = |world: &mut World| {
        world.well().all(|p| {
            let mut right = 0;
            if let Some(node) = &world.processes[p].node {
                node.visit_members(&mut |member| {
                    let host = world.host_of(member.address).unwrap_or(usize::MAX);
                    let tags = hosts.iter().position(|&h| h == host);
                    let tags = tags.map(|k| format!("zone=z{k},round={}", params.seed));
                    let named = member.name == format!("n{host}");
                    let tagged = member.tags == tags.unwrap_or_default();
                    right += usize::from(named && tagged && member.state.is_live());
                });
            }
            right >= count - usize::from(crashed.is_some())
        })
    };
    let mut next = 0;
    let done = world.run_until(from + CRASH_WITHIN, |world| {
        let due = world.now >= next;
        if due {
            next = world.now + 20 * MS;
        }
        due && known(world)
    })?;
    if !done {
        return Err(Violation(format!(
            "names and tags are not known to all after {CRASH_WITHIN} us"
        )));
    }
    report.figure("tags_known_to_all_ms", ms(world.now - from));
    world.settle_quiet("after tags", Scope::Cluster, CRASH_WITHIN)?;
    report.close(world)
}

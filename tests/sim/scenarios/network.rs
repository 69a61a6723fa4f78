//! Faults of the network, and nodes that are slow.

use super::{CRASH_WITHIN, HEAL_WITHIN, JOIN_WITHIN, fleet_size, formed, ms, on, pick};
use crate::harness::{MS, Micros, Net, Rules, SECOND, Scope, Start, World};
use crate::runner::{Outcome, Params, Report, Scenario, check, say};

/// One datagram in twenty is lost; a crash in between.
pub(crate) const LOSSY_5: Scenario =
    Scenario { name: "lossy_5", seeds: 12, nodes: 50, run: lossy_5 };

fn lossy_5(params: Params) -> Outcome {
    lossy(params, 50_000)
}

/// One in five.
pub(crate) const LOSSY_20: Scenario =
    Scenario { name: "lossy_20", seeds: 12, nodes: 50, run: lossy_20 };

fn lossy_20(params: Params) -> Outcome {
    lossy(params, 200_000)
}

fn lossy(params: Params, loss_ppm: u32) -> Outcome {
    let mut world = super::empty(params, Rules::default());
    let mut report = Report::default();
    world.net.loss_ppm = loss_ppm;
    let count = fleet_size(params);
    super::start_all(&mut world, 0..count, &[0], 100 * MS)?;
    let burst = world.settle("burst", Scope::Cluster, 2 * JOIN_WITHIN)?;
    report.figure("burst_one_view_ms", ms(burst));
    world.run_for(60 * SECOND)?;
    let victim = pick(&mut world, count, 1)[0];
    let process = on(&world, victim);
    world.stop(process);
    report.figure(
        "known_to_all_ms",
        ms(world.settle("crash", Scope::Cluster, CRASH_WITHIN * 3 / 2)?),
    );
    world.start(victim, &Start::with_seeds(&[0]));
    report.figure("back_one_view_ms", ms(world.settle("back", Scope::Cluster, 2 * JOIN_WITHIN)?));
    world.run_for(60 * SECOND)?;
    world.net = Net::default();
    world.settle_quiet("loss is over", Scope::Cluster, CRASH_WITHIN)?;
    report.close(world)
}

/// Damaged, doubled, and minutes late.
pub(crate) const DAMAGED: Scenario =
    Scenario { name: "damaged", seeds: 12, nodes: 50, run: damaged };

fn damaged(params: Params) -> Outcome {
    let mut world = super::empty(params, Rules::default());
    let mut report = Report::default();
    world.net.corrupt_ppm = 50_000;
    world.net.duplicate_ppm = 50_000;
    world.net.late_ppm = 50_000;
    let count = fleet_size(params);
    super::start_all(&mut world, 0..count, &[0], 100 * MS)?;
    let burst = world.settle("burst", Scope::Cluster, 2 * JOIN_WITHIN)?;
    report.figure("burst_one_view_ms", ms(burst));
    for host in pick(&mut world, count, 3) {
        world.run_for(20 * SECOND)?;
        let process = on(&world, host);
        world.stop(process);
        let away = world.between(100 * MS, 30 * SECOND);
        world.run_for(away)?;
        world.start(host, &Start::with_seeds(&[0]));
        let back = world.settle("back", Scope::Cluster, HEAL_WITHIN)?;
        report.figure("back_one_view_ms", ms(back));
    }
    let leaver = pick(&mut world, count, 1)[0];
    let process = on(&world, leaver);
    world.leave(process);
    report.figure("left_one_view_ms", ms(world.settle("leave", Scope::Cluster, HEAL_WITHIN)?));
    world.net = Net::default();
    // Whatever is still under way arrives within two minutes and changes nothing.
    world.stay("old datagrams arrive", Scope::Cluster, 150 * SECOND)?;
    report.close(world)
}

/// Half from half, for a minute.
pub(crate) const PARTITION: Scenario =
    Scenario { name: "partition", seeds: 14, nodes: 50, run: partition };

fn partition(params: Params) -> Outcome {
    partitioned(params, &[5], 60 * SECOND)
}

/// A tenth from the rest.
pub(crate) const PARTITION_TENTH: Scenario =
    Scenario { name: "partition_tenth", seeds: 12, nodes: 50, run: partition_tenth };

fn partition_tenth(params: Params) -> Outcome {
    partitioned(params, &[1], 60 * SECOND)
}

/// Three parts, none of which hears another.
pub(crate) const PARTITION_THIRDS: Scenario =
    Scenario { name: "partition_thirds", seeds: 12, nodes: 50, run: partition_thirds };

fn partition_thirds(params: Params) -> Outcome {
    partitioned(params, &[3, 3], 60 * SECOND)
}

/// Splits parts of so many tenths of the fleet off the rest and each other, for a span of time,
/// and heals. How long the parts take to see that the others are gone is noted only if it ends in
/// time.
pub(crate) fn partitioned(params: Params, tenths: &[usize], span: Micros) -> Outcome {
    let rules = Rules { no_false_failures: false, ..Rules::default() };
    let mut world = formed(params, rules)?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let mut hosts = pick(&mut world, count, count);
    for (part, tenths) in (1..).zip(tenths) {
        for host in hosts.drain(..(count * tenths / 10).max(1)) {
            world.net.set_group(host, part);
        }
        (0..part).for_each(|other| world.net.split(other, part));
    }
    world.run_for(span)?;
    if world.agreed(Scope::Group) {
        report.figure("sides_agreed", 1);
    }
    world.net.heal();
    report.figure("healed_one_view_ms", ms(world.settle("healed", Scope::Cluster, HEAL_WITHIN)?));
    let quiet = world.settle_quiet("calm again", Scope::Cluster, HEAL_WITHIN)?;
    report.figure("then_quiet_ms", ms(quiet));
    world.rules.no_false_failures = true;
    world.stay("after the partition", Scope::Cluster, 30 * SECOND)?;
    report.close(world)
}

/// Datagrams pass in one direction only.
pub(crate) const ONE_WAY: Scenario =
    Scenario { name: "one_way", seeds: 10, nodes: 50, run: one_way };

fn one_way(params: Params) -> Outcome {
    walled(params, |world, count| {
        let share = if params.seed.is_multiple_of(2) { 2 } else { 10 };
        for host in pick(world, count, (count / share).max(1)) {
            world.net.set_group(host, 1);
        }
        world.net.block(0, 1);
    })
}

/// Two parts that only two nodes can reach both of.
pub(crate) const BRIDGE: Scenario = Scenario { name: "bridge", seeds: 10, nodes: 50, run: bridge };

fn bridge(params: Params) -> Outcome {
    walled(params, |world, count| {
        let hosts = pick(world, count, count / 2 + 2);
        for (k, &host) in hosts.iter().enumerate() {
            world.net.set_group(host, if k < 2 { 2 } else { 1 });
        }
        world.net.split(0, 1);
    })
}

fn walled(params: Params, build: impl Fn(&mut World, usize)) -> Outcome {
    let mut world = formed(params, Rules { no_false_failures: false, ..Rules::default() })?;
    let mut report = Report::default();
    build(&mut world, fleet_size(params));
    world.run_for(90 * SECOND)?;
    report.figure("false_failures", world.totals.false_failures);
    world.net.heal();
    report.figure("healed_one_view_ms", ms(world.settle("healed", Scope::Cluster, HEAL_WITHIN)?));
    world.settle_quiet("calm again", Scope::Cluster, HEAL_WITHIN)?;
    world.rules.no_false_failures = true;
    world.stay("after the walls", Scope::Cluster, 30 * SECOND)?;
    report.close(world)
}

/// The wall between two halves goes up and down every 0.2 to 15 s.
pub(crate) const FLAPPING: Scenario =
    Scenario { name: "flapping", seeds: 12, nodes: 50, run: flapping };

fn flapping(params: Params) -> Outcome {
    let mut world = formed(params, Rules { no_false_failures: false, ..Rules::default() })?;
    let mut report = Report::default();
    let count = fleet_size(params);
    for host in pick(&mut world, count, count / 2) {
        world.net.set_group(host, 1);
    }
    let end = world.now + 120 * SECOND;
    while world.now < end {
        world.net.split(0, 1);
        let up = world.between(200 * MS, 15 * SECOND);
        world.run_for(up)?;
        world.net.heal();
        let down = world.between(200 * MS, 15 * SECOND);
        world.run_for(down)?;
    }
    report.figure("healed_one_view_ms", ms(world.settle("healed", Scope::Cluster, HEAL_WITHIN)?));
    world.settle_quiet("calm again", Scope::Cluster, HEAL_WITHIN)?;
    world.rules.no_false_failures = true;
    world.stay("after flapping", Scope::Cluster, 30 * SECOND)?;
    report.close(world)
}

/// One node reaches, and is reached by, only half of the others. No other node is failed.
pub(crate) const HALF_CONNECTED: Scenario =
    Scenario { name: "half_connected", seeds: 12, nodes: 50, run: half_connected };

fn half_connected(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let hosts = pick(&mut world, count, count / 2);
    for (k, &host) in hosts.iter().enumerate() {
        world.net.set_group(host, if k == 0 { 1 } else { 2 });
    }
    let process = on(&world, hosts[0]);
    world.processes[process].exempt = true;
    // In every third run it hears nothing of them, but they hear it.
    if params.seed.is_multiple_of(3) {
        world.net.block(2, 1);
    } else {
        world.net.split(1, 2);
    }
    world.run_for(120 * SECOND)?;
    report.figure("it_was_failed_times", world.totals.failed_exempt);
    report.figure("it_failed_others_times", world.totals.failed_by_exempt);
    world.net.heal();
    report.figure("healed_one_view_ms", ms(world.settle("healed", Scope::Cluster, HEAL_WITHIN)?));
    world.settle_quiet("calm again", Scope::Cluster, HEAL_WITHIN)?;
    world.stay("after all", Scope::Cluster, 30 * SECOND)?;
    report.close(world)
}

/// One node reads its packets 5 to 20 s late, half of the time. No healthy node is failed.
pub(crate) const SLOW: Scenario = Scenario { name: "slow", seeds: 14, nodes: 50, run: slow };

fn slow(params: Params) -> Outcome {
    slowed(params, Rules::default())
}

fn slowed(params: Params, rules: Rules) -> Outcome {
    let mut world = formed(params, rules)?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let host = pick(&mut world, count, 1)[0];
    let process = on(&world, host);
    world.slow_down(process);
    world.run_for(300 * SECOND)?;
    report.figure("false_failures", world.totals.false_failures);
    report.figure("it_was_failed_times", world.totals.failed_exempt);
    report.figure("it_failed_others_times", world.totals.failed_by_exempt);
    world.processes[process].slow = None;
    if world.rules.lifeguard {
        // What it has not read yet is up to 20 s old.
        let well = world.settle_quiet("well again", Scope::Cluster, 45 * SECOND)?;
        report.figure("well_one_view_ms", ms(well));
    }
    report.close(world)
}

/// The same without Lifeguard.
pub(crate) const SLOW_WITHOUT_LIFEGUARD: Scenario = Scenario {
    name: "slow_without_lifeguard",
    seeds: 6,
    nodes: 50,
    run: |params| {
        let rules = Rules { lifeguard: false, no_false_failures: false, ..Rules::default() };
        slowed(params, rules)
    },
};

/// Without Lifeguard it must show false failures, or it proves nothing with it.
pub(crate) fn without_lifeguard() {
    let results = check(&SLOW_WITHOUT_LIFEGUARD);
    let failures = results.sum(|totals| totals.false_failures);
    assert!(failures > 0, "the scenario is void: no false failures without Lifeguard");
    let runs = results.reports.len();
    say("slow_without_lifeguard_fails_healthy_nodes", &format!("{failures} in {runs} runs"));
}

/// The same as [`SLOW`] at the size of the design's table.
pub(crate) const SLOW_AT_100: Scenario =
    Scenario { name: "slow_at_100", seeds: 8, nodes: 100, run: slow };

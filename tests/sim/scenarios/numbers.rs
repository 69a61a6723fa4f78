//! The numbers of the design that a simulator can measure. `cargo test --profile sim --test sim
//! numbers -- --nocapture` prints them.

use super::{
    HEAL_WITHIN, JOIN_WITHIN, empty, fleet_size, formed, ms, network, on, pick, start_all,
};
use crate::harness::{MS, Micros, Rules, SECOND, Scope};
use crate::runner::{Outcome, Params, Report, Scenario, check, say};

/// Bytes a second that the worst node of an idle fleet may send, IP and UDP headers included.
const IDLE_BYTES_PER_S: u64 = 118;

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

/// Idle traffic at N = 3, 30, 50 and 100, over max(120 s, N periods) after settling.
pub(crate) const IDLE: Scenario =
    Scenario { name: "numbers_idle", seeds: 2, nodes: 30, run: idle_run };

/// See [`IDLE`].
pub(crate) fn idle() {
    let worst = [3, 30, 50, 100].map(|nodes| {
        let results = check(&Scenario { nodes, ..IDLE });
        let worst = results.quantile("worst_bytes_per_s", 1.0);
        assert!(worst <= IDLE_BYTES_PER_S, "N = {nodes}: the worst node sends {worst} B/s idle");
        worst.to_string()
    });
    say("numbers_idle", &format!("{} B/s, worst of {}", worst.join(" / "), IDLE.seeds));
}

fn idle_run(params: Params) -> Outcome {
    let mut world = crate::harness::World::new(params.seed, Rules::default());
    let mut report = Report::default();
    world.add_hosts(params.nodes);
    start_all(&mut world, 0..params.nodes, &[0], 100 * MS)?;
    world.settle("forming", Scope::Cluster, JOIN_WITHIN)?;
    world.run_for(30 * SECOND)?;
    let traffic = world.measure_traffic((120 * SECOND).max(params.nodes as u64 * SECOND))?;
    report.figure("worst_bytes_per_s", traffic.worst_bytes_per_s);
    report.figure("mean_bytes_per_s", traffic.mean_bytes_per_s);
    report.figure("wakes_per_s", traffic.wakes_per_s);
    report.close(world)
}

/// 30 and 60 at once through one seed: every node gives the same list within 3 s.
pub(crate) const BURST: Scenario =
    Scenario { name: "numbers_burst", seeds: 10, nodes: 30, run: burst_run };

/// See [`BURST`].
pub(crate) fn burst() {
    let medians = [30, 60].map(|nodes| {
        let results = check(&Scenario { nodes, ..BURST });
        format!("{:.2} s", seconds(results.quantile("one_view_ms", 0.5)))
    });
    say("numbers_burst", &format!("{}, median of {}", medians.join(" / "), BURST.seeds));
}

fn burst_run(params: Params) -> Outcome {
    let mut world = empty(params, Rules::default());
    let mut report = Report::default();
    let first = world.now;
    start_all(&mut world, 0..fleet_size(params), &[0], 10 * MS)?;
    world.settle("burst", Scope::Cluster, JOIN_WITHIN)?;
    report.figure("one_view_ms", ms(world.now - first));
    report.close(world)
}

/// A crash at N = 100 is known to all after a median of 6 s, a p95 of 9 s.
pub(crate) const CRASH: Scenario =
    Scenario { name: "numbers_crash", seeds: 10, nodes: 100, run: crash_run };

/// See [`CRASH`].
pub(crate) fn crash_at_100() {
    let results = check(&CRASH);
    let (median, p95) =
        (results.quantile("known_to_all_ms", 0.5), results.quantile("known_to_all_ms", 0.95));
    assert!(median <= 6_000 && p95 <= 9_000, "median {median} ms, p95 {p95} ms");
    let (median, p95) = (seconds(median), seconds(p95));
    let crashes = results.figures["known_to_all_ms"].len();
    say("numbers_crash_at_100", &format!("{median:.1} s, p95 {p95:.1} s, of {crashes}"));
}

/// Ten crashes one after the other, each of which is cleared up before the next.
fn crash_run(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    for host in pick(&mut world, params.nodes, 10) {
        let pause = world.between(10 * SECOND, 12 * SECOND);
        world.run_for(pause)?;
        let process = on(&world, host);
        world.stop(process);
        let known = world.settle("crash", Scope::Cluster, 30 * SECOND)?;
        report.figure("known_to_all_ms", ms(known));
        world.start(host, &crate::harness::Start::with_seeds(&[0]));
        world.settle("back", Scope::Cluster, HEAL_WITHIN)?;
    }
    report.close(world)
}

/// All but two of 60 crash at once.
pub(crate) const SURVIVORS: Scenario =
    Scenario { name: "numbers_survivors", seeds: 24, nodes: 60, run: survivors_run };

/// How long two nodes may take to see that 58 others are gone: in each period each of them finds
/// one or more to be silent, and what they suspect ends after 6 or 11 s.
pub(crate) const SURVIVORS_WITHIN: Micros = 90 * SECOND;

/// See [`SURVIVORS`].
pub(crate) fn survivors() {
    let results = check(&SURVIVORS);
    let at = |share| seconds(results.quantile("known_to_both_ms", share));
    let (median, worst) = (at(0.5), at(1.0));
    say("numbers_survivors", &format!("{median:.0} s, worst {worst:.0} s of {}", SURVIVORS.seeds));
}

fn survivors_run(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    for host in 2..fleet_size(params) {
        let process = on(&world, host);
        world.stop(process);
    }
    let known = world.settle("all but two crash", Scope::Cluster, SURVIVORS_WITHIN)?;
    report.figure("known_to_both_ms", ms(known));
    world.stay("the two that are left", Scope::Cluster, 30 * SECOND)?;
    report.close(world)
}

/// A partition of 100 into halves for 10 minutes: one view again in less than 10 s.
pub(crate) const PARTITION: Scenario = Scenario {
    name: "numbers_partition",
    seeds: 3,
    nodes: 100,
    run: |params| network::partitioned(params, &[5], 600 * SECOND),
};

/// See [`PARTITION`].
pub(crate) fn partition_at_100() {
    let results = check(&PARTITION);
    let at = |share| seconds(results.quantile("healed_one_view_ms", share));
    let (median, worst) = (at(0.5), at(1.0));
    let text = format!("{median:.1} s, worst {worst:.1} s of {}", PARTITION.seeds);
    say("numbers_partition_at_100", &text);
}

/// Of so many runs in one the slow node may take a member for dead, once.
const RUNS_PER_FAILURE_BY_SLOW: u64 = 4;

/// One of 100 reads late: see [`network::SLOW_AT_100`]. No healthy node takes another for dead;
/// what the slow one takes for dead is counted for itself.
pub(crate) fn slow_at_100() {
    let results = check(&network::SLOW_AT_100);
    let failures = results.sum(|totals| totals.false_failures);
    let by_slow = results.sum(|totals| totals.failed_by_exempt);
    let runs = results.reports.len();
    say("numbers_slow_at_100", &format!("{failures} in {runs} runs"));
    say("numbers_slow_at_100/by_slow", &format!("{by_slow} in {runs} runs"));
    let most = (runs as u64).div_ceil(RUNS_PER_FAILURE_BY_SLOW);
    assert!(by_slow <= most, "the slow node fails {by_slow} healthy ones in {runs} runs");
}

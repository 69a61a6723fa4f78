//! What happens to the fleets. Times that are promised by the design are asserted; others are
//! printed, and their deadlines are what no working fleet needs.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::fleet::{Fleet, Outcome, addresses};
use crate::{flood, system_calls};

type Scenario = fn(&mut Fleet, bool) -> Outcome;

/// Names for `ONLY=`, and where they are, in the order in which they run.
pub(crate) const SCENARIOS: [(&str, &str, Scenario); 10] = [
    ("burst", file!(), burst),
    ("crash", file!(), crash),
    ("pause", file!(), pause),
    ("loss", file!(), loss),
    ("one_way", file!(), one_way),
    ("half_connected", file!(), half_connected),
    ("partition", file!(), partition),
    ("sawtooth", file!(), sawtooth),
    ("flood", flood::FILE, flood::flood),
    ("system_calls", system_calls::FILE, system_calls::system_calls),
];

/// What takes a minute whatever is asked of it.
pub(crate) const NOT_IN_SHORT: [&str; 1] = ["system_calls"];

/// What a healed fleet has to be whole again.
const HEALED: Duration = Duration::from_secs(10);
/// What any burst has until it has one view.
const BURST: Duration = Duration::from_secs(3);
/// What is only to end, and is measured.
const PATIENCE: Duration = Duration::from_secs(60);

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// All hosts start at once through one seed, which starts with them.
fn burst(fleet: &mut Fleet, _quick: bool) -> Outcome {
    let size = fleet.network.nodes().len();
    let taken = fleet.form(size)?;
    if taken > BURST {
        return Err(
            format!("{size} started at once: one view only after {}", seconds(taken)).into()
        );
    }
    Ok(format!("{size} started at once, until one view: {}", seconds(taken)))
}

/// Three of twenty are killed at once, and started again.
fn crash(fleet: &mut Fleet, _quick: bool) -> Outcome {
    fleet.form(20)?;
    let start = Instant::now();
    for host in [3, 9, 17] {
        fleet.crash(host);
    }
    fleet.judge_from_here();
    let healthy = fleet.addresses();
    fleet.one_view(PATIENCE)?;
    let known = start.elapsed();
    fleet.nobody_failed(&healthy)?;
    fleet.start([3, 9, 17])?;
    let back = fleet.one_view(HEALED)?;
    Ok(format!(
        "3 of 20 killed, then started again, others failed: 0; known after {}, back after {}",
        seconds(known),
        seconds(back)
    ))
}

/// One of twenty stops for longer than it takes to be failed, and goes on. It takes nobody for
/// dead, neither before it has heard what it missed nor after.
fn pause(fleet: &mut Fleet, quick: bool) -> Outcome {
    fleet.form(20)?;
    let (all, paused) = (fleet.addresses(), fleet.address(7));
    let others: Vec<_> = all.iter().copied().filter(|address| *address != paused).collect();
    fleet.judge_from_here();
    fleet.signal(7, Signal::SIGSTOP);
    let start = Instant::now();
    let known = fleet.view_of(&others, &others, PATIENCE)?;
    let length = Duration::from_secs(if quick { 0 } else { 30 });
    thread::sleep(length.saturating_sub(start.elapsed()));
    fleet.signal(7, Signal::SIGCONT);
    let back = fleet.one_view(HEALED)?;
    fleet.nobody_failed(&others)?;
    Ok(format!(
        "1 of 20 stopped, back after {}, healthy members failed: 0; known after {}",
        seconds(back),
        seconds(known)
    ))
}

/// Packets are lost at random: members are suspected, and all of them refute in time.
fn loss(fleet: &mut Fleet, quick: bool) -> Outcome {
    fleet.form(20)?;
    fleet.judge_from_here();
    let all = fleet.addresses();
    let mut said = Vec::new();
    for percent in if quick { &[20][..] } else { &[5, 10, 20][..] } {
        fleet.network.lose(*percent)?;
        thread::sleep(Duration::from_secs(if quick { 10 } else { 60 }));
        fleet.nobody_failed(&all).map_err(|error| format!("{percent}% lost: {error}"))?;
        let suspected = fleet.heard("member_suspected", &all).len();
        said.push(format!("{suspected} at {percent}%"));
        fleet.judge_from_here();
    }
    fleet.network.heal()?;
    let whole = fleet.one_view(HEALED)?;
    Ok(format!(
        "20 with loss, then one view after {}, members failed: 0; suspicions {}",
        seconds(whole),
        said.join(", ")
    ))
}

/// From one host to another nothing passes, and from a third nothing to five: the others vouch.
fn one_way(fleet: &mut Fleet, quick: bool) -> Outcome {
    fleet.form(20)?;
    fleet.judge_from_here();
    fleet.network.cut(fleet.address(2), fleet.address(5))?;
    for to in 10..15 {
        fleet.network.cut(fleet.address(8), fleet.address(to))?;
    }
    let lost = nobody_fails(fleet, if quick { 8 } else { 60 })?;
    let whole = fleet.one_view(HEALED)?;
    Ok(format!(
        "6 one-way links of 20, {lost} packets lost, then one view after {}, members failed: 0",
        seconds(whole)
    ))
}

/// One host and half of the others cannot reach each other: that half does not have it failed.
fn half_connected(fleet: &mut Fleet, quick: bool) -> Outcome {
    fleet.form(20)?;
    fleet.judge_from_here();
    for other in 10..20 {
        fleet.network.cut(fleet.address(4), fleet.address(other))?;
        fleet.network.cut(fleet.address(other), fleet.address(4))?;
    }
    let lost = nobody_fails(fleet, if quick { 8 } else { 120 })?;
    let whole = fleet.one_view(HEALED)?;
    Ok(format!(
        "1 of 20 cut off from 10, {lost} packets lost, then one view after {}, members failed: 0",
        seconds(whole)
    ))
}

/// Lets links be cut for so long, and heals them; how many packets were lost.
fn nobody_fails(fleet: &Fleet, seconds: u64) -> Outcome<u64> {
    let before = fleet.network.dropped()?;
    thread::sleep(Duration::from_secs(seconds));
    fleet.nobody_failed(&fleet.addresses())?;
    let lost = fleet.network.dropped()? - before;
    if lost == 0 {
        return Err("no packet met a cut link".into());
    }
    fleet.network.heal()?;
    Ok(lost)
}

/// Twenty are cut into two halves, each of which takes the other for dead, and become one again.
fn partition(fleet: &mut Fleet, quick: bool) -> Outcome {
    fleet.form(20)?;
    let (left, right) = fleet.network.nodes()[..20].split_at(10);
    let (left, right) = (addresses(left), addresses(right));
    let start = Instant::now();
    fleet.network.part(&left)?;
    fleet.view_of(&left, &left, PATIENCE)?;
    fleet.view_of(&right, &right, PATIENCE)?;
    let apart = start.elapsed();
    let length = Duration::from_secs(if quick { 0 } else { 60 });
    thread::sleep(length.saturating_sub(apart));
    fleet.network.heal()?;
    let whole = fleet.one_view(HEALED)?;
    Ok(format!(
        "20 cut in halves, then healed, until one view: {}; two views after {}",
        seconds(whole),
        seconds(apart)
    ))
}

/// Two become as many as there are hosts, and two again: in every other round all of the rest leave,
/// in the others half of them crash. Two survivors need long for many dead: their probes go
/// unanswered, and so they take themselves for slow.
fn sawtooth(fleet: &mut Fleet, quick: bool) -> Outcome {
    let size = fleet.network.nodes().len();
    fleet.form(2)?;
    let [mut grown, mut left, mut crashed] = [Duration::ZERO; 3];
    for round in 0..if quick { 1 } else { 5 } {
        let within = |error| format!("round {round}: {error}");
        let start = Instant::now();
        fleet.start(2..size)?;
        fleet.one_view(PATIENCE).map_err(within)?;
        grown = grown.max(start.elapsed());

        let start = Instant::now();
        let crashes = round % 2 == 1;
        for host in (2..size).step_by(2).filter(|_| crashes) {
            fleet.crash(host);
        }
        fleet.leave(2..size).map_err(within)?;
        fleet.one_view(5 * PATIENCE).map_err(within)?;
        let shrunk = if crashes { &mut crashed } else { &mut left };
        *shrunk = start.elapsed().max(*shrunk);
    }
    let mut said = format!("2 -> {size} -> 2, the slowest: {} growing, ", seconds(grown));
    said += &format!("{} all left", seconds(left));
    if !quick {
        said += &format!(", {} half crashed", seconds(crashed));
    }
    Ok(said)
}

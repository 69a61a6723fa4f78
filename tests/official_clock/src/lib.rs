//! What the comparisons share: random numbers, the clocks, and how far two windows may differ.

use midge::clockbound::{Bounded, ClockStatus, Reading};
use midge::rng::Rng;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime};

/// How much wider than the official window ours may be on each side.
const SLACK_NS: i64 = 2;

/// So much more may be off where floating point falls on the other side of a whole nanosecond.
const FLOAT_NS: i64 = 1;

/// One in so many windows at most may need that.
const FLOAT_IN: u32 = 500;

/// 64 random bits, but as often of few digits as of many, and below a limit.
pub fn number(rng: &mut Rng, end: u64) -> u64 {
    (rng.next() >> rng.below(64)) % end
}

/// A number of nanoseconds as the official clients take it.
pub fn time(ns: i64) -> TimeSpec {
    TimeSpec::nanoseconds(ns)
}

/// What the clocks show now, read in the order that the clients read them.
pub fn clocks() -> (i64, i64) {
    let read = |clock| clock_gettime(clock).expect("the clock is there").num_nanoseconds();
    (read(ClockId::CLOCK_REALTIME), read(ClockId::CLOCK_MONOTONIC_COARSE))
}

/// The reading of such clocks.
pub fn reading((realtime_ns, monotonic_coarse_ns): (i64, i64)) -> Reading {
    Reading::Clocks { realtime_ns, monotonic_coarse_ns }
}

/// One of the four.
pub fn status(rng: &mut Rng) -> ClockStatus {
    const ALL: [ClockStatus; 4] = [
        ClockStatus::Unknown,
        ClockStatus::Synchronized,
        ClockStatus::FreeRunning,
        ClockStatus::Disrupted,
    ];
    ALL[rng.below(4) as usize]
}

/// The same status as `clock-bound` 3.0.0-rc.0 says it.
pub fn official(status: ClockStatus) -> clock_bound::ClockStatus {
    match status {
        ClockStatus::Unknown => clock_bound::ClockStatus::Unknown,
        ClockStatus::Synchronized => clock_bound::ClockStatus::Synchronized,
        ClockStatus::FreeRunning => clock_bound::ClockStatus::FreeRunning,
        ClockStatus::Disrupted => clock_bound::ClockStatus::Disrupted,
    }
}

/// Compares windows, and counts those that differ by what floating point loses.
#[derive(Default)]
pub struct Comparison {
    compared: u32,
    lost: u32,
}

impl Comparison {
    /// The official window was made somewhere between two readings, of which these are ours.
    #[track_caller]
    pub fn add(&mut self, before: &Bounded, after: &Bounded, official: (TimeSpec, TimeSpec)) {
        let (earliest_ns, latest_ns) = (official.0.num_nanoseconds(), official.1.num_nanoseconds());
        let is_within = |float_ns| {
            before.window.earliest_ns() <= earliest_ns + float_ns
                && after.window.latest_ns() >= latest_ns - float_ns
                && after.window.earliest_ns() >= earliest_ns - SLACK_NS - float_ns
                && before.window.latest_ns() <= latest_ns + SLACK_NS + float_ns
        };
        let what = || format!("{before:?} {after:?} official {earliest_ns} to {latest_ns}");
        assert!(is_within(FLOAT_NS), "{}", what());
        self.compared += 1;
        self.lost += u32::from(!is_within(0));
    }

    /// Ends it: so many were compared at least. How many differ by what floating point loses.
    pub fn finish(self, least: u32) -> u32 {
        let Self { compared, lost } = self;
        assert!(compared >= least, "only {compared} windows were compared");
        assert!(lost * FLOAT_IN <= compared, "{lost} of {compared} windows differ");
        lost
    }
}

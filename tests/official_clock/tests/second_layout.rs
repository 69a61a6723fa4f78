//! The second layout beside `clock-bound-shm` 2.0.3, through the file that its writer writes, and
//! beside `clock-bound` 3.0.0-rc.0. Between two readings of ours they make their own.

use std::path::PathBuf;

use clock_bound::test_utils::{
    ClockErrorBound as Newer, ClockErrorBoundGeneric, ClockErrorBoundLayoutVersion,
};
use clock_bound_shm::{ClockErrorBound, ClockStatus as Official, ShmError, ShmWrite, ShmWriter};
use midge::clockbound::{ClockError, ClockStatus, Layout, Segment};
use midge::rng::Rng;
use midge_official_clock::{Comparison, clocks, number, official, reading, status, time};

const ROUNDS: u32 = 50_000;

fn older(status: ClockStatus) -> Official {
    match status {
        ClockStatus::Unknown => Official::Unknown,
        ClockStatus::Synchronized => Official::Synchronized,
        ClockStatus::FreeRunning => Official::FreeRunning,
        ClockStatus::Disrupted => Official::Disrupted,
    }
}

fn path() -> PathBuf {
    std::env::temp_dir().join(format!("midge-official-clock-{}", std::process::id()))
}

#[test]
fn fields_windows_and_causality_agree() {
    let path = path();
    let mut writer = ShmWriter::new(&path).expect("the folder is there");
    let mut rng = Rng::new(2);
    let mut comparison = Comparison::default();
    let mut breaches = 0;
    for _ in 0..ROUNDS {
        let (_, now_ns) = clocks();
        // One in eight lies a little ahead, as far as is forgiven or further.
        let as_of_ns = match rng.below(8) {
            0 => now_ns + i64::from(rng.below(3_000)),
            _ => now_ns - number(&mut rng, now_ns as u64) as i64,
        };
        let void_after_ns = as_of_ns + number(&mut rng, 1 << 50) as i64;
        let (bound_ns, stored) = (number(&mut rng, 1 << 40) as i64, status(&mut rng));
        let drift_ppb = number(&mut rng, 1_000_000_000) as u32;
        let (marker, support) = (rng.next(), rng.below(2) == 0);
        let bound = ClockErrorBound::new(
            time(as_of_ns),
            time(void_after_ns),
            bound_ns,
            marker,
            drift_ppb,
            older(stored),
            support,
        );
        writer.write(&bound);
        let bytes = std::fs::read(&path).expect("it was written");
        let segment = Segment::decode(&bytes).expect("it was written whole");
        let fields = (segment.layout, segment.as_of_ns, segment.void_after_ns, segment.bound_ns);
        assert_eq!(fields, (Layout::V2, as_of_ns, void_after_ns, bound_ns));
        let fields = (segment.max_drift_ppb, segment.status, segment.disruption_marker);
        assert_eq!(fields, (drift_ppb, stored, marker));
        assert_eq!(segment.disruption_support, support);

        let built = ClockErrorBoundGeneric::builder()
            .as_of(time(as_of_ns))
            .void_after(time(void_after_ns))
            .bound_nsec(bound_ns)
            .max_drift_ppb(drift_ppb)
            .clock_status(official(stored))
            .build(ClockErrorBoundLayoutVersion::V2);
        let Newer::V2(newer) = built else { panic!("the second was built") };

        let before = clocks();
        let said = (bound.now(), newer.now());
        let after = clocks();
        // What the coarse clock skips, drift makes of it: the bound jumps.
        if before.1 != after.1 {
            continue;
        }
        let [ours_before, ours_after] =
            [before, after].map(|clocks| segment.at(reading(clocks), Some(marker)));
        match (said, ours_before, ours_after) {
            ((Ok((earliest, latest, _)), Ok(newer)), Ok(ours_before), Ok(ours_after)) => {
                comparison.add(&ours_before, &ours_after, (earliest, latest));
                comparison.add(&ours_before, &ours_after, (newer.earliest, newer.latest));
                assert_eq!(newer.clock_status, official(ours_after.status));
            }
            ((Err(error), Err(_)), Err(ClockError::Causality), Err(ClockError::Causality)) => {
                assert_eq!(error, ShmError::CausalityBreach);
                breaches += 1;
            }
            (said, ..) => panic!("{said:?} {ours_before:?} {ours_after:?}"),
        }
    }
    std::fs::remove_file(&path).expect("it is ours");
    assert!(breaches > ROUNDS / 100, "only {breaches} were in the future");
    comparison.finish(ROUNDS);
}

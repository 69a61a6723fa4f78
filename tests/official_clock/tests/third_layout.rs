//! The third layout beside `clock-bound` 3.0.0-rc.0, at the very counter that it read.

use std::io::Write;

use clock_bound::test_utils::{
    ClockErrorBound, ClockErrorBoundGeneric, ClockErrorBoundLayoutVersion,
};
use midge::clockbound::{Reading, Segment};
use midge::rng::Rng;
use midge_official_clock::{Comparison, number, official, status, time};

const ROUNDS: u32 = 200_000;

/// Ages up to this: about 12 days, many times what any daemon leaves a segment to.
const OLDEST_NS: u64 = 1 << 50;

/// A segment with this payload.
fn segment<T>(payload: &T) -> Segment {
    let len = std::mem::size_of::<T>();
    let mut bytes = Vec::new();
    bytes.extend(0x414D_5A4E_u32.to_ne_bytes());
    bytes.extend(0x4342_0200_u32.to_ne_bytes());
    bytes.extend((16 + len as u32).to_ne_bytes());
    bytes.extend(0x0303_u16.to_ne_bytes());
    bytes.extend(2_u16.to_ne_bytes());
    // SAFETY: the payload is a `repr(C)` structure of integers with its padding spelt out as
    // fields, so that each of its bytes is initialised.
    bytes.extend(unsafe { std::slice::from_raw_parts(std::ptr::from_ref(payload).cast(), len) });
    Segment::decode(&bytes).expect("the daemon would write it")
}

#[test]
fn windows_and_statuses_agree() {
    let mut rng = Rng::new(1);
    let mut comparison = Comparison::default();
    let mut counter_now = u64::MAX;
    for _ in 0..ROUNDS {
        // From 100 kHz to 8 GHz.
        let period_ns = 0.125 * 2_f64.powf(f64::from(rng.below(1 << 16)) / 4_096.0);
        let age_ticks = (number(&mut rng, OLDEST_NS) as f64 / period_ns) as u64;
        let as_of_ns = 1_795_333_393_000_000_000 + number(&mut rng, 1 << 56) as i64;
        let stored = status(&mut rng);
        let marker = rng.next();
        let built = ClockErrorBoundGeneric::builder()
            .as_of_tsc(counter_now.saturating_sub(age_ticks))
            .as_of(time(as_of_ns))
            .void_after(time(as_of_ns + number(&mut rng, 2 * OLDEST_NS) as i64))
            .period(period_ns * 1e-9)
            .period_err(number(&mut rng, 1 << 32) as f64 / 2_f64.powi(33))
            .bound_nsec(number(&mut rng, 1 << 40) as i64)
            .disruption_marker(marker)
            .max_drift_ppb(number(&mut rng, 1_000_000_000) as u32)
            .clock_status(official(stored))
            .clock_disruption_support_enabled(rng.below(2) == 0)
            .build(ClockErrorBoundLayoutVersion::V3);
        let ClockErrorBound::V3(payload) = built else { panic!("the third was built") };
        let segment = segment(&payload);
        assert_eq!((segment.status, segment.disruption_marker), (stored, marker));
        let said = payload.now_with_counter().expect("it is in order");
        counter_now = said.counter;
        let ours = segment.at(Reading::Counter(said.counter), Some(marker)).expect("likewise");
        let window = said.time_window;
        comparison.add(&ours, &ours, (window.earliest, window.latest));
        assert_eq!(official(ours.status), window.clock_status, "{segment:?} {ours:?}");
    }
    let lost = comparison.finish(ROUNDS);
    let check = "tests/official_clock/tests/third_layout.rs::windows_and_statuses_agree";
    // Past the harness that keeps the output of a test that passes.
    writeln!(std::io::stderr(), "numbers: {check} {lost}").expect("stderr");
}

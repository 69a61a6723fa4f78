//! Bytes for a segment and for a `VMClock`, and readings of the clocks: whatever is answered bounds
//! the time, and time and bound only grow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::clockbound::{Bounded, ClockError, ClockStatus, Layout, Reading, Segment, VmClock};
use midge_fuzz::Input;

fn long(input: &mut Input<'_>) -> u64 {
    let mut bytes = [0; 8];
    bytes.fill_with(|| input.byte());
    u64::from_le_bytes(bytes)
}

/// A reading of the clock that the layout counts by, and one that is later by so much.
fn readings(layout: Layout, first: u64, second: u64, later: u64) -> [Option<Reading>; 2] {
    let clocks = |realtime_ns: i64, monotonic_coarse_ns: i64| {
        Some(Reading::Clocks { realtime_ns, monotonic_coarse_ns })
    };
    let (realtime_ns, monotonic_ns) = (first as i64, second as i64);
    match layout {
        Layout::V3 => {
            [Some(Reading::Counter(first)), first.checked_add(later).map(Reading::Counter)]
        }
        Layout::V1 | Layout::V2 => {
            let shifted = realtime_ns
                .checked_add_unsigned(later)
                .zip(monotonic_ns.checked_add_unsigned(later))
                .and_then(|(realtime_ns, monotonic_ns)| clocks(realtime_ns, monotonic_ns));
            [clocks(realtime_ns, monotonic_ns), shifted]
        }
    }
}

fn check(segment: &Segment, bounded: &Bounded, marker: Option<u64>) {
    let twice = 2 * bounded.bound_ns as u64;
    let rounding = u64::from(segment.layout == Layout::V3);
    let width = bounded.window.width_ns();
    assert!(twice <= width && width <= twice.saturating_add(rounding), "{segment:?} {bounded:?}");
    assert!(bounded.bound_ns >= segment.bound_ns && bounded.age_ns >= 0, "{segment:?} {bounded:?}");
    if segment.disruption_support && marker != Some(segment.disruption_marker) {
        assert_eq!(bounded.status, ClockStatus::Disrupted, "{segment:?}");
    }
    if bounded.status.is_usable_for_leases() {
        assert!(segment.status.is_usable_for_leases() && !bounded.is_void, "{segment:?}");
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let (first, second, later) = (long(&mut input), long(&mut input), long(&mut input));
    let marker = input.byte();
    let bytes = input.0;
    let _ = VmClock::decode(bytes).map(|vm_clock| assert!(vm_clock.sequence % 2 == 0));
    let Ok(segment) = Segment::decode(bytes) else { return };
    let marker = match marker % 3 {
        0 => None,
        1 => Some(segment.disruption_marker),
        _ => Some(marker.into()),
    };
    let [now, then] = readings(segment.layout, first, second, later);
    let [now, then] = [now, then].map(|reading| reading.map(|it| segment.at(it, marker)));
    let Some(Ok(now)) = now else { return };
    check(&segment, &now, marker);
    match then {
        Some(Ok(then)) => {
            check(&segment, &then, marker);
            assert!(then.age_ns >= now.age_ns && then.bound_ns >= now.bound_ns);
            assert!(then.window.latest_ns() >= now.window.latest_ns());
            assert!(then.is_void || !now.is_void);
        }
        Some(Err(error)) => assert_eq!(error, ClockError::Range),
        None => {}
    }
});

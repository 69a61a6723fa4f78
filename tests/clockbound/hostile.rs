//! Bytes and readings that nobody sane would send: nothing panics, and what is answered is sound.

use midge::clockbound::{
    ClockStatus, Fraction, Layout, Reading, Segment, SegmentError, VM_CLOCK_BYTES, VmClock,
};
use midge::rng::Rng;

use super::vectors::{bytes, names, segments};

/// The readings that each segment is tried with besides one out of its own time.
const EXTREMES: [i64; 6] = [i64::MIN, -1, 0, 1, 1_795_333_393_000_000_000, i64::MAX];

fn readings(segment: &Segment) -> impl Iterator<Item = Reading> {
    let own = [segment.as_of_ns, segment.void_after_ns, segment.as_of_counter as i64];
    let all: Vec<i64> = EXTREMES.into_iter().chain(own).collect();
    all.clone().into_iter().flat_map(move |realtime_ns| {
        let clocks =
            move |monotonic_coarse_ns| Reading::Clocks { realtime_ns, monotonic_coarse_ns };
        all.clone().into_iter().map(clocks).chain([Reading::Counter(realtime_ns as u64)])
    })
}

/// Whatever comes out of these bytes holds.
fn try_all(bytes: &[u8]) {
    let Ok(segment) = Segment::decode(bytes) else { return };
    assert!(bytes.len() >= segment.layout.bytes());
    for reading in readings(&segment) {
        for marker in [None, Some(segment.disruption_marker), Some(!segment.disruption_marker)] {
            check(&segment, reading, marker);
        }
    }
}

fn check(segment: &Segment, reading: Reading, marker: Option<u64>) {
    let Ok(bounded) = segment.at(reading, marker) else { return };
    let what = || format!("{segment:?} at {reading:?}: {bounded:?}");
    let twice = 2 * bounded.bound_ns as u64;
    let rounding = u64::from(segment.layout == Layout::V3);
    let widths = twice..=twice.saturating_add(rounding);
    assert!(widths.contains(&bounded.window.width_ns()), "{}", what());
    assert!(bounded.bound_ns >= segment.bound_ns, "{}", what());
    assert!(bounded.age_ns >= 0, "{}", what());
    if segment.disruption_support && marker != Some(segment.disruption_marker) {
        assert_eq!(bounded.status, ClockStatus::Disrupted, "{}", what());
    }
    if bounded.status.is_usable_for_leases() {
        assert!(segment.status.is_usable_for_leases() && !bounded.is_void, "{}", what());
    }
}

#[test]
fn cut_anywhere() {
    for name in segments() {
        let bytes = bytes(&name);
        for len in 0..bytes.len() {
            assert_eq!(Segment::decode(&bytes[..len]), Err(SegmentError::Short), "{name} {len}");
        }
    }
    for name in names("", ".vmclock.bin") {
        let bytes = bytes(&name);
        for len in 0..VM_CLOCK_BYTES {
            assert_eq!(VmClock::decode(&bytes[..len]), Err(SegmentError::Short), "{name} {len}");
        }
    }
}

#[test]
fn flipped_in_any_bit() {
    for name in segments() {
        let mut bytes = bytes(&name);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            try_all(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_vm_clock_flipped_in_any_bit() {
    for name in names("", ".vmclock.bin") {
        let mut bytes = bytes(&name);
        let good = VmClock::decode(&bytes).expect(&name);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = VmClock::decode(&bytes);
            match bit / 8 {
                0..4 => assert_eq!(flipped, Err(SegmentError::Magic)),
                8..10 => assert!(matches!(flipped, Err(SegmentError::Version))),
                12 if bit % 8 == 0 => assert_eq!(flipped, Err(SegmentError::Busy)),
                16..24 => {
                    let marker = flipped.expect("any marker is one").disruption_marker;
                    assert_eq!(marker ^ good.disruption_marker, 1 << (bit - 16 * 8));
                }
                4..8 | 12..16 => {}
                _ => assert_eq!(flipped, Ok(good), "byte {}", bit / 8),
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// 64 random bits, but often of few digits, or all ones.
fn number(rng: &mut Rng) -> u64 {
    let number = rng.next() >> rng.below(64);
    if rng.below(4) == 0 { !number } else { number }
}

#[test]
fn random_payloads_behind_good_headers() {
    let mut rng = Rng::new(1);
    let originals: Vec<_> = segments().iter().map(|name| bytes(name)).collect();
    for _ in 0..20_000 {
        let mut bytes = originals[rng.below(originals.len() as u32) as usize].clone();
        for _ in 0..=rng.below(6) {
            let at = 16 + 4 * rng.below((bytes.len() as u32 - 16) / 4) as usize;
            let word = number(&mut rng).to_ne_bytes();
            let len = [4, 8][rng.below(2) as usize].min(bytes.len() - at);
            bytes[at..at + len].copy_from_slice(&word[..len]);
        }
        try_all(&bytes);
    }
}

#[test]
fn random_bytes() {
    let mut rng = Rng::new(2);
    for _ in 0..100_000 {
        let mut bytes = [0; 128];
        bytes.fill_with(|| rng.next() as u8);
        let _ = VmClock::decode(&bytes);
        assert_eq!(Segment::decode(&bytes), Err(SegmentError::Magic));
    }
}

/// The fields of a segment are open: any values at all may meet any reading.
#[test]
fn random_fields() {
    let mut rng = Rng::new(3);
    for _ in 0..200_000 {
        let segment = Segment {
            layout: [Layout::V1, Layout::V2, Layout::V3][rng.below(3) as usize],
            generation: 2,
            as_of_ns: number(&mut rng) as i64,
            void_after_ns: number(&mut rng) as i64,
            bound_ns: number(&mut rng) as i64,
            max_drift_ppb: number(&mut rng) as u32,
            status: ClockStatus::Synchronized,
            disruption_support: rng.below(2) == 0,
            disruption_marker: rng.below(2).into(),
            as_of_counter: number(&mut rng),
            period: Fraction { numerator: number(&mut rng), shift: number(&mut rng) as u8 },
            period_error: Fraction { numerator: number(&mut rng), shift: number(&mut rng) as u8 },
        };
        let reading = match segment.layout {
            Layout::V3 => Reading::Counter(number(&mut rng)),
            Layout::V1 | Layout::V2 => Reading::Clocks {
                realtime_ns: number(&mut rng) as i64,
                monotonic_coarse_ns: number(&mut rng) as i64,
            },
        };
        check(&segment, reading, Some(rng.below(2).into()));
    }
}

//! The rules of the status, what a reading may be, and the arithmetic beside a slower one.

use std::format;
use std::vec;
use std::vec::Vec;

use super::fraction::Fixed;
use super::*;
use crate::rng::Rng;
use crate::time::TimeWindow;

const S: i64 = 1_000_000_000;
const AS_OF_NS: i64 = 1_000 * S;
const REALTIME_NS: i64 = 1_795_333_393 * S;

fn v2() -> Segment {
    Segment {
        layout: Layout::V2,
        generation: 2,
        as_of_ns: AS_OF_NS,
        void_after_ns: AS_OF_NS + 1_000 * S,
        bound_ns: 10_000,
        max_drift_ppb: 1_000,
        status: ClockStatus::Synchronized,
        disruption_support: false,
        disruption_marker: 7,
        as_of_counter: 0,
        period: Fraction::default(),
        period_error: Fraction::default(),
    }
}

/// A counter of 2^30 ticks a second.
fn v3() -> Segment {
    Segment {
        layout: Layout::V3,
        as_of_ns: REALTIME_NS,
        void_after_ns: REALTIME_NS + 1_000 * S,
        as_of_counter: 5,
        period: Fraction { numerator: 1 << 63, shift: 29 },
        ..v2()
    }
}

fn monotonic(ns: i64) -> Reading {
    Reading::Clocks { realtime_ns: REALTIME_NS, monotonic_coarse_ns: ns }
}

#[test]
fn the_bound_grows_with_the_drift_rounded_up() {
    for (age_ns, grown_ns) in [(0, 0), (1, 1), (S, 1_000), (S + 1, 1_001), (2 * S - 1, 2_000)] {
        let bounded = v2().at(monotonic(AS_OF_NS + age_ns), None).expect("it is in order");
        assert_eq!((bounded.age_ns, bounded.bound_ns), (age_ns, 10_000 + grown_ns));
        assert_eq!(bounded.window.earliest_ns(), REALTIME_NS - bounded.bound_ns);
        assert_eq!(bounded.window.latest_ns(), REALTIME_NS + bounded.bound_ns);
    }
}

#[test]
fn time_is_made_of_the_counter() {
    let second = v3().at(Reading::Counter(5 + (1 << 30)), None).expect("it is in order");
    // A whole second, but not known to be one: ends and bound are rounded away from it.
    assert_eq!(second.window.earliest_ns(), REALTIME_NS + S - 11_001);
    assert_eq!(second.window.latest_ns(), REALTIME_NS + S + 11_002);
    // A counter that stands before the segment's has not moved.
    for counter in [0, 5] {
        let then = v3().at(Reading::Counter(counter), None).expect("it is in order");
        assert_eq!((then.age_ns, then.bound_ns), (0, 10_000));
        assert_eq!(then.window.width_ns(), 20_000);
    }
}

#[test]
fn a_misjudged_period_widens_the_window() {
    let segment = Segment {
        period_error: Fraction { numerator: 1 << 63, shift: 9 },
        max_drift_ppb: 0,
        ..v3()
    };
    let bounded = segment.at(Reading::Counter(5 + (1 << 30)), None).expect("it is in order");
    assert_eq!(bounded.bound_ns, 10_000 + S / 1_024 + 1);
}

#[test]
fn what_is_not_heard_of_again_runs_free_and_then_is_void() {
    use ClockStatus::{Disrupted, FreeRunning, Synchronized, Unknown};
    let grace = AS_OF_NS + FREE_RUNNING_GRACE_NS;
    let void = AS_OF_NS + 1_000 * S;
    for (stored, at_ns, status) in [
        (Synchronized, grace, Synchronized),
        (Synchronized, grace + 1, FreeRunning),
        (Synchronized, void, FreeRunning),
        (Synchronized, void + 1, Unknown),
        (FreeRunning, AS_OF_NS, FreeRunning),
        (FreeRunning, void + 1, Unknown),
        (Unknown, AS_OF_NS, Unknown),
        (Unknown, grace + 1, Unknown),
        (Disrupted, AS_OF_NS, Disrupted),
        (Disrupted, void + 1, Disrupted),
    ] {
        let segment = Segment { status: stored, ..v2() };
        let bounded = segment.at(monotonic(at_ns), None).expect("it is in order");
        assert_eq!(bounded.status, status, "{stored} at {at_ns}");
        assert_eq!(bounded.is_void, at_ns > void, "{stored} at {at_ns}");
    }
}

#[test]
fn a_void_before_the_grace_is_over_is_void() {
    let segment = Segment { void_after_ns: AS_OF_NS + 1, ..v2() };
    let bounded = segment.at(monotonic(AS_OF_NS + 2), None).expect("it is in order");
    assert_eq!(bounded.status, ClockStatus::Unknown);
}

#[test]
fn the_coarse_clock_may_be_a_little_behind() {
    let behind = |ns| v2().at(monotonic(AS_OF_NS - ns), None);
    assert_eq!(behind(999).expect("it is in order").bound_ns, 10_000);
    assert_eq!(behind(1_000), Err(ClockError::Causality));
    assert_eq!(behind(i64::MAX), Err(ClockError::Causality));
}

#[test]
fn another_marker_is_a_disruption_and_none_an_error() {
    for segment in [v2(), v3()] {
        let reading = match segment.layout {
            Layout::V3 => Reading::Counter(5),
            _ => monotonic(AS_OF_NS),
        };
        let status = |segment: &Segment, marker| segment.at(reading, marker).map(|it| it.status);
        for marker in [None, Some(7), Some(8)] {
            assert_eq!(status(&segment, marker), Ok(ClockStatus::Synchronized));
        }
        let strict = Segment { disruption_support: true, ..segment };
        assert_eq!(status(&strict, None), Err(ClockError::MarkerNeeded));
        assert_eq!(status(&strict, Some(7)), Ok(ClockStatus::Synchronized));
        assert_eq!(status(&strict, Some(8)), Ok(ClockStatus::Disrupted));
    }
}

#[test]
fn a_layout_has_its_clock() {
    assert_eq!(v2().at(Reading::Counter(9), None), Err(ClockError::WrongClock));
    assert_eq!(v3().at(monotonic(AS_OF_NS), None), Err(ClockError::WrongClock));
}

#[test]
fn times_beyond_64_bits_are_errors() {
    let ends = |realtime_ns| {
        let reading = Reading::Clocks { realtime_ns, monotonic_coarse_ns: AS_OF_NS };
        v2().at(reading, None).map(|it| it.window)
    };
    assert_eq!(ends(i64::MAX), Err(ClockError::Range));
    assert_eq!(ends(i64::MAX - 10_000), Ok(TimeWindow::new(i64::MAX - 20_000, i64::MAX).unwrap()));
    assert_eq!(ends(i64::MIN), Err(ClockError::Range));
    let slow = Segment { period: Fraction { numerator: u64::MAX, shift: 0 }, ..v3() };
    assert_eq!(slow.at(Reading::Counter(u64::MAX), None), Err(ClockError::Range));
    let never = Segment { as_of_ns: i64::MIN, ..v2() };
    assert_eq!(never.at(monotonic(0), None), Err(ClockError::Range));
}

#[test]
fn every_error_has_its_text() {
    let texts = [
        (SegmentError::Short, "it is too short"),
        (SegmentError::Busy, "it is being written"),
        (SegmentError::AsOf, "its as_of is out of range"),
        (SegmentError::DisruptionSupport, "its disruption support is unknown"),
    ];
    for (error, text) in texts {
        assert_eq!(format!("{error}"), text);
    }
    assert!(format!("{}", ClockError::MarkerNeeded).contains("VMClock"));
}

/// The product in digits of 32 bits, the lowest first.
fn long_product(factors: &[u64]) -> Vec<u32> {
    let mut product = vec![1_u32];
    for factor in factors {
        let mut sum = vec![0_u32; product.len() + 2];
        for (shift, digit) in [(0, *factor as u32), (1, (factor >> 32) as u32)] {
            let mut carry = 0_u64;
            for at in 0..sum.len() - shift {
                let other = u64::from(product.get(at).copied().unwrap_or(0));
                carry += u64::from(sum[at + shift]) + other * u64::from(digit);
                sum[at + shift] = carry as u32;
                carry >>= 32;
            }
        }
        product = sum;
    }
    product
}

/// What is left of them above so many bits.
fn above(digits: &[u32], bits: usize) -> u128 {
    let bit = |at: usize| u128::from(digits.get(at / 32).map_or(0, |digit| digit >> (at % 32) & 1));
    (0..128).fold(0, |sum, at| sum | bit(bits + at) << at)
}

/// 64 random bits, but often of few digits.
fn number(rng: &mut Rng) -> u64 {
    rng.next() >> rng.below(64)
}

#[test]
fn products_are_those_of_long_multiplication() {
    let mut rng = Rng::new(4);
    for _ in 0..20_000 / crate::SHORTER {
        let fraction = Fraction { numerator: number(&mut rng), shift: (rng.next() >> 56) as u8 };
        let (count, unit) = (number(&mut rng), rng.below(1 << 30) | 1);
        let digits = long_product(&[fraction.numerator, count, unit.into()]);
        let exact = above(&digits, 64 + usize::from(fraction.shift) - 32);
        let product = fraction.times(count, unit);
        assert_eq!(product.unit_less(), Fixed(exact), "{fraction:?} {count} {unit}");
        assert_eq!(product == product.unit_less(), digits.iter().all(|digit| *digit == 0));
    }
}

/// Drift alone is rounded up to the very nanosecond for the first seconds, and never down.
#[test]
fn drift_is_rounded_up() {
    let mut rng = Rng::new(5);
    for _ in 0..20_000 / crate::SHORTER {
        // Up to 73 years.
        let (age_ns, drift_ppb) = ((number(&mut rng) >> 3) as i64, number(&mut rng) as u32);
        let segment = Segment { as_of_ns: 0, bound_ns: 0, max_drift_ppb: drift_ppb, ..v2() };
        let exact = (age_ns as u128 * u128::from(drift_ppb)).div_ceil(S as u128);
        let reading = Reading::Clocks { realtime_ns: 0, monotonic_coarse_ns: age_ns };
        match segment.at(reading, None) {
            Ok(bounded) => {
                let more = bounded.bound_ns as u128 - exact;
                assert!(more <= u128::from(age_ns > 5 * S), "{age_ns} {drift_ppb}: {more}");
            }
            Err(error) => {
                assert_eq!(error, ClockError::Range);
                assert!(exact >= i64::MAX as u128, "{age_ns} {drift_ppb}");
            }
        }
    }
}

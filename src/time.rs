//! Monotonic time as the driver measures it, in microseconds, and windows of true time.
//!
//! The core never reads a clock. An [`Instant`] has no meaning outside the process that made it.
//! Sums do not saturate: 64 bits of microseconds last for 584,000 years. A [`TimeWindow`] means the
//! same on every node: it says between which two instants of UTC something happened.

use core::ops::{Add, AddAssign, Sub};

/// A point in monotonic time: microseconds since a start that the driver chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// A span of monotonic time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Instant {
    /// The start that the driver chose.
    pub const ZERO: Self = Self(0);
    /// Later than any instant a driver can reach.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The instant that lies so many microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of so many microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A span of so many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A span of so many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// The span in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The span in whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// `self * factor`; saturates.
    #[inline(never)]
    pub const fn times(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(factor as u64))
    }

    /// `self * numerator / denominator`, rounded down; the product saturates. `denominator` is not
    /// 0.
    #[inline(never)]
    pub const fn scale(self, numerator: u32, denominator: u32) -> Self {
        Self(self.times(numerator).0 / denominator as u64)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0 + span.0)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// A stretch of true time, in nanoseconds since the Unix epoch (UTC), that contains the instant
/// that it was made for. Both ends belong to it.
///
/// Windows of events on different nodes can be compared: when they do not overlap, it is certain
/// which event was first; when they do, nobody can tell.
///
/// ```
/// use midge::TimeWindow;
///
/// let stored = TimeWindow::new(1_000, 1_400).expect("it is the right way round");
/// let read = TimeWindow::new(1_500, 1_900).expect("it is the right way round");
/// assert!(stored.definitely_before(read));
/// assert_eq!(read.width_ns(), 400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeWindow {
    earliest_ns: i64,
    latest_ns: i64,
}

impl TimeWindow {
    /// The window with these ends; `None` if the earliest lies after the latest.
    pub const fn new(earliest_ns: i64, latest_ns: i64) -> Option<Self> {
        if earliest_ns <= latest_ns { Some(Self { earliest_ns, latest_ns }) } else { None }
    }

    /// The true time is not before this: Unix nanoseconds.
    pub const fn earliest_ns(self) -> i64 {
        self.earliest_ns
    }

    /// The true time is not after this: Unix nanoseconds. Never less than the earliest.
    pub const fn latest_ns(self) -> i64 {
        self.latest_ns
    }

    /// How much time lies between the ends.
    pub const fn width_ns(self) -> u64 {
        self.latest_ns.abs_diff(self.earliest_ns)
    }

    /// Whether all of it lies before all of `other`.
    pub const fn definitely_before(self, other: Self) -> bool {
        self.latest_ns < other.earliest_ns
    }

    /// Whether all of it lies after all of `other`.
    pub const fn definitely_after(self, other: Self) -> bool {
        other.definitely_before(self)
    }

    /// Whether the two share an instant: then it is unknown which of them was first.
    pub const fn overlaps(self, other: Self) -> bool {
        !self.definitely_before(other) && !self.definitely_after(other)
    }
}

#[cfg(test)]
mod tests {
    use super::TimeWindow;

    fn window(earliest_ns: i64, latest_ns: i64) -> TimeWindow {
        TimeWindow::new(earliest_ns, latest_ns).expect("it is the right way round")
    }

    #[test]
    fn a_window_is_the_right_way_round() {
        assert_eq!(TimeWindow::new(1, 0), None);
        assert_eq!(TimeWindow::new(i64::MAX, i64::MIN), None);
        assert_eq!(window(3, 3).width_ns(), 0);
        assert_eq!(window(i64::MIN, i64::MAX).width_ns(), u64::MAX);
    }

    /// Of all windows with small ends: the order is certain exactly if no choice of instants out of
    /// the two contradicts it.
    #[test]
    fn order_is_certain_or_unknown() {
        let ends = -2..3;
        let all: std::vec::Vec<_> = ends
            .clone()
            .flat_map(|a| ends.clone().filter_map(move |b| TimeWindow::new(a, b)))
            .collect();
        let instants = |w: TimeWindow| w.earliest_ns()..=w.latest_ns();
        for (a, b) in all.iter().flat_map(|&a| all.iter().map(move |&b| (a, b))) {
            let before = instants(a).all(|x| instants(b).all(|y| x < y));
            let after = instants(a).all(|x| instants(b).all(|y| x > y));
            let shared = instants(a).any(|x| instants(b).contains(&x));
            assert_eq!(a.definitely_before(b), before, "{a:?} {b:?}");
            assert_eq!(a.definitely_after(b), after, "{a:?} {b:?}");
            assert_eq!(a.overlaps(b), shared, "{a:?} {b:?}");
        }
    }
}

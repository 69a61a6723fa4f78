//! From a segment and a reading of the clocks to a window of true time. Whatever is not exact is
//! rounded so that the window grows.

use core::fmt;

use super::fraction::Fixed;
use super::{ClockStatus, Layout, Segment};
use crate::time::TimeWindow;

/// A segment that was not written again for so long is no longer said to be synchronised.
pub const FREE_RUNNING_GRACE_NS: i64 = 60_000_000_000;

/// So far the coarse clock may be behind a reading that was made before it, or further: then the
/// segment is of another boot, or a clock was set back.
const CAUSALITY_LIMIT_NS: i64 = 1_000;

const NS_PER_S: u32 = 1_000_000_000;

/// A reading of the clocks that a layout counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// For the layouts [`V1`](Layout::V1) and [`V2`](Layout::V2).
    Clocks {
        /// `CLOCK_REALTIME`, read first: Unix nanoseconds.
        realtime_ns: i64,
        /// `CLOCK_MONOTONIC_COARSE`, read after it, in nanoseconds.
        monotonic_coarse_ns: i64,
    },
    /// For the layout [`V3`](Layout::V3): the processor's counter.
    Counter(u64),
}

/// What the time certainly was at a reading, and how certain that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// Contains the true time of the reading if `status` is usable.
    pub window: TimeWindow,
    /// How far the clock was from the true time at most, in nanoseconds: what the segment says,
    /// and what has come on top since.
    pub bound_ns: i64,
    /// How long ago the segment was right, in nanoseconds; not negative.
    pub age_ns: i64,
    /// What is known of the clock at the reading.
    pub status: ClockStatus,
    /// Whether the segment says nothing about the time of the reading any more. A copy whose
    /// segment is being rewritten, or is gone, serves until then.
    pub is_void: bool,
}

/// Why there is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockError {
    /// The segment was written after the reading, by the clock that both were taken from.
    Causality,
    /// A time beyond what 64 bits of nanoseconds can say.
    Range,
    /// The segment demands the marker of the `VMClock`, and there is none.
    MarkerNeeded,
    /// The reading is not of the clock that this layout counts by.
    WrongClock,
}

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Causality => "it was written later than now",
            Self::Range => "its times do not fit 64 bits of nanoseconds",
            Self::MarkerNeeded => "it demands a VMClock, and none can be read",
            Self::WrongClock => "it counts by another clock",
        })
    }
}

impl core::error::Error for ClockError {}

/// What the clock shows at the reading, before any bound.
struct Shown {
    /// On the clock that the segment's times are of.
    now_ns: i64,
    /// Since `as_of`, in nanoseconds, rounded up.
    age: Fixed,
    /// The time that it shows, rounded down.
    earliest_ns: i64,
    /// The same rounded up.
    latest_ns: i64,
}

impl Segment {
    /// What the time certainly was at `reading`. `marker` is the `VMClock`'s
    /// [`disruption_marker`](super::VmClock::disruption_marker) at that time, if it could be read;
    /// it does not matter unless the segment demands it.
    ///
    /// # Errors
    ///
    /// [`ClockError`]; the segment is unchanged, and another reading may be fine.
    #[inline]
    pub fn at(&self, reading: Reading, marker: Option<u64>) -> Result<Bounded, ClockError> {
        let is_disrupted = match marker {
            _ if !self.disruption_support => false,
            Some(marker) => marker != self.disruption_marker,
            None => return Err(ClockError::MarkerNeeded),
        };
        let shown = self.shown_at(reading)?;
        let age_ns = shown.age.ceil().ok_or(ClockError::Range)?;
        let (window, bound_ns) = self.window(&shown).ok_or(ClockError::Range)?;
        let status = if is_disrupted { ClockStatus::Disrupted } else { self.aged(shown.now_ns) };
        let is_void = shown.now_ns > self.void_after_ns;
        Ok(Bounded { window, bound_ns, age_ns, status, is_void })
    }

    #[inline]
    fn shown_at(&self, reading: Reading) -> Result<Shown, ClockError> {
        match (self.layout, reading) {
            (Layout::V1 | Layout::V2, Reading::Clocks { realtime_ns, monotonic_coarse_ns }) => {
                let age_ns =
                    monotonic_coarse_ns.checked_sub(self.as_of_ns).ok_or(ClockError::Range)?;
                if age_ns <= -CAUSALITY_LIMIT_NS {
                    return Err(ClockError::Causality);
                }
                Ok(Shown {
                    now_ns: monotonic_coarse_ns,
                    age: Fixed::whole(age_ns.max(0) as u64),
                    earliest_ns: realtime_ns,
                    latest_ns: realtime_ns,
                })
            }
            (Layout::V3, Reading::Counter(counter)) => {
                let ticks = counter.saturating_sub(self.as_of_counter);
                self.projected(ticks).ok_or(ClockError::Range)
            }
            _ => Err(ClockError::WrongClock),
        }
    }

    /// What the clock shows so many ticks after `as_of`.
    #[inline]
    fn projected(&self, ticks: u64) -> Option<Shown> {
        let age = self.period.times(ticks, NS_PER_S);
        let earliest_ns = self.as_of_ns.checked_add(age.unit_less().floor()?)?;
        let latest_ns = self.as_of_ns.checked_add(age.ceil()?)?;
        Some(Shown { now_ns: earliest_ns, age, earliest_ns, latest_ns })
    }

    /// The window around what the clock shows, and the bound at that age.
    #[inline]
    fn window(&self, shown: &Shown) -> Option<(TimeWindow, i64)> {
        let bound_ns = self.bound_ns.checked_add(self.grown(shown.age)?)?;
        let earliest_ns = shown.earliest_ns.checked_sub(bound_ns)?;
        let latest_ns = shown.latest_ns.checked_add(bound_ns)?;
        Some((TimeWindow::new(earliest_ns, latest_ns)?, bound_ns))
    }

    /// By how many nanoseconds the bound grows in this time, rounded up: the clock drifts, and the
    /// period may be misjudged.
    #[inline]
    fn grown(&self, age: Fixed) -> Option<i64> {
        /// `2^93 / 10^9`, rounded up.
        const PER_BILLION: u64 = (1_u128 << 93).div_ceil(NS_PER_S as u128) as u64;
        // The rates are in units of 2^-64, rounded up: that adds a nanosecond in a hundred years.
        let drift = u128::from(self.max_drift_ppb) * u128::from(PER_BILLION);
        let misjudged = u128::from(self.period_error.rounded_up());
        let rate = drift.div_ceil(1 << 29) + misjudged;
        let whole = u128::from(age.floor()? as u64).checked_mul(rate)?;
        let part = (u128::from(age.part()) * rate).div_ceil(1 << Fixed::BITS);
        // What drift alone makes of whole nanoseconds is a number of billionths. For some seconds the
        // rounding above is less than one of them.
        let is_exact = misjudged == 0 && age.part() == 0;
        let up = if is_exact { u64::MAX - u64::MAX / u64::from(NS_PER_S) } else { u64::MAX };
        let grown = whole.checked_add(part + u128::from(up))? >> 64;
        i64::try_from(grown).ok()
    }

    /// The status, after nothing was heard of the daemon until now.
    #[inline]
    const fn aged(&self, now_ns: i64) -> ClockStatus {
        if !self.status.is_usable_for_leases() {
            self.status
        } else if now_ns > self.void_after_ns {
            ClockStatus::Unknown
        } else if now_ns > self.as_of_ns.saturating_add(FREE_RUNNING_GRACE_NS) {
            ClockStatus::FreeRunning
        } else {
            self.status
        }
    }
}

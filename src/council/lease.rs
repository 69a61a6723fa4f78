//! The leader's side of its lease: what each heartbeat promised, and until when it may claim.

use super::promise::{NEVER_NS, Promise};
use super::register::Constants;
use crate::limits::HEARTBEATS;
use crate::time::{Instant, TimeWindow};

/// What time it is, on both axes: read after the message arrived, or the deadline passed, that it
/// is handed in with. A reading from before would let promises end too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// By the monotonic clock, which counts while the machine sleeps.
    pub mono: Instant,
    /// In true time; `None` without a usable bounded clock.
    pub window: Option<TimeWindow>,
}

/// Until when a leader leads, on its own clocks: strictly before both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Until {
    /// Unix nanoseconds; [`NEVER_NS`] where the quorum's clocks are not bounded.
    pub true_ns: i64,
    /// On the monotonic clock.
    pub mono: Instant,
}

impl Until {
    /// Before everything.
    pub const NEVER: Self = Self { true_ns: NEVER_NS, mono: Instant::ZERO };

    /// Whether this is in the future for certain, by every clock that can tell.
    #[must_use]
    pub fn is_ahead(&self, now: &Now) -> bool {
        let truly = match now.window {
            Some(window) if self.true_ns != NEVER_NS => window.latest_ns() < self.true_ns,
            _ => true,
        };
        truly && now.mono < self.mono
    }
}

/// One heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sent {
    number: u64,
    until: Until,
}

/// What a leader has promised in its term, and what it was elected with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    /// The number of the last heartbeat; the first is 1.
    number: u64,
    /// The last heartbeats, by number.
    sent: [Sent; HEARTBEATS],
    /// Rule 8 (a): the greatest promise of this term, acknowledged or not, as others keep it.
    pub(super) greatest: Promise,
    /// Rule 8 (b): what had been promised to others before this term.
    pub(super) floor: Promise,
}

impl Lease {
    const UNSENT: Sent = Sent { number: 0, until: Until::NEVER };

    /// Of a leadership that begins, after everything that its voters had promised to others.
    pub(super) const fn after(floor: Promise) -> Self {
        Self { number: 0, sent: [Self::UNSENT; HEARTBEATS], greatest: Promise::NONE, floor }
    }

    /// Numbers a heartbeat that leaves now, and notes what it promises: in true time
    /// `earliest + L`, so that nobody can be early to hear of it; on the monotonic axis a hold of
    /// `L` for others, of which the leader itself uses the part that is over for everybody.
    pub(super) fn send(&mut self, now: &Now, constants: &Constants) -> (u64, Until) {
        let lease = constants.lease();
        let true_ns =
            now.window.map_or(NEVER_NS, |window| later(window.earliest_ns(), constants.lease_ms));
        let until = Until { true_ns, mono: now.mono + constants.shortened(lease) };
        self.number += 1;
        self.greatest = self.greatest.max(Promise { true_ns, until: now.mono + lease });
        if let Some(place) = self.sent.get_mut(self.number as usize % HEARTBEATS) {
            *place = Sent { number: self.number, until };
        }
        (self.number, until)
    }

    /// The number of the last heartbeat.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// What this heartbeat of this term promised; `None` if it was never sent, or too long ago.
    pub(super) fn promised(&self, number: u64) -> Option<Until> {
        let sent = self.sent.get(number as usize % HEARTBEATS)?;
        (number != 0 && sent.number == number).then_some(sent.until)
    }

    /// Whether all that was promised to others before is over for certain.
    pub(super) fn floor_has_passed(&self, now: &Now) -> bool {
        let truly = now.window.is_none_or(|window| window.earliest_ns() > self.floor.true_ns);
        truly && now.mono >= self.floor.until
    }
}

/// `ms` after an instant of true time; stays below the end of time.
pub(super) const fn later(ns: i64, ms: u32) -> i64 {
    ns.saturating_add(ms as i64 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64, window: Option<(i64, i64)>) -> Now {
        let window = window.and_then(|(earliest, latest)| TimeWindow::new(earliest, latest));
        Now { mono: Instant::from_micros(micros), window }
    }

    const CONSTANTS: Constants = Constants::DEFAULT;

    #[test]
    fn a_heartbeat_promises_from_the_earliest_instant_it_may_have_left() {
        let mut lease = Lease::after(Promise::NONE);
        let (number, until) = lease.send(&at(1_000, Some((50, 90))), &CONSTANTS);
        assert_eq!((number, until.true_ns), (1, 2_000_000_050));
        assert_eq!(until.mono.as_micros(), 1_000 + 1_997_998);
        assert_eq!(lease.greatest.until.as_micros(), 1_000 + 2_000_000);
        assert_eq!(lease.promised(1), Some(until));
    }

    #[test]
    fn only_heartbeats_that_are_remembered_extend_anything() {
        let mut lease = Lease::after(Promise::NONE);
        assert_eq!(lease.promised(0), None);
        for _ in 0..=HEARTBEATS {
            lease.send(&at(0, None), &CONSTANTS);
        }
        assert_eq!(lease.promised(0), None);
        assert_eq!(lease.promised(1), None);
        assert!(lease.promised(2).is_some());
        assert_eq!(lease.promised(lease.number() + 1), None);
    }

    #[test]
    fn the_greatest_promise_stays_when_the_lease_is_lowered_or_the_clock_goes() {
        let mut lease = Lease::after(Promise::NONE);
        lease.send(&at(1_000, Some((50, 90))), &CONSTANTS);
        let before = lease.greatest;
        lease.send(&at(2_000, None), &Constants { lease_ms: 1_000, ..CONSTANTS });
        assert_eq!(lease.greatest, before);
    }

    #[test]
    fn a_claim_ends_on_whichever_clock_ends_first() {
        let until = Until { true_ns: 100, mono: Instant::from_micros(100) };
        assert!(until.is_ahead(&at(99, Some((0, 99)))));
        assert!(!until.is_ahead(&at(100, Some((0, 99)))));
        assert!(!until.is_ahead(&at(99, Some((0, 100)))));
        assert!(until.is_ahead(&at(99, None)));
        let untold = Until { true_ns: NEVER_NS, ..until };
        assert!(untold.is_ahead(&at(99, Some((0, 1_000)))));
    }

    #[test]
    fn a_floor_has_to_pass_on_every_clock() {
        let floor = Promise { true_ns: 100, until: Instant::from_micros(100) };
        let lease = Lease::after(floor);
        assert!(lease.floor_has_passed(&at(100, Some((101, 200)))));
        assert!(!lease.floor_has_passed(&at(100, Some((100, 200)))));
        assert!(!lease.floor_has_passed(&at(99, Some((101, 200)))));
        assert!(lease.floor_has_passed(&at(100, None)));
    }

    #[test]
    fn true_time_has_an_end() {
        assert_eq!(later(i64::MAX - 1, 1), i64::MAX);
    }
}

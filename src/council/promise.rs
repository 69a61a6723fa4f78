//! Until when nobody else may lead: promises, as voters keep them.
//!
//! A promise lives on two axes. On the axis of true time it is an instant `X`: what it was made
//! for happens at a true time before `X`. On the monotonic axis it is a *hold*: a span that has to
//! run down on some clock that is at most `rho` fast, counted from the moment when it is heard. A
//! hold of `h` thus ends no earlier than a true span of `h / (1 + rho)` later; handing its rest on
//! keeps that, whoever counts it, so that holds pass from clock to clock as they are. See
//! `docs/council.md` for the proof.

use super::register::Release;
use super::term::{NOBODY, Term};
use crate::time::{Duration, Instant};

/// No instant of true time: before all that a clock of ours can show.
pub const NEVER_NS: i64 = 0;

/// By how much holds that were handed on may have grown, microseconds rounded up each time.
pub(super) const ROUNDING: Duration = Duration::from_micros(100);

/// Several times the longest promise that constants allow.
const HOLD_MAX: Duration = Duration::from_secs(3_600);

/// A promise on the clock of the node that keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Promise {
    /// Unix nanoseconds; [`NEVER_NS`] = none on this axis.
    pub true_ns: i64,
    /// When the hold ends.
    pub until: Instant,
}

impl Promise {
    /// None.
    pub const NONE: Self = Self { true_ns: NEVER_NS, until: Instant::ZERO };

    /// The later of two, on each axis.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { true_ns: self.true_ns.max(other.true_ns), until: self.until.max(other.until) }
    }

    /// The earlier of two, on each axis.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { true_ns: self.true_ns.min(other.true_ns), until: self.until.min(other.until) }
    }

    /// As it travels. Who reads a clock that was rounded down may be early by a microsecond: so a
    /// hold that is not over travels with one more.
    #[must_use]
    pub fn told(self, now: Instant) -> Told {
        let rest = self.until.since(now);
        let rounded = Duration::from_micros(u64::from(rest > Duration::ZERO));
        Told { true_ns: self.true_ns, hold: rest + rounded }
    }
}

/// A promise as it travels, and as it lies on a disk: the hold runs from when it is heard, or read
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// Unix nanoseconds; [`NEVER_NS`] = none on this axis.
    pub true_ns: i64,
    /// What is left of the hold.
    pub hold: Duration,
}

impl Told {
    /// None.
    pub const NONE: Self = Self { true_ns: NEVER_NS, hold: Duration::ZERO };

    /// On the clock of who hears it now. A hold is at most an hour, whatever somebody says.
    #[must_use]
    pub fn heard(self, now: Instant) -> Promise {
        Promise { true_ns: self.true_ns, until: now + self.hold.min(HOLD_MAX) }
    }
}

/// What a voter has promised, as it tells a candidate: to whom apart from what it keeps for all
/// others, so that a release can cancel the one and not the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// Whose promise `value` is.
    pub holder: u64,
    /// The highest term in which that holder was heard.
    pub term: Term,
    /// What it was promised.
    pub value: Told,
    /// What all others were promised.
    pub floor: Told,
}

/// The promises of one voter. They live in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Promises {
    holder: u64,
    term: Term,
    value: Promise,
    floor: Promise,
}

impl Promises {
    /// Of a voter that has promised nothing.
    pub const NONE: Self =
        Self { holder: NOBODY, term: Term::ZERO, value: Promise::NONE, floor: Promise::NONE };

    /// Rule 8: keeps what a leader of this term was promised, and what it said of the floor. One
    /// value is kept for the leader of now, marked with the highest term it was heard in, whichever
    /// of the instants is the later; those of all others are one floor, from which a release that
    /// is known takes its holder's part.
    pub fn record(
        &mut self,
        (holder, term): (u64, Term),
        value: Promise,
        floor: Promise,
        released: impl FnOnce(u64, Term) -> Option<Promise>,
    ) {
        if self.holder == holder {
            self.term = self.term.max(term);
            self.value = self.value.max(value);
        } else {
            let before = released(self.holder, self.term).unwrap_or(self.value);
            self.floor = self.floor.max(before);
            (self.holder, self.term, self.value) = (holder, term, value);
        }
        self.floor = self.floor.max(floor);
    }

    /// Rule 9: no promise reaches further than this.
    pub fn clamp(&mut self, most: Promise) {
        self.value = self.value.min(most);
        self.floor = self.floor.min(most);
    }

    /// Rule 9: what may have been promised in a life that is forgotten.
    pub fn raise_floor(&mut self, floor: Promise) {
        self.floor = self.floor.max(floor);
    }

    /// As it travels.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        Report {
            holder: self.holder,
            term: self.term,
            value: self.value.told(now),
            floor: self.floor.told(now),
        }
    }
}

impl Report {
    /// Rule 12: what a candidate has to wait for after this vote. What was promised to the
    /// candidate itself does not bind it, and of what a release in its accepted register cancels
    /// only what was told outside is left.
    #[must_use]
    pub fn binds(&self, candidate: u64, release: Option<&Release>, now: Instant) -> Promise {
        let value = match release {
            _ if self.holder == candidate => Told::NONE,
            Some(release) if release.cancels(self.holder, self.term) => release.told,
            _ => self.value,
        };
        value.heard(now).max(self.floor.heard(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(number: u64) -> Term {
        Term::from_token(number).unwrap()
    }

    fn until(true_ns: i64, micros: u64) -> Promise {
        Promise { true_ns, until: Instant::from_micros(micros) }
    }

    const NOW: Instant = Instant::from_micros(1_000);

    fn kept(_: u64, _: Term) -> Option<Promise> {
        None
    }

    #[test]
    fn the_later_instant_stays_and_the_higher_term() {
        let mut promises = Promises::NONE;
        promises.record((1, term(5)), until(50, 5_000), Promise::NONE, kept);
        promises.record((1, term(7)), until(40, 6_000), Promise::NONE, kept);
        promises.record((1, term(6)), until(45, 4_000), Promise::NONE, kept);
        let report = promises.report(NOW);
        assert_eq!((report.holder, report.term), (1, term(7)));
        assert_eq!(report.value.heard(NOW), until(50, 6_001));
    }

    #[test]
    fn what_another_was_promised_joins_the_floor() {
        let mut promises = Promises::NONE;
        promises.record((1, term(5)), until(50, 5_000), until(10, 9_000), kept);
        promises.record((2, term(6)), until(60, 6_000), Promise::NONE, kept);
        let report = promises.report(NOW);
        assert_eq!(report.holder, 2);
        assert_eq!(report.value.heard(NOW), until(60, 6_001));
        assert_eq!(report.floor.heard(NOW), until(50, 9_001));
    }

    #[test]
    fn what_was_released_does_not_join_the_floor() {
        let mut promises = Promises::NONE;
        promises.record((1, term(5)), until(50, 5_000), Promise::NONE, kept);
        let released = |holder, of| (holder == 1 && of == term(5)).then_some(until(20, 2_000));
        promises.record((2, term(6)), until(60, 6_000), Promise::NONE, released);
        assert_eq!(promises.report(NOW).floor.heard(NOW), until(20, 2_001));
    }

    #[test]
    fn a_release_cancels_only_its_holders_promises() {
        let mut promises = Promises::NONE;
        promises.record((1, term(5)), until(50, 5_000), until(30, 3_000), kept);
        let report = promises.report(NOW);
        let told = until(20, 4_000).told(NOW);
        let release = |term, holder| Release { term, holder, told };
        let binds = |release: &Release| report.binds(9, Some(release), NOW);
        assert_eq!(binds(&release(term(5), 1)), until(30, 4_001));
        assert_eq!(binds(&release(term(4), 1)), until(50, 5_001));
        assert_eq!(binds(&release(term(5), 2)), until(50, 5_001));
        assert_eq!(report.binds(1, None, NOW), until(30, 3_001));
        assert_eq!(report.binds(9, None, NOW), until(50, 5_001));
    }

    #[test]
    fn a_hold_that_is_over_travels_as_none() {
        assert_eq!(until(1, 500).told(NOW).hold, Duration::ZERO);
        assert_eq!(until(1, 1_500).told(NOW).hold, Duration::from_micros(501));
    }
}

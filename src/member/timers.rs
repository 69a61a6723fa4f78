//! The node's own deadlines: a fixed array, one place for each reason.

use crate::time::Instant;

/// Why the node wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The next protocol period begins.
    Period,
    /// The probe under way goes to its next stage.
    Probe,
    /// Extra gossip while there is news, or details are missing.
    Gossip,
    /// Seeds are asked again.
    Join,
    /// A dead contact may be knocked at.
    Knock,
    /// Leaving ends.
    Linger,
    /// Nobody has answered for too long.
    NoAnswer,
}

const COUNT: usize = Timer::NoAnswer as usize + 1;

/// At most one deadline for each reason.
#[derive(Debug)]
pub(crate) struct Timers {
    /// Which are set, as bits.
    set: u8,
    deadlines: [Instant; COUNT],
}

impl Timers {
    pub(crate) const EMPTY: Self = Self { set: 0, deadlines: [Instant::ZERO; COUNT] };

    pub(crate) const fn is_set(&self, timer: Timer) -> bool {
        self.set >> timer as u8 & 1 != 0
    }

    pub(crate) const fn get(&self, timer: Timer) -> Option<Instant> {
        if self.is_set(timer) { Some(self.deadlines[timer as usize]) } else { None }
    }

    #[inline(never)]
    pub(crate) const fn set(&mut self, timer: Timer, deadline: Instant) {
        self.set |= 1 << timer as u8;
        self.deadlines[timer as usize] = deadline;
    }

    pub(crate) const fn clear_all(&mut self) {
        self.set = 0;
    }

    pub(crate) const fn clear(&mut self, timer: Timer) {
        self.set &= !(1 << timer as u8);
    }

    /// The earliest deadline; the far future if none is set.
    pub(crate) fn next(&self) -> Instant {
        let set = |at: &usize| self.set >> at & 1 != 0;
        let deadlines = (0..COUNT).filter(set).map(|at| self.deadlines[at]);
        deadlines.fold(Instant::FAR_FUTURE, Instant::min)
    }

    /// Whether the deadline has come; then it is cleared.
    #[inline(never)]
    pub(crate) fn take(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.get(timer).is_some_and(|deadline| deadline <= now);
        if due {
            self.clear(timer);
        }
        due
    }
}

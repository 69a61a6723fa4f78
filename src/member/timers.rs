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
pub(crate) struct Timers([Option<Instant>; COUNT]);

impl Timers {
    pub(crate) const EMPTY: Self = Self([None; COUNT]);

    pub(crate) const fn get(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    pub(crate) const fn set(&mut self, timer: Timer, deadline: Instant) {
        self.0[timer as usize] = Some(deadline);
    }

    pub(crate) const fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Whether the deadline has come; then it is cleared.
    pub(crate) fn take(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.get(timer).is_some_and(|deadline| deadline <= now);
        if due {
            self.clear(timer);
        }
        due
    }
}

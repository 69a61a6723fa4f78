//! What the council agrees on: one small register, replaced whole with every change.

use super::configuration::Configuration;
use super::promise::Told;
use super::term::{Id, Term};
use crate::limits::HEARTBEATS;
use crate::time::Duration;

/// What all nodes have to count with alike. Part of the register, so that it changes by agreement;
/// options of the command line only choose what a council is founded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Constants {
    /// `L`: how long an acknowledged heartbeat lets the leader lead, in milliseconds.
    pub lease_ms: u32,
    /// `Pmax`: the longest promise a voter makes, in milliseconds; at least the lease.
    pub promise_ms: u32,
    /// `rho`: by how much a monotonic clock may be fast or slow, in millionths.
    pub drift_ppm: u32,
    /// How often the leader speaks, in milliseconds; a quarter to a 32nd of the lease.
    pub heartbeat_ms: u32,
    /// How many voters there ought to be: 1, 3, 5 or 7; 0 = by the size of the fleet.
    pub voters: u8,
}

impl Constants {
    /// Before there are any: all zero.
    pub const NONE: Self =
        Self { lease_ms: 0, promise_ms: 0, drift_ppm: 0, heartbeat_ms: 0, voters: 0 };

    /// What a council is founded with unless told otherwise.
    pub const DEFAULT: Self =
        Self { lease_ms: 2_000, promise_ms: 3_000, drift_ppm: 500, heartbeat_ms: 500, voters: 0 };

    /// Whether each is in its range and they fit each other.
    #[must_use]
    pub const fn are_valid(&self) -> bool {
        self.lease_ms >= LEASE_MS_MIN
            && self.lease_ms <= self.promise_ms
            && self.promise_ms <= PROMISE_MS_MAX
            && self.drift_ppm >= 1
            && self.drift_ppm <= DRIFT_PPM_MAX
            && self.heartbeat_ms >= HEARTBEAT_MS_MIN
            && self.heartbeat_ms <= self.lease_ms / 4
            && self.heartbeat_ms >= self.lease_ms / HEARTBEATS_A_LEASE
            && matches!(self.voters, 0 | 1 | 3 | 5 | 7)
    }

    /// `L`.
    #[must_use]
    pub const fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms as u64)
    }

    /// `Pmax`.
    #[must_use]
    pub const fn promise(&self) -> Duration {
        Duration::from_millis(self.promise_ms as u64)
    }

    /// How often the leader speaks.
    #[must_use]
    pub const fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms as u64)
    }

    /// The shortest time without a leader after which a voter stands: half a lease. The longest is
    /// a whole one.
    #[must_use]
    pub const fn election(&self) -> Duration {
        Duration::from_millis(self.lease_ms as u64 / 2)
    }

    /// `span (1 - rho) / (1 + rho)`: for how long on its own clock the leader may use a promise
    /// that lasts for `span` on a voter's clock. Readings are rounded down to microseconds, the
    /// voter's and its own.
    #[must_use]
    pub fn shortened(&self, span: Duration) -> Duration {
        let shortened = span.scale(MILLION - self.drift_ppm, MILLION + self.drift_ppm);
        Duration::from_micros(shortened.as_micros().saturating_sub(READINGS_US))
    }

    /// `span (1 + rho) / (1 - rho)`: for how long another clock has to run to be sure that `span`
    /// is over on this one, with readings that are rounded down.
    #[must_use]
    pub fn stretched(&self, span: Duration) -> Duration {
        let stretched = span.scale(MILLION + self.drift_ppm, MILLION - self.drift_ppm);
        stretched + Duration::from_micros(1 + READINGS_US)
    }
}

/// By how much two readings of clocks can be wrong together, microseconds.
const READINGS_US: u64 = 2;
const MILLION: u32 = 1_000_000;
const LEASE_MS_MIN: u32 = 200;
const PROMISE_MS_MAX: u32 = 600_000;
const DRIFT_PPM_MAX: u32 = 100_000;
const HEARTBEAT_MS_MIN: u32 = 20;
/// At most so many heartbeats in a lease, and as many that repeat what was lost: what a leader
/// remembers.
pub(super) const HEARTBEATS_A_LEASE: u32 = 32;
const _: () = assert!(HEARTBEATS >= 2 * HEARTBEATS_A_LEASE as usize);

/// Rule 12: a leader has given up its leadership, and with it everything that it was promised in
/// terms up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    /// Which leadership.
    pub term: Term,
    /// Whose.
    pub holder: u64,
    /// `R`: until when it told somebody outside that it leads.
    pub told: Told,
}

impl Release {
    /// Whether it cancels what this holder was promised in this term.
    #[must_use]
    pub fn cancels(&self, holder: u64, term: Term) -> bool {
        self.holder == holder && term <= self.term
    }
}

/// One version of the register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Which version.
    pub id: Id,
    /// Who votes.
    pub configuration: Configuration,
    /// What all count with.
    pub constants: Constants,
    /// The last leadership that was given up.
    pub release: Option<Release>,
}

impl State {
    /// Of a node that belongs to no council.
    pub const EMPTY: Self = Self {
        id: Id::ZERO,
        configuration: Configuration::EMPTY,
        constants: Constants::NONE,
        release: None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_have_to_fit_each_other() {
        let good = Constants::DEFAULT;
        assert!(good.are_valid());
        for bad in [
            Constants { lease_ms: 199, ..good },
            Constants { lease_ms: 3_001, ..good },
            Constants { promise_ms: 600_001, ..good },
            Constants { drift_ppm: 0, ..good },
            Constants { drift_ppm: 100_001, ..good },
            Constants { heartbeat_ms: 19, ..good },
            Constants { heartbeat_ms: 501, ..good },
            Constants { heartbeat_ms: 61, ..good },
            Constants { voters: 2, ..good },
        ] {
            assert!(!bad.are_valid(), "{bad:?}");
        }
    }

    /// The whole argument of the monotonic axis, with every clock at its worst.
    #[test]
    fn the_slowest_leader_ends_before_the_fastest_voter_and_successor() {
        for drift_ppm in [1, 500, 10_000, 100_000] {
            let constants = Constants { drift_ppm, ..Constants::DEFAULT };
            let rho = f64::from(drift_ppm) / 1e6;
            let lease = constants.lease();
            // The leader's clock is slow: what it takes for its share lasts longer.
            let claim_ends = constants.shortened(lease).as_micros() as f64 / (1.0 - rho);
            for received in [0.0, 1_000.0, 900_000.0] {
                // The voter's clock is fast, and it is asked after so long on it.
                for elapsed in [0, 1_000, 500_000, 2_000_000] {
                    let rest = lease.as_micros() - elapsed;
                    let asked = received + elapsed as f64 / (1.0 + rho);
                    // The successor's clock is fast as well, and the answer took no time.
                    let waited = rest as f64 / (1.0 + rho);
                    assert!(asked + waited >= claim_ends, "{drift_ppm} {received} {elapsed}");
                }
            }
        }
    }

    #[test]
    fn a_stretched_span_outlasts_the_span_on_the_slowest_clock() {
        for drift_ppm in [1, 500, 100_000] {
            let constants = Constants { drift_ppm, ..Constants::DEFAULT };
            let rho = f64::from(drift_ppm) / 1e6;
            for span in [1, 999, 2_000_000, 600_000_000] {
                let ends = span as f64 / (1.0 - rho);
                let stretched = constants.stretched(Duration::from_micros(span));
                assert!(stretched.as_micros() as f64 / (1.0 + rho) >= ends);
            }
        }
    }

    #[test]
    fn a_release_cancels_what_one_holder_was_promised_up_to_its_term() {
        let term = |number| Term::from_token(number).unwrap();
        let release = Release { term: term(5), holder: 7, told: Told::NONE };
        assert!(release.cancels(7, term(5)) && release.cancels(7, term(4)));
        assert!(!release.cancels(7, term(6)) && !release.cancels(8, term(5)));
    }
}

//! The probe cycle: ping, then helpers, then suspicion (SWIM section 3.1, Lifeguard section IV-A).

use super::incarnation::State;
use super::row::{Flags, Slot};
use super::swim::Swim;
use super::timers::Timer;
use crate::address::Address;
use crate::limits::HELPERS;
use crate::time::{Duration, Instant};
use crate::wire::Token;

/// How far the probe has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No probe, or it has been decided.
    Idle,
    /// Pinged.
    Direct,
    /// Not answered in time: pinged once more, and helpers were asked.
    Indirect,
}

/// The one probe that is under way.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) stage: Stage,
    pub(super) target: Address,
    pub(super) number: Token,
    /// A ping is to be sent.
    pub(super) ping_owed: bool,
    /// When the ping was sent; the round trip is measured only of the first.
    pub(super) sent: Option<Instant>,
    /// Who was asked, and how many; those whose bit is set in `owed` have still to be sent the request, those in
    /// `nacked` have answered that they got no answer.
    pub(super) helpers: [Address; HELPERS],
    asked: u8,
    pub(super) owed: u8,
    nacked: u8,
    /// The second ping has had its time then; helpers that are sooner with their nacks wait.
    pub(super) second_until: Instant,
}

/// Failed probes whose late answers would tell that this node is slow.
pub(super) const LATE: usize = 8;
/// How far silence alone worsens the health. A node that hears nothing may be slow itself, or be
/// left alone by a crash of most of the fleet; only what comes late tells the one from the other.
const HEALTH_OF_SILENCE: u8 = 2;

impl Probe {
    pub(super) const NONE: Self = Self {
        stage: Stage::Idle,
        target: Address::NONE,
        number: Token([0; 4]),
        ping_owed: false,
        sent: None,
        helpers: [Address::NONE; HELPERS],
        asked: 0,
        owed: 0,
        nacked: 0,
        second_until: Instant::ZERO,
    };

    #[inline(never)]
    pub(super) fn end(&mut self) {
        *self = Self::NONE;
    }

    #[inline(never)]
    fn begin(&mut self, target: &Address, number: Token) {
        self.stage = Stage::Direct;
        self.target = *target;
        self.number = number;
        self.ping_owed = true;
    }

    /// One more helper is to be sent the request; not more than there are places.
    #[inline(never)]
    fn ask(&mut self, helper: &Address) {
        if let Some(place) = self.helpers.get_mut(usize::from(self.asked)) {
            *place = *helper;
            self.owed |= 1 << self.asked;
            self.asked += 1;
        }
    }
}

/// Measured round trips (RFC 6298, section 2).
#[derive(Debug)]
pub(super) struct RoundTrip {
    smoothed_us: u32,
    variation_us: u32,
}

const TIMEOUT_FIRST: Duration = Duration::from_millis(200);
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

impl RoundTrip {
    pub(super) const UNKNOWN: Self = Self { smoothed_us: 0, variation_us: 0 };

    pub(super) const fn smoothed_us(&self) -> u32 {
        self.smoothed_us
    }

    fn measure(&mut self, sample_us: u32) {
        let sample_us = sample_us.max(1);
        if self.smoothed_us == 0 {
            *self = Self { smoothed_us: sample_us, variation_us: sample_us / 2 };
            return;
        }
        let error_us = self.smoothed_us.abs_diff(sample_us);
        self.variation_us = self.variation_us - self.variation_us / 4 + error_us / 4;
        self.smoothed_us = (self.smoothed_us - self.smoothed_us / 8 + sample_us / 8).max(1);
    }

    /// How long a ping may take: the smoothed round trip and four variations, within 100 ms and
    /// half a period (which prevails where it is shorter); 200 ms at first.
    fn timeout(&self, period: Duration) -> Duration {
        let wanted = if self.smoothed_us == 0 {
            TIMEOUT_FIRST
        } else {
            Duration::from_micros(u64::from(self.smoothed_us) + 4 * u64::from(self.variation_us))
        };
        wanted.max(TIMEOUT_MIN).min(period.scale(1, 2))
    }
}

impl<const N: usize> Swim<N> {
    /// The probe time-out that a node in good health uses.
    pub(super) fn ping_timeout(&self) -> Duration {
        self.round_trip.timeout(self.period)
    }

    /// How long an answer may take, by this node's health.
    pub(super) fn stretched_timeout(&self) -> Duration {
        self.stretch(self.ping_timeout())
    }

    fn stretch(&self, span: Duration) -> Duration {
        span.times(u32::from(self.health) + 1)
    }

    /// Begins a protocol period: the next member is pinged.
    pub(super) fn begin_probe(&mut self, due: Instant) {
        // From deadline to deadline, so that lateness does not add up, unless much too late.
        let period = self.stretch(self.period);
        let next = due + period;
        self.timers.set(Timer::Period, if next > self.now { next } else { self.now + period });
        self.timers.clear(Timer::Probe);
        self.probe.end();
        let Some(slot) = self.table.next_to_probe(&mut self.rng) else { return };
        self.stats.probes = self.stats.probes.wrapping_add(1);
        let number = self.draw_token();
        self.probe.begin(&self.table.row(slot).address, number);
        self.timers.set(Timer::Probe, self.now + self.stretched_timeout());
    }

    /// The time-out of the probe's stage.
    pub(super) fn probe_due(&mut self) {
        match self.probe.stage {
            Stage::Idle => {}
            Stage::Direct => self.ask_helpers(),
            Stage::Indirect => self.probe_failed(),
        }
    }

    /// Asks up to three members: the one that was heard last, which is there if anybody is, and
    /// neighbours in the shuffled order from a random place on. Pings once more itself, because
    /// one lost datagram should not need helpers.
    fn ask_helpers(&mut self) {
        self.probe.stage = Stage::Indirect;
        self.probe.ping_owed = true;
        self.probe.sent = None;
        self.ask_helper(self.heard_last);
        let len = self.table.order.len();
        let start = self.rng.below(len as u32) as usize;
        for step in 0..len.min(2 * HELPERS) {
            self.ask_helper(self.table.order.at((start + step) % len));
        }
        // The probe ends with its period; called late, it gets the time that it needs.
        let shortest = self.now + self.stretched_timeout();
        let end_of_period = self.timers.get(Timer::Period).unwrap_or(self.now).max(shortest);
        self.probe.second_until = shortest;
        self.timers.set(Timer::Period, end_of_period);
        self.timers.set(Timer::Probe, if self.probe.asked == 0 { shortest } else { end_of_period });
    }

    /// Asks a member for help, if it can be expected to give any.
    fn ask_helper(&mut self, slot: Option<Slot>) {
        let Some(slot) = slot else { return };
        let row = self.table.row(slot);
        let (address, alive) = (&row.address, row.is_used() && row.state == State::Alive);
        if alive && *address != self.probe.target && !self.probe.helpers.contains(address) {
            self.probe.ask(address);
        }
    }

    /// An ack came in, from the target or by way of a helper.
    pub(super) fn hear_ack(&mut self, from: &Address, number: Token) {
        let asked = self.probe.helpers.contains(from);
        let expected = match self.probe.stage {
            Stage::Idle => false,
            Stage::Direct => *from == self.probe.target,
            Stage::Indirect => *from == self.probe.target || asked,
        };
        if !expected || number != self.probe.number {
            self.note_late(number);
            return;
        }
        if *from == self.probe.target
            && self.probe.stage == Stage::Direct
            && let Some(sent) = self.probe.sent
        {
            let sample_us = self.now.since(sent).as_micros().min(u64::from(u32::MAX / 8)) as u32;
            self.round_trip.measure(sample_us);
            if let Some(slot) = self.find(from) {
                self.row_mut(slot).rtt_us = sample_us.max(1);
            }
        }
        self.failing = false;
        self.note_health(0, 1);
        self.end_probe();
    }

    /// A helper says that it got no answer either.
    pub(super) fn hear_nack(&mut self, from: &Address, number: Token) {
        if self.probe.stage != Stage::Indirect || number != self.probe.number {
            self.note_late(number);
            return;
        }
        let Some(at) = self.probe.helpers.iter().position(|helper| helper == from) else {
            return;
        };
        self.probe.nacked |= 1 << at;
        let all = self.probe.nacked.count_ones() as u8 == self.probe.asked;
        if all && self.lifeguard {
            if self.probe.second_until <= self.now {
                self.probe_failed();
            } else {
                self.timers.set(Timer::Probe, self.probe.second_until);
            }
        }
    }

    /// An answer to a probe that has failed: this node, or its network, is slow.
    fn note_late(&mut self, number: Token) {
        if let Some(place) = self.late.iter_mut().find(|late| **late == Some(number)) {
            *place = None;
            self.slow_at = Some(self.now);
            self.note_health(1, 0);
        }
    }

    /// Nobody got an answer. If no helper has even said so, that speaks against this node's own
    /// health; one that has, in time, speaks for it.
    ///
    /// Helpers that are silent are accused with the target if they are all, or if they are more
    /// than one and the last probe failed, too: they did not answer either. So a crash of most of
    /// the fleet takes as many probes as a third of it.
    fn probe_failed(&mut self) {
        self.stats.probes_failed = self.stats.probes_failed.wrapping_add(1);
        let asked = self.probe.asked;
        let silent = asked - self.probe.nacked.count_ones() as u8;
        if silent < asked {
            self.note_health(0, 1);
        } else {
            let worse = asked.max(1);
            self.note_health(worse.min(HEALTH_OF_SILENCE.saturating_sub(self.health)), 0);
        }
        let many = self.lifeguard && (silent == asked || silent > 1 && self.failing);
        self.failing = true;
        self.late[usize::from(self.next_late) % LATE] = Some(self.probe.number);
        self.next_late = self.next_late.wrapping_add(1);
        if let Some(slot) = self.find(&self.probe.target) {
            self.accuse(slot);
            for at in 0..HELPERS {
                let Some(helper) = self.find(&self.probe.helpers[at]) else { continue };
                if many && self.probe.nacked >> at & 1 == 0 {
                    self.accuse(helper);
                } else {
                    // The helpers have tried as well: they are the first to hear of it.
                    self.owe(helper, Flags::NEWS);
                }
            }
        }
        self.end_probe();
    }

    fn end_probe(&mut self) {
        self.probe.end();
        self.timers.clear(Timer::Probe);
    }

    /// The number of the ping that the member at this address is still to answer.
    pub(super) fn pending_ping(&self, to: &Address) -> Option<Token> {
        let pending = self.probe.stage != Stage::Idle && self.probe.target == *to;
        pending.then_some(self.probe.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_follows_the_round_trips_within_its_bounds() {
        let second = Duration::from_secs(1);
        let mut round_trip = RoundTrip::UNKNOWN;
        assert_eq!(round_trip.timeout(second), Duration::from_millis(200));
        assert_eq!(round_trip.timeout(Duration::from_millis(100)), Duration::from_millis(50));
        for _ in 0..50 {
            round_trip.measure(1_000);
        }
        assert_eq!(round_trip.timeout(second), Duration::from_millis(100));
        for _ in 0..50 {
            round_trip.measure(150_000);
        }
        let settled = round_trip.timeout(second).as_millis();
        assert!((150..200).contains(&settled), "{settled}");
        for sample in [1, 400_000].repeat(20) {
            round_trip.measure(sample);
        }
        assert_eq!(round_trip.timeout(second), Duration::from_millis(500));
        round_trip.measure(u32::MAX / 8);
        assert_eq!(round_trip.timeout(second), Duration::from_millis(500));
    }
}

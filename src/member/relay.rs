//! Probes on behalf of others (SWIM section 3.1).

use super::swim::Swim;
use crate::address::Address;
use crate::time::Instant;
use crate::wire::{PingReq, Token};

/// How far a relayed probe has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelayStage {
    /// The place is free.
    Free,
    /// The ping is to be sent.
    PingOwed,
    /// Waiting for the ack.
    Waiting,
    /// The ack is to be passed on.
    AckOwed,
    /// A nack is to be sent.
    NackOwed,
    /// The nack was sent. That there was no answer is remembered for a period.
    Missed,
}

/// One ping on behalf of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    pub(super) stage: RelayStage,
    pub(super) requester: Address,
    /// The requester's number, which ack and nack give back.
    pub(super) requested: Token,
    pub(super) target: Address,
    /// The number of the ping that this node sends.
    pub(super) number: Token,
    pub(super) deadline: Instant,
}

impl Relay {
    pub(super) const FREE: Self = Self {
        stage: RelayStage::Free,
        requester: Address::NONE,
        requested: Token([0; 4]),
        target: Address::NONE,
        number: Token([0; 4]),
        deadline: Instant::ZERO,
    };
}

impl<const N: usize> Swim<N> {
    /// A member asks this node to ping another.
    pub(super) fn hear_ping_req(&mut self, requester: &Address, request: &PingReq) {
        let PingReq { number: requested, target } = request;
        if *target == self.own().address || target == requester {
            return;
        }
        // Nobody makes this node send to an address that it does not hold: it says that it got no
        // answer, and remembers nothing of that.
        let held = self.find(target).is_some();
        let number = self.draw_token();
        // The nack has to be back before the requester's period ends, and it has used up some of
        // it: Lifeguard's 80% of the time-out, and no more than 40% of a period.
        let wait = self.ping_timeout().scale(4, 5).min(self.period.scale(2, 5));
        // What is only remembered makes room.
        let free = self.relays.iter().position(|relay| relay.stage == RelayStage::Free);
        let missed = || self.relays.iter().position(|relay| relay.stage == RelayStage::Missed);
        let Some(place) = free.or_else(missed).and_then(|at| self.relays.get_mut(at)) else {
            self.stats.overflows = self.stats.overflows.wrapping_add(1);
            return;
        };
        place.stage = if held { RelayStage::PingOwed } else { RelayStage::NackOwed };
        self.relays_owed = true;
        place.requester = *requester;
        place.requested = *requested;
        place.target = *target;
        place.number = number;
        place.deadline = if held { self.now + wait } else { self.now };
    }

    /// An ack may be that of a relayed ping.
    pub(super) fn hear_relayed_ack(&mut self, from: &Address, number: Token) {
        for relay in &mut self.relays {
            let waiting = matches!(relay.stage, RelayStage::PingOwed | RelayStage::Waiting);
            if waiting && relay.number == number && relay.target == *from {
                relay.stage = RelayStage::AckOwed;
                self.relays_owed = true;
            }
        }
    }

    /// Relayed pings that were not answered in time: the requester hears of it.
    ///
    /// That alone does not make this node accuse: a lost datagram is no reason. But when the
    /// requester does, this node supports it in its own name; so the confirmations that a
    /// suspicion waits for come within one cycle.
    pub(super) fn relays_due(&mut self) {
        let remembered = self.period;
        for relay in self.relays.iter_mut().filter(|relay| relay.deadline <= self.now) {
            match relay.stage {
                RelayStage::PingOwed | RelayStage::Waiting => {
                    relay.stage = RelayStage::NackOwed;
                    self.relays_owed = true;
                    relay.deadline = self.now + remembered;
                }
                RelayStage::Missed => relay.stage = RelayStage::Free,
                RelayStage::Free | RelayStage::AckOwed | RelayStage::NackOwed => {}
            }
        }
    }

    /// Whether this node has pinged the member for another of late, in vain.
    pub(super) fn has_missed(&self, target: &Address) -> bool {
        self.relays.iter().any(|relay| {
            let missed = matches!(relay.stage, RelayStage::NackOwed | RelayStage::Missed);
            missed && relay.target == *target && relay.deadline > self.now
        })
    }

    pub(super) fn next_relay_deadline(&self) -> Instant {
        let timed = |relay: &&Relay| {
            matches!(relay.stage, RelayStage::PingOwed | RelayStage::Waiting | RelayStage::Missed)
        };
        let deadlines = self.relays.iter().filter(timed).map(|relay| relay.deadline);
        deadlines.fold(Instant::FAR_FUTURE, Instant::min)
    }

    /// The number of a relayed ping that this address is still to answer.
    pub(super) fn pending_relay(&self, to: &Address) -> Option<Token> {
        let waiting = |r: &&Relay| r.stage == RelayStage::Waiting && r.target == *to;
        self.relays.iter().find(waiting).map(|relay| relay.number)
    }
}

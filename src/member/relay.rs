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
    pub(super) fn hear_ping_req(&mut self, now: Instant, requester: Address, request: PingReq) {
        let PingReq { number: requested, target } = request;
        if target == self.own().address || target == requester {
            return;
        }
        let number = self.draw_token();
        // The nack has to be back before the requester's period ends, and it has used up some of
        // it: Lifeguard's 80% of the time-out, and no more than 40% of a period.
        let wait = self.ping_timeout().scale(4, 5).min(self.period.scale(2, 5));
        let Some(place) = self.relays.iter_mut().find(|r| r.stage == RelayStage::Free) else {
            self.stats.overflows = self.stats.overflows.wrapping_add(1);
            return;
        };
        *place = Relay {
            stage: RelayStage::PingOwed,
            requester,
            requested,
            target,
            number,
            deadline: now + wait,
        };
    }

    /// An ack may be that of a relayed ping.
    pub(super) fn hear_relayed_ack(&mut self, from: Address, number: Token) {
        for relay in &mut self.relays {
            let waiting = matches!(relay.stage, RelayStage::PingOwed | RelayStage::Waiting);
            if waiting && relay.number == number && relay.target == from {
                relay.stage = RelayStage::AckOwed;
            }
        }
    }

    /// Relayed pings that were not answered in time: the requester hears of it, and this node
    /// accuses in its own name, if it is well itself. So the confirmations that a suspicion waits
    /// for come within one cycle.
    pub(super) fn relays_due(&mut self, now: Instant) {
        for at in 0..self.relays.len() {
            let relay = self.relays[at];
            let waiting = matches!(relay.stage, RelayStage::PingOwed | RelayStage::Waiting);
            if !waiting || relay.deadline > now {
                continue;
            }
            self.relays[at].stage = RelayStage::NackOwed;
            if let (true, 0, Some(slot)) =
                (self.lifeguard, self.health, self.table.find(relay.target))
            {
                self.accuse(now, slot);
            }
        }
    }

    pub(super) fn next_relay_deadline(&self) -> Option<Instant> {
        let waiting = |r: &&Relay| matches!(r.stage, RelayStage::PingOwed | RelayStage::Waiting);
        self.relays.iter().filter(waiting).map(|relay| relay.deadline).min()
    }

    /// The number of a relayed ping that this address is still to answer.
    pub(super) fn pending_relay(&self, to: Address) -> Option<Token> {
        let waiting = |r: &&Relay| r.stage == RelayStage::Waiting && r.target == to;
        self.relays.iter().find(waiting).map(|relay| relay.number)
    }
}

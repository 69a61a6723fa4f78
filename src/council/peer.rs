//! The others, as a candidate or a leader knows them.

use super::promise::NEVER_NS;
use super::{Ack, Council, Id, Until, Voter};
use crate::time::Instant;

/// One other voter, or one that is to become one or has been one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    pub(super) voter: Voter,
    /// It is to be sent something.
    pub(super) owed: bool,
    /// The newest heartbeat of this term that it has acknowledged; 0 = none.
    pub(super) number: u64,
    /// The version it had accepted then.
    pub(super) accepted: Id,
    /// What it has acknowledged: the greatest on each axis.
    pub(super) until: Until,
    /// Whether it records promises in true time.
    pub(super) bounded: bool,
    /// When it answered last.
    pub(super) heard_at: Instant,
}

impl Peer {
    const fn new(voter: Voter) -> Self {
        Self {
            voter,
            owed: false,
            number: 0,
            accepted: Id::ZERO,
            until: Until::NEVER,
            bounded: false,
            heard_at: Instant::ZERO,
        }
    }

    /// What it acknowledged in another term counts for nothing.
    pub(super) fn begin_term(&mut self) {
        *self = Self::new(self.voter);
    }

    /// Notes an acknowledgement of this term, and what its heartbeat had promised, if that is
    /// still remembered.
    pub(super) fn acknowledge(&mut self, now: Instant, ack: &Ack, promised: Option<Until>) {
        self.heard_at = now;
        // One that was overtaken says nothing of what is accepted by now.
        if ack.number >= self.number {
            self.number = ack.number;
            self.accepted = ack.id;
            // Of a heartbeat that promised nothing in true time it can have recorded nothing new.
            self.bounded = ack.bounded && promised.is_some_and(|p| p.true_ns != NEVER_NS);
        }
        if let Some(promised) = promised {
            self.until.mono = self.until.mono.max(promised.mono);
            if ack.bounded {
                self.until.true_ns = self.until.true_ns.max(promised.true_ns);
            }
        }
    }
}

impl Council {
    /// Keeps a peer for each voter of the version that is accepted, each that is to become one,
    /// and each that has just ceased to be one and does not know it yet; no others.
    pub(super) fn refresh_peers(&mut self) {
        let me = self.settings.me.id;
        let configuration = &self.record.state.configuration;
        let change = &self.change;
        let wanted = |voter: &Voter| {
            let is = |other: &Voter| other.id == voter.id;
            configuration.contains(voter.id) || change.concerns().any(is)
        };
        self.peers.retain(|peer| wanted(&peer.voter));
        for voter in configuration.voters().chain(change.concerns()).filter(|v| v.id != me) {
            if self.peers.iter().all(|peer| peer.voter.id != voter.id) {
                // Two sets of voters fit: a change waits until the one before it has ended.
                let _ = self.peers.push(Peer::new(*voter));
            }
        }
    }

    pub(super) fn peer(&self, id: u64) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.voter.id == id)
    }

    /// Whether a node has accepted the newest version and will not forget it.
    pub(super) fn has_newest(&self, id: u64) -> bool {
        if id == self.settings.me.id {
            return self.is_durable();
        }
        self.peer(id).is_some_and(|peer| peer.accepted == self.record.state.id)
    }

    /// Whether a node has answered within the shortest election time-out.
    pub(super) fn is_live(&self, now: Instant, id: u64) -> bool {
        let answered =
            |peer: &Peer| now.since(peer.heard_at) < self.record.state.constants.election();
        id == self.settings.me.id || self.peer(id).is_some_and(answered)
    }
}

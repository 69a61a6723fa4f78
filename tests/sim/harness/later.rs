//! A node of a later build: this build's, dressed in the protocol of [`dialect`](super::dialect).

use std::cell::Cell;
use std::rc::Rc;

use midge::limits::MTU_BYTES;
use midge::wire::{self, Section};
use midge::{
    Address, Config, ConfigError, Event, Instant, JoinError, Member, Reject, Stats, Status,
    Transmit,
};

use super::dialect::{ACK_2, Heard, LATER, PING_2, dress, undress};
use super::machine::Machine;

/// Which program a node runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Build {
    /// This one.
    #[default]
    This,
    /// One that speaks a later protocol, too.
    Later,
    /// The same with a fault: it speaks it at once, whoever is there.
    Impatient,
}

/// A node of a later build.
pub(crate) struct Later {
    node: Box<dyn Machine>,
    cluster: String,
    impatient: bool,
    /// What all nodes of the later build have heard.
    heard: Rc<Cell<Heard>>,
}

impl Later {
    pub(crate) fn new(node: Box<dyn Machine>, build: Build, heard: Rc<Cell<Heard>>) -> Self {
        let impatient = build == Build::Impatient;
        Self { node, cluster: String::new(), impatient, heard }
    }
}

impl Machine for Later {
    fn init(
        &mut self,
        config: &Config<'_>,
        entropy: [u8; 32],
        seed: u64,
        now: Instant,
    ) -> Result<(), ConfigError> {
        config.cluster.clone_into(&mut self.cluster);
        let config = Config { protocol_high: LATER, ..*config };
        self.node.init(&config, entropy, seed, now)
    }

    fn handle_datagram(&mut self, now: Instant, from: Address, bytes: &[u8]) -> Result<(), Reject> {
        let mut heard = self.heard.get();
        let bytes = undress(&self.cluster, bytes, &mut heard);
        self.heard.set(heard);
        self.node.handle_datagram(now, from, &bytes)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8; MTU_BYTES]) -> Option<Transmit> {
        let transmit = self.node.poll_transmit(now, buffer)?;
        let in_use = if self.impatient { LATER } else { self.node.status().protocol };
        let bytes = dress(&self.cluster, &buffer[..transmit.len], in_use);
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Some(Transmit { len: bytes.len(), ..transmit })
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.node.poll_event()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout()
    }

    fn join(&mut self, now: Instant, seed: Address) -> Result<(), JoinError> {
        self.node.join(now, seed)
    }

    fn leave(&mut self, now: Instant) {
        self.node.leave(now);
    }

    fn has_left(&self) -> bool {
        self.node.has_left()
    }

    fn set_tags(&mut self, now: Instant, tags: &str) -> Result<(), ConfigError> {
        self.node.set_tags(now, tags)
    }

    fn visit_members(&self, visit: &mut dyn FnMut(Member<'_>)) {
        self.node.visit_members(visit);
    }

    fn status(&self) -> Status<'_> {
        self.node.status()
    }

    fn stats(&self) -> Stats {
        self.node.stats()
    }
}

/// Whether a datagram has something in it that protocol 1 does not know and that cannot be
/// dispensed with.
pub(crate) fn needs_later(cluster: &str, bytes: &[u8]) -> bool {
    wire::open(cluster, bytes).is_ok_and(|datagram| {
        let mut sections = datagram.sections();
        sections.any(|section| matches!(section, Section::Unknown(PING_2 | ACK_2, _)))
    })
}

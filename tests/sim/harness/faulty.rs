//! Nodes that break a rule on purpose: a check that does not find its own is no check.

use midge::limits::MTU_BYTES;
use midge::{
    Address, Config, ConfigError, Event, Incarnation, Instant, JoinError, Member, Reject, State,
    Stats, Status, Transmit,
};

use super::machine::Machine;

/// What a faulty node does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Says that it is always due.
    Busy,
    /// Sends to itself.
    Itself,
    /// Says nothing about its members.
    Silent,
    /// Shows rows of an incarnation that nobody had.
    Inflating,
    /// Says that a member failed which it never suspected.
    Rash,
    /// Has the same digest whatever it knows.
    Blind,
    /// Says everything many times.
    Chatty,
}

/// A node with a fault.
pub(crate) struct Faulty {
    node: Box<dyn Machine>,
    fault: Fault,
    own: Address,
    /// What is said again, and how often.
    again: Option<(Transmit, u32)>,
}

/// How often a chatty node says everything: not so often that one step shows it.
const TIMES: u32 = 40;

impl Faulty {
    pub(crate) fn new(node: Box<dyn Machine>, fault: Fault) -> Self {
        Self { node, fault, own: Address::NONE, again: None }
    }
}

impl Machine for Faulty {
    fn init(
        &mut self,
        config: &Config<'_>,
        entropy: [u8; 32],
        seed: u64,
        now: Instant,
    ) -> Result<(), ConfigError> {
        self.own = config.advertise;
        self.node.init(config, entropy, seed, now)
    }

    fn handle_datagram(&mut self, now: Instant, from: Address, bytes: &[u8]) -> Result<(), Reject> {
        self.node.handle_datagram(now, from, bytes)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8; MTU_BYTES]) -> Option<Transmit> {
        if let Some((transmit, times)) = self.again.take().filter(|(_, times)| *times > 0) {
            // The buffer is still as it was.
            self.again = Some((transmit, times - 1));
            return Some(transmit);
        }
        let transmit = self.node.poll_transmit(now, buffer)?;
        if self.fault == Fault::Chatty {
            self.again = Some((transmit, TIMES - 1));
        }
        let to = if self.fault == Fault::Itself { self.own } else { transmit.to };
        Some(Transmit { to, ..transmit })
    }

    fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = self.node.poll_event()?;
            match (self.fault, event) {
                (Fault::Silent, Event::Member { .. }) => {}
                (Fault::Rash, Event::Member { change, address, incarnation, .. }) => {
                    let state = State::Failed;
                    return Some(Event::Member { change, address, state, incarnation });
                }
                _ => return Some(event),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.fault == Fault::Busy { Some(Instant::ZERO) } else { self.node.poll_timeout() }
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
        self.node.visit_members(&mut |member| {
            let Incarnation { epoch, refutation } = member.incarnation;
            let more = u32::from(self.fault == Fault::Inflating);
            let incarnation = Incarnation { epoch, refutation: refutation + more };
            visit(Member { incarnation, ..member });
        });
    }

    fn status(&self) -> Status<'_> {
        let status = self.node.status();
        let digest = if self.fault == Fault::Blind { 7 } else { status.digest };
        Status { digest, ..status }
    }

    fn stats(&self) -> Stats {
        self.node.stats()
    }
}

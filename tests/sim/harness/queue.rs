//! What happens next, and when: the earliest first, and of one time in the order of their noting.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use midge::Address;

use super::Micros;
use super::process::{HostId, ProcessId};

/// Something that happens at a time.
pub(crate) enum What {
    /// A datagram arrives at a host.
    Arrive { host: HostId, from: Address, bytes: Vec<u8> },
    /// A slow process reads a datagram.
    Read { process: ProcessId, from: Address, bytes: Vec<u8> },
    /// A process wakes up, unless its token has changed.
    Wake { process: ProcessId, token: u64 },
}

/// All that has been decided to happen.
#[derive(Default)]
pub(crate) struct Queue {
    items: BinaryHeap<Item>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Micros, what: What) {
        self.sequence += 1;
        self.items.push(Item { at, sequence: self.sequence, what });
    }

    /// Takes out what is next, if that is not after `deadline`.
    pub(crate) fn pop(&mut self, deadline: Micros) -> Option<(Micros, What)> {
        self.items.peek().filter(|item| item.at <= deadline)?;
        self.items.pop().map(|item| (item.at, item.what))
    }
}

struct Item {
    at: Micros,
    sequence: u64,
    what: What,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    /// The heap gives the greatest first: so the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

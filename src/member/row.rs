//! One row of the member table.

use core::num::NonZeroU16;

use heapless::String;

use super::incarnation::{Incarnation, State};
use crate::address::Address;
use crate::limits::{CONFIRMATIONS, NAME_BYTES, TAGS_BYTES};
use crate::time::Instant;
use crate::wire::Token;

/// The place of a row. It stays while the row exists, and may then be used by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(NonZeroU16);

impl Slot {
    /// The node's own row.
    pub(crate) const OWN: Self = Self(NonZeroU16::MIN);

    pub(crate) const fn new(index: usize) -> Option<Self> {
        if index >= u16::MAX as usize {
            return None;
        }
        match NonZeroU16::new(index as u16 + 1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    pub(crate) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Accusers of one suspicion that are remembered: the first and those that confirm it.
pub(crate) const ACCUSERS: usize = 1 + CONFIRMATIONS;

/// Small facts about a row, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// An ack is owed, with the row's `ack`.
    pub(crate) const ACK: Self = Self(1);
    /// It should hear what is held about it.
    pub(crate) const TELL: Self = Self(2);
    /// It asked for this node's details.
    pub(crate) const DETAILS_OWED: Self = Self(4);
    /// Name and tags belong to the row's incarnation.
    pub(crate) const DETAILS_KNOWN: Self = Self(8);
    /// It is to be asked for its details.
    pub(crate) const ASK: Self = Self(16);
    /// Name or tags changed, or it started anew, since the last event.
    pub(crate) const UPDATED: Self = Self(32);

    /// It is to hear the news at once.
    pub(crate) const NEWS: Self = Self(64);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether this, and nothing else that makes a datagram necessary, is set.
    pub(crate) const fn is_only(self, what: Self) -> bool {
        const OWED: u8 =
            Flags::ACK.0 | Flags::TELL.0 | Flags::DETAILS_OWED.0 | Flags::ASK.0 | Flags::NEWS.0;
        self.0 & OWED == what.0
    }

    pub(crate) const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) const fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

/// The lists that a row may be in, in one of each kind at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Rows with news.
    News,
    /// Rows that are owed a datagram.
    Owed,
    /// Rows that have something to tell the application.
    Events,
    /// The failed rows, or those that left.
    Gone,
}

const KINDS: usize = Kind::Gone as usize + 1;

/// The neighbours in a list of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) previous: Option<Slot>,
    pub(crate) next: Option<Slot>,
}

impl Link {
    pub(crate) const NONE: Self = Self { previous: None, next: None };
}

/// What is held about a member. All bytes zero when there is none.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) address: Address,
    pub(crate) state: State,
    pub(crate) flags: Flags,
    pub(crate) incarnation: Incarnation,
    /// When it came to this state.
    pub(crate) since: Instant,
    /// When a suspicion ends, or a dead row expires.
    pub(crate) deadline: Instant,
    /// The last datagram from it.
    pub(crate) heard: Option<Instant>,
    /// Until when no reconciliation with it is begun, and how often that changed nothing.
    pub(crate) pull_after: Instant,
    pub(crate) fruitless_pulls: u8,

    /// Until when it is not told again what is held about it.
    pub(crate) tell_after: Instant,
    /// What it has asked for, and its accusations that counted, in the protocol period that is
    /// numbered so.
    pub(crate) requests: u8,
    pub(crate) accusations: u8,
    pub(crate) budget_period: u16,
    /// Who accuses it; the first is not a confirmation.
    pub(crate) accusers: [Option<Slot>; ACCUSERS],
    /// How often its news was sent.
    pub(crate) sent: u8,
    /// What the last event said: 0 nothing, else the state + 1.
    pub(crate) told: u8,

    /// The number of the ping whose ack is owed.
    pub(crate) ack: Token,
    /// A keyed hash of the source address that speaks for it, where that is another; 0 = none.
    pub(crate) alias: u32,
    pub(crate) rtt_us: u32,
    pub(crate) life: Option<[u8; 4]>,
    pub(crate) id: u64,
    /// The lowest and the highest protocol that this life of it speaks; 0 until known: then it
    /// counts as 1.
    pub(crate) protocol_low: u8,
    pub(crate) protocol_high: u8,
    /// Its bucket in the reconciliation.
    pub(crate) bucket: u8,

    /// The next row with the same hash; of a free row, the next free one.
    pub(crate) chained: Option<Slot>,
    /// Its place + 1 in the probe order and in the deadline heap; 0 = none.
    pub(crate) order_at: u16,
    pub(crate) heap_at: u16,
    /// By the kind of the list.
    pub(crate) links: [Link; KINDS],

    pub(crate) name: String<NAME_BYTES, u8>,
    pub(crate) tags: String<TAGS_BYTES, u8>,
}

impl Row {
    pub(crate) const EMPTY: Self = Self {
        address: Address::NONE,
        state: State::Alive,
        flags: Flags(0),
        incarnation: Incarnation::ZERO,
        since: Instant::ZERO,
        deadline: Instant::ZERO,
        heard: None,
        pull_after: Instant::ZERO,
        fruitless_pulls: 0,
        tell_after: Instant::ZERO,
        requests: 0,
        accusations: 0,
        budget_period: 0,
        accusers: [None; ACCUSERS],
        sent: 0,
        told: 0,
        ack: Token([0; 4]),
        alias: 0,
        rtt_us: 0,
        life: None,
        id: 0,
        protocol_low: 0,
        protocol_high: 0,
        bucket: 0,
        chained: None,
        order_at: 0,
        heap_at: 0,
        links: [Link::NONE; KINDS],
        name: String::new(),
        tags: String::new(),
    };

    pub(crate) fn is_used(&self) -> bool {
        self.address != Address::NONE
    }

    pub(crate) fn is_live(&self) -> bool {
        self.is_used() && self.state.is_live()
    }

    /// Whether this is what is held.
    pub(crate) fn holds(&self, incarnation: Incarnation, state: State) -> bool {
        self.state == state && self.incarnation == incarnation
    }

    /// How many accusers are remembered; they stand in front.
    #[inline(never)]
    pub(crate) fn accuser_count(&self) -> usize {
        self.accusers.iter().flatten().count()
    }
}

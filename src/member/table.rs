//! The member rows: found by address, probed in order, summed into digests.
//!
//! Slot 0 is the node itself. Rows do not move. The table keeps everything that must agree with
//! the rows' addresses and states (index, probe order, counts, digests, deadlines, lists), so that
//! there is one place where a row comes, changes and goes.

use core::hash::Hasher;

use heapless::Deque;
use siphasher::sip::SipHasher13;

use super::heap::Heap;
use super::incarnation::{Incarnation, State};
use super::list::List;
use super::news::News;
use super::order::Order;
use super::row::{Flags, Link, Row, Slot};
use crate::address::Address;
use crate::limits::{BUCKETS, FORGOTTEN_EVENTS};
use crate::rng::{Rng, mix};
use crate::time::Instant;

fn owed_link(row: &mut Row) -> &mut Link {
    &mut row.owed
}

fn event_link(row: &mut Row) -> &mut Link {
    &mut row.events
}

/// The member table.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: [Row; N],
    /// The first row of each hash chain.
    heads: [Option<Slot>; N],
    /// Rows that were used and are free again.
    free: Option<Slot>,
    /// Rows from here on have never been used.
    used: u16,
    key: (u64, u64),
    counts: [u32; 4],
    digests: [u32; BUCKETS],
    pub(crate) order: Order<N>,
    pub(crate) deadlines: Heap<N>,
    pub(crate) news: News,
    owed: List,
    events: List,
    /// Rows that are gone and that the application knew.
    forgotten: Deque<Forgotten, FORGOTTEN_EVENTS>,
    pub(crate) events_lost: u32,
}

/// A row that is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forgotten {
    pub(crate) address: Address,
    pub(crate) state: State,
    pub(crate) incarnation: Incarnation,
}

/// Every bit of it depends on every bit of the address; the same on every node.
fn address_hash(address: Address) -> u64 {
    let (halves, _) = address.octets().as_chunks::<8>();
    let mut hash = 0x6D69_6467_6500_0001;
    for half in halves {
        hash = mix(hash ^ u64::from_le_bytes(*half));
    }
    mix(hash ^ u64::from(address.port()))
}

/// The bucket of an address in the reconciliation, and what a live row adds to its digest.
fn digest_of(address: Address, incarnation: Incarnation) -> (usize, u32) {
    let hash = address_hash(address);
    let sum = mix(mix(hash ^ incarnation.epoch) ^ u64::from(incarnation.refutation));
    ((hash >> 58) as usize, sum as u32)
}

/// The bucket of an address.
pub(crate) fn bucket_of(address: Address) -> usize {
    (address_hash(address) >> 58) as usize
}

impl<const N: usize> Table<N> {
    pub(crate) const EMPTY: Self = Self {
        rows: [const { Row::EMPTY }; N],
        heads: [None; N],
        free: None,
        used: 0,
        key: (0, 0),
        counts: [0; 4],
        digests: [0; BUCKETS],
        order: Order::EMPTY,
        deadlines: Heap::EMPTY,
        news: News::EMPTY,
        owed: List::EMPTY,
        events: List::EMPTY,
        forgotten: Deque::new(),
        events_lost: 0,
    };

    /// Forgets everything; work is bounded by the rows that were used.
    pub(crate) fn reset(&mut self, key: (u64, u64)) {
        for row in self.rows.iter_mut().take(usize::from(self.used)) {
            *row = Row::EMPTY;
        }
        self.heads = [None; N];
        self.free = None;
        self.used = 0;
        self.key = key;
        self.counts = [0; 4];
        self.digests = [0; BUCKETS];
        self.order = Order::EMPTY;
        self.deadlines = Heap::EMPTY;
        self.news = News::EMPTY;
        self.owed = List::EMPTY;
        self.events = List::EMPTY;
        self.forgotten.clear();
        self.events_lost = 0;
    }

    pub(crate) fn row(&self, slot: Slot) -> &Row {
        &self.rows[slot.index()]
    }

    pub(crate) fn row_mut(&mut self, slot: Slot) -> &mut Row {
        &mut self.rows[slot.index()]
    }

    /// The used rows from a slot's index on.
    pub(crate) fn rows_from(&self, first: usize) -> impl Iterator<Item = (Slot, &Row)> {
        let used = usize::from(self.used);
        (first..used)
            .zip(self.rows.get(first..used).unwrap_or_default())
            .filter_map(|(at, row)| if row.is_used() { Some((Slot::new(at)?, row)) } else { None })
    }

    /// Rows in this state.
    pub(crate) fn count(&self, state: State) -> u32 {
        self.counts[state as usize]
    }

    /// N of the protocol: alive and suspect rows, this node included.
    pub(crate) fn live(&self) -> u32 {
        self.count(State::Alive) + self.count(State::Suspect)
    }

    /// The sum over all live rows.
    pub(crate) fn digest(&self) -> u32 {
        self.digests.iter().fold(0, |sum, digest| sum.wrapping_add(*digest))
    }

    pub(crate) fn digests(&self) -> &[u32; BUCKETS] {
        &self.digests
    }

    /// A keyed hash of an address, which nobody outside can aim.
    pub(crate) fn keyed_hash(&self, address: Address) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(address.octets());
        hasher.write(&address.port().to_le_bytes());
        hasher.finish()
    }

    fn head(&self, address: Address) -> usize {
        let hash = self.keyed_hash(address) >> 32;
        ((hash * N as u64) >> 32) as usize
    }

    pub(crate) fn find(&self, address: Address) -> Option<Slot> {
        let mut next = self.heads[self.head(address)];
        while let Some(slot) = next {
            let row = self.row(slot);
            if row.address == address {
                return Some(slot);
            }
            next = row.chained;
        }
        None
    }

    /// A new row in this state. Where every row is taken, the one that left longest ago makes
    /// room, then the one that failed longest ago; live rows never do: then there is none. The
    /// address has no row yet.
    pub(crate) fn insert(
        &mut self,
        address: Address,
        incarnation: Incarnation,
        state: State,
        now: Instant,
    ) -> Option<Slot> {
        let slot = self.free_slot()?;
        let head = self.head(address);
        let row = &mut self.rows[slot.index()];
        *row = Row { address, state, incarnation, since: now, ..Row::EMPTY };
        row.chained = self.heads[head];
        self.heads[head] = Some(slot);
        self.enter(slot);
        Some(slot)
    }

    fn free_slot(&mut self) -> Option<Slot> {
        if self.free.is_none() && usize::from(self.used) < N {
            self.used += 1;
            return Slot::new(usize::from(self.used) - 1);
        }
        if self.free.is_none() {
            let oldest = self.oldest(State::Left).or_else(|| self.oldest(State::Failed))?;
            self.remove(oldest);
        }
        let slot = self.free?;
        self.free = self.row(slot).chained;
        Some(slot)
    }

    fn oldest(&self, state: State) -> Option<Slot> {
        if self.count(state) == 0 {
            return None;
        }
        let rows = self.rows_from(0).filter(|(slot, row)| row.state == state && *slot != Slot::OWN);
        rows.min_by_key(|(_, row)| row.since).map(|(slot, _)| slot)
    }

    /// Takes a row out. The node's own row is never taken out.
    pub(crate) fn remove(&mut self, slot: Slot) {
        self.exit(slot);
        self.deadlines.clear(&mut self.rows, slot);
        self.news.remove(&mut self.rows, slot);
        if self.row(slot).owed.linked {
            self.owed.remove(&mut self.rows, slot, owed_link);
        }
        if self.row(slot).events.linked {
            self.events.remove(&mut self.rows, slot, event_link);
        }
        self.unchain(slot);
        let &Row { address, state, incarnation, told, .. } = self.row(slot);
        let gone = Forgotten { address, state, incarnation };
        if told != 0 && self.forgotten.push_back(gone).is_err() {
            self.events_lost = self.events_lost.wrapping_add(1);
        }
        self.rows[slot.index()] = Row { chained: self.free, ..Row::EMPTY };
        self.free = Some(slot);
    }

    fn unchain(&mut self, slot: Slot) {
        let (address, after) = (self.row(slot).address, self.row(slot).chained);
        let head = self.head(address);
        let mut next = self.heads[head];
        if next == Some(slot) {
            self.heads[head] = after;
            return;
        }
        while let Some(at) = next {
            next = self.row(at).chained;
            if next == Some(slot) {
                self.row_mut(at).chained = after;
                return;
            }
        }
    }

    /// Changes incarnation and state of a row, and what depends on them. Its deadline, its news
    /// and its events are the caller's.
    pub(crate) fn change(
        &mut self,
        slot: Slot,
        incarnation: Incarnation,
        state: State,
        now: Instant,
    ) {
        self.exit(slot);
        let row = &mut self.rows[slot.index()];
        if row.state != state {
            row.since = now;
        }
        if row.incarnation != incarnation {
            row.flags.clear(Flags::DETAILS_KNOWN);
        }
        row.incarnation = incarnation;
        row.state = state;
        self.enter(slot);
    }

    /// Counts a row in.
    fn enter(&mut self, slot: Slot) {
        let row = &self.rows[slot.index()];
        self.counts[row.state as usize] += 1;
        if row.state.is_live() {
            let (bucket, sum) = digest_of(row.address, row.incarnation);
            self.digests[bucket] = self.digests[bucket].wrapping_add(sum);
        }
    }

    /// Counts a row out.
    fn exit(&mut self, slot: Slot) {
        let row = &self.rows[slot.index()];
        self.counts[row.state as usize] -= 1;
        if row.state.is_live() {
            let (bucket, sum) = digest_of(row.address, row.incarnation);
            self.digests[bucket] = self.digests[bucket].wrapping_sub(sum);
        }
    }

    /// Puts the row into the probe order if it is live and another's, takes it out if not.
    pub(crate) fn settle_order(&mut self, slot: Slot, random: u32) {
        let live = self.row(slot).is_live() && slot != Slot::OWN;
        let ordered = self.row(slot).order_at != 0;
        if live && !ordered {
            self.order.insert(&mut self.rows, slot, random);
        } else if !live && ordered {
            self.order.remove(&mut self.rows, slot);
        }
    }

    /// Sets or takes away the deadline of a row.
    pub(crate) fn set_deadline(&mut self, slot: Slot, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.deadlines.set(&mut self.rows, slot, deadline),
            None => self.deadlines.clear(&mut self.rows, slot),
        }
    }

    /// The earliest deadline of a row, and which.
    pub(crate) fn first_deadline(&self) -> Option<(Instant, Slot)> {
        Some((self.deadlines.deadline(&self.rows)?, self.deadlines.first()?))
    }

    /// Makes the row's news fresh.
    pub(crate) fn publish(&mut self, slot: Slot) {
        self.news.publish(&mut self.rows, slot);
    }

    /// What `describe` says of a row, given all of them.
    pub(crate) fn rumour<R>(&self, slot: Slot, describe: impl FnOnce(&[Row], Slot) -> R) -> R {
        describe(&self.rows, slot)
    }

    /// Takes the row's news back.
    pub(crate) fn withdraw(&mut self, slot: Slot) {
        self.news.remove(&mut self.rows, slot);
    }

    /// Whose turn it is to be probed.
    pub(crate) fn next_to_probe(&mut self, rng: &mut Rng) -> Option<Slot> {
        self.order.next(&mut self.rows, rng)
    }

    /// Runs `send` over the rows with news, those sent least first, until it says that there is no
    /// room; `send` says of each whether it was sent.
    pub(crate) fn spread(&mut self, limit: u8, send: impl FnMut(&[Row], Slot) -> Option<bool>) {
        self.news.spread(&mut self.rows, limit, send);
    }

    /// Notes that a datagram is owed to the row, for this reason.
    pub(crate) fn owe(&mut self, slot: Slot, what: Flags) {
        self.rows[slot.index()].flags.set(what);
        if !self.rows[slot.index()].owed.linked && slot != Slot::OWN {
            self.owed.push(&mut self.rows, slot, owed_link);
        }
    }

    /// The next row that is owed a datagram.
    pub(crate) fn next_owed(&mut self) -> Option<Slot> {
        let slot = self.owed.first()?;
        self.owed.remove(&mut self.rows, slot, owed_link);
        Some(slot)
    }

    /// Notes that the row has something to tell the application.
    pub(crate) fn note_event(&mut self, slot: Slot) {
        if !self.rows[slot.index()].events.linked && slot != Slot::OWN {
            self.events.push(&mut self.rows, slot, event_link);
        }
    }

    /// The next row that is gone.
    pub(crate) fn next_forgotten(&mut self) -> Option<Forgotten> {
        self.forgotten.pop_front()
    }

    /// The next row that has something to tell.
    pub(crate) fn next_event(&mut self) -> Option<Slot> {
        let slot = self.events.first()?;
        self.events.remove(&mut self.rows, slot, event_link);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::vec::Vec;

    const SPECIFICATION: &str = include_str!("../../docs/wire.md");

    /// The digests of the specification: another implementation computes the same.
    #[test]
    fn digests_are_those_of_the_specification() {
        let heading = "| address | epoch | refutation | address_hash | bucket | row digest |";
        let (_, table) = SPECIFICATION.split_once(heading).expect("the table of digests");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut checked = 0;
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [address, epoch, refutation, hash, bucket, digest] = cells[..] else {
                panic!("{row}")
            };
            let address = Address::from(address.parse::<SocketAddr>().unwrap());
            let (epoch, refutation) = (epoch.parse().unwrap(), refutation.parse().unwrap());
            assert_eq!(address_hash(address), u64::from_str_radix(hash, 16).unwrap(), "{row}");
            assert_eq!(bucket_of(address), bucket.parse().unwrap(), "{row}");
            let expected = (bucket_of(address), u32::from_str_radix(digest, 16).unwrap());
            let incarnation = Incarnation { epoch, refutation };
            assert_eq!(digest_of(address, incarnation), expected, "{row}");
            checked += 1;
        }
        assert_eq!(checked, 6);
    }
}

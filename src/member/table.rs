//! The member rows: found by address, probed in order, summed into digests.
//!
//! Slot 0 is the node itself. Rows do not move. The table keeps everything that must agree with
//! the rows' addresses and states (index, probe order, counts, digests, deadlines, lists), so that
//! there is one place where a row comes, changes and goes.

use heapless::Deque;

use super::heap::Heap;
use super::incarnation::{Incarnation, State};
use super::list::List;
use super::news::News;
use super::order::Order;
use super::row::{Flags, Kind, Row, Slot};
use crate::address::Address;
use crate::limits::{BUCKETS, FORGOTTEN_EVENTS, PROTOCOLS};
use crate::rng::{Rng, mix};
use crate::siphash::{last_word, siphash_1_3};
use crate::time::Instant;

/// The member table. What is small stands first in memory: it is reached by shorter instructions.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Table<const N: usize> {
    key: (u64, u64),
    counts: [u32; 4],
    /// Live rows by the highest protocol that they speak: 1, 2, ...; the last counts all beyond.
    speakers: [u16; PROTOCOLS],
    pub(crate) events_lost: u32,
    /// The sum of all digests.
    digest: u32,
    owed: List,
    events: List,
    /// Rows that failed and rows that left, those that did so first in front.
    failed: List,
    left: List,
    /// Rows that were used and are free again.
    free: Option<Slot>,
    /// Rows from here on have never been used.
    used: u16,
    /// The row that is being worked on: it is not evicted.
    pinned: Option<Slot>,
    pub(crate) news: News,
    digests: [u32; BUCKETS],
    /// Rows that are gone and that the application knew.
    forgotten: Deque<Forgotten, FORGOTTEN_EVENTS>,
    pub(crate) order: Order<N>,
    pub(crate) deadlines: Heap<N>,
    /// The first row of each hash chain.
    heads: [Option<Slot>; N],
    rows: [Row; N],
}

/// A row that is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forgotten {
    pub(crate) address: Address,
    pub(crate) state: State,
    pub(crate) incarnation: Incarnation,
}

/// Every bit of it depends on every bit of the address; the same on every node.
#[inline]
fn address_hash(address: &Address) -> u64 {
    let mut hash = 0x6D69_6467_6500_0001;
    for half in address.words() {
        hash = mix(hash ^ half);
    }
    mix(hash ^ u64::from(address.port()))
}

/// What a live row adds to the digest of its bucket.
fn digest_of(address_hash: u64, incarnation: Incarnation) -> u32 {
    mix(mix(address_hash ^ incarnation.epoch) ^ u64::from(incarnation.refutation)) as u32
}

/// The bucket of an address in the reconciliation.
const fn bucket_of(address_hash: u64) -> u8 {
    (address_hash >> 58) as u8
}

/// Where those whose highest protocol is this one are counted.
fn place_of(protocol_high: u8) -> usize {
    usize::from(protocol_high).clamp(1, PROTOCOLS) - 1
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
        speakers: [0; PROTOCOLS],
        order: Order::EMPTY,
        deadlines: Heap::EMPTY,
        news: News::EMPTY,
        owed: List::EMPTY,
        events: List::EMPTY,
        failed: List::EMPTY,
        left: List::EMPTY,
        pinned: None,
        forgotten: Deque::new(),
        events_lost: 0,
        digest: 0,
    };

    /// Forgets everything; work is bounded by the rows that were used.
    pub(crate) fn reset(&mut self, key: (u64, u64)) {
        for row in self.rows.iter_mut().take(usize::from(self.used)) {
            *row = Row::EMPTY;
        }
        self.heads.fill(None);
        self.free = None;
        self.used = 0;
        self.key = key;
        self.counts = [0; 4];
        self.digests = [0; BUCKETS];
        self.speakers = [0; PROTOCOLS];
        self.order.clear();
        self.deadlines.clear_all();
        self.news = News::EMPTY;
        self.owed = List::EMPTY;
        self.events = List::EMPTY;
        self.failed = List::EMPTY;
        self.left = List::EMPTY;
        self.pinned = None;
        self.forgotten.clear();
        self.events_lost = 0;
        self.digest = 0;
    }

    #[inline]
    pub(crate) fn row(&self, slot: Slot) -> &Row {
        &self.rows[slot.index()]
    }

    #[inline]
    pub(crate) fn row_mut(&mut self, slot: Slot) -> &mut Row {
        &mut self.rows[slot.index()]
    }

    /// The used rows from a slot's index on.
    pub(crate) fn rows_from(&self, first: usize) -> impl Iterator<Item = (Slot, &Row)> {
        (first..usize::from(self.used)).filter_map(|at| {
            let slot = Slot::new(at)?;
            let row = self.row(slot);
            row.is_used().then_some((slot, row))
        })
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
        self.digest
    }

    pub(crate) fn digests(&self) -> &[u32; BUCKETS] {
        &self.digests
    }

    /// The lowest of the highest protocols of all live rows: the last one that all understand.
    pub(crate) fn protocol(&self) -> u8 {
        self.speakers.iter().position(|rows| *rows > 0).unwrap_or(0) as u8 + 1
    }

    /// Notes which protocols a row speaks.
    pub(crate) fn set_protocols(&mut self, slot: Slot, low: u8, high: u8) {
        let row = &mut self.rows[slot.index()];
        if row.state.is_live() {
            self.speakers[place_of(row.protocol_high)] -= 1;
            self.speakers[place_of(high)] += 1;
        }
        row.protocol_low = low;
        row.protocol_high = high;
    }

    /// A keyed hash of an address, which nobody outside can aim: of 6 bytes, or of 18.
    #[inline]
    pub(crate) fn keyed_hash(&self, address: &Address) -> u64 {
        let port = u64::from(address.port());
        match address.octets_v4() {
            Some(octets) => {
                let end = u64::from(u32::from_le_bytes(octets)) | port << 32;
                siphash_1_3(self.key, &[], last_word(6, end))
            }
            None => siphash_1_3(self.key, &address.words(), last_word(18, port)),
        }
    }

    fn head(&self, address: &Address) -> usize {
        let hash = self.keyed_hash(address) >> 32;
        ((hash * N as u64) >> 32) as usize
    }

    #[inline]
    pub(crate) fn find(&self, address: &Address) -> Option<Slot> {
        let mut next = self.heads[self.head(address)];
        while let Some(slot) = next {
            let row = self.row(slot);
            if row.address == *address {
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
        address: &Address,
        incarnation: Incarnation,
        state: State,
        now: Instant,
    ) -> Option<Slot> {
        let slot = self.free_slot()?;
        let head = self.head(address);
        let first = self.heads[head].replace(slot);
        let hash = address_hash(address);
        // All else in it is empty.
        let row = self.row_mut(slot);
        row.address = *address;
        row.state = state;
        row.incarnation = incarnation;
        row.since = now;
        row.bucket = bucket_of(hash);
        row.chained = first;
        self.count_row(slot, hash, true);
        Some(slot)
    }

    fn free_slot(&mut self) -> Option<Slot> {
        if self.free.is_none() && usize::from(self.used) < N {
            self.used += 1;
            return Slot::new(usize::from(self.used) - 1);
        }
        if self.free.is_none() {
            let oldest = self.oldest(self.left).or_else(|| self.oldest(self.failed))?;
            self.remove(oldest);
        }
        let slot = self.free?;
        self.free = self.row(slot).chained;
        Some(slot)
    }

    /// The first row of the list that may be evicted.
    fn oldest(&self, list: List) -> Option<Slot> {
        let first = list.first()?;
        if self.pinned != Some(first) {
            return Some(first);
        }
        self.row(first).links[Kind::Gone as usize].next
    }

    /// Whether a newcomer would find room.
    pub(crate) fn has_room(&self) -> bool {
        let taken = usize::from(self.used) == N && self.free.is_none();
        !taken || self.oldest(self.left).is_some() || self.oldest(self.failed).is_some()
    }

    /// The failed row after this one, from the newest failure to the oldest and round again; the
    /// newest where there is none.
    pub(crate) fn next_failed(&self, after: Option<Slot>) -> Option<Slot> {
        let held = after.filter(|slot| {
            let row = self.row(*slot);
            row.is_used() && row.state == State::Failed
        });
        let older = held.and_then(|slot| self.row(slot).links[Kind::Gone as usize].previous);
        older.or(self.failed.last())
    }

    /// Keeps the row from being evicted while it is worked on, and no other.
    pub(crate) fn pin(&mut self, slot: Option<Slot>) {
        self.pinned = slot;
    }

    /// Takes out a row that is not live. The node's own row is never taken out.
    pub(crate) fn remove(&mut self, slot: Slot) {
        debug_assert!(!self.row(slot).is_live() && slot != Slot::OWN);
        // A dead row is in no digest.
        self.count_row(slot, 0, false);
        self.deadlines.clear(&mut self.rows, slot);
        self.news.remove(&mut self.rows, slot);
        self.owed.remove(&mut self.rows, slot, Kind::Owed);
        self.events.remove(&mut self.rows, slot, Kind::Events);
        self.unchain(slot);
        let &Row { address, state, incarnation, told, .. } = self.row(slot);
        let gone = Forgotten { address, state, incarnation };
        if told != 0 && self.forgotten.push_back(gone).is_err() {
            self.events_lost = self.events_lost.wrapping_add(1);
        }
        let next = self.free.replace(slot);
        let row = self.row_mut(slot);
        *row = Row::EMPTY;
        row.chained = next;
    }

    fn unchain(&mut self, slot: Slot) {
        let (address, after) = (self.row(slot).address, self.row(slot).chained);
        let head = self.head(&address);
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
        let hash = address_hash(&self.row(slot).address);
        self.count_row(slot, hash, false);
        let row = self.row_mut(slot);
        if row.state != state {
            row.since = now;
        }
        if row.incarnation != incarnation {
            row.flags.clear(Flags::DETAILS_KNOWN);
        }
        if row.incarnation.epoch != incarnation.epoch {
            // Another life: what was known of the last one says nothing of it.
            row.life = None;
            row.alias = 0;
            if slot != Slot::OWN {
                (row.protocol_low, row.protocol_high) = (0, 0);
            }
        }
        row.incarnation = incarnation;
        row.state = state;
        self.count_row(slot, hash, true);
    }

    /// Counts a row with this hash of its address in, or out.
    fn count_row(&mut self, slot: Slot, hash: u64, comes: bool) {
        let row = &self.rows[slot.index()];
        let by = if comes { 1 } else { -1 };
        let count = &mut self.counts[row.state as usize];
        *count = count.wrapping_add_signed(by.into());
        if row.state.is_live() {
            let sum = digest_of(hash, row.incarnation);
            let change = if comes { sum } else { sum.wrapping_neg() };
            let digest = &mut self.digests[usize::from(bucket_of(hash))];
            *digest = digest.wrapping_add(change);
            self.digest = self.digest.wrapping_add(change);
            let speakers = &mut self.speakers[place_of(row.protocol_high)];
            *speakers = speakers.wrapping_add_signed(by);
        }
        // An own row that has left is not evicted.
        let gone = match row.state {
            State::Failed => &mut self.failed,
            State::Left if slot != Slot::OWN => &mut self.left,
            State::Alive | State::Suspect | State::Left => return,
        };
        if comes {
            gone.push(&mut self.rows, slot, Kind::Gone);
        } else {
            gone.remove(&mut self.rows, slot, Kind::Gone);
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

    /// Sets the deadline of a row.
    #[inline(never)]
    pub(crate) fn set_deadline(&mut self, slot: Slot, deadline: Instant) {
        self.deadlines.set(&mut self.rows, slot, deadline);
    }

    /// Takes away the deadline of a row.
    pub(crate) fn clear_deadline(&mut self, slot: Slot) {
        self.deadlines.clear(&mut self.rows, slot);
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

    /// Whether the row has news.
    pub(crate) fn has_news(&self, slot: Slot) -> bool {
        self.news.holds(&self.rows, slot)
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
        if slot != Slot::OWN {
            self.owed.push(&mut self.rows, slot, Kind::Owed);
        }
    }

    /// The next row that is owed a datagram.
    pub(crate) fn next_owed(&mut self) -> Option<Slot> {
        self.owed.pop(&mut self.rows, Kind::Owed)
    }

    /// Notes that the row has something to tell the application.
    pub(crate) fn note_event(&mut self, slot: Slot) {
        if slot != Slot::OWN {
            self.events.push(&mut self.rows, slot, Kind::Events);
        }
    }

    /// The next row that is gone.
    pub(crate) fn next_forgotten(&mut self) -> Option<Forgotten> {
        self.forgotten.pop_front()
    }

    /// The next row that has something to tell.
    pub(crate) fn next_event(&mut self) -> Option<Slot> {
        self.events.pop(&mut self.rows, Kind::Events)
    }
}

#[cfg(test)]
mod tests;

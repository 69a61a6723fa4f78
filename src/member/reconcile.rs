//! Two tables that differ: which buckets, then their rows, a page at a time.
//!
//! The one who asks goes on asking, so a page that is lost is asked for again, and the one who
//! answers keeps nothing.

use super::introduce::Reply;
use super::row::Slot;
use super::swim::Swim;
use crate::address::Address;
use crate::time::Instant;
use crate::wire::{Buckets, Page, PageRequest};

/// How far reading a peer's table has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PullStage {
    /// The place is free.
    Free,
    /// Our bucket digests were offered; the first page says which buckets differ.
    Offer,
    /// Pages are asked for.
    Ask,
}

/// One peer's table being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pull {
    pub(super) stage: PullStage,
    pub(super) peer: Address,
    pub(super) buckets: u64,
    pub(super) first: u16,
    /// The offer or request is to be sent.
    pub(super) owed: bool,
    /// Some row has changed by it.
    changed: bool,
    tries: u8,
    deadline: Instant,
    /// When it is given up, however much there is still to read.
    end: Instant,
}

impl Pull {
    pub(super) const FREE: Self = Self {
        stage: PullStage::Free,
        peer: Address::NONE,
        buckets: 0,
        first: 0,
        owed: false,
        changed: false,
        tries: 0,
        deadline: Instant::ZERO,
        end: Instant::ZERO,
    };
}

/// An unanswered request is repeated so often.
const TRIES: u8 = 3;
/// Fresh rumours postpone a reconciliation for so many periods.
const POSTPONED_PERIODS: u32 = 3;
/// Pairs whose reconciliations change nothing wait 2, 4, ... up to 2 to this many periods.
const BACKOFF_MAX: u8 = 6;
/// A peer that has not been read to its end by then is too slow, or means ill.
const PULL_PERIODS: u32 = 20;
const ALL_BUCKETS: u64 = u64::MAX;

impl<const N: usize> Swim<N> {
    /// A peer's digest has been seen, after all else in the datagram: begins a reconciliation if
    /// it is time for one.
    pub(super) fn compare_digest(&mut self, slot: Slot, digest: u32, partial: bool) {
        if partial || self.is_partial() || !self.row(slot).is_live() {
            return;
        }
        if digest == self.table.digest() {
            self.mismatch_since = None;
            self.synced = true;
            self.row_mut(slot).fruitless_pulls = 0;
            return;
        }
        let since = *self.mismatch_since.get_or_insert(self.now);
        let postponed = self.now.since(since) < self.period.times(POSTPONED_PERIODS);
        let news = !self.table.news.is_empty();
        let row = self.row(slot);
        if self.synced && (news && postponed || self.now < self.reconcile_after)
            || self.now < row.pull_after
        {
            return;
        }
        // A joiner reads everything, from one peer at a time.
        let reading = self.pulls.iter().any(|pull| pull.stage != PullStage::Free);
        if !self.synced && reading {
            return;
        }
        let stage = if self.synced { PullStage::Offer } else { PullStage::Ask };
        let peer = row.address;
        if self.begin_pull(&peer, stage, ALL_BUCKETS) {
            self.stats.reconciliations = self.stats.reconciliations.wrapping_add(1);
            self.reconcile_after = self.now + self.period;
        }
    }

    /// Starts to read a peer's table; not if that is under way, or too many others are being read.
    fn begin_pull(&mut self, peer: &Address, stage: PullStage, buckets: u64) -> bool {
        if self.pulls.iter().any(|pull| pull.stage != PullStage::Free && pull.peer == *peer) {
            return false;
        }
        let deadline = self.now + self.stretched_timeout();
        let end = self.now + self.period.times(PULL_PERIODS);
        let Some(place) = self.pulls.iter_mut().find(|pull| pull.stage == PullStage::Free) else {
            self.stats.overflows = self.stats.overflows.wrapping_add(1);
            return false;
        };
        place.stage = stage;
        place.peer = *peer;
        place.buckets = buckets;
        place.first = 0;
        place.owed = true;
        place.changed = false;
        place.tries = 1;
        place.deadline = deadline;
        place.end = end;
        true
    }

    /// A peer offers its bucket digests: it gets our rows of those that differ, and we read its.
    pub(super) fn hear_buckets(&mut self, from: &Address, theirs: Buckets<'_>) {
        let mut differ = 0;
        for (bucket, (ours, theirs)) in
            self.table.digests().iter().zip(theirs.digests()).enumerate()
        {
            if *ours != theirs {
                differ |= 1 << bucket;
            }
        }
        self.answer(from, u16::MAX, Reply::Page { buckets: differ, first: 0 });
        if differ != 0 {
            self.begin_pull(from, PullStage::Ask, differ);
        }
    }

    /// A peer asks for a page.
    pub(super) fn hear_page_request(&mut self, from: &Address, request: &PageRequest) {
        let PageRequest { buckets, first } = *request;
        self.answer(from, u16::MAX, Reply::Page { buckets, first });
    }

    /// A page comes in. Its rows count only if it was asked for.
    pub(super) fn hear_page(&mut self, slot: Slot, page: &Page<'_>) {
        let from = self.row(slot).address;
        let expected = |pull: &Pull| match pull.stage {
            PullStage::Free => false,
            PullStage::Offer => pull.peer == from && page.first == 0,
            PullStage::Ask => {
                pull.peer == from && page.first == pull.first && page.buckets == pull.buckets
            }
        };
        let Some(at) = self.pulls.iter().position(expected) else { return };
        let mut changed = false;
        for row in page.rows {
            changed |= self.hear(slot, &row, true);
        }
        let deadline = self.now + self.stretched_timeout();
        let pull = &mut self.pulls[at];
        pull.changed |= changed;
        if page.next == 0 || pull.end <= self.now {
            let whole = pull.stage == PullStage::Ask && pull.buckets == ALL_BUCKETS;
            self.synced |= whole && page.next == 0;
            self.end_pull(at);
        } else {
            pull.stage = PullStage::Ask;
            pull.buckets = page.buckets;
            pull.first = page.next;
            pull.owed = true;
            pull.tries = 1;
            pull.deadline = deadline;
        }
    }

    /// A peer's table has been read to its end, or is given up.
    fn end_pull(&mut self, at: usize) {
        let pull = &mut self.pulls[at];
        pull.stage = PullStage::Free;
        let Some(slot) = self.table.find(&pull.peer) else { return };
        let period = self.period;
        let row = self.table.row_mut(slot);
        if pull.changed {
            row.fruitless_pulls = 0;
            return;
        }
        row.fruitless_pulls = (row.fruitless_pulls + 1).min(BACKOFF_MAX);
        row.pull_after = self.now + period.times(1 << row.fruitless_pulls);
    }

    /// Requests that were not answered: repeated, then given up.
    pub(super) fn pulls_due(&mut self) {
        let deadline = self.now + self.stretched_timeout();
        for at in 0..self.pulls.len() {
            let pull = &mut self.pulls[at];
            if pull.stage == PullStage::Free || pull.deadline > self.now {
                continue;
            }
            if pull.tries == TRIES || pull.end <= self.now {
                self.end_pull(at);
            } else {
                pull.tries += 1;
                pull.owed = true;
                pull.deadline = deadline;
            }
        }
    }

    pub(super) fn next_pull_deadline(&self) -> Instant {
        let active = self.pulls.iter().filter(|pull| pull.stage != PullStage::Free);
        active.map(|pull| pull.deadline).fold(Instant::FAR_FUTURE, Instant::min)
    }
}

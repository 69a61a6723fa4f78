//! Lists of rows, linked through the rows themselves: no memory of their own, nothing to overflow.

use super::row::{Link, Row, Slot};

/// First and last of a list; first in, first out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    first: Option<Slot>,
    last: Option<Slot>,
}

/// Which link of a row a list goes through.
pub(crate) type Through = fn(&mut Row) -> &mut Link;

impl List {
    pub(crate) const EMPTY: Self = Self { first: None, last: None };

    pub(crate) const fn first(&self) -> Option<Slot> {
        self.first
    }

    pub(crate) const fn last(&self) -> Option<Slot> {
        self.last
    }

    /// Appends a row that is in no list through this link.
    pub(crate) fn push(&mut self, rows: &mut [Row], slot: Slot, through: Through) {
        let link = through(&mut rows[slot.index()]);
        debug_assert!(!link.linked);
        *link = Link { previous: self.last, next: None, linked: true };
        match self.last {
            Some(last) => through(&mut rows[last.index()]).next = Some(slot),
            None => self.first = Some(slot),
        }
        self.last = Some(slot);
    }

    /// Puts a row that is in no list through this link before all others.
    pub(crate) fn push_first(&mut self, rows: &mut [Row], slot: Slot, through: Through) {
        let link = through(&mut rows[slot.index()]);
        debug_assert!(!link.linked);
        *link = Link { previous: None, next: self.first, linked: true };
        match self.first {
            Some(first) => through(&mut rows[first.index()]).previous = Some(slot),
            None => self.last = Some(slot),
        }
        self.first = Some(slot);
    }

    /// Takes a row of this list out of it.
    pub(crate) fn remove(&mut self, rows: &mut [Row], slot: Slot, through: Through) {
        let link = through(&mut rows[slot.index()]);
        debug_assert!(link.linked);
        let Link { previous, next, .. } = core::mem::replace(link, Link::NONE);
        match previous {
            Some(previous) => through(&mut rows[previous.index()]).next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => through(&mut rows[next.index()]).previous = previous,
            None => self.last = previous,
        }
    }
}

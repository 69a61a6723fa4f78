//! Lists of rows, linked through the rows themselves: no memory of their own, nothing to overflow.

use super::row::{Kind, Link, Row, Slot};

/// First and last of a list; first in, first out. What kind of list it is, is said at each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    first: Option<Slot>,
    last: Option<Slot>,
}

impl List {
    pub(crate) const EMPTY: Self = Self { first: None, last: None };

    pub(crate) const fn first(&self) -> Option<Slot> {
        self.first
    }

    pub(crate) const fn last(&self) -> Option<Slot> {
        self.last
    }

    /// Whether the row is in this list, if it is in one of this kind.
    pub(crate) fn holds(&self, rows: &[Row], slot: Slot, kind: Kind) -> bool {
        self.first == Some(slot) || rows[slot.index()].links[kind as usize].previous.is_some()
    }

    /// Appends a row, unless it is in the list already.
    #[inline(never)]
    pub(crate) fn push(&mut self, rows: &mut [Row], slot: Slot, kind: Kind) {
        if !self.holds(rows, slot, kind) {
            self.join(rows, kind, self.last, Some(slot));
            self.join(rows, kind, Some(slot), None);
        }
    }

    /// Puts a row that is not in the list before all others.
    pub(crate) fn push_first(&mut self, rows: &mut [Row], slot: Slot, kind: Kind) {
        debug_assert!(!self.holds(rows, slot, kind));
        self.join(rows, kind, Some(slot), self.first);
        self.join(rows, kind, None, Some(slot));
    }

    /// Takes a row out of the list; whether it was in it.
    #[inline(never)]
    pub(crate) fn remove(&mut self, rows: &mut [Row], slot: Slot, kind: Kind) -> bool {
        let held = self.holds(rows, slot, kind);
        if held {
            let link = &mut rows[slot.index()].links[kind as usize];
            let Link { previous, next } = core::mem::replace(link, Link::NONE);
            self.join(rows, kind, previous, next);
        }
        held
    }

    /// Takes out the first row.
    pub(crate) fn pop(&mut self, rows: &mut [Row], kind: Kind) -> Option<Slot> {
        let first = self.first?;
        self.remove(rows, first, kind);
        Some(first)
    }

    /// Makes two rows neighbours; without the one the other is the first, or the last.
    #[inline(never)]
    fn join(&mut self, rows: &mut [Row], kind: Kind, previous: Option<Slot>, next: Option<Slot>) {
        match previous {
            Some(slot) => rows[slot.index()].links[kind as usize].next = next,
            None => self.first = next,
        }
        match next {
            Some(slot) => rows[slot.index()].links[kind as usize].previous = previous,
            None => self.last = previous,
        }
    }
}

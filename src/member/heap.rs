//! The deadlines of rows: a binary heap of slots, the earliest on top, each row knowing its place.

use super::row::{Row, Slot};
use crate::time::Instant;

/// At most one entry for each row, so it cannot overflow.
#[derive(Debug)]
pub(crate) struct Heap<const N: usize> {
    slots: [Option<Slot>; N],
    len: usize,
}

impl<const N: usize> Heap<N> {
    pub(crate) const EMPTY: Self = Self { slots: [None; N], len: 0 };

    /// Forgets all deadlines.
    pub(crate) fn clear_all(&mut self) {
        self.len = 0;
    }

    /// The row whose deadline is the earliest.
    pub(crate) fn first(&self) -> Option<Slot> {
        if self.len == 0 { None } else { self.slots[0] }
    }

    /// The earliest deadline.
    pub(crate) fn deadline(&self, rows: &[Row]) -> Option<Instant> {
        self.first().map(|slot| rows[slot.index()].deadline)
    }

    /// Sets the deadline of a row, whether it had one or not.
    pub(crate) fn set(&mut self, rows: &mut [Row], slot: Slot, deadline: Instant) {
        let row = &mut rows[slot.index()];
        row.deadline = deadline;
        if row.heap_at == 0 {
            self.len += 1;
            self.place(rows, self.len - 1, slot);
        }
        let at = usize::from(rows[slot.index()].heap_at) - 1;
        self.settle(rows, at);
    }

    /// Takes a row's deadline away, if it has one.
    pub(crate) fn clear(&mut self, rows: &mut [Row], slot: Slot) {
        let Some(at) = usize::from(rows[slot.index()].heap_at).checked_sub(1) else { return };
        rows[slot.index()].heap_at = 0;
        self.len -= 1;
        let last = self.slots[self.len].take();
        if at == self.len {
            return;
        }
        if let Some(last) = last {
            self.place(rows, at, last);
            self.settle(rows, at);
        }
    }

    fn place(&mut self, rows: &mut [Row], at: usize, slot: Slot) {
        self.slots[at] = Some(slot);
        rows[slot.index()].heap_at = at as u16 + 1;
    }

    /// When the entry at this place is due; places beyond the end are never due.
    fn due(&self, rows: &[Row], at: usize) -> Instant {
        match self.slots.get(at) {
            Some(Some(slot)) if at < self.len => rows[slot.index()].deadline,
            _ => Instant::FAR_FUTURE,
        }
    }

    fn swap(&mut self, rows: &mut [Row], a: usize, b: usize) {
        if let (Some(at_a), Some(at_b)) = (self.slots[a], self.slots[b]) {
            self.place(rows, a, at_b);
            self.place(rows, b, at_a);
        }
    }

    /// Moves the entry at this place up or down to where it belongs.
    #[inline(never)]
    fn settle(&mut self, rows: &mut [Row], mut at: usize) {
        loop {
            let due = self.due(rows, at);
            let parent = at.saturating_sub(1) / 2;
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if self.due(rows, right) < self.due(rows, left) { right } else { left };
            let next = if due < self.due(rows, parent) {
                parent
            } else if self.due(rows, child) < due {
                child
            } else {
                return;
            };
            self.swap(rows, at, next);
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::vec::Vec;

    /// Against a plain twin: a list that is searched.
    #[test]
    fn heap_against_search() {
        const N: usize = 20;
        let mut rows: Vec<Row> = (0..N).map(|_| Row::EMPTY).collect();
        let mut heap = Heap::<N>::EMPTY;
        let mut twin: Vec<Option<Instant>> = std::vec![None; N];
        let mut rng = Rng::new(7);
        for _ in 0..100_000 / crate::SHORTER {
            let index = rng.below(N as u32) as usize;
            let slot = Slot::new(index).unwrap();
            if rng.below(3) == 0 {
                heap.clear(&mut rows, slot);
                twin[index] = None;
            } else {
                let deadline = Instant::from_micros(u64::from(rng.below(50)));
                heap.set(&mut rows, slot, deadline);
                twin[index] = Some(deadline);
            }
            assert_eq!(heap.deadline(&rows), twin.iter().flatten().min().copied());
            assert_eq!(heap.len, twin.iter().flatten().count());
        }
    }
}

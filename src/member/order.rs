//! The probe order: every live row but our own, shuffled, round and round (SWIM section 4.3).

use super::row::{Row, Slot};
use crate::rng::Rng;

/// A permutation with a cursor. Rows before the cursor have been probed in this round.
#[derive(Debug)]
pub(crate) struct Order<const N: usize> {
    slots: [Option<Slot>; N],
    len: usize,
    cursor: usize,
}

impl<const N: usize> Order<N> {
    pub(crate) const EMPTY: Self = Self { slots: [None; N], len: 0, cursor: 0 };

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The row at this place.
    pub(crate) fn at(&self, place: usize) -> Option<Slot> {
        if place < self.len { self.slots[place] } else { None }
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.cursor = 0;
    }

    /// Adds a newcomer at a random place; if that lies before the cursor, its turn comes in the
    /// next round.
    pub(crate) fn insert(&mut self, rows: &mut [Row], slot: Slot, random: u32) {
        let end = self.len;
        self.len += 1;
        self.place(rows, end, slot);
        let at = ((u64::from(random) * self.len as u64) >> 32) as usize;
        if at < self.cursor {
            // The row that makes room keeps its turn: it moves to the end of the probed part.
            self.swap(rows, self.cursor, end);
            self.swap(rows, at, self.cursor);
            self.cursor += 1;
        } else {
            self.swap(rows, at, end);
        }
    }

    /// Takes a row out; the others keep their turns.
    pub(crate) fn remove(&mut self, rows: &mut [Row], slot: Slot) {
        let Some(mut at) = usize::from(rows[slot.index()].order_at).checked_sub(1) else { return };
        if at < self.cursor {
            self.cursor -= 1;
            self.swap(rows, at, self.cursor);
            at = self.cursor;
        }
        self.len -= 1;
        self.swap(rows, at, self.len);
        self.slots[self.len] = None;
        rows[slot.index()].order_at = 0;
    }

    /// Whose turn it is. After a round the order is shuffled anew: one step of Fisher and Yates
    /// for each turn, so that no call does more than constant work.
    pub(crate) fn next(&mut self, rows: &mut [Row], rng: &mut Rng) -> Option<Slot> {
        if self.len == 0 {
            return None;
        }
        if self.cursor >= self.len {
            self.cursor = 0;
        }
        let chosen = self.cursor + rng.below((self.len - self.cursor) as u32) as usize;
        self.swap(rows, self.cursor, chosen);
        self.cursor += 1;
        self.at(self.cursor - 1)
    }

    fn place(&mut self, rows: &mut [Row], at: usize, slot: Slot) {
        self.slots[at] = Some(slot);
        rows[slot.index()].order_at = at as u16 + 1;
    }

    fn swap(&mut self, rows: &mut [Row], a: usize, b: usize) {
        if let (Some(at_a), Some(at_b)) = (self.slots[a], self.slots[b]) {
            self.place(rows, a, at_b);
            self.place(rows, b, at_a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const N: usize = 16;

    fn rows() -> Vec<Row> {
        (0..N).map(|_| Row::EMPTY).collect()
    }

    fn slot(index: usize) -> Slot {
        Slot::new(index).unwrap()
    }

    #[test]
    fn every_row_once_a_round() {
        let (mut rows, mut order, mut rng) = (rows(), Order::<N>::EMPTY, Rng::new(1));
        for index in 0..N {
            order.insert(&mut rows, slot(index), rng.next() as u32);
        }
        let mut last = Vec::new();
        for _ in 0..10 {
            let mut round: Vec<Slot> =
                (0..N).filter_map(|_| order.next(&mut rows, &mut rng)).collect();
            assert_ne!(round, last, "shuffled anew");
            last.clone_from(&round);
            round.sort();
            assert_eq!(round, (0..N).map(slot).collect::<Vec<_>>());
        }
    }

    /// Rows come and go at random; nobody who stays is probed twice in a round, or left out of one.
    #[test]
    fn turns_survive_churn() {
        let (mut rows, mut order, mut rng) = (rows(), Order::<N>::EMPTY, Rng::new(2));
        let mut present = [false; N];
        let mut since_turn = [0; N];
        for (index, here) in present.iter_mut().enumerate().take(4) {
            *here = true;
            order.insert(&mut rows, slot(index), rng.next() as u32);
        }
        for _ in 0..20_000 / crate::SHORTER {
            let index = 4 + rng.below(N as u32 - 4) as usize;
            if present[index] {
                order.remove(&mut rows, slot(index));
            } else {
                order.insert(&mut rows, slot(index), rng.next() as u32);
            }
            present[index] = !present[index];
            let probed = order.next(&mut rows, &mut rng).unwrap();
            assert!(present[probed.index()]);
            for (index, turns) in since_turn.iter_mut().enumerate().take(4) {
                *turns = if probed == slot(index) { 0 } else { *turns + 1 };
                assert!(*turns <= 4 * N, "starved");
            }
            let count = present.iter().filter(|p| **p).count();
            assert_eq!(order.len(), count);
            for at in 0..order.len() {
                assert_eq!(usize::from(rows[order.at(at).unwrap().index()].order_at), at + 1);
            }
        }
    }
}

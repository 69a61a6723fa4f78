//! What to piggyback: rows with news, by how often each has been sent (SWIM section 4.1).

use super::incarnation::State;
use super::list::List;
use super::row::{Kind, Row, Slot};
use crate::limits::TRANSMITS_MAX;

/// One list for each number of transmissions so far; the ones sent least go first.
#[derive(Debug)]
pub(crate) struct News {
    sent: [List; TRANSMITS_MAX + 1],
    len: u32,
}

impl News {
    pub(crate) const EMPTY: Self = Self { sent: [List::EMPTY; TRANSMITS_MAX + 1], len: 0 };

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes the row's news fresh: not sent yet. That somebody leaves goes before all else: the
    /// one who knows it best is about to be gone.
    pub(crate) fn publish(&mut self, rows: &mut [Row], slot: Slot) {
        self.remove(rows, slot);
        rows[slot.index()].sent = 0;
        if rows[slot.index()].state == State::Left {
            self.sent[0].push_first(rows, slot, Kind::News);
        } else {
            self.sent[0].push(rows, slot, Kind::News);
        }
        self.len += 1;
    }

    /// Whether the row has news.
    pub(crate) fn holds(&self, rows: &[Row], slot: Slot) -> bool {
        let sent = usize::from(rows[slot.index()].sent);
        self.sent[sent].holds(rows, slot, Kind::News)
    }

    /// Takes the row's news away, if it has any.
    pub(crate) fn remove(&mut self, rows: &mut [Row], slot: Slot) {
        let sent = usize::from(rows[slot.index()].sent);
        if self.sent[sent].remove(rows, slot, Kind::News) {
            self.len -= 1;
        }
    }

    /// Offers rows to `send`, those sent least first, each at most once. `send` says whether the
    /// row was sent, or `None` when there is no room for more. A row that has been sent `limit`
    /// times is news no longer.
    pub(crate) fn spread(
        &mut self,
        rows: &mut [Row],
        limit: u8,
        mut send: impl FnMut(&[Row], Slot) -> Option<bool>,
    ) {
        if self.is_empty() {
            return;
        }
        // A row that is sent moves to the end of the next list: each list is read only up to what
        // was its end before any of it moved.
        let mut end = self.sent[0].last();
        for sent in 0..TRANSMITS_MAX {
            let end_of_next = self.sent[sent + 1].last();
            let mut next = if end.is_some() { self.sent[sent].first() } else { None };
            while let Some(slot) = next {
                let link = rows[slot.index()].links[Kind::News as usize];
                next = if Some(slot) == end { None } else { link.next };
                match send(rows, slot) {
                    Some(true) => self.count_sent(rows, slot, limit),
                    Some(false) => {}
                    None => return,
                }
            }
            end = end_of_next;
        }
    }

    fn count_sent(&mut self, rows: &mut [Row], slot: Slot, limit: u8) {
        self.remove(rows, slot);
        let row = &mut rows[slot.index()];
        row.sent += 1;
        let sent = row.sent;
        if sent < limit && usize::from(sent) < TRANSMITS_MAX {
            self.sent[usize::from(sent)].push(rows, slot, Kind::News);
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn slot(index: usize) -> Slot {
        Slot::new(index).unwrap()
    }

    /// Sends up to `room` rows and says which.
    fn send(news: &mut News, rows: &mut [Row], limit: u8, room: usize) -> Vec<usize> {
        let mut sent = Vec::new();
        news.spread(rows, limit, |_, slot| {
            if sent.len() == room {
                return None;
            }
            sent.push(slot.index());
            Some(true)
        });
        sent
    }

    #[test]
    fn fewest_sent_first_and_each_as_often_as_the_limit() {
        let mut rows: Vec<Row> = (0..6).map(|_| Row::EMPTY).collect();
        let mut news = News::EMPTY;
        for index in 0..4 {
            news.publish(&mut rows, slot(index));
        }
        assert_eq!(send(&mut news, &mut rows, 3, 2), [0, 1]);
        assert_eq!(send(&mut news, &mut rows, 3, 3), [2, 3, 0]);
        news.publish(&mut rows, slot(5));
        assert_eq!(send(&mut news, &mut rows, 3, 9), [5, 1, 2, 3, 0], "each once a datagram");
        assert_eq!(send(&mut news, &mut rows, 3, 9), [5, 1, 2, 3]);
        assert_eq!(send(&mut news, &mut rows, 3, 9), [5]);
        assert!(news.is_empty());
        assert!(send(&mut news, &mut rows, 3, 9).is_empty());
    }

    #[test]
    fn a_row_that_is_passed_over_stays_news() {
        let mut rows: Vec<Row> = (0..3).map(|_| Row::EMPTY).collect();
        let mut news = News::EMPTY;
        news.publish(&mut rows, slot(0));
        news.publish(&mut rows, slot(1));
        news.spread(&mut rows, 1, |_, at| Some(at != slot(0)));
        assert_eq!(send(&mut news, &mut rows, 1, 9), [0]);
        assert!(news.is_empty());
        news.publish(&mut rows, slot(2));
        news.remove(&mut rows, slot(2));
        assert!(news.is_empty());
    }

    #[test]
    fn the_largest_limit_ends() {
        let mut rows: Vec<Row> = (0..1).map(|_| Row::EMPTY).collect();
        let mut news = News::EMPTY;
        news.publish(&mut rows, slot(0));
        let mut times = 0;
        while !news.is_empty() {
            assert_eq!(send(&mut news, &mut rows, u8::MAX, 1), [0]);
            times += 1;
            assert!(times <= TRANSMITS_MAX + 1);
        }
    }
}

//! What has happened: the last events of the node, numbered, for the log, the API and hooks.
//!
//! - [`record`]: one event with what was true at its time, as text and as JSON
//! - `stream`: `GET /v1/events`
//!
//! An id is `LIFE-SEQ`: which life of the agent, and which event of it. So whoever reads them can
//! say where it has come to, even to an agent that has been started anew.

pub mod record;

mod stream;

use midge::{Event, Node};

use super::TrueTime;
use crate::http::Page;
use crate::text::{cut, parse_hex, parse_number};

pub use record::{Kind, Record, Snapshot, Value};

/// Events that are kept. When one more comes, the oldest goes.
pub const KEPT: usize = 256;

/// The last [`KEPT`] events.
#[derive(Debug)]
pub struct Events {
    life: u32,
    /// The number of the newest event; 0 before the first.
    last: u64,
    records: [Record; KEPT],
}

/// Where a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the event of this number, which may be gone or may not have come yet.
    At(u64),
    /// The id is of another life: how many events the reader has missed cannot be known.
    Unknown,
}

impl Events {
    /// None yet; all bytes zero.
    pub const EMPTY: Self = Self { life: 0, last: 0, records: [Record::EMPTY; KEPT] };

    /// Begins a life, by a number that no other one is likely to have.
    pub fn begin(&mut self, life: u32) {
        self.life = life;
        self.last = 0;
    }

    /// The number of the newest event; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The number of the oldest event that is kept, or of the first to come.
    pub fn first(&self) -> u64 {
        self.last.saturating_sub(KEPT as u64) + 1
    }

    /// The event of this number, if it is kept.
    pub fn get(&self, seq: u64) -> Option<&Record> {
        (self.first()..=self.last).contains(&seq).then(|| &self.records[index(seq)])
    }

    /// Adds what the node has told, at this Unix time in milliseconds, and returns it.
    pub fn add<const N: usize>(&mut self, node: &Node<N>, event: &Event, time_ms: u64) -> &Record {
        let record = self.next(time_ms);
        record.set(node, event);
        record
    }

    /// Adds what there is to be told of the clock.
    pub fn add_clock(&mut self, time: &TrueTime<'static>, time_ms: u64) -> &Record {
        let record = self.next(time_ms);
        record.set_clock(time);
        record
    }

    fn next(&mut self, time_ms: u64) -> &mut Record {
        self.last += 1;
        let record = &mut self.records[index(self.last)];
        record.seq = self.last;
        record.time_ms = time_ms;
        record.clear();
        record
    }

    /// Where to go on after the event with this id; `None` if it is no id. `0` is before the oldest
    /// that is kept.
    pub fn after(&self, id: &str) -> Option<Place> {
        if id == "0" {
            return Some(Place::At(self.first()));
        }
        let (life, seq) = cut(id, b'-')?;
        let (life, seq) = (parse_hex(life)?, parse_number(seq.as_bytes())?);
        let is_known = life == u64::from(self.life) && seq <= self.last;
        Some(if is_known { Place::At(seq + 1) } else { Place::Unknown })
    }

    /// Says that events are missing before the oldest that is kept: how many, if that is known.
    /// Who goes on after its id misses nothing more.
    pub fn lost(&self, count: Option<u64>) -> Record {
        let first = self.first();
        let mut record = Record::EMPTY;
        record.seq = first - 1;
        record.kind = Kind::Lost;
        record.time_ms = self.get(first).map_or(0, |next| next.time_ms);
        record.detail("count", count.map_or(Value::Unknown, Value::Number));
        record
    }

    /// Appends the id of an event.
    pub fn id(&self, record: &Record, page: &mut Page<'_>) {
        page.hex(u64::from(self.life), 8);
        page.push(b"-");
        page.number(record.seq);
    }

    /// Appends an event as one JSON object, without a line end: at most [`record::JSON_BYTES`].
    pub fn json(&self, record: &Record, page: &mut Page<'_>) {
        page.push(b"{\"id\":\"");
        self.id(record, page);
        page.push(b"\"");
        record.json(page);
    }
}

fn index(seq: u64) -> usize {
    (seq % KEPT as u64) as usize
}

#[cfg(test)]
mod tests;

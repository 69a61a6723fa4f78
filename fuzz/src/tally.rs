//! Which sections came along.

use midge::wire::{Datagram, Section};

/// The sections of the specification, by what it calls them, in the order of their types.
pub const SECTIONS: [&str; 12] = [
    "ping",
    "ack",
    "ping-req",
    "nack",
    "rumours",
    "details",
    "hello",
    "challenge",
    "page request",
    "page",
    "buckets",
    "refused",
];

/// The place of the last one.
pub const REFUSED: usize = SECTIONS.len() - 1;

/// How many of each section of [`SECTIONS`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally(pub [u64; SECTIONS.len()]);

impl Tally {
    /// Counts the sections of a datagram.
    pub fn add(&mut self, datagram: &Datagram<'_>) {
        for section in datagram.sections() {
            // A section that is new does not compile until it has its place here.
            let place = match section {
                Section::Ping(_) => 0,
                Section::Ack(_) => 1,
                Section::PingReq(_) => 2,
                Section::Nack(_) => 3,
                Section::Rumours(_) => 4,
                Section::Details(_) => 5,
                Section::Hello(_) => 6,
                Section::Challenge(_) => 7,
                Section::PageRequest(_) => 8,
                Section::Page(_) => 9,
                Section::Buckets(_) => 10,
                Section::Refused(_) => REFUSED,
                Section::Unknown(..) => continue,
            };
            assert_eq!(usize::from(section.kind()), place + 1, "the types count from 1");
            self.0[place] += 1;
        }
    }
}

//! Which sections came along.

use midge::Address;
use midge::wire::{Datagram, Section, kind};

/// The sections of the specification, by what it calls them, in the order of their types.
pub const SECTIONS: [&str; 18] = [
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
    "pre-vote",
    "pre-voted",
    "vote",
    "voted",
    "append",
    "append-ack",
];

/// The places of a refusal, and of the first section of the council.
pub const REFUSED: usize = 11;
pub const COUNCIL: usize = 12;

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
                Section::Council(message) => {
                    let Some(_) = message.decode(Address::NONE, Address::NONE) else { continue };
                    COUNCIL + usize::from(message.kind() - kind::PRE_VOTE)
                }
                Section::Unknown(..) => continue,
            };
            let base = if place < COUNCIL { 1 } else { usize::from(kind::PRE_VOTE) - COUNCIL };
            assert_eq!(usize::from(section.kind()), place + base, "they stand by their types");
            self.0[place] += 1;
        }
    }
}

//! One node of each library with the same members, and the same work for both.
//!
//! The members are N - 1 others at IPv4 addresses, each known with its start time in milliseconds
//! and a counter of refutations: midge's incarnation, and an identity of address and start time
//! with foca's incarnation. foca runs its configuration for a LAN and its postcard codec. What
//! differs and cannot be made alike: midge checks a tag over every datagram, and keeps digests,
//! deadlines and events by row.

pub mod with_foca;
pub mod with_midge;

/// Members that a full datagram speaks of; both libraries' rumours fit as many.
pub const RUMOURS: usize = 64;

/// The start time of every member.
pub const EPOCH: u64 = 1_700_000_000_000;

/// The address of a member; 0 is the node itself, 1 the member that talks to it.
pub fn octets(member: usize) -> [u8; 4] {
    let [_, _, b, c] = (member as u32).to_be_bytes();
    [10, 0, b, c.wrapping_add(1)]
}

pub const PORT: u16 = 6434;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A ping without news comes in, and the ack goes out.
    Ping,
    /// A datagram of 64 rumours, each of which changes a row.
    News,
    /// A datagram of 64 rumours, all of them known.
    Known,
    /// A ping comes in, and the ack that goes out tells as much news as fits: up to 83 rumours.
    Spread,
    /// The digests of all buckets come in, and a page without rows goes out: nothing differs. foca
    /// has nothing like it.
    Digests,
}

impl Work {
    pub const ALL: [Self; 5] = [Self::Ping, Self::News, Self::Known, Self::Spread, Self::Digests];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::News => "news",
            Self::Known => "known",
            Self::Spread => "spread",
            Self::Digests => "digests",
        }
    }
}

/// One of the libraries with its members.
pub trait Peer {
    /// Prepares datagram number `round` of this work, which is then given to `receive`; `None` if
    /// there is no such work here.
    fn datagram(&mut self, work: Work, round: u32) -> Option<Vec<u8>>;

    /// Takes it in, and builds what is owed at once. Returns the bytes of the answers.
    fn receive(&mut self, datagram: &[u8]) -> usize;

    /// Members that are held for alive, the node included.
    fn alive(&self) -> usize;
}

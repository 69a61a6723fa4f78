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

/// Datagrams that a peer is given before it is made anew: what is measured is the same work however
/// long it is measured, with refutations that take one byte and that foca can still count.
pub const ROUNDS: u32 = 100;

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
    /// The ack of `Spread` goes out: the ping and the news are in already. foca builds its answer
    /// while it takes the ping in.
    Transmit,
    /// The digests of all buckets come in, and a page without rows goes out: nothing differs. foca
    /// has nothing like it.
    Digests,
}

impl Work {
    pub const ALL: [Self; 6] =
        [Self::Ping, Self::News, Self::Known, Self::Spread, Self::Transmit, Self::Digests];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::News => "news",
            Self::Known => "known",
            Self::Spread => "spread",
            Self::Transmit => "transmit",
            Self::Digests => "digests",
        }
    }
}

/// Makes a peer with so many members.
pub type Make = fn(usize) -> Box<dyn Peer>;

/// One of the libraries with its members.
pub trait Peer {
    /// Prepares datagram number `round` of this work, less than [`ROUNDS`], which is then given to
    /// `receive`; `None` if there is no such work here. It is empty if nothing is to be taken in.
    fn datagram(&mut self, work: Work, round: u32) -> Option<Vec<u8>>;

    /// Takes it in unless it is empty, and builds what is owed at once. Returns the bytes of the
    /// answers.
    fn receive(&mut self, datagram: &[u8]) -> usize;

    /// Members that are held for alive, the node included.
    fn alive(&self) -> usize;
}

//! Every capacity of the core, in one place, with the relations between them.
//!
//! The one capacity that is chosen by type is the member table's: the `N` of
//! [`Swim`](crate::Swim) and [`Node`](crate::Node).

use crate::wire::PROTOCOL;

/// The largest datagram sent or accepted, bytes. No IP fragmentation at the minimum MTU of IPv6
/// (1,280, RFC 8200 section 5) with room for the IPv6 and UDP headers and for a tunnel's.
pub const MTU_BYTES: usize = 1200;

/// A cluster name, bytes (`[A-Za-z0-9._-]`).
pub const CLUSTER_NAME_BYTES: usize = 32;

/// A member's name, bytes of UTF-8.
pub const NAME_BYTES: usize = 32;

/// All tags of a member together, `key=value` separated by commas, bytes of UTF-8.
pub const TAGS_BYTES: usize = 128;

/// Addresses to join through. More are refused with an error.
pub const SEEDS: usize = 32;

/// Seeds that a joiner asks at the same time.
pub const SEEDS_IN_PARALLEL: usize = 3;

/// Helpers that are asked to ping a member that did not answer (SWIM section 3.1, `k`).
pub const HELPERS: usize = 3;

/// Independent confirmations that shorten a suspicion (Lifeguard section IV-B, `K`).
pub const CONFIRMATIONS: usize = 3;

/// Pings that are under way for others. A request beyond that is dropped and counted; the one who
/// asked counts it as a helper that did not answer.
pub const RELAYS: usize = 16;

/// Tables that are being read from peers at the same time (join and reconciliation).
pub const PULLS: usize = 4;

/// Answers that are owed to peers which are not rows, or that carry more than a flag. The driver
/// sends after each datagram, so more than one waits only under a burst; beyond that the newest
/// is dropped and counted, and its peer asks again.
pub const ANSWERS: usize = 8;

/// Digest buckets of the reconciliation.
pub const BUCKETS: usize = 64;

/// Protocols that are told apart when it is counted who speaks which: more than this code speaks,
/// so that a test can have a node that speaks later ones.
pub const PROTOCOLS: usize = 4;

/// Members a gossip tick sends to.
pub const GOSSIP_FANOUT: usize = 3;

/// Gossip ticks in a protocol period while there is news.
pub const GOSSIP_TICKS_PER_PERIOD: u32 = 5;

/// Accusations of one sender that count in a protocol period.
pub const ACCUSATIONS_PER_PERIOD: u8 = 8;

/// The largest local health multiplier (Lifeguard section IV-A, `S`).
pub const HEALTH_MAX: u8 = 7;

/// Transmissions of a rumour never exceed this: `ceil(3 log2(N + 1))` at the largest table.
pub const TRANSMITS_MAX: usize = 48;

/// The largest member table: rows are numbered by a `u16`, and 0 means none.
pub const MEMBERS_MAX: usize = 65_534;

/// Epochs from here on are rejected on the wire: Unix milliseconds of the year 2109.
pub const EPOCH_END: u64 = 1 << 42;

/// Refutations from here on are rejected on the wire; a life that has used them up takes the next
/// epoch.
pub const REFUTATION_END: u32 = 1 << 31;

/// Epochs that others tell of are believed below this by a node without a clock: Unix milliseconds
/// of the year 2039. It leaves the subject room above, to refute.
pub const EPOCH_HEARSAY_END: u64 = 1 << 41;

/// Sources whose bad packets are remembered, so that each is reported once a minute.
pub const NOISY_SOURCES: usize = 8;

/// What one member may ask for in a protocol period, in units of a page: a page costs 1; a ping
/// for somebody else, the rows that differ from its buckets, and the details cost 16 each.
pub const REQUESTS_PER_PERIOD: u8 = 128;

/// Introductions that others ask for and get in a protocol period.
pub const HELLOS_PER_PERIOD: u8 = 64;

/// Events about rows that are gone, waiting to be read; beyond that they are lost, and counted.
pub const FORGOTTEN_EVENTS: usize = 16;

/// Voters of a council, in each of the two sets while they change.
pub const VOTERS: usize = 7;

/// Others that a voter speaks to: two sets of voters.
pub const COUNCIL_PEERS: usize = 2 * VOTERS;

/// Answers that a voter owes, one to each node that asked. Beyond that a question counts as lost.
pub const COUNCIL_REPLIES: usize = COUNCIL_PEERS;

/// Heartbeats whose acknowledgements still extend a lease: more than are sent in one.
pub const HEARTBEATS: usize = 64;

const _: () = assert!(BUCKETS == 64, "a bucket mask is a u64");
const _: () = assert!(BUCKETS * 4 + 64 <= MTU_BYTES, "all bucket digests fit one datagram");
const _: () = assert!(MEMBERS_MAX < u16::MAX as usize);
const _: () = assert!(PROTOCOL as usize <= PROTOCOLS, "who speaks the newest is counted apart");
// 3 log2(65,535) < 48
const _: () = assert!(TRANSMITS_MAX == 48);
const _: () = assert!(2 * (NAME_BYTES + TAGS_BYTES) + 128 <= MTU_BYTES, "details fit a datagram");

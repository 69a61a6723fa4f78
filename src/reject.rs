//! Why a datagram was not accepted.

use core::fmt;

/// Why a datagram was rejected. No member row has changed; a counter has. Only `Unproven` and
/// `Refused` may cause an answer, and that is never longer than what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// From port 0, or from an unspecified, multicast or broadcast address.
    Source,
    /// From this node's own address.
    Own,
    /// Shorter than the smallest header.
    Short,
    /// Longer than [`MTU_BYTES`](crate::limits::MTU_BYTES).
    Long,
    /// A version of the datagram format that this node does not read (sealed ones included).
    Version,
    /// The tag does not match: another cluster's name, or bit errors.
    Tag,
    /// The tag matches but the header or a section does not decode, or is out of range.
    Malformed,
    /// From a source that is no live row and did not echo a token of ours.
    Unproven,
    /// An introduction that was refused: the table is full, or no common protocol, or the
    /// address is in use.
    Refused,
    /// Dropped by the driver, which does not take datagrams from that source.
    NotAllowed,
}

impl Reject {
    /// How many reasons there are.
    pub const COUNT: usize = 10;

    /// Every reason, in the order of its index.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Source,
        Self::Own,
        Self::Short,
        Self::Long,
        Self::Version,
        Self::Tag,
        Self::Malformed,
        Self::Unproven,
        Self::Refused,
        Self::NotAllowed,
    ];

    /// Its place in [`Reject::ALL`] and in the counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "bad_source",
            Self::Own => "own_address",
            Self::Short => "short",
            Self::Long => "long",
            Self::Version => "bad_version",
            Self::Tag => "bad_tag",
            Self::Malformed => "malformed",
            Self::Unproven => "unproven",
            Self::Refused => "refused",
            Self::NotAllowed => "not_allowed",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Reject {}

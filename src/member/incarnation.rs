//! Which of two statements about a member holds: the precedence rule.

use core::fmt;

use crate::limits::EPOCH_END;

/// Which life of an address, and which of its statements about itself. Greater is newer.
///
/// 7 bytes or more on the wire: 6 for the epoch, a varint for the refutation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// The start of this life in Unix milliseconds; below 2^42.
    pub epoch: u64,
    /// Counts the member's refutations and changes within one life (SWIM section 4.2).
    pub refutation: u32,
}

impl Incarnation {
    /// The lowest incarnation.
    pub const ZERO: Self = Self { epoch: 0, refutation: 0 };

    /// The next incarnation of the same life. When the refutations are used up, the next epoch;
    /// at the very end it stays, and nothing newer exists.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.refutation < u32::MAX {
            Self { epoch: self.epoch, refutation: self.refutation + 1 }
        } else if self.epoch + 1 < EPOCH_END {
            Self { epoch: self.epoch + 1, refutation: 0 }
        } else {
            self
        }
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.refutation)
    }
}

/// What is held about a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// Answers.
    #[default]
    Alive = 0,
    /// Accused, and has not refuted yet.
    Suspect = 1,
    /// Was suspect for too long.
    Failed = 2,
    /// Said that it leaves.
    Left = 3,
}

impl State {
    /// Alive or suspect: counted in N, probed, in the digest.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }

    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }

    /// The two bits that travel.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Alive,
            1 => Self::Suspect,
            2 => Self::Failed,
            _ => Self::Left,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! Which of two statements about a member holds: the precedence rule.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{EPOCH_END, REFUTATION_END};

/// Which life of an address, and which of its statements about itself. Greater is newer.
///
/// 7 bytes or more on the wire: 6 for the epoch, a varint for the refutation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation {
    /// The start of this life in Unix milliseconds; below 2^42.
    pub epoch: u64,
    /// Counts the member's refutations and changes within one life (SWIM section 4.2); below 2^31.
    pub refutation: u32,
}

impl Incarnation {
    /// The lowest incarnation.
    pub const ZERO: Self = Self { epoch: 0, refutation: 0 };

    /// The next incarnation of the same life. When the refutations are used up, the next epoch;
    /// at the very end it stays, and nothing newer exists.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.refutation + 1 < REFUTATION_END {
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
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
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

/// What a statement does to what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Ignore,
    /// Older than what is held: whoever believes it should be told.
    Stale,
    /// Becomes what is held.
    Apply,
    /// Supports the suspicion that is held.
    Confirm,
    /// `failed`, where it does not apply: what is held becomes suspect, in the incarnation that
    /// was heard, and the subject may refute.
    Accuse,
}

/// The precedence rule (SWIM section 4.2, changed in what `failed` may do).
///
/// `held` is what this node holds, if it has a row; `heard` is the statement; `reconciling` says
/// that it comes from a page and not from a rumour.
///
/// Over alive, suspect and left this is the maximum of a total order: first the incarnation, then
/// alive < suspect < left. So merging is commutative, associative and idempotent. `failed` is
/// different: it applies only to what is suspect here already. Heard about what is alive here, or
/// while reconciling, it is an accusation: when a partition heals, both sides have declared the
/// other failed, and with plain precedence they would bury each other.
pub fn judge(
    held: Option<(Incarnation, State)>,
    heard: (Incarnation, State),
    reconciling: bool,
) -> Verdict {
    use State::{Alive, Failed, Left, Suspect};
    use Verdict::{Accuse, Apply, Confirm, Ignore, Stale};
    use core::cmp::Ordering::{Equal, Greater, Less};

    let (incarnation, statement) = heard;
    let Some((held_incarnation, state)) = held else {
        return match statement {
            Alive | Suspect => Apply,
            Failed | Left => Ignore,
        };
    };
    match (incarnation.cmp(&held_incarnation), statement, state) {
        (Less, Alive | Suspect | Failed | Left, _) => Stale,

        (Equal, Alive, Alive | Suspect | Failed | Left) => Ignore,
        (Equal, Suspect, Alive) => Apply,
        (Equal, Suspect, Suspect) => Confirm,
        (Equal, Suspect, Failed | Left) => Ignore,
        (Equal, Left, Alive | Suspect | Failed) => Apply,
        (Equal, Left, Left) => Ignore,
        (Equal, Failed, Alive) => Accuse,
        (Equal, Failed, Suspect) if reconciling => Confirm,
        (Equal, Failed, Suspect) => Apply,
        (Equal, Failed, Failed | Left) => Ignore,

        (Greater, Alive | Suspect | Left, _) => Apply,
        (Greater, Failed, Alive) => Accuse,
        (Greater, Failed, Suspect) if reconciling => Accuse,
        (Greater, Failed, Suspect | Failed) => Apply,
        (Greater, Failed, Left) => Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::State::{Alive, Failed, Left, Suspect};
    use super::Verdict::{Accuse, Apply, Confirm, Ignore, Stale};
    use super::*;

    const OLD: Incarnation = Incarnation { epoch: 5, refutation: 9 };
    const SAME: Incarnation = Incarnation { epoch: 7, refutation: 3 };
    const STATES: [State; 4] = [Alive, Suspect, Failed, Left];

    /// Every pair of states, at an equal and at a newer incarnation, by rumour and by page.
    #[test]
    fn every_pair() {
        // Rows: what is held. Columns: alive, suspect, failed, left as heard.
        let equal = [
            (Alive, [Ignore, Apply, Accuse, Apply]),
            (Suspect, [Ignore, Confirm, Apply, Apply]),
            (Failed, [Ignore, Ignore, Ignore, Apply]),
            (Left, [Ignore, Ignore, Ignore, Ignore]),
        ];
        let newer = [
            (Alive, [Apply, Apply, Accuse, Apply]),
            (Suspect, [Apply, Apply, Apply, Apply]),
            (Failed, [Apply, Apply, Apply, Apply]),
            (Left, [Apply, Apply, Ignore, Apply]),
        ];
        let newer_refutation = Incarnation { epoch: 7, refutation: 4 };
        let newer_epoch = Incarnation { epoch: 8, refutation: 0 };
        for (table, incarnation) in [(equal, SAME), (newer, newer_refutation), (newer, newer_epoch)]
        {
            for (held, verdicts) in table {
                for (heard, verdict) in STATES.into_iter().zip(verdicts) {
                    let judged = judge(Some((SAME, held)), (incarnation, heard), false);
                    assert_eq!(judged, verdict, "{held} held, {heard} {incarnation} heard");
                    let by_page = match (held, heard) {
                        (Suspect, Failed) if incarnation == SAME => Confirm,
                        (Suspect, Failed) => Accuse,
                        _ => verdict,
                    };
                    let judged = judge(Some((SAME, held)), (incarnation, heard), true);
                    assert_eq!(judged, by_page, "{held} held, {heard} {incarnation} by page");
                }
            }
        }
        for held in STATES {
            for heard in STATES {
                assert_eq!(judge(Some((SAME, held)), (OLD, heard), false), Stale);
            }
        }
        for (heard, verdict) in STATES.into_iter().zip([Apply, Apply, Ignore, Ignore]) {
            assert_eq!(judge(None, (SAME, heard), false), verdict);
        }
    }

    fn merge(
        held: Option<(Incarnation, State)>,
        heard: (Incarnation, State),
    ) -> Option<(Incarnation, State)> {
        match judge(held, heard, false) {
            Apply => Some(heard),
            Accuse => Some((heard.0, Suspect)),
            Ignore | Stale | Confirm => held,
        }
    }

    /// Over alive, suspect and left the order of arrival does not matter, exhaustively over all
    /// sequences of three statements. (`left` about an unknown row is ignored, so a row is held
    /// to begin with.)
    #[test]
    fn merging_is_a_semilattice() {
        let mut statements = std::vec::Vec::new();
        for epoch in [1, 2] {
            for refutation in [0, 1] {
                for state in [Alive, Suspect, Left] {
                    statements.push((Incarnation { epoch, refutation }, state));
                }
            }
        }
        let start = Some((Incarnation::ZERO, Alive));
        for &a in &statements {
            assert_eq!(merge(merge(start, a), a), merge(start, a), "idempotent");
            for &b in &statements {
                assert_eq!(merge(merge(start, a), b), merge(merge(start, b), a), "commutative");
                for &c in &statements {
                    let one = merge(merge(merge(start, a), b), c);
                    let other = merge(merge(merge(start, c), a), b);
                    assert_eq!(one, other, "{a:?} {b:?} {c:?}");
                }
            }
        }
    }

    #[test]
    fn incarnations_end_without_wrapping() {
        let last = Incarnation { epoch: EPOCH_END - 1, refutation: REFUTATION_END - 1 };
        assert_eq!(last.next(), last);
        let used_up = Incarnation { epoch: 4, refutation: REFUTATION_END - 1 };
        assert_eq!(used_up.next(), Incarnation { epoch: 5, refutation: 0 });
        assert!(SAME.next() > SAME);
    }
}

//! The rules that safety rests on, by name, so that a test can show what each of them is for.
//!
//! With the feature `mutants`, which only tests turn on, a council can be told to break one of
//! them; the tests of the council then have to find a violation. Without it, all of them hold and
//! none of this is there.

/// A rule of `docs/council.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// 1: one vote in a term.
    VoteOnce,
    /// 1: no vote for who has an older version.
    VoteForCurrent,
    /// 3: majorities of the old and of the new voters, not of one of the two.
    BothMajorities,
    /// 4: an inherited change of voters stays one.
    InheritJoint,
    /// 5: only a newer version is accepted.
    AcceptNewer,
    /// 7: voters change by way of both sets.
    JointFirst,
    /// 7: only a change that this leader proposed in this term is abandoned.
    AbandonOwn,
    /// 8 (a): heartbeats carry the greatest promise.
    CarryPromise,
    /// 8 (b): heartbeats carry the inherited floor.
    CarryFloor,
    /// 8: what another was promised is kept when the leader changes.
    KeepFloor,
    /// 8, 12: a leader waits for what its voters had promised to others.
    WaitForPromises,
    /// 9: a life that is forgotten has promised the most.
    RestartAtMost,
    /// 9: constants change in steps.
    ConstantsInSteps,
    /// 10: an acknowledgement counts in its term only.
    AckOfTerm,
    /// 10: an acknowledgement counts for its heartbeat only.
    AckOfNumber,
    /// 12: who has released does not lead on.
    ReleaseEnds,
    /// 12: what was told outside outlives a release.
    WaitForTold,
    /// Durability: no vote and no acknowledgement before its record is safe.
    DurableFirst,
}

/// Which rule is broken on purpose: none, outside of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    #[cfg(feature = "mutants")]
    broken: Option<Rule>,
}

impl Rules {
    /// All rules hold.
    pub const ALL: Self = Self {
        #[cfg(feature = "mutants")]
        broken: None,
    };

    /// All but this one.
    #[cfg(feature = "mutants")]
    pub const fn without(rule: Rule) -> Self {
        Self { broken: Some(rule) }
    }

    /// Whether a rule holds.
    #[cfg(feature = "mutants")]
    pub(super) fn hold(self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// Whether a rule holds.
    #[cfg(not(feature = "mutants"))]
    #[allow(clippy::unused_self, reason = "with mutants, one may be broken")]
    pub(super) const fn hold(self, _: Rule) -> bool {
        true
    }
}

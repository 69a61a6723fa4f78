//! Rules 7 and 9: how voters and constants change.

use core::fmt;

use super::{Configuration, Constants, Council, Id, Now, Role, Rule, Voter, Voters};
use crate::time::{Duration, Instant};

/// How many leases a change of voters may take until it is given up, each of its steps: 10 s with
/// the lease of 2 s.
const CHANGE_LEASES: u32 = 5;

/// A change of voters at its leader, or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Change {
    target: Voters,
    /// Those who cease to be voters, once it is decided: they are told.
    departing: Voters,
    stage: Stage,
    /// When it is given up.
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// None is under way.
    None,
    /// The newcomers take over the register; nothing is proposed.
    Learning,
    /// Both sets, as proposed by this leader in this term.
    Joint(Id),
    /// The new set; those who are none any more are being told.
    Final,
}

impl Change {
    pub(super) const NONE: Self = Self {
        target: Voters::new(),
        departing: Voters::new(),
        stage: Stage::None,
        until: Instant::ZERO,
    };

    /// When its stage has taken too long.
    pub(super) fn deadline(&self) -> Instant {
        if self.stage == Stage::None { Instant::FAR_FUTURE } else { self.until }
    }

    /// Whom the leader speaks to because of it, beside the voters.
    pub(super) fn concerns(&self) -> impl Iterator<Item = &Voter> {
        self.target.iter().chain(&self.departing)
    }
}

/// Why a change is not made. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// This node does not lead, or has released its leadership.
    NotLeader,
    /// Another change is not committed yet.
    Busy,
    /// Not 1, 3, 5 or 7 voters, one of them twice, or the leader not among them.
    Voters,
    /// A constant is out of its range, or they do not fit each other.
    Constants,
    /// Rule 9: the lease may not be longer than the promises that are agreed already; they may be
    /// shortened only in a later change than the lease, and after they have passed.
    TooSoon,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLeader => "this node does not lead",
            Self::Busy => "another change is under way",
            Self::Voters => "there have to be 1, 3, 5 or 7 different voters, the leader among them",
            Self::Constants => "a constant is out of its range",
            Self::TooSoon => {
                "raise the promise before the lease; lower the lease first, and the promise later"
            }
        })
    }
}

impl core::error::Error for ChangeError {}

impl Council {
    /// Begins to replace the voters by others. They are told the register first; then both sets
    /// have to agree, then the new one does. What cannot be committed in 5 leases is given up.
    ///
    /// # Errors
    /// A [`ChangeError`]; nothing has changed.
    pub fn change_voters(&mut self, now: &Now, target: &Voters) -> Result<(), ChangeError> {
        self.check_may_propose()?;
        let configuration = &self.record.state.configuration;
        // Telling those who went does not keep others from going.
        let is_free = matches!(self.change.stage, Stage::None | Stage::Final);
        if !is_free || configuration.is_joint() {
            return Err(ChangeError::Busy);
        }
        let sound = Configuration::from_parts(target.clone(), Voters::new())
            .is_some_and(|c| c.contains(self.settings.me.id))
            && configuration
                .old_set()
                .iter()
                .all(|old| target.iter().all(|new| (old.id == new.id) == (old == new)));
        if !sound || target.len().is_multiple_of(2) {
            return Err(ChangeError::Voters);
        }
        if same_voters(configuration.old_set(), target) {
            return Ok(());
        }
        self.change = Change {
            target: target.clone(),
            departing: Voters::new(),
            stage: Stage::Learning,
            until: now.mono + self.change_span(),
        };
        self.refresh_peers();
        self.speak(now, true);
        self.advance_change(now);
        Ok(())
    }

    /// Rule 9: proposes other constants, in steps that no promise can outlive.
    ///
    /// # Errors
    /// A [`ChangeError`]; nothing has changed.
    pub fn change_constants(&mut self, now: &Now, to: Constants) -> Result<(), ChangeError> {
        self.check_may_propose()?;
        if !to.are_valid() {
            return Err(ChangeError::Constants);
        }
        let from = self.record.state.constants;
        let lowers_promise = to.promise_ms < from.promise_ms;
        // On both axes: longer promises than those to come may be others', from before this term.
        let settled = now.mono.since(self.lowered_at) >= from.promise()
            && self.lease.floor_has_passed(&self.usable(now));
        let in_steps = to.lease_ms <= from.promise_ms
            && (!lowers_promise || settled && to.lease_ms == from.lease_ms);
        if !in_steps && self.follows(Rule::ConstantsInSteps) {
            return Err(ChangeError::TooSoon);
        }
        if to.lease_ms < from.lease_ms {
            // Until it is committed, promises as long as before may be made elsewhere.
            self.lowered_at = Instant::FAR_FUTURE;
        }
        if from != to {
            self.propose(now, |state| state.constants = to);
        }
        Ok(())
    }

    /// Whether a version may be proposed now.
    pub(super) fn check_may_propose(&self) -> Result<(), ChangeError> {
        if self.role != Role::Leader || self.transfer.is_some() {
            return Err(ChangeError::NotLeader);
        }
        if self.is_settled() { Ok(()) } else { Err(ChangeError::Busy) }
    }

    /// Takes the next step of a change of voters, or gives it up.
    pub(super) fn advance_change(&mut self, now: &Now) {
        let overdue = now.mono >= self.change.until;
        let is_joint = self.record.state.configuration.is_joint();
        match self.change.stage {
            // Inherited, it is not for this leader to abandon.
            Stage::None if is_joint && !self.follows(Rule::AbandonOwn) => self.abandon(now),
            Stage::Learning if overdue => self.drop_change(),
            Stage::Learning if self.is_settled() && self.may_join(now) => self.propose_joint(now),
            Stage::Joint(_) if overdue && self.may_abandon() => self.abandon(now),
            Stage::Final if overdue || self.all_are_told() => self.drop_change(),
            _ => {}
        }
    }

    fn change_span(&self) -> Duration {
        self.record.state.constants.lease().times(CHANGE_LEASES)
    }

    /// Whether the version of both sets is this leader's, of this term, and not committed.
    pub(super) fn may_abandon(&self) -> bool {
        matches!(self.change.stage, Stage::Joint(id) if self.committed < id)
    }

    fn drop_change(&mut self) {
        self.change = Change::NONE;
        self.refresh_peers();
    }

    fn all_are_told(&self) -> bool {
        self.change.departing.iter().all(|v| self.has_newest(v.id))
    }

    /// Rule 7: all newcomers have the register; and those voters who stay and live are a majority
    /// of both sets, so that the change can only hang if one of them dies in it. From one voter,
    /// the newcomers have to live as well. Where voters only go, those who go still count.
    fn may_join(&self, now: &Now) -> bool {
        let (old, target) = (self.record.state.configuration.old_set(), &self.change.target);
        let live = |voter: &&Voter| self.is_live(now.mono, voter.id);
        let is_old = |voter: &&Voter| old.contains(voter);
        let newcomers = || target.iter().filter(|v| !old.contains(v));
        let caught_up = newcomers().all(|v| self.has_newest(v.id) && live(&v));
        let staying = target.iter().filter(is_old).filter(live).count();
        let answering = old.iter().filter(live).count();
        let only_go = newcomers().next().is_none();
        let majority = |count: usize, of: &Voters| count > of.len() / 2;
        let old_agree = majority(if only_go { answering } else { staying }, old);
        let new_agree = majority(if old.len() == 1 { target.len() } else { staying }, target);
        caught_up && old_agree && new_agree
    }

    /// Rule 7, first step.
    fn propose_joint(&mut self, now: &Now) {
        let target = self.change.target.clone();
        self.change.until = now.mono + self.change_span();
        let seq = self.record.state.id.seq + 1;
        self.change.stage = Stage::Joint(Id { term: self.record.term, seq });
        if !self.follows(Rule::JointFirst) {
            return self.propose_final(now, target);
        }
        self.propose(now, |state| {
            if let Some(joint) = state.configuration.joint(&target) {
                state.configuration = joint;
            }
        });
    }

    /// A version is committed. Rule 7, second step: where both sets have agreed to the change, the
    /// new one does alone; also where the change was inherited.
    pub(super) fn go_on_with_change(&mut self, now: &Now) {
        self.lowered_at = self.lowered_at.min(now.mono);
        let configuration = &self.record.state.configuration;
        if configuration.is_joint() {
            let target = configuration.new_set().clone();
            self.propose_final(now, target);
        }
        self.advance_change(now);
    }

    fn propose_final(&mut self, now: &Now, target: Voters) {
        let old = self.record.state.configuration.old_set();
        let departing = old.iter().filter(|v| !target.contains(v)).copied().collect();
        self.change = Change {
            target: target.clone(),
            departing,
            stage: Stage::Final,
            until: now.mono + self.change_span(),
        };
        self.propose(now, |state| state.configuration = Configuration::of(target));
    }

    /// Rule 7: the old voters alone, over a joint version of this leader and term that could not
    /// be committed.
    fn abandon(&mut self, now: &Now) {
        self.change = Change::NONE;
        self.propose(now, |state| {
            state.configuration = state.configuration.only_old();
        });
    }
}

fn same_voters(a: &Voters, b: &Voters) -> bool {
    a.len() == b.len() && a.iter().all(|voter| b.contains(voter))
}

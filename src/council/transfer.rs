//! Rule 12: how a leader hands over without anybody waiting.

use core::fmt;

use super::reconfigure::Change;
use super::{Council, Message, NOBODY, Now, Release, Role, Rule, Told};
use crate::time::Instant;

/// A leadership that has been released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transfer {
    /// Who is to stand.
    pub(super) to: u64,
    /// Until when it is asked to; then this node is an ordinary voter again.
    pub(super) until: Instant,
}

/// Why a leadership is not handed over. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// This node does not lead.
    NotLeader,
    /// A change is not committed yet.
    Busy,
    /// The other node is no voter, does not answer, or lacks the newest version; or there is no
    /// such voter.
    NotReady,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLeader => "this node does not lead",
            Self::Busy => "a change is under way",
            Self::NotReady => "no voter is ready to take over",
        })
    }
}

impl core::error::Error for TransferError {}

impl Council {
    /// Hands the leadership to a voter, or with [`NOBODY`] to one that is ready. From now on this
    /// node does not claim to lead, whether the other one succeeds or not. What it told others
    /// until when it leads still holds: the successor waits for that, and for nothing else that
    /// this node was promised.
    ///
    /// # Errors
    /// A [`TransferError`]; nothing has changed.
    pub fn transfer(&mut self, now: &Now, to: u64) -> Result<(), TransferError> {
        if self.role != Role::Leader || self.transfer.is_some() {
            return Err(TransferError::NotLeader);
        }
        if !self.is_settled() || self.record.state.configuration.is_joint() {
            return Err(TransferError::Busy);
        }
        let to = self.ready_successor(now, to).ok_or(TransferError::NotReady)?;
        let until = now.mono + self.record.state.constants.election();
        self.change = Change::NONE;
        self.transfer = Some(Transfer { to, until });
        let release = Release {
            term: self.record.term,
            holder: self.settings.me.id,
            told: if self.follows(Rule::WaitForTold) { self.told_outside(now) } else { Told::NONE },
        };
        self.propose(now, |state| state.release = Some(release));
        Ok(())
    }

    /// Who has led a change of voters that it inherited to its end, and is none of the new ones,
    /// makes room for one of them.
    pub(super) fn yield_to_voters(&mut self, now: &Now) {
        let votes = self.record.state.configuration.contains(self.settings.me.id);
        let leads_on = votes || self.role != Role::Leader || self.transfer.is_some();
        if !leads_on && self.is_settled() && self.transfer(now, NOBODY).is_err() {
            self.step_down(now);
        }
    }

    /// `R` as others have to count it: told in time of this node's clock, which may be slow.
    pub(super) fn told_outside(&self, now: &Now) -> Told {
        let told = self.told.told(now.mono);
        let constants = &self.record.state.constants;
        let over = told.hold == crate::time::Duration::ZERO;
        Told { hold: if over { told.hold } else { constants.stretched(told.hold) }, ..told }
    }

    fn ready_successor(&self, now: &Now, to: u64) -> Option<u64> {
        let ready = |id: u64| {
            id != self.settings.me.id && self.has_newest(id) && self.is_live(now.mono, id)
        };
        let voters = self.record.state.configuration.old_set();
        voters.iter().map(|v| v.id).find(|id| (to == NOBODY || to == *id) && ready(*id))
    }

    /// Whether the register that is accepted here says that this leader has released this term.
    pub(super) fn holds_release_of(&self, message: &Message) -> bool {
        let of = |r: Release| r.holder == message.from.id && r.term == message.term;
        self.record.state.release.is_some_and(of)
    }

    /// The leader has released its leadership and asks this node to stand.
    pub(super) fn stand_now(&mut self, now: &Now) {
        if self.record.state.configuration.contains(self.settings.me.id) {
            self.stand(now);
            self.asked = true;
        }
    }
}

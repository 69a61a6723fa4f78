//! What voters say to each other.

use super::configuration::Voter;
use super::promise::{Report, Told};
use super::register::State;
use super::term::{Id, Term};

/// One message. It names both nodes and the cluster: what is meant for another is refused, so that
/// a stranger at a voter's address is not that voter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// The council's cluster id; 0 from a node that belongs to none.
    pub cluster: u64,
    /// Who says it, and where answers reach it.
    pub from: Voter,
    /// Who is meant, and where it is.
    pub to: Voter,
    /// The sender's term; of a pre-vote and its answer, the term that would be stood for.
    pub term: Term,
    /// What is said.
    pub body: Body,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::large_enum_variant, reason = "there is no heap; one exists at a time")]
pub enum Body {
    /// Rule 2: would you vote for me? Nobody changes by it.
    PreVote {
        /// The version that the candidate has accepted.
        id: Id,
    },
    /// The answer.
    PreVoted {
        /// Whether it would.
        granted: bool,
    },
    /// Rule 1: vote for me.
    Vote {
        /// The version that the candidate has accepted.
        id: Id,
        /// The leader asked it to stand.
        transfer: bool,
    },
    /// The answer.
    Voted {
        /// What the voter had promised, if it votes for the candidate.
        report: Option<Report>,
    },
    /// Rules 5, 8 and 10: a heartbeat of the leader, with the register for who lacks it.
    Append(Append),
    /// Rule 10: the heartbeat was recorded; or, in a higher term, it was refused.
    Ack(Ack),
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Append {
    /// Counts the heartbeats of a term, from 1.
    pub number: u64,
    /// The version that the leader has accepted.
    pub id: Id,
    /// The last version that it knows to be committed.
    pub committed: Id,
    /// Rule 8 (a): its greatest promise.
    pub promise: Told,
    /// Rule 8 (b): the floor that it inherited.
    pub floor: Told,
    /// Rule 12: the receiver is to stand now.
    pub stand: bool,
    /// The version itself, for who does not have it.
    pub state: Option<State>,
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ack {
    /// Which heartbeat; 0: none, the sender's term is over.
    pub number: u64,
    /// The version that the voter has accepted, and will not forget.
    pub id: Id,
    /// Whether the promise is recorded in true time, too.
    pub bounded: bool,
}

//! What changed, for the application.
//!
//! Events are made by difference: one says what is true now. Events that nobody reads coalesce,
//! so their memory is bounded; reading them never affects the protocol.

use crate::address::Address;
use crate::member::{Incarnation, State};

/// What happened to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Not known before, or had failed or left, and is alive now.
    Joined,
    /// Did not answer; it has some time to refute.
    Suspected,
    /// Was suspected and refuted it.
    Recovered,
    /// Is taken for dead.
    Failed,
    /// Said that it leaves, or was forgotten by an operator.
    Left,
    /// Started again at the same address, or changed its name or tags, or they became known.
    Updated,
    /// Its row is gone: it had failed or left and expired, or the slot was needed.
    Forgotten,
}

/// One event. The fields say what is true when it is read, not when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// This node has joined: another live row is known, or there is nothing to join.
    Joined,
    /// Rows are known, but nothing has been heard for 10 periods.
    Isolated,
    /// This node has left and may be stopped.
    Left,
    /// A member changed.
    Member {
        /// What happened.
        change: Change,
        /// Which row.
        address: Address,
        /// Its state now; of a forgotten row, its last.
        state: State,
        /// Its incarnation now.
        incarnation: Incarnation,
    },
    /// Two live nodes use one address. The older one stays. At most one a minute.
    AddressConflict {
        /// The address; this node's own, if it is one of the two.
        address: Address,
    },
    /// Two live members have one name. Both are kept.
    NameConflict {
        /// One of them.
        first: Address,
        /// The other.
        second: Address,
    },
    /// Packets of another cluster, or damaged ones, arrive from this source. At most one a minute
    /// a source.
    ForeignCluster {
        /// Where they come from.
        from: Address,
    },
    /// A member runs with another protocol period.
    ParameterMismatch {
        /// Which member.
        address: Address,
        /// Its period in milliseconds.
        period_ms: u32,
    },
    /// A newcomer was refused because every row is taken by a live member. At most one a minute.
    TableFull {
        /// The newcomer.
        address: Address,
    },
    /// This node's table became smaller than the fleet (`true`), or holds it again.
    Partial(bool),
    /// A seed refused this node.
    Refused {
        /// The seed.
        by: Address,
        /// Why.
        reason: crate::wire::Refusal,
    },
    /// Joining for 10 s and no seed has answered: not running, filtered, or of another cluster
    /// name; or there is somebody to join, and still no address. At most one a minute.
    NoAnswer,
}

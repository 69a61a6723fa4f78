//! What the application sees of membership.

use core::fmt;

use super::{Incarnation, State};
use crate::address::Address;
use crate::reject::Reject;

/// A member row, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Where it is reached; the key.
    pub address: Address,
    /// Its state as this node knows it.
    pub state: State,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its id; 0 = not known or none.
    pub id: u64,
    /// Its name; empty until known.
    pub name: &'a str,
    /// Its tags, `key=value` separated by commas; empty until known.
    pub tags: &'a str,
    /// The last measured round trip in microseconds; 0 = none yet.
    pub rtt_us: u32,
    /// Whether this row is the node itself.
    pub own: bool,
}

/// The node at a glance.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// The node's own row.
    pub own: Member<'a>,
    /// Rows by state, this node included: alive.
    pub alive: u32,
    /// Rows by state: suspect.
    pub suspect: u32,
    /// Rows by state: failed.
    pub failed: u32,
    /// Rows by state: left.
    pub left: u32,
    /// How many rows the table can hold.
    pub capacity: u32,
    /// Whether the table is too small for the fleet.
    pub partial: bool,
    /// The local health multiplier: 0 (well) to 7.
    pub health: u8,
    /// The digest over alive and suspect rows; equal digests mean equal views.
    pub digest: u32,
    /// Whether another live row is known, or there is nothing to join.
    pub joined: bool,
    /// Rows are known, but nothing has been heard for 10 periods.
    pub isolated: bool,
    /// The node is leaving or has left.
    pub leaving: bool,
    /// The protocol period in milliseconds.
    pub period_ms: u32,
    /// The protocol in use: the highest that all live rows understand; those whose details are
    /// not known yet count as speaking protocol 1 alone.
    pub protocol: u8,
    /// Addresses to join through.
    pub seeds: &'a [Address],
}

/// Counters since start. They wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams accepted.
    pub datagrams_in: u64,
    /// Datagrams built.
    pub datagrams_out: u64,
    /// UDP payload bytes accepted.
    pub bytes_in: u64,
    /// UDP payload bytes built.
    pub bytes_out: u64,
    /// Rejected datagrams by [`Reject::index`].
    pub rejects: [u32; Reject::COUNT],
    /// Sections of types that this version does not know, skipped.
    pub unknown_sections: u32,
    /// Probes begun.
    pub probes: u32,
    /// Probes that nobody answered.
    pub probes_failed: u32,
    /// Times this node refuted an accusation of itself.
    pub refutations: u32,
    /// Reconciliations begun.
    pub reconciliations: u32,
    /// Rumours ignored because every row is taken by a live member.
    pub rows_refused: u32,
    /// Accusations ignored because their sender had made too many.
    pub accusations_ignored: u32,
    /// Requests ignored because their sender had made too many.
    pub requests_ignored: u32,
    /// Statements ignored because their epoch is further ahead than any clock.
    pub epochs_ignored: u32,
    /// Answers, relayed pings or pulls dropped because their places were taken.
    pub overflows: u32,
    /// Events about forgotten rows that were lost because too many were not read.
    pub events_lost: u32,
    /// Smoothed round trip of probes in microseconds; 0 = none yet.
    pub rtt_us: u32,
}

impl Stats {
    /// All zero.
    pub const ZERO: Self = Self {
        datagrams_in: 0,
        datagrams_out: 0,
        bytes_in: 0,
        bytes_out: 0,
        rejects: [0; Reject::COUNT],
        unknown_sections: 0,
        probes: 0,
        probes_failed: 0,
        refutations: 0,
        reconciliations: 0,
        rows_refused: 0,
        accusations_ignored: 0,
        requests_ignored: 0,
        epochs_ignored: 0,
        overflows: 0,
        events_lost: 0,
        rtt_us: 0,
    };
}

/// Why a seed was not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// Not the address and port of one host.
    Unusable,
    /// The list of seeds is full ([`SEEDS`](crate::limits::SEEDS)).
    Full,
    /// The node is leaving.
    Leaving,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unusable => "not the address and port of one host",
            Self::Full => "the list of seeds is full (32)",
            Self::Leaving => "the node is leaving",
        })
    }
}

impl core::error::Error for JoinError {}

/// Why a member was not forgotten. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgetError {
    /// No such row.
    Unknown,
    /// The member is alive or suspect.
    Live,
}

impl fmt::Display for ForgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such member",
            Self::Live => "the member is alive; only a failed one can be forgotten",
        })
    }
}

impl core::error::Error for ForgetError {}

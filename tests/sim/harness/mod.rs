//! The simulator: whole nodes, the real code, in virtual time. Nothing in it is mocked but the
//! world around them.
//!
//! - [`machine`]: a node of any table size behind one trait
//! - [`net`]: what the network does to a datagram
//! - [`world`]: virtual time, and what a node's driver does in it; [`queue`]: what happens next
//! - [`lives`]: starting and stopping of nodes, and what they are told to do
//! - [`observe`]: the checks of every step; [`digests`]: which digest each view has
//! - [`view`]: who agrees with whom, traffic, totals
//! - [`hostile`]: what an attacker can do
//! - [`faulty`]: nodes that break a rule on purpose: each check must find its own
//! - [`later`]: nodes of a later build; [`dialect`]: the protocol that they speak
//! - [`trace`]: the running hash, and the lines that a failure prints
//!
//! One seed decides everything: there is no wall clock, no thread and no hash map in here.

pub(crate) mod dialect;
pub(crate) mod digests;
pub(crate) mod faulty;
pub(crate) mod hostile;
pub(crate) mod later;
pub(crate) mod lives;
pub(crate) mod machine;
pub(crate) mod net;
pub(crate) mod observe;
pub(crate) mod process;
pub(crate) mod queue;
pub(crate) mod trace;
pub(crate) mod view;
pub(crate) mod world;

pub(crate) use later::Build;
pub(crate) use lives::{Epoch, Start};
pub(crate) use machine::Capacity;
pub(crate) use net::Net;
pub(crate) use process::{HostId, ProcessId};
pub(crate) use view::Scope;
pub(crate) use world::{Rules, Violation, World};

/// Microseconds of virtual time.
pub(crate) type Micros = u64;

/// One millisecond.
pub(crate) const MS: Micros = 1_000;

/// One second.
pub(crate) const SECOND: Micros = 1_000_000;

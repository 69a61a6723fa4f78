//! midge: cluster membership for fleets of any size, in fixed memory.
//!
//! This crate is the core: state machines without input or output. It has no clock, no socket, no
//! randomness and no heap; time, datagrams and entropy are handed in, datagrams, deadlines and
//! events are pulled out. The agent for Linux is the package `midge-agent`, which drives a
//! [`Node`] from one loop; firmware that only wants membership drives a [`Swim`] alone.
//!
//! Where to read on, from the outside in: [`node`] wires the parts together, [`member`] decides
//! who is alive, [`wire`] says what travels, [`limits`] holds every capacity. [`clockbound`] stands by
//! itself: it reads what a clock daemon says of the true time.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

/// By how much the long loops of tests are shorter under Miri, where all takes a thousand times as
/// long.
#[cfg(test)]
const SHORTER: u32 = if cfg!(miri) { 100 } else { 1 };

pub mod address;
pub mod clockbound;
pub mod config;
pub mod council;
pub mod event;
pub mod limits;
pub mod member;
pub mod node;
pub mod reject;
pub mod rng;
mod siphash;
pub mod time;
pub mod wire;

pub use address::Address;
pub use config::{Config, ConfigError};
pub use event::{Change, Event};
pub use member::{ForgetError, Incarnation, JoinError, Member, State, Stats, Status, Swim};
pub use node::{Node, Transmit};
pub use reject::Reject;
pub use time::{Duration, Instant, TimeWindow};

//! Names to addresses: a stub resolver (RFC 1034 section 5.3.1) as a state machine without input or
//! output. Datagrams and time go in, datagrams, deadlines and results come out.
//!
//! - [`config`]: `/etc/resolv.conf`; [`hosts`]: `/etc/hosts`
//! - [`message`]: queries and answers as bytes
//! - [`resolver`]: what is asked, and whom
//!
//! Why no crate, and why all nameservers are asked at once: `docs/decisions/names.md`.

use heapless::Vec;
use midge::Address;
use midge::limits::SEEDS;

pub(crate) mod config;
pub(crate) mod hosts;
pub(crate) mod message;
pub(crate) mod resolver;

/// The addresses of a name, as many as are of use.
pub(crate) type Addresses = Vec<Address, SEEDS>;

#[cfg(test)]
mod tests;
